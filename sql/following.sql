-- Hours follow their source: what the copy becomes whatever a source does to its ids and rows,
-- and what it is never made to lose.
BEGIN;
\set ON_ERROR_ROLLBACK on
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
SET LOCAL client_min_messages = warning;
CREATE VIEW state AS
SELECT to_char(r.hour, 'MM-DD HH24') AS hour, count(*) AS rows, sum(r.mentions) AS mentions FROM defidata.raw_mentions r GROUP BY r.hour;
CREATE VIEW notes AS
SELECT to_char(k.hour, 'MM-DD HH24') AS hour, rows, held, most, kept FROM defidata.surveyed k WHERE kept IS NOT NULL;
CREATE FUNCTION at(h integer) RETURNS integer LANGUAGE sql RETURN 1748736000 + 3600 * h;

-- a table with serial ids, truncated and loaded again: the same figures in each hour
CREATE TABLE m (id bigserial PRIMARY KEY, "timestamp" int, symbol text, count float8, sentiment float8);
INSERT INTO m ("timestamp", symbol, count, sentiment) SELECT at(h), s, 100, 0 FROM generate_series(0, 47) h, unnest('{BTC,ETH,SOL}'::text[]) s;
SELECT defidata_attach('m', 'mentions', 'm');
SELECT status FROM defidata_refresh();
TRUNCATE m RESTART IDENTITY;
INSERT INTO m ("timestamp", symbol, count, sentiment) SELECT at(h), s, 100, 0 FROM generate_series(38, 47) h, unnest('{BTC,ETH,SOL}'::text[]) s;
SELECT status FROM defidata_refresh();
SELECT count(*) AS hours, min(rows), max(rows), min(mentions), max(mentions) FROM state;
SELECT count(*) AS hours, min(mentions), max(mentions) FROM defidata.metrics;
-- also for what lies before the overlap; hours that the source has lost stay
SELECT action, count(*), min(hour), max(hour) FROM defidata_reconcile('100 years') GROUP BY action;
SELECT count(*) AS hours, min(rows), max(rows), min(mentions), max(mentions) FROM state;
SELECT count(*) FROM defidata.superseded;

-- a table that is replaced each hour, with ids 1 … n
TRUNCATE m RESTART IDENTITY;
INSERT INTO m ("timestamp", symbol, count, sentiment) SELECT at(48), s, 100, 0 FROM unnest('{BTC,ETH,SOL}'::text[]) s;
SELECT inserted, updated FROM defidata_refresh();
TRUNCATE m RESTART IDENTITY;
INSERT INTO m ("timestamp", symbol, count, sentiment) SELECT at(49), s, 100, 0 FROM unnest('{BTC,ETH,SOL}'::text[]) s;
SELECT inserted, updated FROM defidata_refresh();
SELECT count(*) AS hours, min(rows), max(rows) FROM state;

-- exceptions: the copy is left as it is where a source has lost all or half of an hour
SELECT defidata_detach('m', drop_rows => true);
SELECT count(*) FROM defidata.raw_mentions;
SELECT count(*) FROM defidata.hours WHERE observed;
CREATE TABLE f (id text, "timestamp" int, symbol text, count float8, sentiment float8);
INSERT INTO f SELECT h || '-' || n, at(h), 'T' || chr(65 + n), 10, 0 FROM generate_series(100, 105) h, generate_series(0, 9) n;
SELECT defidata_attach('f', 'mentions', 'f');
SELECT inserted FROM defidata_import();
DELETE FROM f WHERE id IN ('102-0', '102-1', '102-2', '102-3');     -- followed
DELETE FROM f WHERE id ~ '^103-[0-5]';                              -- shrunken
DELETE FROM f WHERE id ~ '^104';                                    -- emptied
DELETE FROM f WHERE id = '100-0';                                   -- the oldest one
SELECT inserted, updated FROM defidata_import();
TABLE state ORDER BY hour;
TABLE notes ORDER BY hour;
SELECT name, state, value FROM defidata.status WHERE name = 'hours left as they are';
-- the most rows count, not the latest: a source may not bleed an hour to death
DELETE FROM f WHERE id ~ '^102-[4-5]';
SELECT inserted, updated FROM defidata_import();
SELECT * FROM state WHERE hour = '06-05 06';
-- rows that come back end it
INSERT INTO f SELECT '103-' || n, at(103), 'T' || chr(65 + n), 20, 0 FROM generate_series(3, 5) n;
SELECT inserted, updated FROM defidata_import();
SELECT * FROM state WHERE hour = '06-05 07';
-- and so does apply_deletes, from which on the most rows are counted anew
SELECT to_char(hour, 'MM-DD HH24') AS hour, remote_rows, local_rows, action FROM defidata_reconcile('100 years', true);
TABLE state ORDER BY hour;
TABLE notes;
DELETE FROM f WHERE id = '102-6';
SELECT inserted, updated FROM defidata_import();
SELECT * FROM state WHERE hour = '06-05 06';
SELECT name, state, value FROM defidata.status WHERE name = 'hours left as they are';

-- the same rows under other ids, and of two hours one is corrected; every type of id
SELECT defidata_checksum('defidata.metrics') AS before \gset
UPDATE f SET id = md5(id);
SELECT inserted, updated FROM defidata_import();
SELECT defidata_compute() > 0 AS computed, defidata_checksum('defidata.metrics') = :'before' AS same;
ALTER TABLE f ALTER id TYPE uuid USING id::uuid;
SELECT defidata_attach('f', 'mentions', 'f');
SELECT inserted, updated FROM defidata_import();

-- ids that repeat within an hour: refused, with the mapping that tells the rows apart
CREATE TABLE coins (id text, "timestamp" int, symbol text, exchange text, count float8);
INSERT INTO coins SELECT c, at(h), c, e, h FROM generate_series(200, 202) h, unnest('{BTC,ETH}'::text[]) c, unnest('{kraken,binance}'::text[]) e;
SELECT error_of($$SELECT defidata_attach('coins', 'mentions', 'coins')$$, true);
SELECT defidata_attach('coins', 'mentions', 'coins', '{"id": ["id", "exchange"]}');
SELECT inserted FROM defidata_import();
SELECT id, mentions FROM defidata.raw_mentions WHERE source = 'coins' AND hour = to_timestamp(at(201)) ORDER BY id;
-- no id: known by what a row holds, and its likes are numbered
CREATE TABLE bare ("timestamp" int, symbol text, count numeric, sentiment text);
INSERT INTO bare SELECT at(h), s, 7, '0.5' FROM generate_series(200, 202) h, unnest('{BTC,BTC,ETH,NULL}'::text[]) s;
SELECT defidata_attach('bare', 'mentions', 'bare');
SELECT inserted FROM defidata_import();
SELECT symbol, count(*), sum(mentions) FROM defidata.raw_mentions WHERE source = 'bare' GROUP BY symbol ORDER BY symbol;
SELECT inserted, updated FROM defidata_import();
UPDATE bare SET count = 8 WHERE symbol = 'ETH' AND "timestamp" = at(201);
DELETE FROM bare WHERE ctid = (SELECT min(ctid) FROM bare WHERE symbol = 'BTC' AND "timestamp" = at(202));
SELECT inserted, updated FROM defidata_import();
SELECT to_char(hour, 'MM-DD HH24') AS hour, symbol, mentions FROM defidata.raw_mentions WHERE source = 'bare' ORDER BY 1, 2, 3;
CREATE TABLE twice ("timestamp" int, id int, symbol text, count float8);
INSERT INTO twice SELECT at(200), 1, s, 1 FROM unnest('{BTC,BTC,ETH}'::text[]) s;
SELECT error_of($$SELECT defidata_attach('twice', 'mentions', 'twice')$$, true);
SELECT defidata_attach('twice', 'mentions', 'twice', '{"id": []}');
SELECT error_of($$SELECT defidata_attach('twice', 'mentions', 'twice', '{"id": ["id", 1]}')$$),
       error_of($$SELECT defidata_attach('twice', 'mentions', 'twice', '{"id": ["id", "nothing"]}')$$),
       error_of($$SELECT defidata_attach('twice', 'mentions', 'twice', '{"symbol": ["symbol"]}')$$);
SELECT inserted FROM defidata_import();
SELECT count(*) FROM defidata.uncopied;
SELECT defidata_detach(s, true) FROM unnest('{f,coins,bare,twice}'::text[]) s;

-- an hour that was written twice, and two sources that are one
CREATE TABLE w (id serial, "timestamp" int, symbol text, count float8, sentiment float8);
INSERT INTO w ("timestamp", symbol, count, sentiment) SELECT at(h), 'T' || chr(65 + n), 10 + n, 0 FROM generate_series(100, 102) h, generate_series(0, 9) n;
SELECT defidata_attach('w', 'mentions', 'w');
SELECT inserted FROM defidata_import();
INSERT INTO w ("timestamp", symbol, count, sentiment) SELECT "timestamp", symbol, count, sentiment FROM w WHERE "timestamp" = at(101) AND count < 17;
SELECT inserted FROM defidata_import();
SELECT to_char(hour, 'MM-DD HH24') AS hour, twins FROM defidata.surveyed ORDER BY hour;
CREATE VIEW w2 AS SELECT id + 1000 AS id, "timestamp", symbol, count FROM w WHERE count > 10 OR "timestamp" <> at(100);
SELECT defidata_attach('w2', 'mentions', 'w2');
SELECT inserted FROM defidata_import();
SELECT source, to_char(hour, 'MM-DD HH24') AS hour, repeats FROM defidata.surveyed ORDER BY source, hour;
SELECT defidata_detach('w', true), defidata_detach('w2', true);

-- a clock that was a day ahead for one cycle: the next one is as if it had not been
CREATE TABLE ahead (id text, "timestamp" timestamptz, symbol text, count float8, sentiment float8);
INSERT INTO ahead SELECT 'h' || h, date_trunc('hour', now()) + h * interval '1 hour', 'BTC', 10, 0 FROM unnest('{-3,-2,-1,20}'::integer[]) h;
SELECT defidata_attach('ahead', 'mentions', 'ahead');
SELECT inserted, rejected FROM defidata_import();
SELECT defidata.import_batch(ROW('ahead', date_trunc('hour', now()), date_trunc('hour', now()) + interval '25 hours',
                                 ARRAY[date_trunc('hour', now()) + interval '20 hours'], now() + interval '1 day', false)::defidata.batch);
SELECT watermark > now() AS ahead FROM defidata.source;
SELECT id, reason FROM defidata.raw_mentions WHERE id = 'h20';
SELECT count(*) FROM defidata.hours WHERE hour > now() AND observed;
UPDATE ahead SET count = 11 WHERE id = 'h-2';
INSERT INTO ahead VALUES ('late', date_trunc('hour', now()) - interval '4 hours', 'BTC', 5, 0);
SELECT status FROM defidata_refresh();
SELECT watermark <= now() AS mended FROM defidata.source;
SELECT id, mentions, reason FROM defidata.raw_mentions ORDER BY id;
SELECT count(*) FROM defidata.hours WHERE hour > now() AND observed;
SELECT count(*), sum(mentions) FROM defidata.metrics;
SELECT inserted, updated, rejected FROM defidata_refresh();
-- a future row whose source lets go of it goes; one whose hour has come counts
DELETE FROM ahead WHERE id = 'h20';
SELECT status FROM defidata_refresh();
SELECT count(*) FROM defidata.raw_mentions WHERE reason = 'hour';
-- an hour that has begun since a batch was planned is a future one for it, whatever the clock says
INSERT INTO ahead VALUES ('turn', date_trunc('hour', now()), 'BTC', 7, 0);
SELECT defidata.import_batch(ROW('ahead', date_trunc('hour', now()) - interval '6 hours', date_trunc('hour', now()), '{-infinity}', now() - interval '1 hour', false)::defidata.batch);
SELECT id, reason FROM defidata.raw_mentions WHERE id = 'turn';
SELECT count(*) FROM defidata.hours h JOIN defidata.raw_mentions r ON r.hour = h.hour WHERE r.id = 'turn';
SELECT status FROM defidata_refresh();
SELECT r.id, r.reason, h.summed, h.mentions FROM defidata.raw_mentions r JOIN defidata.hours h ON h.hour = r.hour WHERE r.id = 'turn';
SELECT defidata_detach('ahead', true);

-- expired hours: their facts are neither replaced nor lessened by anything
CREATE TABLE e (id text, "timestamp" int, symbol text, count float8, sentiment float8);
INSERT INTO e SELECT h || s, at(h), s, 10, 0.5 FROM generate_series(0, 719) h, unnest('{BTC,ETH}'::text[]) s;
SELECT defidata_attach('e', 'mentions', 'e'), defidata_set('initial_span', '40 days');
SELECT status FROM defidata_refresh();
UPDATE e SET count = 20 WHERE id = '0BTC';
SELECT count(*) FROM defidata_reconcile('100 years');
UPDATE defidata.hours SET summed = false WHERE hour < '2025-06-02';
SELECT defidata_set('raw_retention', '1 day');
SELECT relation, deleted FROM defidata_expire() WHERE relation = 'raw_mentions';
SELECT count(*) FILTER (WHERE expired) AS expired, count(*) FILTER (WHERE observed) AS observed FROM defidata.hours;
SELECT defidata_checksum('defidata.metrics') AS metrics, defidata_checksum('defidata.mention_series') AS series, defidata_checksum('defidata.hours') AS hours \gset
CREATE FUNCTION same(text, text, text) RETURNS boolean LANGUAGE sql AS $$
SELECT (defidata_checksum('defidata.metrics'), defidata_checksum('defidata.mention_series'), defidata_checksum('defidata.hours')) = ($1, $2, $3) $$;
SET LOCAL client_min_messages = notice;
CREATE TABLE e2 AS SELECT 'x' || id AS id, "timestamp", symbol, 1 AS count FROM e WHERE "timestamp" < at(300);
SELECT defidata_attach('e2', 'mentions', 'e2');
SELECT inserted FROM defidata_import('2025-06-01');
SELECT defidata_compute(), same(:'metrics', :'series', :'hours');
UPDATE e SET count = 30 WHERE id = '1BTC';
SELECT count(*) FROM defidata_reconcile('100 years');
SELECT defidata_recompute() > 0 AS some, same(:'metrics', :'series', :'hours');
CREATE TABLE e3 AS TABLE e2;
SELECT defidata_import_legacy('e3');
SELECT defidata_reclean(), same(:'metrics', :'series', :'hours');
SELECT * FROM defidata_load_mentions('feed', '[{"symbol": "BTC", "hour": "2025-06-01T00:00:00Z", "mentions": 5}]');
UPDATE defidata.hours SET summed = false;
SELECT defidata_compute() > 0 AS some, same(:'metrics', :'series', :'hours');
SELECT defidata_detach('e', true);
SELECT count(*) FILTER (WHERE expired) AS expired, count(*) FILTER (WHERE observed) AS observed FROM defidata.hours;
SELECT min(hour), max(hour), count(*) FROM defidata.metrics;
SET LOCAL client_min_messages = warning;
SELECT defidata_detach('e2', true), defidata_detach('feed', true);
DELETE FROM defidata.hours;

-- documents
SELECT * FROM defidata_load_mentions('feed', '[{"symbol": "BTC", "hour": "2025-07-01T10:20:00Z", "mentions": 5, "sentiment": 0.5},
    {"symbol": "eth", "timestamp": 1751364000, "count": "7", "sentiment": "NaN"}, {"symbol": "no match", "hour": "2025-07-01 10:00", "mentions": 1},
    {"id": "a", "symbol": "BTC", "hour": "2025-07-01 10:00", "mentions": 2}, {"symbol": "BTC", "mentions": 2}, {"symbol": "SOL", "hour": "2999-01-01", "mentions": 2},
    {"hour": "2025-07-01 10:00", "mentions": 2}]');
SELECT id, to_char(hour, 'YYYY-MM-DD HH24') AS hour, symbol, mentions, sentiment, token, reason FROM defidata.raw_mentions ORDER BY hour, id;
SELECT hour, cause, rows FROM defidata.uncopied;
SELECT defidata_compute(), defidata_publish() > 0 AS published;
SELECT token, mentions FROM defidata.metrics ORDER BY token;
-- again; and one that replaces what it names
SELECT defidata_checksum('defidata.raw_mentions') AS before \gset
SELECT * FROM defidata_load_mentions('feed', '[{"symbol": "BTC", "hour": "2025-07-01T10:20:00Z", "mentions": 5, "sentiment": 0.5}]');
SELECT defidata_checksum('defidata.raw_mentions') = :'before' AS same;
SELECT * FROM defidata_load_mentions('feed', '[{"symbol": "BTC", "hour": "2025-07-01T10:00:00Z", "mentions": 6}, {"symbol": "BTC", "hour": "2025-07-01T10:59:00Z", "mentions": 8}]');
SELECT defidata_compute();
SELECT token, mentions FROM defidata.metrics ORDER BY token;
-- its future row waits for its hour
UPDATE defidata.raw_mentions SET hour = '2025-07-01 11:00' WHERE symbol = 'SOL';
SELECT defidata_compute();
SELECT token, hour, mentions FROM defidata.metrics WHERE token = 'SOL';
SELECT document, error_of(format('SELECT defidata_load_mentions(%L, %L)', name, document)) FROM (VALUES ('feed', '{}'), ('feed', '[1]'), ('feed', 'null'), ('feed', NULL), ('', '[]'), (NULL, '[]')) v (name, document);
SELECT * FROM defidata_load_mentions('feed', '[]');
CREATE TABLE feed (id text, "timestamp" int, symbol text, count float8);
SELECT error_of($$SELECT defidata_attach('feed', 'mentions', 'feed')$$, true);
SELECT defidata_attach('table', 'mentions', 'feed');
SELECT error_of($$SELECT defidata_load_mentions('table', '[]')$$);
SELECT inserted, rejected FROM defidata_import('2025-01-01');
SELECT count(*) FROM defidata_reconcile('100 years', true);
SELECT count(*) FROM defidata.raw_mentions WHERE source = 'feed';
ROLLBACK;
