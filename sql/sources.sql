-- Sources: what can be attached, in which shapes, and what is refused.
BEGIN;
\set ON_ERROR_ROLLBACK on
SET LOCAL timezone = 'Asia/Kolkata';

-- one row of 2025-06-01 10:30 UTC in each shape that an hour may have
CREATE TABLE seconds (id text, "timestamp" integer, symbol text, count float8, sentiment float8);
INSERT INTO seconds VALUES ('a', 1748773800, 'BTC', 7, 0.5);
CREATE TABLE big_seconds (id bigint, "timestamp" bigint, symbol varchar(80), count integer);
INSERT INTO big_seconds VALUES (1, 1748773800, 'BTC', 7);
CREATE TABLE local_times (id uuid, "timestamp" timestamp, symbol text, count numeric, sentiment text);
INSERT INTO local_times VALUES ('00000000-0000-0000-0000-000000000001', '2025-06-01 10:30', 'BTC', 7, '0.5');
CREATE TABLE instants (id text, "timestamp" timestamptz, symbol text, count text, sentiment real);
INSERT INTO instants VALUES ('a', '2025-06-01 10:30Z', 'BTC', '7', 0.5);
CREATE VIEW renamed AS SELECT id AS key, "timestamp" AS at, symbol AS coin, count AS tweets, sentiment AS "Mood" FROM seconds;
CREATE MATERIALIZED VIEW stored AS SELECT * FROM seconds;

SELECT defidata_attach('seconds', 'mentions', 'seconds');
SELECT defidata_attach('big seconds', 'mentions', 'big_seconds');
SELECT defidata_attach('local times', 'mentions', 'local_times');
SELECT defidata_attach('instants', 'mentions', 'instants');
SELECT defidata_attach('renamed', 'mentions', 'renamed',
                       '{"id": "key", "hour": "at", "symbol": "coin", "mentions": "tweets", "sentiment": "Mood"}');
SELECT defidata_attach('stored', 'mentions', 'stored');
SELECT name, kind, relation, columns, watermark FROM defidata.source ORDER BY name;

-- all of them deliver the same row; only big_seconds has no sentiment
SELECT * FROM defidata_import();
SELECT source, id, hour AT TIME ZONE 'UTC' AS hour, symbol, mentions, sentiment, token, reason FROM defidata.raw_mentions ORDER BY source;
SELECT name, watermark AT TIME ZONE 'UTC' AS watermark FROM defidata.source ORDER BY name;

-- prices: asset and figures may be absent
CREATE TABLE quotes (id text, "timestamp" integer, symbol text, price numeric);
CREATE TABLE full_quotes (quote_id integer, at timestamptz, ticker text, slug text, usd text, percent_change_24h numeric, volume_24h text, market_cap text);
SELECT defidata_attach('quotes', 'prices', 'quotes');
SELECT defidata_attach('full quotes', 'prices', 'full_quotes', '{"id": "quote_id", "at": "at", "symbol": "ticker", "price": "usd"}');

-- attaching again changes the relation and keeps the rows; another kind is refused
SELECT error_of($$SELECT defidata_attach('seconds', 'mentions', 'stored')$$, true);
SELECT defidata_detach('seconds'), error_of($$SELECT defidata_attach('seconds', 'mentions', 'stored')$$, true);
SELECT defidata_detach('stored'), defidata_attach('seconds', 'mentions', 'stored');
SELECT relation, watermark AT TIME ZONE 'UTC' AS watermark FROM defidata.source WHERE name = 'seconds';
SELECT error_of($$SELECT defidata_attach('seconds', 'prices', 'quotes')$$, true);

-- a detached source is no longer read; its rows stay, and attaching takes its watermark up again
SELECT defidata_detach('instants');
INSERT INTO instants VALUES ('b', '2025-06-01 11:30Z', 'BTC', '8', NULL);
SELECT * FROM defidata_import();
SELECT count(*) FROM defidata.raw_mentions WHERE source = 'instants';
SELECT defidata_attach('instants', 'mentions', 'instants');
SELECT * FROM defidata_import();
SELECT id, mentions FROM defidata.raw_mentions WHERE source = 'instants' ORDER BY id;
SELECT error_of($$SELECT defidata_detach('nobody')$$, true);

-- wrong shapes
\a
CREATE TABLE shapes (id text, "timestamp" date, symbol text, count boolean, "at" timestamptz, name jsonb, tweets integer);
SELECT call, error_of(format('SELECT defidata_attach(''wrong'', %s)', call), true) FROM (VALUES
    ($$'mentions', 'shapes'$$),
    ($$'mentions', 'shapes', '{"hour": "at"}'$$),
    ($$'mentions', 'shapes', '{"hour": "at", "mentions": "tweets", "symbol": "name"}'$$),
    ($$'mentions', 'shapes', '{"hour": "at", "mentions": "missing"}'$$),
    ($$'mentions', 'shapes', '{"hour": "at", "mentions": "tweets", "sentiment": "missing"}'$$),
    ($$'mentions', 'shapes', '{"hour": "at", "mentions": "tweets", "symbol": "; DROP TABLE shapes"}'$$),
    ($$'mentions', 'shapes', '{"hour": "ctid", "mentions": "tweets"}'$$),
    ($$'prices', 'shapes', '{"at": "at"}'$$),
    ($$'mentions', 'shapes', '{"price": "tweets"}'$$),
    ($$'mentions', 'shapes', '{"id": 1}'$$),
    ($$'mentions', 'shapes', '[]'$$),
    ($$'mentions', 'shapes', NULL$$),
    ($$'tweets', 'shapes'$$),
    ($$'Mentions', 'shapes'$$),
    ($$NULL, 'shapes'$$),
    ($$'mentions', NULL$$),
    ($$'mentions', 'no_such_relation'$$),
    ($$'mentions', 4294967295$$),
    ($$'mentions', 'pg_class_oid_index'$$)) c (call);
SELECT error_of(format('SELECT defidata_attach(%L, ''mentions'', ''seconds'')', name)) FROM (VALUES (NULL), (''), (repeat('x', 128))) n (name);
\a
SELECT count(*) FROM defidata.source WHERE name = 'wrong';

-- a relation that changes its shape, or goes, is an error before any row
ALTER TABLE seconds RENAME count TO counted;
SELECT defidata_detach('seconds'), defidata_detach('big seconds'), defidata_detach('renamed'),
       defidata_attach('seconds', 'mentions', 'big_seconds'), defidata_attach('drifting', 'mentions', 'seconds', '{"mentions": "counted"}');
ALTER TABLE seconds RENAME counted TO count;
SELECT error_of('SELECT defidata_import()', true);
SELECT defidata_detach('drifting');
ALTER TABLE big_seconds ALTER count TYPE boolean USING true;
SELECT error_of('SELECT defidata_refresh()', true);
DROP TABLE big_seconds;
SELECT error_of('SELECT defidata_refresh()', true);
SELECT defidata_detach('seconds');
SELECT status FROM defidata_refresh();

-- servers
CREATE FOREIGN DATA WRAPPER source_test_wrapper;
CREATE SERVER source_test_server FOREIGN DATA WRAPPER source_test_wrapper;
SELECT call, error_of(format('SELECT defidata_attach_server(%s)', call), true) FROM (VALUES
    ($$'no_such_server'$$), ('NULL'), ($$'source_test_server'$$)) c (call);
ROLLBACK;
