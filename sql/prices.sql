-- Prices: quotes as text and numbers, one asset for each token, changes and
-- volatility, and documents.
BEGIN;
\set ON_ERROR_ROLLBACK on
SET LOCAL timezone = 'Asia/Kolkata';
SET LOCAL datestyle = 'ISO';
SET LOCAL extra_float_digits = 0;

-- 15 days of mentions up to 2025-06-15 23:00 UTC, so that the price figures have tokens to stand by
CREATE TABLE mentions AS
SELECT s || i AS id, 1748736000 + 3600 * i AS "timestamp", s AS symbol, 20 AS count, NULL::float8 AS sentiment
  FROM generate_series(0, 359) i, unnest(ARRAY['BTC', 'ETH', 'SOL', 'ADA', 'DOGE']) s;
CREATE TABLE quotes (id text, slug text, "timestamp" timestamptz, symbol text, price text, percent_change_24h text, volume_24h text, market_cap text);
CREATE VIEW figures AS SELECT token, price, price_change_1h AS c1, price_change_24h AS c24, price_change_7d AS c168, price_volatility_7d AS volatility,
       market_cap, price_at AT TIME ZONE 'UTC' AS price_at FROM defidata.token_stats;
SELECT defidata_attach('mentions', 'mentions', 'mentions'), defidata_attach('quotes', 'prices', 'quotes');

-- figures as text; what cannot be read is NULL; a bad price or time rejects its quote alone
INSERT INTO quotes SELECT 'x' || n, 'ada', timestamptz '2025-06-02 00:00Z' + n * interval '1 minute', 'ADA', price, change, volume, cap
  FROM (VALUES (1, '0.5', '10', '1e3', '1000000'), (2, ' 1.25e-3 ', '-5.5', 'n/a', ''), (3, '1,000', '0', '0', '0'), (4, 'n/a', '0', '0', '0'),
               (5, NULL, '0', '0', '0'), (6, '0', '0', '0', '0'), (7, '-1', '0', '0', '0'), (8, 'NaN', '0', '0', '0'), (9, 'Infinity', '0', '0', '0'),
               (10, '1e-320', '0', '0', '0'), (11, '1e400', '0', '0', '0'), (12, '2', 'NaN', NULL, '1e400')) v (n, price, change, volume, cap);
INSERT INTO quotes VALUES ('y1', 'ada', NULL, 'ADA', '1', NULL, NULL, NULL), ('y2', 'ada', '2099-01-01 00:00Z', 'ADA', '1', NULL, NULL, NULL),
                          ('y3', 'ada', '2025-06-02 01:00Z', 'NO SUCH', '1', NULL, NULL, NULL), ('y4', NULL, '2025-06-02 01:00Z', 'ada', '1', NULL, NULL, NULL);
SELECT * FROM defidata_import('2025-06-01 00:00Z');
SELECT id, token, asset, price, change_24h, volume_24h, market_cap, symbol, reason FROM defidata.prices ORDER BY substr(id, 1, 1), substr(id, 2)::integer;
SELECT * FROM defidata_import('2025-06-01 00:00Z');
DELETE FROM quotes;
DELETE FROM defidata.prices;

-- BTC has a quote each half hour, ETH each hour on the hour, SOL ends 30 hours
-- before, DOGE has one quote
INSERT INTO quotes
SELECT 'BTC' || i, 'bitcoin', timestamptz '2025-06-08 00:00Z' + i * interval '30 minutes', 'BTC', (100 + i % 7)::text, '77', NULL, '900' FROM generate_series(0, 384) i
UNION ALL
SELECT 'ETH' || i, 'ethereum', timestamptz '2025-06-15 00:00Z' + i * interval '1 hour', 'ETH', (10 + i)::text, '5', '1', '500' FROM generate_series(0, 24) i
UNION ALL
SELECT 'SOL' || i, 'solana', timestamptz '2025-06-14 18:00Z' - i * interval '1 hour', 'SOL', '3', '5', '1', '400' FROM generate_series(0, 50) i
UNION ALL
SELECT 'DOGE', 'dogecoin', '2025-06-15 23:30Z', 'doge', '0.1', '-12.5', '7', NULL;
SELECT status FROM defidata_refresh();
SELECT * FROM figures ORDER BY token;

-- BTC against the definition: the newest quotes at the hour's end and before it
SELECT f.price = p0 AS price, f.c1 = p0 / p1 - 1 AS c1, f.c24 = p0 / p24 - 1 AS c24, f.c168 = p0 / p168 - 1 AS c168,
       abs(f.volatility / v - 1) < 1e-12 AS volatility
  FROM figures f,
       (SELECT max(price::float8) FILTER (WHERE "timestamp" = '2025-06-16 00:00Z') AS p0,
               max(price::float8) FILTER (WHERE "timestamp" = '2025-06-15 23:00Z') AS p1,
               max(price::float8) FILTER (WHERE "timestamp" = '2025-06-15 00:00Z') AS p24,
               max(price::float8) FILTER (WHERE "timestamp" = '2025-06-09 00:00Z') AS p168
          FROM quotes WHERE slug = 'bitcoin') q,
       (SELECT stddev_samp(r) * sqrt(8760) AS v
          FROM (SELECT ln(price::float8) - ln(lag(price::float8) OVER (ORDER BY "timestamp")) AS r
                  FROM quotes WHERE slug = 'bitcoin' AND EXTRACT(minute FROM "timestamp" AT TIME ZONE 'UTC') = 30
                   AND "timestamp" BETWEEN '2025-06-09 00:00Z' AND '2025-06-15 23:59Z') x) y
 WHERE token = 'BTC';

-- price_max_age decides what is too old
SELECT defidata_set('price_max_age', '30 hours 1 second');
SELECT defidata_publish() > 0 AS published;
SELECT token, price, c1, c24, c168, price_at FROM figures WHERE token IN ('SOL', 'DOGE') ORDER BY token;
SELECT defidata_set('price_max_age', '24 hours');

-- a price that jumps beyond what a fraction can hold has no change, and stops nothing
INSERT INTO quotes VALUES ('d1', 'dogecoin', '2025-06-15 22:30Z', 'DOGE', '1e-320', NULL, NULL, NULL), ('d2', 'dogecoin', '2025-06-15 23:40Z', 'DOGE', '1e300', NULL, NULL, NULL),
                          ('e1', 'ethereum', '2025-06-16 00:00:00Z', 'ETH', '1e-310', NULL, NULL, NULL);
SELECT status FROM defidata_refresh();
SELECT * FROM figures WHERE token IN ('DOGE', 'ETH') ORDER BY token;

-- a shared symbol: the asset with the largest market cap stands for the token,
-- and keeps standing when the ranks flip
INSERT INTO quotes VALUES ('c1', 'cardano', '2025-06-15 22:00Z', 'ADA', '0.5', '1', NULL, '1000'), ('c2', 'fake-ada', '2025-06-15 23:00Z', 'ADA', '50', '2', NULL, '900'),
                          ('c3', 'nan-ada', '2025-06-15 23:00Z', 'ADA', '70', '2', NULL, 'NaN');
SELECT status FROM defidata_refresh();
SELECT * FROM figures WHERE token = 'ADA';
INSERT INTO quotes VALUES ('c4', 'cardano', '2025-06-16 00:30Z', 'ADA', '0.6', '1', NULL, '800'), ('c5', 'fake-ada', '2025-06-16 00:30Z', 'ADA', '55', '2', NULL, '9000');
INSERT INTO mentions SELECT s || 360, 1750032000, s, 20 FROM unnest(ARRAY['BTC', 'ETH', 'SOL', 'ADA', 'DOGE']) s;
SELECT status FROM defidata_refresh();
SELECT * FROM figures WHERE token = 'ADA';
SELECT token, source, asset, chosen_at AT TIME ZONE 'UTC' AS chosen_at FROM defidata.token_asset ORDER BY token;
-- an asset without a quote for a week makes room
INSERT INTO mentions SELECT 'ADA' || i, 1748736000 + 3600 * i, 'ADA', 20 FROM generate_series(361, 529) i;
INSERT INTO quotes VALUES ('c6', 'fake-ada', '2025-06-23 00:30Z', 'ADA', '60', '2', NULL, '9000');
SELECT status, latest_hour AT TIME ZONE 'UTC' AS latest_hour FROM defidata_refresh();
SELECT token, asset, chosen_at AT TIME ZONE 'UTC' AS chosen_at FROM defidata.token_asset ORDER BY token;
SELECT * FROM figures WHERE token = 'ADA';

-- corrections arrive inside the overlap; rows of a source keep one each
UPDATE quotes SET price = '61' WHERE id = 'c6';
SELECT * FROM defidata_import();
SELECT * FROM defidata_import();
SELECT price FROM defidata.prices WHERE id = 'c6';

-- documents as the collectors deliver them
SELECT defidata_load_prices('{"status": {"timestamp": "2025-06-15T23:00:00.000Z"}, "data": [
    {"id": 1, "name": "Bitcoin", "symbol": "BTC", "slug": "bitcoin", "quote": {"USD": {"price": 105000.5, "volume_24h": 1e10, "percent_change_24h": -1.25,
     "market_cap": 2e12, "last_updated": "2025-06-15T22:59:00.000Z"}}},
    {"id": 2, "symbol": "eth", "slug": "ethereum", "last_updated": "2025-06-15T22:58:00Z", "quote": {"USD": {"price": "2500.75", "percent_change_24h": "3", "market_cap": "3e11"}}},
    {"id": 3, "symbol": "BAD", "slug": "bad", "quote": {"USD": {"price": null}}},
    {"id": 4, "symbol": "$SOL", "slug": "solana", "quote": {"USD": {"price": "150"}}}]}') AS stored;
SELECT defidata_load_prices('[
    {"id": "bitcoin", "symbol": "btc", "current_price": 105001, "market_cap": 2e12, "total_volume": 1e10, "price_change_percentage_24h": -1.5, "last_updated": "2025-06-15T23:01:00.000Z"},
    {"id": "tether", "symbol": "usdt", "current_price": "1.0001", "market_cap": null, "total_volume": "n/a", "price_change_percentage_24h": null, "last_updated": "2025-06-15 23:01:00"}]') AS stored;
SELECT id, token, asset, at AT TIME ZONE 'UTC' AS at, price, change_24h, volume_24h, market_cap, reason FROM defidata.prices
 WHERE source = 'documents' ORDER BY id COLLATE "C";
-- quotes by symbol or id, as the quotes endpoint has them, and a document again: only what differs is stored
SELECT defidata_load_prices('{"data": {"BTC": [{"symbol": "BTC", "slug": "bitcoin", "quote": {"USD": {"price": 3, "last_updated": "2025-06-15T23:02:00Z"}}}],
    "1027": {"symbol": "ETH", "slug": "ethereum", "quote": {"USD": {"price": 4, "last_updated": "2025-06-15T23:02:00Z"}}}}}') AS stored;
SELECT defidata_load_prices('{"data": {"BTC": [{"symbol": "BTC", "slug": "bitcoin", "quote": {"USD": {"price": 3, "last_updated": "2025-06-15T23:02:00Z"}}}],
    "1027": {"symbol": "ETH", "slug": "ethereum", "quote": {"USD": {"price": 5, "last_updated": "2025-06-15T23:02:00Z"}}}}}') AS stored;
-- a time that cannot be read is the time of loading
SELECT defidata_load_prices('[{"id": "x", "symbol": "XYZ", "current_price": 1, "last_updated": "soon"}]') AS stored;
SELECT now() <= at AND at <= clock_timestamp() AS at_loading, token, reason FROM defidata.prices WHERE source = 'documents' AND asset = 'x';
-- empty documents store nothing; others are refused
SELECT defidata_load_prices('[]') AS none, defidata_load_prices('{"data": []}') AS none;
\set SHOW_CONTEXT never
SELECT defidata_load_prices('{"status": {"error_code": 1001, "error_message": "This API Key is invalid."}}');
SELECT defidata_load_prices('{"coins": []}');
SELECT d, error_of(format('SELECT defidata_load_prices(%L)', d)) FROM (VALUES (NULL), ('null'), ('1'), ('"x"'), ('{}'), ('{"data": 1}'), ('[1, null, "x", {}]'),
    ('{"status": {"error_code": 401, "error_message": "API key missing"}}'), ('{"data": [{"quote": null}, {"quote": {"USD": 1}}]}'), ('{"data": [[[]], {"quote": []}]}')) v (d);
SELECT asset, price, reason FROM defidata.prices WHERE source = 'documents' AND asset = '';
ROLLBACK;
