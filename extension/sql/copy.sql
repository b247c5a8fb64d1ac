-- copy.sql: rows of a source → the copy.

-- Reads rows of a source and merges them into the copy, or only adds them.  The
-- hours that are read again are a literal: what decides about a conflict runs
-- where the rows are, and parameters do not get there.
CREATE FUNCTION defidata.copy_statement(source text, condition text, merge boolean, reread timestamptz[]) RETURNS text
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    piece   record;
    fetched text;
BEGIN
    SELECT * INTO piece FROM defidata.source_sql(copy_statement.source);
    -- in the order of the index that the rows enter; of rows with one id always
    -- the same is taken, whatever their order and whatever the copy holds
    fetched := format('SELECT %7$s %2$s FROM %3$s r WHERE %4$s AND %5$s ORDER BY %6$s',
                      piece.id, piece.columns, piece.relation, piece.id_usable, condition,
                      CASE piece.kind WHEN 'mentions'
                           THEN format('%s COLLATE "C", hour DESC NULLS LAST, symbol, mentions, sentiment',
                                       piece.id)
                           ELSE 'at, id, symbol, price' END,
                      CASE WHEN piece.kind = 'prices' THEN 'DISTINCT ON (at, id)'
                           WHEN merge THEN format('DISTINCT ON (%s COLLATE "C")', piece.id)
                           ELSE '' END);
    RETURN format(CASE piece.kind WHEN 'mentions' THEN $sql$
        INSERT INTO defidata.raw_mentions AS r (source, id, hour, symbol, mentions, sentiment, token, reason, fetched_at)
        SELECT $10, q.id, q.hour, q.symbol, q.mentions, q.sentiment,
               CASE WHEN q.reason IS NULL THEN defidata.clean(q.symbol) END, q.reason, $11
          FROM (SELECT f.*, defidata.reject_reason(f.hour, f.symbol, f.mentions, f.sentiment, $11) AS reason
                  FROM (%s) f OFFSET 0) q
        $sql$ || CASE WHEN merge THEN $sql$
        ON CONFLICT (source, id) DO UPDATE
           SET hour = excluded.hour, symbol = excluded.symbol, mentions = excluded.mentions, sentiment = excluded.sentiment,
               token = excluded.token, reason = excluded.reason, fetched_at = excluded.fetched_at,
               former_hour = COALESCE(r.hour, '-infinity')
         WHERE ((r.hour, r.symbol, r.mentions, r.sentiment)
                IS DISTINCT FROM (excluded.hour, excluded.symbol, excluded.mentions, excluded.sentiment)
                OR r.reason = 'hour' AND excluded.reason IS DISTINCT FROM 'hour')
           -- where two rows of the source share an id, the later hour holds it;
           -- a row moves back only from an hour that is itself read again
           AND (r.reason IS NOT DISTINCT FROM 'hour' OR r.hour = ANY (%s)
                OR excluded.reason IS DISTINCT FROM 'hour' AND excluded.hour >= r.hour)
        $sql$ ELSE '' END ELSE $sql$
        INSERT INTO defidata.prices AS r (source, at, id, token, asset, price, currency,
                                          change_24h, volume_24h, market_cap, fetched_at,
                                          symbol, reason)
        SELECT $10, q.at, q.id, CASE WHEN q.reason IS NULL THEN defidata.clean(q.symbol) END,
               COALESCE(q.asset, q.symbol, ''), q.price, defidata.currency_name(q.currency),
               defidata.finite(q.change_24h) / 100, defidata.finite(q.volume_24h),
               defidata.finite(q.market_cap), $11, q.symbol, q.reason
          FROM (SELECT f.*, defidata.price_reject_reason(f.at, f.symbol, f.price, $11) AS reason
                  FROM (%s) f OFFSET 0) q
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
               OR r.reason = 'hour' AND excluded.reason IS DISTINCT FROM 'hour'
        $sql$ END, fetched, quote_nullable(reread) || '::timestamptz[]');
END
$$;
COMMENT ON FUNCTION defidata.copy_statement(text, text, boolean, timestamptz[]) IS 'the statement that reads rows of a source, one for each id, and merges them into the copy; without merge (mentions only) it fails where an id is there already or comes twice. reread: the hours that the import reads again';

CREATE FUNCTION defidata.count_uncopied(source text, hour timestamptz, cause text, rows bigint) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO defidata.uncopied AS u (source, hour, cause, rows, seen_at)
    SELECT $1, $2, $3, $4, now() WHERE $4 > 0
    ON CONFLICT (source, hour, cause) DO UPDATE SET rows = u.rows + excluded.rows, seen_at = excluded.seen_at
$$;
COMMENT ON FUNCTION defidata.count_uncopied(text, timestamptz, text, bigint) IS 'adds rows that could not be copied to the count of their hour and cause';

-- Copies a part of a batch: the rows whose id has a hash from low to high.
--
-- Hours of which the copy has nothing are added at half the cost of a merge,
-- which does it where that fails, as an id is there already or comes twice.
-- Text that this database cannot hold fails a statement too; the part is halved
-- until the row that carries it stands alone; it is counted, and its neighbours
-- arrive.
CREATE FUNCTION defidata.copy_part(source text, condition text, from_at timestamptz, until_at timestamptz, hours timestamptz[],
                                   reread timestamptz[], copied_at timestamptz, low numeric, high numeric) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
AS $$
DECLARE
    piece  record;
    part   text := condition;
    -- from a shard no error comes back by which to know that an id is there already
    merge  boolean := low IS NOT NULL OR hours IS NULL OR NOT isfinite(hours[1]) OR COALESCE(hours && reread, false)
                      OR (SELECT count(*) FROM defidata.distributed_tables()) > 0;
    poison record;
BEGIN
    SELECT * INTO piece FROM defidata.source_sql(copy_part.source);
    IF low IS NOT NULL THEN
        part := format('%s AND %s >= $12 AND %2$s <= $13', condition, piece.id_hash);
    END IF;
    LOOP
        BEGIN
            -- the common way: all text is fine
            EXECUTE defidata.copy_statement(source, part, merge, reread)
              USING from_at, until_at, hours, defidata.epoch_of(from_at), defidata.epoch_of(until_at),
                    ARRAY(SELECT defidata.epoch_of(h) / 3600 FROM unnest(hours) h),
                    from_at AT TIME ZONE 'UTC', until_at AT TIME ZONE 'UTC', ARRAY(SELECT h AT TIME ZONE 'UTC' FROM unnest(hours) h),
                    source, copied_at, low::bigint, high::bigint;
            RETURN;
        EXCEPTION
            WHEN character_not_in_repertoire OR untranslatable_character THEN
                EXIT;
            WHEN unique_violation THEN
                IF merge THEN
                    RAISE;
                END IF;
                merge := true;
        END;
    END LOOP;
    low := COALESCE(low, -9223372036854775808);
    high := COALESCE(high, 9223372036854775807);
    FOR poison IN EXECUTE format('SELECT CASE WHEN COALESCE(isfinite($3[1]), true) THEN %s ELSE ''-infinity'' END AS hour, s.rows, sum(s.rows) OVER () AS total'
                                 ' FROM (SELECT %s AS bucket, count(*) AS rows FROM %s r WHERE %s AND %s >= $12 AND %5$s <= $13 GROUP BY 1) s',
                                 piece.bucket_hour, piece.bucket, piece.relation, condition, piece.id_hash)
                     USING from_at, until_at, hours, defidata.epoch_of(from_at), defidata.epoch_of(until_at),
                           ARRAY(SELECT defidata.epoch_of(h) / 3600 FROM unnest(hours) h),
                           from_at AT TIME ZONE 'UTC', until_at AT TIME ZONE 'UTC',
                           ARRAY(SELECT h AT TIME ZONE 'UTC' FROM unnest(hours) h),
                           source, copied_at, low::bigint, high::bigint LOOP
        EXIT WHEN poison.total > 1 AND low < high;
        PERFORM defidata.count_uncopied(source, poison.hour, 'encoding', poison.rows);
    END LOOP;
    IF poison.total > 1 AND low < high THEN
        PERFORM defidata.copy_part(source, condition, from_at, until_at, hours, reread, copied_at, low, floor((low + high) / 2));
        PERFORM defidata.copy_part(source, condition, from_at, until_at, hours, reread, copied_at, floor((low + high) / 2) + 1, high);
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.copy_part(text, text, timestamptz, timestamptz, timestamptz[], timestamptz[], timestamptz, numeric, numeric) IS 'copies the rows of a batch, leaving out and counting those whose text this database cannot hold';

-- Where an hour of the copy has fewer rows than its source, the source is asked why.
CREATE FUNCTION defidata.audit_hour(source text, hour timestamptz, local_rows bigint, condition text,
                                    from_at timestamptz, until_at timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    piece  record;
    found  record;
    poison bigint;
BEGIN
    SELECT * INTO piece FROM defidata.source_sql(audit_hour.source);
    EXECUTE format('SELECT count(*) FILTER (WHERE %1$s IS NULL) AS null_ids, count(*) FILTER (WHERE %2$s) AS usable,'
                   ' count(*) AS total, count(DISTINCT %1$s) FILTER (WHERE %2$s) AS different FROM %3$s r WHERE %4$s',
                   regexp_replace(piece.id, '::text$', ''), piece.id_usable, piece.relation, condition)
       INTO found
      USING from_at, until_at, ARRAY[hour], defidata.epoch_of(from_at), defidata.epoch_of(until_at), ARRAY[defidata.epoch_of(hour) / 3600],
            from_at AT TIME ZONE 'UTC', until_at AT TIME ZONE 'UTC', ARRAY[hour AT TIME ZONE 'UTC'];
    DELETE FROM defidata.uncopied u WHERE u.source = audit_hour.source AND u.hour = audit_hour.hour AND u.cause <> 'encoding';
    poison := COALESCE((SELECT u.rows FROM defidata.uncopied u
                         WHERE u.source = audit_hour.source AND u.hour = audit_hour.hour AND u.cause = 'encoding'), 0);
    PERFORM defidata.count_uncopied(source, hour, 'null id', found.null_ids),
            defidata.count_uncopied(source, hour, 'long id', found.total - found.null_ids - found.usable),
            -- in the same hour, or held by a later hour
            defidata.count_uncopied(source, hour, 'duplicate id',
                found.usable - found.different + greatest(found.different - poison - local_rows, 0));
END
$$;
COMMENT ON FUNCTION defidata.audit_hour(text, timestamptz, bigint, text, timestamptz, timestamptz) IS 'counts, by cause, the rows of an hour of a mentions source that could not be copied';

-- One look at what the copy now has of the hours of a batch serves all that follows
-- the copying.  New hours are not in the statistics yet: the planner takes their
-- rows for few and would sort a million of them, or read a page for each of them.
CREATE FUNCTION defidata.take_census(source text, hours timestamptz[], copied_at timestamptz,
                                     OUT hours_found timestamptz[], OUT usable boolean[], OUT former timestamptz[], OUT rows bigint[],
                                     OUT inserted bigint, OUT updated bigint, OUT rejected bigint, OUT touched timestamptz[])
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET enable_sort = off SET enable_incremental_sort = off
    SET enable_indexscan = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    unusable constant boolean := hours = ARRAY['-infinity'::timestamptz];
BEGIN
    SELECT array_agg(c.hour), array_agg(c.usable), array_agg(c.former), array_agg(c.rows),
           sum(c.inserted), sum(c.fetched - c.inserted), sum(c.rejected),
           array_agg(c.hour) FILTER (WHERE c.fetched > 0 AND c.usable) || array_agg(c.former)
      INTO hours_found, usable, former, rows, inserted, updated, rejected, touched
      FROM (SELECT r.hour, r.reason IS DISTINCT FROM 'hour' AS usable, CASE WHEN r.fetched_at = copied_at THEN r.former_hour END AS former,
                   count(*) AS rows, count(*) FILTER (WHERE r.fetched_at = copied_at) AS fetched,
                   count(*) FILTER (WHERE r.fetched_at = copied_at AND r.former_hour IS NULL) AS inserted,
                   count(*) FILTER (WHERE r.fetched_at = copied_at AND r.reason IS NOT NULL) AS rejected
              FROM defidata.raw_mentions r
             WHERE r.source = take_census.source AND CASE WHEN unusable THEN r.reason = 'hour' ELSE r.hour = ANY (hours) END
             GROUP BY 1, 2, 3) c;
END
$$;
COMMENT ON FUNCTION defidata.take_census(text, timestamptz[], timestamptz) IS 'counts the rows that the copy has of hours of a source ({-infinity}: those with an unusable time), by hour, usability and the hour that rows copied at copied_at have left; how many of these are new, changed, rejected; and the hours that they touched';
