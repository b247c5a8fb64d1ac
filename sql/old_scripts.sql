-- The old scripts' tables as views, and their history taken over.
-- All in one transaction that is rolled back, so that no other test meets it.
BEGIN;
SET LOCAL timezone = 'America/New_York';
SET LOCAL client_min_messages = warning;

-- 16 days of three tokens up to 2025-06-16 24:00 UTC, a price for one of them
CREATE TABLE scanned AS
SELECT i || s.symbol AS id, 1748736000 + 3600 * i AS "timestamp", s.symbol, (s.count + i % 2)::float8 AS count, s.sentiment::float8
  FROM generate_series(0, 383) i, (VALUES ('BTC', 100, 0.5), ('$btc', 1, NULL), ('eth', 40, -0.25)) s (symbol, count, sentiment)
UNION ALL SELECT '0WIF', 1750075200, 'WIF', 3, 0.1;
CREATE TABLE quoted AS
SELECT 'q' || i AS id, 'bitcoin' AS slug, 'BTC' AS symbol, 1750032000 + 86340 * i AS "timestamp", 100000 * (i + 1) AS price, 1e12 AS market_cap
  FROM generate_series(0, 1) i;
SELECT defidata_attach('legacy_test', 'mentions', 'scanned'), defidata_attach('legacy_prices', 'prices', 'quoted');
SELECT status, latest_hour FROM defidata_refresh();

SELECT defidata_legacy_views('old_tables');
SELECT c.relname, string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
 WHERE c.relnamespace = 'old_tables'::regnamespace GROUP BY c.relname ORDER BY c.relname COLLATE "C";

-- an API server needs no more than its search_path, and the grants survive a second call
CREATE ROLE old_api;
SELECT defidata_grant('old_api', 'reader');
GRANT USAGE ON SCHEMA old_tables TO old_api;
GRANT SELECT ON ALL TABLES IN SCHEMA old_tables TO old_api;
SELECT defidata_legacy_views('old_tables');
SET LOCAL ROLE old_api;
SET LOCAL search_path = old_tables;
\x on
SELECT * FROM tweetvolumescleaned WHERE symbol = 'BTC' ORDER BY timestamp DESC LIMIT 1;
SELECT * FROM rsd_metrics WHERE symbol = 'BTC' ORDER BY timestamp LIMIT 1;
SELECT * FROM trending LIMIT 1;
SELECT * FROM token_stats WHERE symbol = 'BTC';
SELECT * FROM token_stats WHERE symbol = 'WIF';
\x off
SELECT symbol FROM trending;
SELECT symbol FROM volatile;
SELECT symbol FROM descreasing;
SELECT * FROM tweet_trend WHERE date > '2025-06-14';
SELECT count(*) >= 1000 AS listed, count(*) FILTER (WHERE symbol = 'BTC' AND name = 'Bitcoin') AS btc FROM tokens;
RESET ROLE;
RESET search_path;

-- nothing is NULL there
SELECT count(*) FROM old_tables.rsd_metrics r WHERE NOT r IS NOT NULL;
SELECT count(*) FROM old_tables.token_stats r WHERE NOT r IS NOT NULL;

-- every column says what it is
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
 WHERE c.relnamespace = 'old_tables'::regnamespace
   AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL);

-- the list in force: the user's own entries win
INSERT INTO defidata.token VALUES ('MYTOKEN', NULL, true), ('ETH', 'not wanted', false);
SELECT * FROM old_tables.tokens WHERE symbol IN ('MYTOKEN', 'ETH');
SELECT defidata_set('use_builtin_list', 'off');
SELECT * FROM old_tables.tokens;
DELETE FROM defidata.token;
SELECT defidata_set('use_builtin_list', 'on');

-- history of the old cleaned table: only hours that no source has delivered
CREATE TABLE tweetvolumescleaned AS
SELECT 'old' || i || s.symbol AS id, 'UTC' AS timezone, 1748736000 + 3600 * i AS "timestamp", s.symbol, s.count, s.sentiment
  FROM generate_series(-48, 10) i, (VALUES ('BTC', 70, 0.5), ('???', 5, 0)) s (symbol, count, sentiment);
SELECT defidata_import_legacy('tweetvolumescleaned') AS taken, defidata_import_legacy('tweetvolumescleaned') AS taken_again;
SELECT source, count(*), min(hour), max(hour), count(reason) AS rejected FROM defidata.raw_mentions
 WHERE source LIKE 'legacy%' GROUP BY source ORDER BY source;
SELECT name FROM defidata.source WHERE name LIKE 'legacy%' ORDER BY name;
SELECT status, inserted FROM defidata_refresh();
SELECT * FROM old_tables.tweet_trend WHERE date < '2025-06-02';

-- what the source itself delivers later takes the place of what was taken over
INSERT INTO scanned VALUES ('late', 1748736000 - 3600, 'BTC', 11, 0);
SELECT inserted FROM defidata_import('2025-05-31');
SELECT status FROM defidata_refresh();
SELECT source, symbol, mentions FROM defidata.raw_mentions WHERE hour = '2025-05-31 23:00Z';
SELECT * FROM old_tables.tweet_trend WHERE date < '2025-06-01';

-- what cannot be done
SAVEPOINT s;
\set VERBOSITY terse
SELECT defidata_legacy_views('defidata');
ROLLBACK TO s;
SELECT defidata_legacy_views('pg_catalog');
ROLLBACK TO s;
SELECT defidata_legacy_views('public');
ROLLBACK TO s;
SELECT defidata_legacy_views(NULL);
ROLLBACK TO s;
CREATE SCHEMA taken CREATE TABLE trending ();
SELECT defidata_legacy_views('taken');
ROLLBACK TO s;
SELECT defidata_import_legacy(NULL);
ROLLBACK TO s;
SELECT defidata_import_legacy('quoted');
ROLLBACK TO s;
SELECT defidata_detach('legacy_test') IS NULL, defidata_attach('legacy', 'mentions', 'scanned');
SELECT defidata_import_legacy('tweetvolumescleaned');
ROLLBACK TO s;
SET LOCAL ROLE old_api;
SELECT defidata_legacy_views('old_tables');
ROLLBACK;
