-- price_document.sql: the quotes that a provider's document holds, as text.
--
-- A document is walked from the outside in.  What is no quote itself is a
-- container: a list, a response with its "data", or a map by id or symbol; so lists
-- of responses, pages of listings and maps of lists need no rule of their own.
-- A leaf has one of four forms:
--
--     coin     CoinMarketCap since v2, CoinPaprika: figures by currency below
--              "quote" or "quotes", or a list of such moments (history)
--     ticker   CoinMarketCap v1: price_usd, price_btc, ...
--     market   CoinGecko coins/markets: current_price
--     chart    CoinGecko coins/{id}/market_chart: prices as [time, price]
--     simple   CoinGecko simple/price: {"usd": ..., "usd_market_cap": ...}
--
-- or none; then it is a quote without a price.

CREATE FUNCTION defidata.quote_form(body jsonb, key text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN jsonb_typeof(body) <> 'object' THEN NULL
        WHEN body ? 'quote' OR body ? 'quotes' THEN 'coin'
        WHEN body ? 'current_price' THEN 'market'
        WHEN body ? 'price_usd' OR body ? 'price_btc' THEN 'ticker'
        WHEN jsonb_typeof(body -> 'prices') = 'array' THEN 'chart'
        WHEN key IS NULL OR body ? 'id' OR body ? 'error_code' THEN NULL
        WHEN jsonb_path_exists(body, '$.keyvalue() ? (@.key like_regex "^[a-z]{3,4}$"
                && (@.value.type() == "number" || @.value.type() == "null"
                    || @.value like_regex "^[-+0-9.eE]+$"))')
        THEN 'simple'
    END;
COMMENT ON FUNCTION defidata.quote_form(jsonb, text) IS
    'coin, market, ticker, chart or simple; NULL for what holds no quote itself. key: the name'
    ' under which a map has it, NULL where none does';

CREATE FUNCTION defidata.is_container(body jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE jsonb_typeof(body)
        WHEN 'array' THEN true
        WHEN 'object' THEN COALESCE(body #>> '{status,error_code}', '0') = '0'
            AND jsonb_path_exists(
                body, 'strict $.* ? (@.type() == "array" || @.type() == "object")', '{}', true)
        ELSE false END;
COMMENT ON FUNCTION defidata.is_container(jsonb) IS
    'whether a list, or an object that has a list or an object inside and reports no error';

-- What concerns a node is computed when it is found, not once for each of its
-- children: a body can have megabytes.
CREATE FUNCTION defidata.document_leaves(document jsonb)
    RETURNS TABLE (form text, key text, as_of text, body jsonb)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH RECURSIVE node (form, key, as_of, container, of_response, body) AS (
        SELECT defidata.quote_form(document, NULL), NULL::text,
               COALESCE(document #>> '{status,timestamp}', document #>> '{metadata,timestamp}'),
               defidata.is_container(document), COALESCE(document ? 'data', false), document
        UNION ALL
        SELECT defidata.quote_form(c.body, c.key), COALESCE(c.key, n.key),
               COALESCE(c.body #>> '{status,timestamp}', c.body #>> '{metadata,timestamp}',
                        n.as_of),
               defidata.is_container(c.body), c.body ? 'data', c.body
          FROM node n,
               LATERAL (
                   SELECT NULL, e.value
                     FROM jsonb_array_elements(
                              CASE jsonb_typeof(n.body) WHEN 'array' THEN n.body END) e
                    UNION ALL
                   -- of a response only what it answers
                   SELECT NULLIF(e.key, 'data'), e.value
                     FROM jsonb_each(CASE jsonb_typeof(n.body) WHEN 'object' THEN n.body END) e
                    WHERE CASE WHEN n.of_response THEN e.key = 'data' AND e.value <> '{}'
                               ELSE jsonb_typeof(e.value) IN ('array', 'object')
                                    AND NOT e.value ? 'error_code' END) c (key, body)
         WHERE n.form IS NULL AND n.container)
    SELECT n.form, n.key, n.as_of, n.body
      FROM node n
     WHERE n.form IS NOT NULL OR NOT n.container;
END;
COMMENT ON FUNCTION defidata.document_leaves(jsonb) IS
    'what a document holds below its lists, responses and maps: each leaf with its form'
    ' (NULL: it holds no quote), the name under which a map has it, and the time of its response';

CREATE FUNCTION defidata.coin_quotes(coin jsonb)
    RETURNS TABLE (currency text, at text, price text, change_24h text, volume_24h text,
                   market_cap text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    -- a history is a list of moments, each with a "quote"; else the coin itself is one
    WITH moment (body) AS (
        SELECT e.value
          FROM jsonb_array_elements(CASE jsonb_typeof(coin -> 'quotes')
                                        WHEN 'array' THEN coin -> 'quotes' END) e
         WHERE e.value ? 'quote'
         UNION ALL
        SELECT coin WHERE NOT jsonb_path_exists(coin, '$.quotes[*].quote')),
    by_currency (body, currency, figures) AS (
        SELECT m.body, f.currency, f.figures
          FROM moment m,
               LATERAL (SELECT COALESCE(m.body -> 'quote', m.body -> 'quotes') AS quote) q
          LEFT JOIN LATERAL (
               SELECT e.key, e.value
                 FROM jsonb_each(CASE jsonb_typeof(q.quote) WHEN 'object' THEN q.quote END) e
                UNION ALL
               SELECT COALESCE(e.value ->> 'symbol', e.value ->> 'name', e.value ->> 'id'), e.value
                 FROM jsonb_array_elements(
                          CASE jsonb_typeof(q.quote) WHEN 'array' THEN q.quote END) e
               ) f (currency, figures) ON true)
    SELECT c.currency,
           COALESCE(c.figures ->> 'last_updated', c.figures ->> 'lastUpdated',
                    c.figures ->> 'timestamp', c.body ->> 'timestamp',
                    c.body ->> 'last_updated', c.body ->> 'lastUpdated'),
           c.figures ->> 'price',
           COALESCE(c.figures ->> 'percent_change_24h', c.figures ->> 'percentChange24h'),
           COALESCE(c.figures ->> 'volume_24h', c.figures ->> 'volume24h'),
           COALESCE(c.figures ->> 'market_cap', c.figures ->> 'marketCap')
      FROM by_currency c;
END;
COMMENT ON FUNCTION defidata.coin_quotes(jsonb) IS
    'the quotes of a coin of CoinMarketCap or CoinPaprika; one without figures where it has none';

CREATE FUNCTION defidata.chart_line(chart jsonb, name text) RETURNS TABLE (at text, figure text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT DISTINCT ON (e.value ->> 0) e.value ->> 0, e.value ->> 1
      FROM jsonb_array_elements(
               CASE jsonb_typeof(chart -> name) WHEN 'array' THEN chart -> name END) e;
END;
COMMENT ON FUNCTION defidata.chart_line(jsonb, text) IS
    'one line of a market_chart, by time';

CREATE FUNCTION defidata.chart_quotes(chart jsonb)
    RETURNS TABLE (currency text, at text, price text, change_24h text, volume_24h text,
                   market_cap text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT NULL, p.value ->> 0, p.value ->> 1, NULL, v.figure, c.figure
      FROM jsonb_array_elements(chart -> 'prices') p
      LEFT JOIN defidata.chart_line(chart, 'total_volumes') v ON v.at = p.value ->> 0
      LEFT JOIN defidata.chart_line(chart, 'market_caps') c ON c.at = p.value ->> 0;
END;
COMMENT ON FUNCTION defidata.chart_quotes(jsonb) IS
    'the quotes of a market_chart of CoinGecko, which names neither its coin nor its currency';

-- price_<currency> of a ticker; its percentages are those of USD
CREATE FUNCTION defidata.ticker_quotes(ticker jsonb)
    RETURNS TABLE (currency text, at text, price text, change_24h text, volume_24h text,
                   market_cap text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT k.currency, ticker ->> 'last_updated', k.price,
           CASE k.currency WHEN 'usd' THEN ticker ->> 'percent_change_24h' END,
           ticker ->> ('24h_volume_' || k.currency), ticker ->> ('market_cap_' || k.currency)
      FROM (SELECT substr(e.key, 7) AS currency, e.value AS price
              FROM jsonb_each_text(ticker) e WHERE e.key ~ '^price_[a-z]+$') k;
END;
COMMENT ON FUNCTION defidata.ticker_quotes(jsonb) IS
    'the quotes of a ticker of CoinMarketCap v1, one for each currency';

CREATE FUNCTION defidata.simple_quotes(prices jsonb)
    RETURNS TABLE (currency text, at text, price text, change_24h text, volume_24h text,
                   market_cap text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT e.key, prices ->> 'last_updated_at', e.value, prices ->> (e.key || '_24h_change'),
           prices ->> (e.key || '_24h_vol'), prices ->> (e.key || '_market_cap')
      FROM jsonb_each_text(prices) e WHERE e.key ~ '^[a-z]{3,8}$';
END;
COMMENT ON FUNCTION defidata.simple_quotes(jsonb) IS
    'the quotes of one coin of CoinGecko''s simple/price, one for each currency';

-- A quote as a document has it, figures as text.
CREATE TYPE defidata.delivered_quote AS (
    form text, asset text, symbol text, currency text, at text, price text,
    change_24h text, volume_24h text, market_cap text);
COMMENT ON TYPE defidata.delivered_quote IS 'a quote as a document has it';
COMMENT ON COLUMN defidata.delivered_quote.form IS 'the form of what it was read from; NULL: none';
COMMENT ON COLUMN defidata.delivered_quote.asset IS 'the provider''s name of the asset';
COMMENT ON COLUMN defidata.delivered_quote.symbol IS 'the raw symbol';
COMMENT ON COLUMN defidata.delivered_quote.currency IS 'what the figures are in, where it is named';
COMMENT ON COLUMN defidata.delivered_quote.at IS 'when it was taken';
COMMENT ON COLUMN defidata.delivered_quote.price IS 'the price';
COMMENT ON COLUMN defidata.delivered_quote.change_24h IS 'change over 24 hours in percent';
COMMENT ON COLUMN defidata.delivered_quote.volume_24h IS 'volume traded in 24 hours';
COMMENT ON COLUMN defidata.delivered_quote.market_cap IS 'market capitalisation';

CREATE FUNCTION defidata.document_quotes(document jsonb) RETURNS SETOF defidata.delivered_quote
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT l.form,
           CASE l.form
               WHEN 'simple' THEN l.key
               ELSE COALESCE(l.body ->> 'slug', l.body ->> 'website_slug', l.body ->> 'id',
                             CASE WHEN l.key ~ '^[0-9]+$' THEN l.key END) END,
           CASE l.form
               WHEN 'simple' THEN NULL
               WHEN 'chart' THEN NULL
               ELSE COALESCE(l.body ->> 'symbol',
                             CASE WHEN l.key !~ '^[0-9]+$' THEN l.key END) END,
           defidata.currency_name(q.currency), COALESCE(q.at, l.as_of), q.price,
           q.change_24h, q.volume_24h, q.market_cap
      FROM defidata.document_leaves(document) l,
           LATERAL (
               SELECT c.* FROM defidata.coin_quotes(l.body) c WHERE l.form = 'coin'
                UNION ALL
               SELECT c.* FROM defidata.chart_quotes(l.body) c WHERE l.form = 'chart'
                UNION ALL
               SELECT t.* FROM defidata.ticker_quotes(l.body) t WHERE l.form = 'ticker'
                UNION ALL
               SELECT s.* FROM defidata.simple_quotes(l.body) s WHERE l.form = 'simple'
                UNION ALL
               SELECT NULL, l.body ->> 'last_updated', l.body ->> 'current_price',
                      l.body ->> 'price_change_percentage_24h', l.body ->> 'total_volume',
                      l.body ->> 'market_cap'
                WHERE l.form = 'market'
                UNION ALL
               SELECT NULL, NULL, NULL, NULL, NULL, NULL WHERE l.form IS NULL) q;
END;
COMMENT ON FUNCTION defidata.document_quotes(jsonb) IS
    'the quotes of a document, figures as text; form is NULL for an element that holds none.'
    ' asset: the slug, else the id. NULL are the currency where the document names none, the asset'
    ' of a chart, and the symbols of a chart and of simple/price';

CREATE FUNCTION defidata.document_error(document jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN left(NULLIF(COALESCE(
        jsonb_path_query_first(document, '$.status.error_message ? (@ <> "")', '{}', true) #>> '{}',
        jsonb_path_query_first(document, '$.error ? (@ <> "")', '{}', true) #>> '{}'), ''), 500);
COMMENT ON FUNCTION defidata.document_error(jsonb) IS
    'the first error that a response, or one of a list of responses, reports; NULL: none';
