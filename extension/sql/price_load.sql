-- price_load.sql: the quotes of a document -> the copy.

-- A quote of a document, as it is stored.
CREATE TYPE defidata.quote AS (
    asset text, symbol text, currency text, at timestamptz, price float8, change_24h float8,
    volume_24h float8, market_cap float8, reason text);
COMMENT ON TYPE defidata.quote IS 'a quote of a document with the reason why it is rejected';
COMMENT ON COLUMN defidata.quote.asset IS 'the asset';
COMMENT ON COLUMN defidata.quote.symbol IS 'the raw symbol';
COMMENT ON COLUMN defidata.quote.currency IS 'what the figures are in; NULL: the setting currency';
COMMENT ON COLUMN defidata.quote.at IS 'when it was taken';
COMMENT ON COLUMN defidata.quote.price IS 'the price';
COMMENT ON COLUMN defidata.quote.change_24h IS 'change over 24 hours, a fraction';
COMMENT ON COLUMN defidata.quote.volume_24h IS 'volume traded in 24 hours';
COMMENT ON COLUMN defidata.quote.market_cap IS 'market capitalisation';
COMMENT ON COLUMN defidata.quote.reason IS 'why it is rejected; NULL where it is accepted';

CREATE FUNCTION defidata.known_assets(assets text[]) RETURNS TABLE (asset text, token text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT DISTINCT ON (k.asset) k.asset, k.token
      FROM (SELECT t.asset, t.symbol AS token, 0 AS rank, 'infinity'::timestamptz AS day
              FROM defidata.token t WHERE t.asset = ANY (assets)
             UNION ALL
            SELECT s.asset, s.token, CASE s.source WHEN 'documents' THEN 1 ELSE 2 END, s.day
              FROM defidata.quote_series s WHERE s.asset = ANY (assets)) k
     ORDER BY k.asset, k.rank, k.day DESC, k.token
$$;
COMMENT ON FUNCTION defidata.known_assets(text[]) IS
    'the token of each asset: the one that it is pinned to, else that of its newest earlier quote,'
    ' of a document before other sources';

CREATE FUNCTION defidata.read_quotes(
    delivered defidata.delivered_quote[], currency text, asset text, loaded_at timestamptz)
    RETURNS defidata.quote[]
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
    WITH quote AS MATERIALIZED (
        SELECT left(COALESCE(read_quotes.asset, d.asset, ''), 256) AS asset, d.symbol,
               COALESCE(d.currency, read_quotes.currency) AS currency,
               defidata.parse_instant(d.at, loaded_at) AS at,
               defidata.parse_number(d.price) AS price,
               defidata.finite(defidata.parse_number(d.change_24h)) / 100 AS change_24h,
               defidata.finite(defidata.parse_number(d.volume_24h)) AS volume_24h,
               defidata.finite(defidata.parse_number(d.market_cap)) AS market_cap
          FROM unnest(delivered) d),
    named AS (
        SELECT q.asset, COALESCE(q.symbol, k.token) AS symbol, q.currency, q.at, q.price,
               q.change_24h, q.volume_24h, q.market_cap
          FROM quote q
          LEFT JOIN defidata.known_assets(ARRAY(
                        SELECT DISTINCT n.asset FROM quote n WHERE n.symbol IS NULL)) k
                 ON k.asset = q.asset AND q.symbol IS NULL)
    SELECT array_agg((n.asset, n.symbol, n.currency, n.at, n.price, n.change_24h, n.volume_24h,
                      n.market_cap, defidata.price_reject_reason(n.at, n.symbol, n.price,
                                                                 loaded_at))::defidata.quote)
      FROM named n
$$;
COMMENT ON FUNCTION defidata.read_quotes(defidata.delivered_quote[], text, text, timestamptz) IS
    'the quotes of a document; currency: of those whose currency it does not name; asset: in place'
    ' of its own; loaded_at: their time where it names none';

CREATE FUNCTION defidata.holds_nothing(document jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN jsonb_typeof(document) = 'array'
        OR jsonb_typeof(document -> 'data') IN ('array', 'object')
        OR jsonb_typeof(document -> 'prices') = 'array';
COMMENT ON FUNCTION defidata.holds_nothing(jsonb) IS
    'whether a document without a quote is the answer that nothing was found; else it is none';

CREATE FUNCTION defidata.check_document(
    document jsonb, delivered defidata.delivered_quote[], currency text, asset text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    error text := defidata.document_error(document);
    held  record;
BEGIN
    SELECT count(*) AS leaves, count(d.form) AS quotes, count(DISTINCT d.asset) AS assets,
           bool_or(d.form = 'chart') AS has_chart
      INTO held FROM unnest(delivered) d;
    IF held.quotes = 0 AND (held.leaves > 0 OR defidata.holds_nothing(document) IS NOT TRUE) THEN
        RAISE EXCEPTION 'the document holds no quotes'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = COALESCE('It says: ' || error,
                                    'It begins with: ' || left(document::text, 80), 'It is NULL.'),
                  HINT = 'What can be loaded are CoinMarketCap listings, quotes/latest and'
                         ' quotes/historical, CoinGecko coins/markets, simple/price and'
                         ' market_chart, CoinPaprika tickers, and lists of these.';
    ELSIF currency !~ '^[A-Za-z0-9]{2,16}$' THEN
        RAISE EXCEPTION 'invalid currency "%"', left(currency, 80)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'For example EUR.';
    ELSIF held.has_chart AND asset IS NULL THEN
        RAISE EXCEPTION 'the document does not name its asset'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'A market_chart needs it as argument, for example asset => ''bitcoin''.';
    ELSIF held.assets > 1 AND asset IS NOT NULL THEN
        RAISE EXCEPTION 'the document holds quotes of % assets, which cannot all be "%"',
                        held.assets, left(asset, 80)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'The argument asset is for documents of one asset.';
    ELSIF held.leaves > held.quotes AND error IS NOT NULL THEN
        RAISE WARNING 'a part of the document is an error: %', error;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.check_document(jsonb, defidata.delivered_quote[], text, text) IS
    'raises 22023 where a document holds no quotes or an argument does not fit it; warns where only'
    ' a part of it is an error';

CREATE FUNCTION defidata.load_prices(
    document jsonb, currency text, asset text, OUT stored bigint, OUT rejected bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    delivered constant defidata.delivered_quote[] :=
        ARRAY(SELECT d FROM defidata.document_quotes(document) d);
    loaded_at timestamptz;
    quotes    defidata.quote[];
    span      record;
BEGIN
    PERFORM defidata.check_document(document, delivered, currency, asset);
    PERFORM defidata.lock('writer');
    loaded_at := clock_timestamp();
    quotes := defidata.read_quotes(delivered, defidata.currency_name(currency),
                                   NULLIF(asset, ''), loaded_at);
    INSERT INTO defidata.prices AS p (source, at, id, token, asset, price, currency, change_24h,
                                      volume_24h, market_cap, fetched_at, symbol, reason)
    SELECT DISTINCT ON (q.at, n.id)
           'documents', COALESCE(q.at, '-infinity'), n.id,
           CASE WHEN q.reason IS NULL THEN defidata.clean(q.symbol) END, q.asset, q.price,
           q.currency, q.change_24h, q.volume_24h, q.market_cap, loaded_at, q.symbol, q.reason
      FROM unnest(quotes) q,
           LATERAL (SELECT concat_ws('/', COALESCE(NULLIF(q.asset, ''), left(q.symbol, 256), ''),
                                     q.currency) AS id OFFSET 0) n
     ORDER BY q.at, n.id, q.reason NULLS FIRST, q.price
    ON CONFLICT (source, at, id) DO UPDATE
       SET token = excluded.token, price = excluded.price, change_24h = excluded.change_24h,
           volume_24h = excluded.volume_24h, market_cap = excluded.market_cap,
           fetched_at = excluded.fetched_at, symbol = excluded.symbol, reason = excluded.reason
     WHERE (p.price, p.change_24h, p.volume_24h, p.market_cap, p.symbol, p.reason)
           IS DISTINCT FROM (excluded.price, excluded.change_24h, excluded.volume_24h,
                             excluded.market_cap, excluded.symbol, excluded.reason);
    SELECT min(q.at) AS first, max(q.at) + interval '1 microsecond' AS until,
           count(*) FILTER (WHERE q.reason IS NOT NULL) AS rejected
      INTO span FROM unnest(quotes) q;
    rejected := span.rejected;
    SELECT count(*) INTO stored
      FROM defidata.prices p
     WHERE p.source = 'documents' AND p.at >= span.first AND p.at < span.until
       AND p.fetched_at = loaded_at AND p.reason IS NULL;
    PERFORM defidata.extend_quote_series('documents', span.first, span.until, loaded_at, false);
END
$$;
COMMENT ON FUNCTION defidata.load_prices(jsonb, text, text) IS 'see defidata_load_prices';
