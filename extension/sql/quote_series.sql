-- quote_series.sql: times and prices of the accepted quotes once more, an asset's day a row.
--
-- defidata.prices holds every quote, a row each.  Publishing reads the series, which have
-- thousands of rows where prices has millions, and of prices only the newest quotes.
--
-- The days of an asset are found by the key, the assets of a day by an index on
-- day_of(day), as an expression: so each statement can take but one of them, whatever is
-- known of the table.

CREATE FUNCTION defidata.currency_name(currency text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE btrim(currency)
        -- CoinMarketCap names one by its number where the request did (convert_id)
        WHEN '' THEN NULL WHEN '2781' THEN 'USD' WHEN '2790' THEN 'EUR' WHEN '1' THEN 'BTC'
        ELSE upper(left(btrim(currency), 16) COLLATE "C") END;
COMMENT ON FUNCTION defidata.currency_name(text) IS
    'a currency as it is stored: upper case; NULL where it is NULL or empty';

-- A function of its own, so that it is a question to the shards where prices is
-- distributed, whatever is done with its answer.
CREATE FUNCTION defidata.accepted_quotes(
    source text, from_at timestamptz, until_at timestamptz)
    RETURNS TABLE (asset text, token text, currency text, day timestamptz, at timestamptz,
                   id text, price float8, spelled boolean)
    LANGUAGE plpgsql STABLE ROWS 100000
    SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    RETURN QUERY
    SELECT p.asset, p.token, COALESCE(p.currency, ''), defidata.day_of(p.at), p.at, p.id,
           p.price, lower(btrim(p.symbol)) = lower(p.token)
      FROM defidata.prices p
     WHERE p.source = accepted_quotes.source AND p.at >= from_at AND p.at < until_at
       -- a longer name finds no room in an index, and is none
       AND p.reason IS NULL AND octet_length(p.asset) <= 1024;
END
$$;
COMMENT ON FUNCTION defidata.accepted_quotes(text, timestamptz, timestamptz) IS
    'the accepted quotes of a source from from_at until until_at. spelled: whether the raw symbol'
    ' is the token but for case';

-- A row has the quotes of its day in the order of time; of those of one instant the
-- last counts, by id.
CREATE FUNCTION defidata.fill_quote_series(
    source text, from_at timestamptz, until_at timestamptz) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
    SET plan_cache_mode = force_custom_plan SET enable_mergejoin = off SET enable_nestloop = off
AS $$
DECLARE
    first_day constant timestamptz := defidata.day_of(from_at);
BEGIN
    INSERT INTO defidata.quote_series AS s (asset, source, token, currency, day, spelled,
                                            at, price)
    SELECT q.asset, fill_quote_series.source, q.token, q.currency, q.day, bool_or(q.spelled),
           array_agg(q.at), array_agg(q.price)
      FROM (SELECT DISTINCT ON (p.asset, p.token, p.currency, p.day, p.at) p.*
              FROM defidata.accepted_quotes(source, from_at, until_at) p
              LEFT JOIN (SELECT k.asset, k.token, k.currency, k.day,
                                k.at[cardinality(k.at)] AS last
                           FROM defidata.quote_series k
                          WHERE defidata.day_of(k.day) >= first_day
                            AND defidata.day_of(k.day) < until_at
                            AND k.source = fill_quote_series.source) k
                     ON k.asset = p.asset AND k.token = p.token AND k.currency = p.currency
                        AND k.day = p.day
             WHERE k.last IS NULL OR p.at > k.last
             -- in this order the arrays are filled
             ORDER BY p.asset, p.token, p.currency, p.day, p.at, p.id DESC) q
     GROUP BY q.asset, q.token, q.currency, q.day
    ON CONFLICT ON CONSTRAINT quote_series_pkey DO UPDATE
       SET spelled = s.spelled OR excluded.spelled, at = s.at || excluded.at,
           price = s.price || excluded.price;
END
$$;
COMMENT ON FUNCTION defidata.fill_quote_series(text, timestamptz, timestamptz) IS
    'adds to the series of a source''s assets the quotes from from_at until until_at that are later'
    ' than what the row of their day has';

-- Usually new quotes come after all that a row has, and are appended.  A row for which
-- one does not is made again, and so is every row of a day of which quotes were
-- corrected, for these may have been of another asset.
CREATE FUNCTION defidata.extend_quote_series(
    source text, from_at timestamptz, until_at timestamptz, copied_at timestamptz,
    corrected boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
    SET enable_mergejoin = off SET enable_nestloop = off
AS $$
DECLARE
    fresh record;
    dates timestamptz[];
BEGIN
    SELECT min(f.first) AS first, max(f.last) + interval '1 microsecond' AS until,
           array_agg(f.asset) AS assets, array_agg(f.day) AS days, array_agg(f.first) AS firsts
      INTO fresh
      FROM (SELECT p.asset, defidata.day_of(p.at) AS day, min(p.at) AS first, max(p.at) AS last
              FROM defidata.prices p
             WHERE p.source = extend_quote_series.source AND p.at >= from_at AND p.at < until_at
               AND p.fetched_at = copied_at AND p.reason IS DISTINCT FROM 'hour'
             GROUP BY p.asset, defidata.day_of(p.at)) f;
    dates := ARRAY(SELECT DISTINCT d FROM unnest(fresh.days) d);
    IF corrected THEN
        DELETE FROM defidata.quote_series s
         WHERE s.source = extend_quote_series.source
           AND defidata.day_of(s.day) = ANY (dates);
    ELSE
        DELETE FROM defidata.quote_series s
         USING unnest(fresh.assets, fresh.days, fresh.firsts) f (asset, day, first)
         WHERE s.source = extend_quote_series.source
           AND defidata.day_of(s.day) = ANY (dates)
           AND s.asset = f.asset AND s.day = f.day AND s.at[cardinality(s.at)] >= f.first;
    END IF;
    PERFORM defidata.fill_quote_series(
        source, CASE WHEN FOUND THEN defidata.day_of(fresh.first) ELSE fresh.first END,
        CASE WHEN FOUND THEN defidata.day_of(fresh.until) + interval '24 hours'
             ELSE fresh.until END);
END
$$;
COMMENT ON FUNCTION defidata.extend_quote_series(text, timestamptz, timestamptz, timestamptz,
                                                 boolean) IS
    'brings the series of a source''s assets up to the quotes from from_at until until_at that were'
    ' copied or judged at copied_at. corrected: whether some of them were here before';

CREATE FUNCTION defidata.rebuild_quote_series() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    week record;
BEGIN
    PERFORM defidata.lock('writer');
    DELETE FROM defidata.quote_series;
    -- in parts that are sorted in memory
    FOR week IN SELECT s.source, w AS start
                  FROM (SELECT p.source, min(p.at) AS first, max(p.at) AS last
                          FROM defidata.prices p WHERE p.reason IS NULL GROUP BY p.source) s,
                       generate_series(defidata.week_of(s.first), s.last, interval '168 hours') w
    LOOP
        PERFORM defidata.fill_quote_series(week.source, week.start,
                                           week.start + interval '168 hours');
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.rebuild_quote_series() IS
    'makes every series again from the quotes';

-- What was a quote of a time to come is one of the past some time later, whether
-- its source delivers it again or not.
CREATE FUNCTION defidata.judge_quotes(as_of timestamptz) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off
    SET enable_mergejoin = off SET enable_nestloop = off
AS $$
DECLARE
    until_at constant timestamptz := defidata.hour_of(as_of) + interval '1 hour';
    come     record;
BEGIN
    FOR come IN
        SELECT j.source, min(j.at) AS first, array_agg(j.at) AS ats, array_agg(j.id) AS ids,
               array_agg(j.reason) AS reasons,
               array_agg(CASE WHEN j.reason IS NULL THEN defidata.clean(j.symbol) END) AS tokens
          FROM (SELECT p.source, p.at, p.id, p.symbol,
                       defidata.price_reject_reason(p.at, p.symbol, p.price, as_of) AS reason
                  FROM (SELECT * FROM defidata.prices w
                         WHERE w.reason = 'hour' AND w.at < until_at
                           AND w.at >= '2006-01-01 00:00:00+00' OFFSET 0) p OFFSET 0) j
         GROUP BY j.source
    LOOP
        UPDATE defidata.prices p
           SET token = j.token, reason = j.reason, fetched_at = as_of
          FROM unnest(come.ats, come.ids, come.tokens, come.reasons) j (at, id, token, reason)
         WHERE p.reason = 'hour' AND p.source = come.source AND p.at = j.at AND p.id = j.id;
        PERFORM defidata.extend_quote_series(come.source, come.first, until_at, as_of, false);
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.judge_quotes(timestamptz) IS
    'judges again the quotes that were of a time to come and by as_of no longer are';
