-- Price documents of every form that is taken, and each of its wrong turns.
BEGIN;
\set ON_ERROR_ROLLBACK on
\set SHOW_CONTEXT never
SET LOCAL timezone = 'Asia/Kolkata';
SET LOCAL datestyle = 'ISO';
SET LOCAL extra_float_digits = 0;

CREATE TABLE fixture (name text PRIMARY KEY, document jsonb NOT NULL);
INSERT INTO fixture VALUES
-- CoinMarketCap's old public API: a list of tickers, all figures text, seconds
('cmc v1 ticker', '[
 {"id": "alpha", "name": "Alpha", "symbol": "AAA", "rank": "1", "price_usd": "12.5", "price_btc": "0.0005",
  "24h_volume_usd": "1000.0", "market_cap_usd": "50000.0", "available_supply": "4000", "percent_change_1h": "0.1",
  "percent_change_24h": "-2.5", "percent_change_7d": "3", "last_updated": "1749943800", "price_eur": "11.0",
  "24h_volume_eur": "900", "market_cap_eur": "44000"},
 {"id": "beta", "symbol": "BBB", "price_usd": null, "price_btc": null, "24h_volume_usd": null,
  "market_cap_usd": null, "percent_change_24h": null, "last_updated": null}]'),
-- its successor: a map by id, "quotes", "website_slug", seconds as a number
('cmc v2 ticker', '{"data": {
 "7": {"id": 7, "symbol": "AAA", "website_slug": "alpha", "last_updated": 1749943800,
       "quotes": {"USD": {"price": 12.5, "volume_24h": 1000, "market_cap": 50000, "percent_change_24h": -2.5}}},
 "8": {"id": 8, "symbol": "BBB", "website_slug": "beta", "quotes": {"USD": {"price": 1}}, "last_updated": null}},
 "metadata": {"timestamp": 1749944000, "num_cryptocurrencies": 2, "error": null}}'),
-- the present API: listings/latest and quotes/latest
('cmc listing', '{"status": {"timestamp": "2025-06-15T00:00:00.000Z", "error_code": 0, "elapsed": 10}, "data": [
 {"id": 7, "symbol": "AAA", "slug": "alpha", "last_updated": "2025-06-14T23:29:00.000Z", "platform": {"id": 9, "symbol": "PPP"},
  "quote": {"USD": {"price": 12.5, "volume_24h": 1000, "percent_change_24h": -2.5, "market_cap": 50000, "last_updated": "2025-06-14T23:30:00.000Z"}}},
 {"id": 8, "symbol": "BBB", "slug": "beta", "last_updated": "2025-06-14T23:31:00.000Z", "quote": {"USD": {"price": "1"}}},
 {"id": 9, "symbol": "CCC", "slug": "gamma", "quote": {"USD": {"price": null}}}]}'),
('cmc two currencies', '{"status": {"timestamp": "2025-06-15T00:00:00.000Z", "error_code": 0}, "data": [
 {"id": 7, "symbol": "AAA", "slug": "alpha", "quote": {"EUR": {"price": 11}, "BTC": {"price": 0.0005}}},
 {"id": 8, "symbol": "BBB", "slug": "beta", "quote": {"2781": {"price": 1}}}]}'),
('cmc v3 listing', '{"status": {"timestamp": "2025-06-15T00:00:00.000Z", "error_code": "0"}, "data": [
 {"id": 7, "symbol": "AAA", "slug": "alpha", "quote": [
   {"id": 2781, "symbol": "USD", "price": 12.5, "volume_24h": 1000, "percent_change_24h": -2.5, "market_cap": 50000, "last_updated": "2025-06-14T23:30:00.000Z"},
   {"id": 2790, "symbol": "EUR", "price": 11, "last_updated": "2025-06-14T23:30:00.000Z"}]},
 {"id": 8, "symbol": "BBB", "quote": []}]}'),
('cmc by id', '{"status": {"timestamp": "2025-06-15T00:00:00.000Z", "error_code": 0}, "data": {
 "7": {"id": 7, "symbol": "AAA", "slug": "alpha", "quote": {"USD": {"price": 12.5}}},
 "8": {"symbol": "BBB", "quote": {"USD": {"price": 1}}}}}'),
-- by symbol: several coins have it, none has it
('cmc by symbol', '{"status": {"timestamp": "2025-06-15T00:00:00.000Z", "error_code": 0}, "data": {
 "AAA": [{"id": 7, "symbol": "AAA", "slug": "alpha", "quote": {"USD": {"price": 12.5, "market_cap": 50000}}},
         {"id": 17, "symbol": "AAA", "slug": "alpha-inu", "quote": {"USD": {"price": 1e-10, "market_cap": 0}}}],
 "ZZZ": []}}'),
('cmc website listing', '{"data": {"cryptoCurrencyList": [
 {"id": 7, "symbol": "AAA", "slug": "alpha", "lastUpdated": "2025-06-14T23:29:00.000Z", "quotes": [
   {"name": "USD", "price": 12.5, "volume24h": 1000, "marketCap": 50000, "percentChange24h": -2.5, "lastUpdated": "2025-06-14T23:30:00.000Z"}]}],
 "totalCount": "1"}, "status": {"timestamp": "2025-06-15T00:00:00.000Z", "error_code": "0"}}'),
-- history: of one coin, by id, by symbol; there is no slug
('cmc history', '{"status": {"timestamp": "2025-06-15T00:00:00.000Z", "error_code": 0}, "data": {"id": 7, "symbol": "AAA", "is_active": 1, "quotes": [
 {"timestamp": "2025-06-14T22:00:00.000Z", "quote": {"USD": {"price": 12, "volume_24h": 1000, "market_cap": 48000, "timestamp": "2025-06-14T22:00:05.000Z"}}},
 {"timestamp": "2025-06-14T23:00:00.000Z", "quote": {"USD": {"price": 12.5}}},
 {"timestamp": "2025-06-15T00:00:00.000Z", "quote": [{"symbol": "EUR", "price": 11}]}]}}'),
('cmc histories', '{"data": {"7": {"id": 7, "symbol": "AAA", "quotes": [{"timestamp": "2025-06-14T22:00:00.000Z", "quote": {"USD": {"price": 12}}}]},
 "BBB": [{"id": 8, "symbol": "BBB", "quotes": [{"timestamp": "2025-06-14T22:00:00.000Z", "quote": {"USD": {"price": 1}}}]},
         {"id": 18, "symbol": "BBB", "quotes": []}]}}'),
-- CoinGecko: no currency is named, and no coin in a chart; pages as one list
('gecko markets', '[
 {"id": "alpha", "symbol": "aaa", "name": "Alpha", "current_price": 12.5, "market_cap": 50000, "total_volume": 1000,
  "price_change_percentage_24h": -2.5, "last_updated": "2025-06-14T23:30:00.000Z"},
 {"id": "beta", "symbol": "bbb", "current_price": "1", "market_cap": null, "total_volume": "n/a", "price_change_percentage_24h": null, "last_updated": "2025-06-14 23:30:00"},
 {"id": "gamma", "symbol": "ccc", "current_price": null, "last_updated": null}]'),
('gecko pages', '[[{"id": "alpha", "symbol": "aaa", "current_price": 12.5, "last_updated": "2025-06-14T23:30:00.000Z"}], [],
 [{"id": "beta", "symbol": "bbb", "current_price": 1, "last_updated": "2025-06-14T23:30:00.000Z"}]]'),
('gecko simple', '{"alpha": {"usd": 12.5, "usd_market_cap": 50000, "usd_24h_vol": 1000, "usd_24h_change": -2.5, "eur": 11, "last_updated_at": 1749943800},
 "status": {"usd": 0.02}, "gamma": {}, "delta": {"usd": null}}'),
('gecko chart', '{"prices": [[1749942000000, 12.25], [1749943800000, 12.5]], "market_caps": [[1749943800000, 50000]],
 "total_volumes": [[1749942000000, 900], [1749943800000, 1000]]}'),
('paprika', '[{"id": "aaa-alpha", "name": "Alpha", "symbol": "AAA", "rank": 1, "last_updated": "2025-06-14T23:30:00Z",
 "quotes": {"USD": {"price": 12.5, "volume_24h": 1000, "volume_24h_change_24h": 7, "market_cap": 50000, "percent_change_24h": -2.5, "percent_change_7d": 3},
            "BTC": {"price": 0.0005}}}]'),
('paprika one', '{"id": "aaa-alpha", "symbol": "AAA", "last_updated": "2025-06-14T23:30:00Z", "quotes": {"USD": {"price": 12.5}}}'),
-- a list of responses, one of them an error
('responses', '[{"status": {"timestamp": "2025-06-15T00:00:00.000Z", "error_code": 0}, "data": [{"id": 7, "symbol": "AAA", "slug": "alpha", "quote": {"USD": {"price": 12.5}}}]},
 {"status": {"error_code": 1008, "error_message": "too many requests"}},
 {"status": {"timestamp": "2025-06-15T00:01:00.000Z", "error_code": 0}, "data": {"8": {"id": 8, "symbol": "BBB", "slug": "beta", "quote": {"USD": {"price": 1}}}}}]'),
('elements that are none', '{"data": [1, null, "x", {}, {"id": 7, "symbol": "AAA", "quote": null}, {"id": 8, "symbol": "BBB", "slug": "beta", "quote": {"USD": 1}}]}'),
('empty list', '[]'), ('empty listing', '{"data": []}'), ('empty map', '{"data": {}}'), ('empty chart', '{"prices": []}');

SELECT f.name, q.* FROM fixture f, defidata.document_quotes(f.document) q ORDER BY f.name, q.form, q.asset, q.currency, q.at;

-- what the call returns is what was stored; what was rejected is there with its reason; again:
-- nothing is new, and as many are rejected
CREATE FUNCTION load(document jsonb, asset text, OUT first text, OUT rows bigint, OUT bad_rows bigint, OUT in_series bigint, OUT again text)
LANGUAGE plpgsql AS $$
BEGIN
    SELECT format('%s %s', l.stored, l.rejected) INTO first FROM defidata_load_prices(document, asset => asset) l;
    SELECT count(*) FILTER (WHERE p.reason IS NULL), count(p.reason) INTO rows, bad_rows FROM defidata.prices p;
    SELECT sum(cardinality(s.at)) INTO in_series FROM defidata.quote_series s;
    SELECT format('%s %s', l.stored, l.rejected) INTO again FROM defidata_load_prices(document, asset => asset) l;
    DELETE FROM defidata.prices;
    DELETE FROM defidata.quote_series;
END $$;
SET LOCAL client_min_messages = error;
SELECT f.name, l.* FROM fixture f, load(f.document, CASE WHEN f.name LIKE '% chart' THEN 'omega' END) l ORDER BY f.name;
RESET client_min_messages;
-- all of them, one after the other
SELECT count(*) FROM (SELECT * FROM fixture ORDER BY name) f, defidata_load_prices(f.document, asset => CASE WHEN f.name LIKE '% chart' THEN 'omega' END) l;
SELECT id, at AT TIME ZONE 'UTC' AS at, token, asset, currency, price, change_24h, volume_24h, market_cap, symbol, reason FROM defidata.prices
 WHERE at < '2026-01-01' ORDER BY at, id;
SELECT id, now() <= at AND at <= clock_timestamp() AS at_loading, token, asset, currency, price, symbol, reason FROM defidata.prices
 WHERE at > '2026-01-01' ORDER BY id;
SELECT symbol, reason, rows FROM defidata.rejects ORDER BY symbol, reason;
-- of a quote that differs, the last word counts
SELECT defidata_load_prices('{"data": {"BTC": [{"symbol": "BTC", "slug": "bitcoin", "quote": {"USD": {"price": 3, "last_updated": "2025-06-15T23:02:00Z"}}}],
    "1027": {"symbol": "ETH", "slug": "ethereum", "quote": {"USD": {"price": 4, "last_updated": "2025-06-15T23:02:00Z"}}}}}');
SELECT defidata_load_prices('{"data": {"BTC": [{"symbol": "BTC", "slug": "bitcoin", "quote": {"USD": {"price": 3, "last_updated": "2025-06-15T23:02:00Z"}}}],
    "1027": {"symbol": "ETH", "slug": "ethereum", "quote": {"USD": {"price": 5, "last_updated": "2025-06-15T23:02:00Z"}}}}}');
SELECT asset, at, price FROM defidata.quote_series WHERE asset IN ('bitcoin', 'ethereum') ORDER BY asset;
-- the same coin twice at one instant is one quote, and the usable one
SELECT defidata_load_prices('[[{"id": "twice", "symbol": "TWO", "current_price": null, "last_updated": "2025-06-15T23:00:00Z"}], [{"id": "twice", "symbol": "TWO", "current_price": 2, "last_updated": "2025-06-15T23:00:00Z"}]]');
SELECT price, reason FROM defidata.prices WHERE asset = 'twice';
-- a time that cannot be read is that of loading; one to come is judged again
SELECT defidata_load_prices('[{"id": "x", "symbol": "XYZ", "current_price": 1, "last_updated": "soon"}]');
SELECT now() <= at AND at <= clock_timestamp() AS at_loading, token, reason FROM defidata.prices WHERE asset = 'x';
SELECT defidata_load_prices(format('[{"id": "y", "symbol": "XYZ", "current_price": 1, "last_updated": "%s"}]', defidata.hour_of(now()) + interval '90 minutes')::jsonb);
SELECT token, reason FROM defidata.prices WHERE asset = 'y';
SELECT defidata.judge_quotes(defidata.hour_of(now()) + interval '1 hour');
SELECT p.token, p.reason, s.at[1] = p.at AS in_series FROM defidata.prices p JOIN defidata.quote_series s ON s.asset = p.asset WHERE p.asset = 'y';

-- a document without symbols: the token is the one that pins the asset, or that an earlier quote gives it
SELECT defidata_load_prices('{"omicron": {"usd": 1, "last_updated_at": 1749943800}, "rho": {"usd": 2, "last_updated_at": 1749943800}}');
INSERT INTO defidata.token (symbol, asset) VALUES ('OMI', 'omicron');
SELECT defidata_load_prices('[{"id": "rho", "symbol": "rho", "current_price": 2, "last_updated": "2025-06-14T22:00:00Z"}]');
SELECT defidata_load_prices('{"omicron": {"usd": 1, "last_updated_at": 1749943800}, "rho": {"usd": 2, "last_updated_at": 1749943800}}');
SELECT asset, token, price, currency FROM defidata.prices WHERE asset IN ('omicron', 'rho') ORDER BY at, asset;
SELECT defidata_load_prices('{"prices": [[1749942000000, 1.5], [1749942000000000, 7], ["2025-06-14T23:05:00Z", "1.75"], [null, null]]}', 'eur', 'rho');
SELECT id, at AT TIME ZONE 'UTC' AS at, token, price, reason FROM defidata.prices WHERE asset = 'rho' AND currency = 'EUR' AND at < '2026-01-01' ORDER BY at;
-- the currency that a document names counts, and its asset unless another name is given
SELECT defidata_load_prices('[{"id": "tau", "symbol": "tau", "current_price": 2, "last_updated": "2025-06-14T22:00:00Z"}]', 'EUR');
SELECT defidata_load_prices('{"data": {"id": 7, "symbol": "TAU", "quotes": [{"timestamp": "2025-06-14T22:00:00.000Z", "quote": {"USD": {"price": 3}}}]}}', 'EUR', 'tau');
SELECT id, token, price, currency FROM defidata.prices WHERE asset = 'tau' ORDER BY id;

-- what is none of these is refused, and says so
SELECT defidata_load_prices('{"status": {"error_code": 1001, "error_message": "This API Key is invalid."}}');
SELECT defidata_load_prices('{"error": "coin not found"}');
SELECT defidata_load_prices('{"coins": []}');
SELECT d, error_of(format('SELECT defidata_load_prices(%L)', d)) FROM (VALUES (NULL), ('null'), ('1'), ('"x"'), ('{}'), ('{"data": 1}'), ('[1, null, "x", {}]'),
    ('{"status": {"error_code": 401, "error_message": "API key missing"}, "data": []}'), ('[{"status": {"error_code": "429", "error_message": "slow down"}}]'),
    ('{"data": [{"id": 1, "rank": 1, "symbol": "BTC", "slug": "bitcoin"}]}'), ('{"usd": 1}'), ('{"data": [[[]], {}]}')) v (d);
SELECT defidata_load_prices('{"prices": [[1749942000000, 1.5]]}');
SELECT error_of($$SELECT defidata_load_prices('[]', 'US$')$$), error_of($$SELECT defidata_load_prices('[]', '')$$),
       error_of($$SELECT defidata_load_prices('[{"id": "a", "symbol": "A", "current_price": 1}, {"id": "b", "symbol": "B", "current_price": 1}]', NULL, 'c')$$);
ROLLBACK;
