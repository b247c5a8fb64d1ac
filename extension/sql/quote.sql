-- quote.sql: quotes of a price source -> the copy.

CREATE FUNCTION defidata.copy_quotes(batch defidata.batch, source defidata.source_sql,
                                     condition text, usable text, copied_at timestamptz)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
BEGIN
    -- of quotes with one id always the same is taken, whatever their order
    PERFORM defidata.copy_rows(batch.source, source, format($sql$
        INSERT INTO defidata.prices AS r (source, at, id, token, asset, price, currency,
                                          change_24h, volume_24h, market_cap, fetched_at,
                                          symbol, reason)
        SELECT %L, q.at, q.id, CASE WHEN q.reason IS NULL THEN defidata.clean(q.symbol) END,
               COALESCE(q.asset, q.symbol, ''), q.price, defidata.currency_name(q.currency),
               defidata.finite(q.change_24h) / 100, defidata.finite(q.volume_24h),
               defidata.finite(q.market_cap), %L, q.symbol, q.reason
          FROM (SELECT f.*, defidata.price_reject_reason(f.at, f.symbol, f.price, %L) AS reason
                  FROM (SELECT DISTINCT ON (d.at, d.id) d.*
                          FROM (SELECT %s FROM %s r WHERE $sql$,
        batch.source, copied_at, batch.planned_at, (source).columns, (source).relation), $sql$) d
                         ORDER BY d.at, d.id, d.symbol, d.price) f
                OFFSET 0) q
        ON CONFLICT (source, at, id) DO UPDATE
           SET token = excluded.token, asset = excluded.asset, price = excluded.price,
               currency = excluded.currency, change_24h = excluded.change_24h,
               volume_24h = excluded.volume_24h, market_cap = excluded.market_cap,
               fetched_at = excluded.fetched_at, symbol = excluded.symbol,
               reason = excluded.reason
         WHERE (r.asset, r.price, r.currency, r.change_24h, r.volume_24h, r.market_cap, r.symbol)
               IS DISTINCT FROM (excluded.asset, excluded.price, excluded.currency,
                                 excluded.change_24h, excluded.volume_24h, excluded.market_cap,
                                 excluded.symbol)
               OR COALESCE(r.reason = 'hour', false) <> COALESCE(excluded.reason = 'hour', false)
        $sql$, condition, usable);
END
$$;
COMMENT ON FUNCTION defidata.copy_quotes(
    defidata.batch, defidata.source_sql, text, text, timestamptz) IS
    'merges the quotes for which condition holds into the copy; usable: as in answer_sql';

-- Why a price source has more quotes of an hour than the copy.
CREATE FUNCTION defidata.audit_quotes(batch defidata.batch, source defidata.source_sql,
                                      condition text, usable text, hours timestamptz[],
                                      rows bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    answers defidata.answer[];
BEGIN
    EXECUTE 'SELECT array_agg(a::defidata.answer) FROM ('
            || defidata.answer_sql(source, condition, usable, 'false') || ') a' INTO answers;
    PERFORM defidata.count_uncopied(batch.source, a.hour, 'null id', a.null_ids),
            defidata.count_uncopied(batch.source, a.hour, 'long id', a.long_ids),
            defidata.count_uncopied(batch.source, a.hour, 'duplicate id',
                a.rows - a.null_ids - a.long_ids - COALESCE(u.rows, 0) - COALESCE(h.rows, 0))
       FROM unnest(answers) a
       LEFT JOIN unnest(audit_quotes.hours, audit_quotes.rows) h (hour, rows) ON h.hour = a.hour
       LEFT JOIN (SELECT * FROM defidata.uncopied u
                   WHERE u.source = batch.source AND u.cause = 'encoding') u ON u.hour = a.hour;
END
$$;
COMMENT ON FUNCTION defidata.audit_quotes(
    defidata.batch, defidata.source_sql, text, text, timestamptz[], bigint[]) IS
    'counts, by hour and cause, the quotes of a batch that could not be copied; hours and rows:'
    ' what the copy has';

CREATE FUNCTION defidata.import_prices(batch defidata.batch, copied_at timestamptz) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    sql       constant defidata.source_sql := defidata.source_sql(batch.source);
    unusable  constant boolean := COALESCE(batch.hours = ARRAY['-infinity'::timestamptz], false);
    usable    constant text := defidata.in_span(sql, batch.from_at, batch.until_at);
    condition constant text := CASE WHEN unusable THEN defidata.out_of_span(sql, batch.until_at)
                                    ELSE usable END;
    former    bigint;
    copied    record;
BEGIN
    SELECT count(*) INTO former FROM defidata.prices p
     WHERE p.source = batch.source
       AND (NOT unusable AND p.at >= batch.from_at AND p.at < batch.until_at
            OR unusable AND p.reason = 'hour');
    DELETE FROM defidata.uncopied u
     WHERE u.source = batch.source
       AND CASE WHEN unusable THEN u.hour = '-infinity'
                ELSE u.hour >= defidata.hour_of(batch.from_at) AND u.hour < batch.until_at END;
    PERFORM defidata.copy_quotes(batch, sql, condition, usable, copied_at);
    SELECT array_agg(c.hour) AS hours, array_agg(c.rows) AS each,
           COALESCE(sum(c.rows), 0) AS rows, COALESCE(sum(c.written), 0) AS written,
           COALESCE(sum(c.rejected), 0) AS rejected, max(c.newest) AS newest INTO copied
      FROM (SELECT CASE WHEN unusable THEN '-infinity' ELSE defidata.hour_of(p.at) END AS hour,
                   count(*) AS rows,
                   count(*) FILTER (WHERE p.fetched_at = copied_at) AS written,
                   count(*) FILTER (WHERE p.fetched_at = copied_at AND p.reason IS NOT NULL)
                       AS rejected,
                   max(p.at) FILTER (WHERE p.reason IS DISTINCT FROM 'hour') AS newest
              FROM defidata.prices p
             WHERE p.source = batch.source
               AND (NOT unusable AND p.at >= batch.from_at AND p.at < batch.until_at
                    OR unusable AND p.reason = 'hour')
             GROUP BY 1) c;
    PERFORM defidata.audit_quotes(batch, sql, condition, usable, copied.hours, copied.each),
            defidata.move_watermark(batch, CASE WHEN NOT unusable THEN copied.newest END);
    IF NOT unusable THEN
        PERFORM defidata.extend_quote_series(batch.source, batch.from_at, batch.until_at, copied_at,
                                             copied.written > copied.rows - former);
    END IF;
    RETURN jsonb_build_object('inserted', copied.rows - former,
                              'updated', greatest(copied.written - copied.rows + former, 0),
                              'rejected', copied.rejected, 'fetched', copied.rows);
END
$$;
COMMENT ON FUNCTION defidata.import_prices(defidata.batch, timestamptz) IS
    'copies the quotes of a batch, or those whose time is unusable, and returns counts';
