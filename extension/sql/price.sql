-- price.sql: one asset for each token, its price figures, and price documents.

-- Several assets can share a symbol.  The one with the largest market cap
-- stands for the token and keeps standing until it has had no quotes for a
-- week, so that a flip of ranks fabricates no returns.
CREATE FUNCTION defidata.choose_assets(hour timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    hour_end constant timestamptz := hour + interval '1 hour';
    max_age  constant interval := defidata.setting_value('price_max_age');
BEGIN
    WITH quoted AS MATERIALIZED (
        SELECT p.token, p.source, p.asset
          FROM defidata.prices p
         WHERE p.reason IS NULL AND p.at <= hour_end AND p.at > hour_end - interval '7 days'
         GROUP BY p.token, p.source, p.asset)
    DELETE FROM defidata.token_asset a
     WHERE NOT EXISTS (SELECT FROM quoted q WHERE q.token = a.token AND q.source = a.source AND q.asset = a.asset);
    INSERT INTO defidata.token_asset (token, source, asset, chosen_at)
    SELECT DISTINCT ON (q.token) q.token, q.source, q.asset, hour
      FROM (SELECT DISTINCT ON (p.token, p.source, p.asset) p.token, p.source, p.asset, p.market_cap
              FROM defidata.prices p
             WHERE p.reason IS NULL AND p.at <= hour_end AND p.at > hour_end - max_age
               AND p.token NOT IN (SELECT a.token FROM defidata.token_asset a)
             ORDER BY p.token, p.source, p.asset, p.at DESC, p.id DESC) q
     ORDER BY q.token, q.market_cap DESC NULLS LAST, q.source, q.asset;
END
$$;
COMMENT ON FUNCTION defidata.choose_assets(timestamptz) IS 'chooses an asset for each token that has quotes and none yet, as of the hour''s end';

-- A ratio that float8 cannot hold must not stop the publish.
CREATE FUNCTION defidata.price_change(former float8, price float8) RETURNS float8
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN CASE WHEN abs(ln(price) - ln(former)) < 700::float8 THEN price / former - 1::float8 END;
COMMENT ON FUNCTION defidata.price_change(float8, float8) IS 'price against former, as a fraction; NULL where it is out of range';

CREATE FUNCTION defidata.price_stats(hour timestamptz)
    RETURNS TABLE (token text, price float8, price_change_1h float8, price_change_24h float8, price_change_7d float8,
                   price_volatility_7d float8, market_cap float8, price_at timestamptz)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan SET work_mem = '64MB'
AS $$
DECLARE
    hour_end constant timestamptz := hour + interval '1 hour';
    max_age  constant interval := defidata.setting_value('price_max_age');
BEGIN
    RETURN QUERY
    -- every quote is read once: a statement for each token would cost a round
    -- trip to each shard of a distributed table
    WITH quote AS MATERIALIZED (
        SELECT p.token, p.at, p.id, p.price, p.change_24h, p.market_cap
          FROM defidata.token_asset a
          JOIN defidata.prices p ON p.token = a.token AND p.source = a.source AND p.asset = a.asset
         WHERE p.reason IS NULL AND p.at <= hour_end AND p.at > hour_end - interval '168 hours' - max_age),
    newest AS (
        SELECT DISTINCT ON (q.token, e.age) q.token, e.age, q.at, q.price, q.change_24h, q.market_cap
          FROM (SELECT n AS age, hour_end - make_interval(hours => n) AS at FROM unnest('{0,1,24,168}'::integer[]) n) e
          JOIN quote q ON q.at <= e.at AND q.at > e.at - max_age
         ORDER BY q.token, e.age, q.at DESC, q.id DESC),
    hourly AS (
        SELECT DISTINCT ON (q.token, defidata.hour_of(q.at)) q.token, defidata.hour_of(q.at) AS hour, q.price
          FROM quote q
         WHERE q.at < hour_end AND q.at >= hour_end - interval '168 hours'
         ORDER BY q.token, defidata.hour_of(q.at), q.at DESC, q.id DESC)
    SELECT q.token, q.price,
           CASE WHEN q.at_1h < q.at THEN defidata.price_change(q.price_1h, q.price) END,
           COALESCE(CASE WHEN q.at_24h < q.at THEN defidata.price_change(q.price_24h, q.price) END, q.change_24h),
           CASE WHEN q.at_7d < q.at THEN defidata.price_change(q.price_7d, q.price) END,
           v.volatility, q.market_cap, q.at
      FROM (SELECT n.token, max(n.at) AS at, max(n.price) FILTER (WHERE n.age = 0) AS price,
                   max(n.change_24h) FILTER (WHERE n.age = 0) AS change_24h, max(n.market_cap) FILTER (WHERE n.age = 0) AS market_cap,
                   max(n.at) FILTER (WHERE n.age = 1) AS at_1h, max(n.price) FILTER (WHERE n.age = 1) AS price_1h,
                   max(n.at) FILTER (WHERE n.age = 24) AS at_24h, max(n.price) FILTER (WHERE n.age = 24) AS price_24h,
                   max(n.at) FILTER (WHERE n.age = 168) AS at_7d, max(n.price) FILTER (WHERE n.age = 168) AS price_7d
              FROM newest n GROUP BY n.token HAVING count(*) FILTER (WHERE n.age = 0) > 0) q
      -- 8760 hours make a year
      LEFT JOIN (SELECT s.token, CASE WHEN count(*) >= 24 THEN stddev_samp(ln(s.price) - ln(s.former)) * sqrt(8760) END AS volatility
                   FROM (SELECT l.token, l.price, l.hour, lag(l.price) OVER w AS former, lag(l.hour) OVER w AS former_hour
                           FROM hourly l
                         WINDOW w AS (PARTITION BY l.token ORDER BY l.hour)) s
                  WHERE s.hour = s.former_hour + interval '1 hour'
                  GROUP BY s.token) v ON v.token = q.token;
END
$$;
COMMENT ON FUNCTION defidata.price_stats(timestamptz) IS 'price figures of every token that has quotes, as of the hour''s end';

CREATE FUNCTION defidata.document_quotes(document jsonb, OUT asset text, OUT symbol text, OUT at text, OUT price text,
                                         OUT change_24h text, OUT volume_24h text, OUT market_cap text)
    RETURNS SETOF record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF jsonb_typeof(document) = 'object' AND jsonb_typeof(document -> 'data') IN ('array', 'object') THEN
        -- CoinMarketCap: listings have an array, quotes an object keyed by id or symbol
        RETURN QUERY
        SELECT e ->> 'slug', e ->> 'symbol',
               COALESCE(e #>> '{quote,USD,last_updated}', e ->> 'last_updated', document #>> '{status,timestamp}'),
               e #>> '{quote,USD,price}', e #>> '{quote,USD,percent_change_24h}', e #>> '{quote,USD,volume_24h}',
               e #>> '{quote,USD,market_cap}'
          FROM jsonb_path_query(document, CASE jsonb_typeof(document -> 'data') WHEN 'array' THEN '$.data[*]'::jsonpath ELSE '$.data.*[*]' END) e
         WHERE jsonb_typeof(e) = 'object' AND e ? 'quote';
    ELSIF jsonb_typeof(document) = 'array' THEN
        RETURN QUERY
        SELECT e ->> 'id', e ->> 'symbol', e ->> 'last_updated', e ->> 'current_price',
               e ->> 'price_change_percentage_24h', e ->> 'total_volume', e ->> 'market_cap'
          FROM jsonb_array_elements(document) e WHERE jsonb_typeof(e) = 'object' AND e ? 'current_price';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.document_quotes(jsonb) IS 'the quotes of a CoinMarketCap or CoinGecko document, figures as text';

CREATE FUNCTION defidata.load_prices(document jsonb) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stored    bigint;
    loaded_at constant timestamptz := clock_timestamp();
BEGIN
    IF document IS NULL OR (SELECT count(*) FROM defidata.document_quotes(document)) = 0 AND document NOT IN ('[]', '{"data": []}') THEN
        RAISE EXCEPTION 'the document holds no quotes' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = COALESCE('It says: ' || (document #>> '{status,error_message}'), 'It begins with: ' || left(document::text, 80), 'It is NULL.'),
            HINT = 'Expected are CoinMarketCap listings (data[].quote.USD) or CoinGecko markets ([].current_price).';
    END IF;
    PERFORM defidata.lock('writer');
    INSERT INTO defidata.prices AS p (source, id, token, asset, at, price, change_24h, volume_24h, market_cap, fetched_at, symbol, reason)
    SELECT 'documents', q.id, CASE WHEN q.reason IS NULL THEN defidata.clean(q.symbol) END, q.asset, q.at, q.price,
           q.change_24h / 100, q.volume_24h, q.market_cap, loaded_at, q.symbol, q.reason
      FROM (SELECT f.*, f.asset || '@' || to_char(f.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') AS id,
                   defidata.price_reject_reason(f.at, f.symbol, f.price, loaded_at) AS reason
              FROM (SELECT DISTINCT ON (n.asset, n.at) n.*
                      FROM (SELECT left(COALESCE(d.asset, d.symbol, ''), 256) AS asset, d.symbol, defidata.parse_instant(d.at, loaded_at) AS at,
                                   defidata.parse_number(d.price) AS price, defidata.finite(defidata.parse_number(d.change_24h)) AS change_24h,
                                   defidata.finite(defidata.parse_number(d.volume_24h)) AS volume_24h,
                                   defidata.finite(defidata.parse_number(d.market_cap)) AS market_cap
                              FROM defidata.document_quotes(document) d) n
                     ORDER BY n.asset, n.at, n.price) f) q
    ON CONFLICT (source, id) DO UPDATE
       SET token = excluded.token, price = excluded.price, change_24h = excluded.change_24h, volume_24h = excluded.volume_24h,
           market_cap = excluded.market_cap, fetched_at = excluded.fetched_at, symbol = excluded.symbol, reason = excluded.reason
     WHERE (p.price, p.change_24h, p.volume_24h, p.market_cap, p.symbol)
           IS DISTINCT FROM (excluded.price, excluded.change_24h, excluded.volume_24h, excluded.market_cap, excluded.symbol);
    GET DIAGNOSTICS stored = ROW_COUNT;
    RETURN stored;
END
$$;
COMMENT ON FUNCTION defidata.load_prices(jsonb) IS 'stores the quotes of a CoinMarketCap listings or CoinGecko markets document as source documents, numbers as numbers or as text; returns the rows stored or changed. 22023 where the document holds no quotes';
