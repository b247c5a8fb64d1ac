-- price.sql: the asset that stands for each token, and its price figures.
--
-- Both stand on quote_series and on an instant, the end of the published hour: a
-- quote after it is not seen, and none counts that is older than price_max_age.

CREATE FUNCTION defidata.price_figures_accum(
    state internal, at timestamptz[], price float8[], until timestamptz) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'defidata_price_figures_accum';
COMMENT ON FUNCTION defidata.price_figures_accum(
    internal, timestamptz[], float8[], timestamptz) IS
    'adds the quotes of a day; see price_figures';

CREATE TYPE defidata.price_figures_row AS (
    price_change_1h float8, price_change_24h float8, price_change_7d float8,
    price_volatility_7d float8);
COMMENT ON TYPE defidata.price_figures_row IS 'the price figures of one asset';
COMMENT ON COLUMN defidata.price_figures_row.price_change_1h IS 'change over 1 hour';
COMMENT ON COLUMN defidata.price_figures_row.price_change_24h IS 'change over 24 hours';
COMMENT ON COLUMN defidata.price_figures_row.price_change_7d IS 'change over 7 days';
COMMENT ON COLUMN defidata.price_figures_row.price_volatility_7d IS 'volatility over 7 days';

CREATE FUNCTION defidata.price_figures_final(state internal) RETURNS defidata.price_figures_row
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'defidata_price_figures_final';
COMMENT ON FUNCTION defidata.price_figures_final(internal) IS
    'the figures of the quotes that were added; see price_figures';

CREATE AGGREGATE defidata.price_figures(
    at timestamptz[], price float8[], until timestamptz) (
    SFUNC = defidata.price_figures_accum, STYPE = internal, SSPACE = 4096,
    FINALFUNC = defidata.price_figures_final, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = SAFE);
COMMENT ON AGGREGATE defidata.price_figures(timestamptz[], float8[], timestamptz) IS
    'what the rows of quote_series of one asset say at an instant, fractions: the changes of the'
    ' newest price against the quote nearest to 1, 24 and 168 hours before it (at most 30 minutes,'
    ' 3 and 12 hours off; NULL where there is none), and the sample standard deviation of the log'
    ' returns between consecutive hours'' last quotes of the 168 hours before until, of 24 at'
    ' least, times the root of 8760. NULL without a quote up to until; raises 22004 for NULL,'
    ' 2202E where times and prices are not as many';

-- Only the newest quotes are looked up in prices, each by its token and instant,
-- whatever is known of the table.
CREATE FUNCTION defidata.newest_quotes(as_of timestamptz)
    RETURNS TABLE (asset text, source text, quoted text, spelled boolean, at timestamptz,
                   price float8, change_24h float8, volume_24h float8, market_cap float8)
    LANGUAGE plpgsql STABLE ROWS 10000
    SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
    SET plan_cache_mode = force_custom_plan
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    SET enable_material = off
AS $$
DECLARE
    since       constant timestamptz := as_of - defidata.setting_value('price_max_age')::interval;
    in_currency constant text := defidata.currency_name(defidata.setting_value('currency'));
    newest      record;
BEGIN
    SELECT array_agg(n.asset) AS assets, array_agg(n.source) AS sources,
           array_agg(n.token) AS tokens, array_agg(n.spelled) AS spelled, array_agg(n.at) AS ats
      INTO newest
      FROM (SELECT DISTINCT ON (q.asset, q.source, q.token) q.*
              FROM (SELECT s.asset, s.source, s.token, s.spelled,
                           s.at[width_bucket(as_of, s.at)] AS at
                      FROM defidata.quote_series s
                     WHERE defidata.day_of(s.day) > since - interval '24 hours'
                       AND defidata.day_of(s.day) <= as_of
                       AND s.currency IN ('', in_currency)) q
             WHERE q.at > since
             ORDER BY q.asset, q.source, q.token, q.at DESC) n;
    RETURN QUERY
    SELECT *
      FROM (SELECT DISTINCT ON (n.asset, n.source, n.token)
                   n.asset, n.source, n.token, n.spelled, n.at, p.price, p.change_24h,
                   p.volume_24h, p.market_cap
              FROM unnest(newest.assets, newest.sources, newest.tokens, newest.spelled,
                          newest.ats) n (asset, source, token, spelled, at)
              -- a left join, so that it begins with the few; and without the columns of the
              -- key, which has all quotes of an instant
              LEFT JOIN defidata.prices p ON p.token = n.token AND p.at = n.at
                   AND (p.asset, p.source) IS NOT DISTINCT FROM (n.asset, n.source)
                   AND p.reason IS NULL AND COALESCE(p.currency, in_currency) = in_currency
             ORDER BY n.asset, n.source, n.token, p.id DESC NULLS LAST) k
     WHERE k.price IS NOT NULL;
END
$$;
COMMENT ON FUNCTION defidata.newest_quotes(timestamptz) IS
    'the newest quote in the setting currency of every asset that has one within price_max_age'
    ' before an instant. quoted: the token of its quotes';

CREATE FUNCTION defidata.count_quotes(assets text[], as_of timestamptz)
    RETURNS TABLE (asset text, source text, quoted text, quotes bigint)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.asset, s.source, s.token,
           sum(width_bucket(as_of, s.at) - width_bucket(as_of - interval '14 days', s.at))
      FROM defidata.quote_series s
     WHERE s.asset = ANY (assets) AND s.day > as_of - interval '15 days' AND s.day <= as_of
     GROUP BY s.asset, s.source, s.token
$$;
COMMENT ON FUNCTION defidata.count_quotes(text[], timestamptz) IS
    'how many quotes each asset has in the 14 days before an instant';

-- Several assets can share a symbol.  The one that stands for a token is kept
-- while it has quotes, so that a flip of ranks fabricates no returns, unless it was
-- the wrong one by far.  A market cap of 0 is one that the provider does not know.
CREATE FUNCTION defidata.choose_assets(hour timestamptz)
    RETURNS TABLE (token text, asset text, source text, quoted text, at timestamptz,
                   price float8, change_24h float8, market_cap float8)
    LANGUAGE plpgsql ROWS 10000
    SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
    SET plan_cache_mode = force_custom_plan SET enable_mergejoin = off SET enable_nestloop = off
AS $$
#variable_conflict use_column
DECLARE
    hour_end constant timestamptz := hour + interval '1 hour';
BEGIN
    RETURN QUERY
    WITH newest AS MATERIALIZED (
        SELECT * FROM defidata.newest_quotes(hour_end)),
    -- a pinned token takes its asset and no other, whatever symbol that has
    candidate AS MATERIALIZED (
        SELECT n.quoted AS token, n.*
          FROM newest n
          LEFT JOIN defidata.token t ON t.symbol = n.quoted AND t.asset IS NOT NULL
         WHERE t.symbol IS NULL
         UNION ALL
        SELECT t.symbol, n.* FROM defidata.token t JOIN newest n ON n.asset = t.asset),
    present AS MATERIALIZED (
        SELECT c.*
          FROM defidata.token_asset a
          JOIN candidate c ON c.token = a.token AND c.asset = a.asset AND c.source = a.source
                              AND c.quoted = a.quoted),
    -- quotes are counted where nothing else tells new candidates apart
    tied AS (
        SELECT array_agg(DISTINCT t.asset) AS assets
          FROM (SELECT c.asset, count(*) OVER (
                           PARTITION BY c.token, c.spelled, COALESCE(c.market_cap, 0),
                                        COALESCE(c.volume_24h, 0)) AS candidates
                  FROM candidate c LEFT JOIN present p ON p.token = c.token
                 WHERE p.token IS NULL) t
         WHERE t.candidates > 1),
    best AS MATERIALIZED (
        SELECT DISTINCT ON (c.token) c.*
          FROM candidate c
          LEFT JOIN (SELECT k.* FROM tied t, defidata.count_quotes(t.assets, hour_end) k) k
                 ON k.asset = c.asset AND k.source = c.source AND k.quoted = c.quoted
         ORDER BY c.token, c.spelled DESC, COALESCE(c.market_cap, 0) DESC,
                  COALESCE(c.volume_24h, 0) DESC, COALESCE(k.quotes, 0) DESC, c.asset, c.source),
    new AS MATERIALIZED (
        SELECT b.*
          FROM best b LEFT JOIN present p ON p.token = b.token
         WHERE p.token IS NULL OR b.spelled AND NOT p.spelled
            OR (b.asset, b.source) <> (p.asset, p.source)
               AND b.market_cap > 0 AND b.market_cap >= 10 * p.market_cap),
    gone AS (
        DELETE FROM defidata.token_asset a
         WHERE NOT EXISTS (SELECT FROM best b WHERE b.token = a.token)),
    taken AS (
        INSERT INTO defidata.token_asset AS a (token, asset, source, quoted, chosen_at)
        SELECT n.token, n.asset, n.source, n.quoted, hour FROM new n
        ON CONFLICT ON CONSTRAINT token_asset_pkey DO UPDATE
           SET asset = excluded.asset, source = excluded.source, quoted = excluded.quoted,
               chosen_at = excluded.chosen_at)
    SELECT c.token, c.asset, c.source, c.quoted, c.at, c.price, c.change_24h, c.market_cap
      FROM (SELECT n.* FROM new n
             UNION ALL
            SELECT p.* FROM present p LEFT JOIN new n ON n.token = p.token
             WHERE n.token IS NULL) c;
END
$$;
COMMENT ON FUNCTION defidata.choose_assets(timestamptz) IS
    'chooses the asset of each token as of the hour''s end and returns it with its newest quote:'
    ' the pinned one; else one whose symbol is spelled as the token, then the largest market cap,'
    ' the largest volume, the most quotes in 14 days, the name, the source. One that has quotes is'
    ' kept, unless another is pinned, or is spelled as the token where it is not, or has ten times'
    ' its market cap';

CREATE FUNCTION defidata.price_stats(hour timestamptz)
    RETURNS TABLE (token text, price float8, price_change_1h float8, price_change_24h float8,
                   price_change_7d float8, price_volatility_7d float8, market_cap float8,
                   price_at timestamptz)
    LANGUAGE plpgsql ROWS 10000
    SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
    SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    hour_end    constant timestamptz := hour + interval '1 hour';
    in_currency constant text := defidata.currency_name(defidata.setting_value('currency'));
BEGIN
    RETURN QUERY
    SELECT c.token, c.price, (f.figures).price_change_1h,
           COALESCE((f.figures).price_change_24h, c.change_24h), (f.figures).price_change_7d,
           (f.figures).price_volatility_7d, c.market_cap, c.at
      FROM defidata.choose_assets(hour) c,
           -- 168 hours and 12 before the newest quote
           LATERAL (SELECT defidata.price_figures(s.at, s.price, hour_end) AS figures
                      FROM defidata.quote_series s
                     WHERE s.asset = c.asset AND s.source = c.source AND s.token = c.quoted
                       AND s.currency IN ('', in_currency)
                       AND s.day > c.at - interval '204 hours' AND s.day <= hour_end
                    OFFSET 0) f;
END
$$;
COMMENT ON FUNCTION defidata.price_stats(timestamptz) IS
    'chooses the assets as of the hour''s end and returns the price figures of every token that has'
    ' one; price_change_24h is the delivered one where the quotes do not reach back';
