-- Prices: quotes as text and numbers, changes and volatility, corrections.  Which asset is a
-- token's price is in price_assets, documents are in price_documents.
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
SELECT defidata.rebuild_quote_series();

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


-- corrections arrive inside the overlap, in whatever column; rows of a source keep one each
UPDATE quotes SET price = '0.2' WHERE id = 'd2';
SELECT * FROM defidata_import();
SELECT * FROM defidata_import();
SELECT price FROM defidata.prices WHERE id = 'd2';
UPDATE quotes SET slug = 'dogecoin-2', symbol = 'ADA' WHERE id = 'd2';
SELECT updated FROM defidata_import();
-- the series hold what the quotes say, whichever way they came there
CREATE VIEW series AS SELECT asset, source, token, currency, day, spelled, at, price FROM defidata.quote_series;
CREATE TABLE extended AS SELECT * FROM series;
SELECT defidata.rebuild_quote_series();
(SELECT * FROM extended EXCEPT ALL SELECT * FROM series) UNION ALL (SELECT * FROM series EXCEPT ALL SELECT * FROM extended);
SELECT asset, token, count(*) AS days, sum(cardinality(at)) AS quotes FROM series GROUP BY asset, token ORDER BY asset, token;

-- hourly quotes with seconds of jitter have a change of an hour; over a gap there is none, and
-- an hour's is never that of a day
DELETE FROM quotes;
DELETE FROM defidata.prices;
SELECT defidata.rebuild_quote_series();
INSERT INTO quotes
SELECT 'b' || i, 'bitcoin', timestamptz '2025-06-15 23:00Z' - i * interval '1 hour' + (i * 7919 % 60) * interval '1 second', 'BTC', (200 - i)::text, NULL, NULL, '900'
  FROM generate_series(0, 170) i
UNION ALL
SELECT 'e' || v.n, 'ethereum', timestamptz '2025-06-15 23:50Z' - v.age, 'ETH', v.n::text, '7', NULL, '900'
  FROM (VALUES (1, interval '0'), (2, '25 hours'), (3, '27 hours 1 second'), (4, '180 hours 1 second'), (5, '156 hours')) v (n, age)
UNION ALL
SELECT 's' || v.n, 'solana', timestamptz '2025-06-15 23:50Z' - v.age, 'SOL', v.n::text, '7', NULL, '900'
  FROM (VALUES (1, interval '0'), (2, '29 minutes'), (3, '30 minutes'), (4, '1 hour 30 minutes'), (5, '21 hours'), (6, '27 hours'), (7, '155 hours 59 minutes 59 seconds'), (8, '180 hours')) v (n, age)
UNION ALL
SELECT 'a' || v.n, 'cardano', timestamptz '2025-06-15 23:50Z' - v.age, 'ADA', v.n::text, '7', NULL, '900'
  FROM (VALUES (1, interval '0'), (2, '29 minutes 59 seconds'), (3, '1 hour 30 minutes 1 second'), (4, '20 hours 59 minutes 59 seconds')) v (n, age);
SELECT inserted FROM defidata_import('2025-06-01 00:00Z');
SELECT defidata_publish() > 0 AS published;
SELECT token, price, c1, c24, c168, volatility IS NOT NULL AS volatile FROM figures WHERE token <> 'DOGE' ORDER BY token;

-- a quote of a time to come is judged again when it has come, whoever delivered it
INSERT INTO quotes VALUES ('f1', 'bitcoin', defidata.hour_of(now()) + interval '1 hour', 'BTC', '5', NULL, NULL, NULL),
                          ('f2', 'bitcoin', defidata.hour_of(now()) + interval '2 hours', '$btc', '6', NULL, NULL, NULL);
SELECT rejected FROM defidata_import();
SELECT id, token, reason FROM defidata.prices WHERE id IN ('f1', 'f2') ORDER BY id;
SELECT defidata.judge_quotes(defidata.hour_of(now()) + interval '2 hours');
SELECT id, token, reason FROM defidata.prices WHERE id IN ('f1', 'f2') ORDER BY id;
SELECT sum(cardinality(at)) FROM series WHERE day >= defidata.day_of(defidata.hour_of(now()) + interval '1 hour') AND price[1] IN (5, 6);
DELETE FROM quotes WHERE id IN ('f1', 'f2');

-- one id, many times (a key of coin and time); a time that is unknown
CREATE TABLE coins (id text, at timestamp, symbol text, price float8, market_cap bigint, currency text, PRIMARY KEY (id, at));
INSERT INTO coins SELECT 'dogecoin', timestamp '2025-06-15 23:00' - g * interval '1 hour', 'doge', 65000 - g, 1000, 'usd' FROM generate_series(0, 30) g;
INSERT INTO coins VALUES ('dogecoin', '-infinity', 'doge', 1, 1, NULL), ('x', 'infinity', 'doge', 1, 1, NULL);
SELECT defidata_attach('px', 'prices', 'coins', '{"asset": "id", "at": "at"}');
SELECT inserted, rejected FROM defidata_import('2025-06-01 00:00Z');
SELECT count(*), count(DISTINCT at), min(currency) AS currency FROM defidata.prices WHERE source = 'px' AND reason IS NULL;
SELECT * FROM defidata.uncopied;

-- currency: one is used, and what names none counts as in it
UPDATE coins SET currency = 'eur' WHERE at > '2025-06-15 22:30';
SELECT updated FROM defidata_import();
SELECT defidata_publish() > 0 AS published;
SELECT token, price, c1 FROM figures WHERE token IN ('BTC', 'DOGE') ORDER BY token;
SELECT defidata_set('currency', 'eur');
SELECT defidata_publish() > 0 AS published;
SELECT token, price, c1 FROM figures WHERE token IN ('BTC', 'DOGE') ORDER BY token;
SELECT hour AT TIME ZONE 'UTC' AS hour, price FROM defidata_history('DOGE', '3 hours');
SELECT v, error_of(format('SELECT defidata_set(''currency'', %L)', v)) FROM (VALUES (NULL), (''), ('E'), ('US$'), ('a b')) c (v);
ROLLBACK;
