-- Import: what the copy holds after new, late, corrected, repeated and moved
-- rows, and what becomes of every bad value.
BEGIN;
\set ON_ERROR_ROLLBACK on
SET LOCAL timezone = 'America/New_York';
SET LOCAL datestyle = 'ISO';
CREATE TABLE remote (id text, "timestamp" timestamptz, symbol text, count float8, sentiment float8);
CREATE VIEW copy AS SELECT id, to_char(hour AT TIME ZONE 'UTC', 'MM-DD HH24') AS hour, symbol, mentions, sentiment, token, reason
  FROM defidata.raw_mentions;

-- the first import reaches initial_span back from the newest hour, and says what is older
INSERT INTO remote SELECT 'old' || i, timestamptz '2025-02-01 00:59:59Z' + i * interval '1 hour', 'OLD', 1, NULL FROM generate_series(0, 2) i;
INSERT INTO remote SELECT 'a' || i, timestamptz '2025-06-01 00:30Z' + i * interval '1 hour', 'BTC', i, 0.5 FROM generate_series(1, 12) i;
SELECT defidata_attach('remote', 'mentions', 'remote');
SELECT * FROM defidata_import();
SELECT min(hour) AT TIME ZONE 'UTC' AS first, max(hour) AT TIME ZONE 'UTC' AS last, count(*) FROM defidata.raw_mentions;
SELECT watermark AT TIME ZONE 'UTC' AS watermark FROM defidata.source;

-- again: nothing changes; then new rows only
SELECT * FROM defidata_import();
INSERT INTO remote VALUES ('b1', '2025-06-01 13:00Z', 'ETH', 5, NULL), ('b2', '2025-06-01 13:59:59.999999Z', 'ETH', 6, NULL), ('b3', '2025-06-01 14:00Z', 'ETH', 7, NULL);
SELECT * FROM defidata_import();
SELECT * FROM copy WHERE id ~ '^b' ORDER BY id;

-- late and corrected rows inside the overlap of 6 hours arrive, older ones wait for an import since
SELECT id, fetched_at INTO before FROM defidata.raw_mentions;
INSERT INTO remote VALUES ('late', '2025-06-01 08:10Z', 'SOL', 3, NULL), ('later', '2025-06-01 07:59Z', 'SOL', 3, NULL);
UPDATE remote SET count = 99 WHERE id IN ('a9', 'a5');
SELECT * FROM defidata_import();
SELECT * FROM copy WHERE id IN ('late', 'later', 'a9', 'a5') ORDER BY id;
SELECT * FROM defidata_import('2025-06-01 00:00Z');
SELECT * FROM copy WHERE id IN ('late', 'later', 'a9', 'a5') ORDER BY id;
-- rows that are as they were were not written
SELECT r.id FROM defidata.raw_mentions r JOIN before b USING (id) WHERE r.fetched_at <> b.fetched_at ORDER BY id;

-- each column counts as a correction, to and from NULL too; swapped values are seen
UPDATE remote SET symbol = '$eth' WHERE id = 'b1';
UPDATE remote SET sentiment = -0.25 WHERE id = 'b2';
UPDATE remote SET count = 4, sentiment = 7 WHERE id = 'b3';
SELECT * FROM defidata_import();
UPDATE remote SET sentiment = NULL WHERE id = 'b2';
UPDATE remote SET count = 7, sentiment = 4 WHERE id = 'b3';
SELECT * FROM defidata_import();
SELECT * FROM copy WHERE id ~ '^b' ORDER BY id;

-- a row may move to another hour, forward and back
UPDATE remote SET "timestamp" = '2025-06-01 15:05Z' WHERE id = 'b1';
SELECT * FROM defidata_import();
SELECT * FROM copy WHERE id = 'b1';
UPDATE remote SET "timestamp" = '2025-06-01 12:05Z' WHERE id = 'b1';
SELECT * FROM defidata_import();
SELECT * FROM copy WHERE id = 'b1';

-- its move has emptied an hour of the source, which stays as it was
SELECT hour AT TIME ZONE 'UTC' AS hour, rows, held, kept FROM defidata.surveyed WHERE kept IS NOT NULL;

-- hours of which the source says what it said when they were read are not read again, until
-- it says something else of them, and then also where it says again what it said before
SELECT inserted, updated FROM defidata_import();
SELECT hour AT TIME ZONE 'UTC' AS hour, rows FROM defidata.surveyed ORDER BY hour;
UPDATE remote SET count = 100 WHERE id = 'a10';
SELECT inserted, updated FROM defidata_import();
UPDATE remote SET count = 10 WHERE id = 'a10';
SELECT inserted, updated FROM defidata_import();
SELECT * FROM copy WHERE id = 'a10';
SELECT inserted, updated FROM defidata_import();
UPDATE remote SET "timestamp" = '2025-06-01 11:30Z' WHERE id = 'a10';
SELECT inserted, updated FROM defidata_import();
SELECT inserted, updated FROM defidata_import();
UPDATE remote SET "timestamp" = '2025-06-01 10:30Z' WHERE id = 'a10';
SELECT inserted, updated FROM defidata_import();
SELECT * FROM copy WHERE id = 'a10';
-- out of the overlap
INSERT INTO remote VALUES ('e1', '2025-06-01 15:30Z', 'ETH', 1, 0);
SELECT inserted, updated FROM defidata_import();
SELECT inserted, updated FROM defidata_import();
SELECT min(hour) AT TIME ZONE 'UTC' AS first, max(hour) AT TIME ZONE 'UTC' AS last, count(*) FROM defidata.surveyed;
-- rows that somebody has deleted from the copy come again; other deeds are mended where the
-- source's answers are forgotten
DELETE FROM defidata.raw_mentions WHERE id = 'a11';
SELECT inserted, updated FROM defidata_import();
UPDATE defidata.raw_mentions SET mentions = 1000 WHERE id = 'a12';
SELECT inserted, updated FROM defidata_import();
DELETE FROM defidata.surveyed;
SELECT inserted, updated FROM defidata_import();
SELECT * FROM copy WHERE id = 'a12';

-- a row that the source has deleted goes, unless its hour is emptied by that, and nothing
-- goes after a truncate
INSERT INTO remote VALUES ('b4', '2025-06-01 15:45Z', 'ETH', 5, NULL);
SELECT inserted FROM defidata_import();
DELETE FROM remote WHERE id IN ('b2', 'b4');
SELECT * FROM defidata_import();
SELECT id FROM copy WHERE id IN ('b2', 'b4');
SELECT id, hour AT TIME ZONE 'UTC' AS hour, symbol, mentions, token FROM defidata.superseded ORDER BY hour, id;
CREATE TEMP TABLE kept AS TABLE remote;
TRUNCATE remote;
SELECT * FROM defidata_import();
SELECT count(*) FROM copy;
INSERT INTO remote TABLE kept;

-- every bad value rejects its row alone; the good neighbours arrive
INSERT INTO remote SELECT 'bad ' || n, at, symbol, count, sentiment FROM (VALUES
    (10, NULL::timestamptz, 'BTC', 1::float8, 0::float8), (11, 'infinity', 'BTC', 1, 0), (12, '-infinity', 'BTC', 1, 0),
    (13, '0001-01-01 00:00Z', 'BTC', 1, 0), (14, '2005-12-31 23:59:59Z', 'BTC', 1, 0), (15, '2099-01-01 00:00Z', 'BTC', 1, 0),
    (20, '2025-06-01 16:00Z', NULL, 1, 0), (21, '2025-06-01 16:00Z', '', 1, 0), (22, '2025-06-01 16:00Z', E' \t$ \n', 1, 0),
    (23, '2025-06-01 16:00Z', repeat('A', 65), 1, 0), (24, '2025-06-01 16:00Z', repeat('A', 1000000), 1, 0), (25, '2025-06-01 16:00Z', 'NO MATCH', 1, 0),
    (26, '2025-06-01 16:00Z', U&'\0410', 1, 0), (27, '2025-06-01 16:00Z', '''; DROP TABLE x; --', 1, 0), (28, '2025-06-01 16:00Z', U&'\216B', 1, 0),
    (30, '2025-06-01 16:00Z', 'BTC', NULL, 0), (31, '2025-06-01 16:00Z', 'BTC', -1, 0), (32, '2025-06-01 16:00Z', 'BTC', 'NaN', 0),
    (33, '2025-06-01 16:00Z', 'BTC', 'Infinity', 0), (34, '2025-06-01 16:00Z', 'BTC', 1.5, 0), (35, '2025-06-01 16:00Z', 'BTC', 1e9 + 1, 0),
    (36, '2025-06-01 16:00Z', 'BTC', 2 ^ 63, 0), (37, '2025-06-01 16:00Z', 'BTC', 1e308, 0), (38, '2025-06-01 16:00Z', 'BTC', '-Infinity', 0),
    (40, '2025-06-01 16:00Z', 'BTC', 1, 'NaN'), (41, '2025-06-01 16:00Z', 'BTC', 1, 'Infinity'), (42, '2025-06-01 16:00Z', 'BTC', 1, '-Infinity'),
    (43, '2025-06-01 16:00Z', 'BTC', 1, 1000.0001), (44, '2025-06-01 16:00Z', 'BTC', 1, -1e308)) b (n, at, symbol, count, sentiment);
INSERT INTO remote SELECT 'good ' || n, at, symbol, count, sentiment FROM (VALUES
    (1, timestamptz '2006-01-01 00:00Z', 'BTC', 1::float8, 0::float8), (2, '2025-06-01 16:00Z', 'BTC', 0, 0), (3, '2025-06-01 16:00Z', 'BTC', 1e9, 1000),
    (4, '2025-06-01 16:00Z', 'BTC', 1, -1000), (5, '2025-06-01 16:00Z', 'BTC', 1, NULL), (6, '2025-06-01 16:00Z', E'BTC\n', 1, 0),
    (7, '2025-06-01 16:00Z', U&'BTC\+01F680', 1, 0), (8, '2025-06-01 16:00Z', 'abcd', 1, 0)) g (n, at, symbol, count, sentiment);
INSERT INTO defidata.token (symbol, enabled) VALUES ('DOGE', false);
INSERT INTO remote VALUES ('disabled', '2025-06-01 16:00Z', 'doge', 5, 0);
SELECT * FROM defidata_import('2006-01-01 00:00Z');
SELECT id, hour, left(symbol, 20) AS symbol, mentions, sentiment, token, reason FROM copy WHERE id ~ 'good|bad|disabled' ORDER BY id;
SELECT left(symbol, 20) AS symbol, length(symbol), reason, rows, mentions, to_char(first_seen AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24') AS first_seen
  FROM defidata.rejects ORDER BY reason, symbol COLLATE "C", length;
SELECT * FROM defidata_import('2006-01-01 00:00Z');

-- bad values may be mended, and good ones spoilt
UPDATE remote SET count = 2 WHERE id = 'bad 31';
UPDATE remote SET "timestamp" = '2025-06-01 16:20Z' WHERE id IN ('bad 10', 'bad 15');
UPDATE remote SET "timestamp" = NULL WHERE id = 'good 8';
SELECT * FROM defidata_import();
SELECT * FROM copy WHERE id IN ('bad 31', 'bad 10', 'bad 15', 'good 8') ORDER BY id;

-- so may an infinite hour
UPDATE remote SET "timestamp" = '2025-06-01 16:40Z' WHERE id = 'bad 11';
SELECT * FROM defidata_import();
SELECT * FROM copy WHERE id = 'bad 11';

-- rows that cannot be copied are counted, and their neighbours arrive
INSERT INTO remote VALUES (NULL, '2025-06-01 17:00Z', 'BTC', 1, 0), (NULL, '2025-06-01 17:00Z', 'ETH', 1, 0),
    (repeat('x', 513), '2025-06-01 17:00Z', 'BTC', 1, 0), (repeat('x', 512), '2025-06-01 17:00Z', 'BTC', 1, 0), (repeat('y', 3000), '2025-06-01 18:00Z', 'BTC', 1, 0),
    ('twice', '2025-06-01 17:00Z', 'BTC', 1, 0), ('twice', '2025-06-01 17:00Z', 'BTC', 2, 0), ('twice', '2025-06-01 17:00Z', 'AAA', 1, 0),
    ('hours apart', '2025-06-01 17:00Z', 'BTC', 1, 0), ('hours apart', '2025-06-01 18:00Z', 'BTC', 2, 0),
    ('neighbour', '2025-06-01 17:00Z', 'BTC', 1, 0), (NULL, 'infinity', 'BTC', 1, 0);
SELECT * FROM defidata_import();
SELECT left(id, 20) AS id, length(id), hour, symbol, mentions, token, reason FROM copy WHERE hour IN ('06-01 17', '06-01 18') ORDER BY id;
SELECT source, hour AT TIME ZONE 'UTC' AS hour, cause, rows FROM defidata.uncopied ORDER BY hour, cause;
-- again: the same counts, and nothing is written
SELECT inserted, updated FROM defidata_import();
SELECT source, hour AT TIME ZONE 'UTC' AS hour, cause, rows FROM defidata.uncopied ORDER BY hour, cause;
-- once they are gone the counts go
DELETE FROM remote WHERE id IS NULL OR length(id) > 512 OR id IN ('twice', 'hours apart');
INSERT INTO remote VALUES ('twice', '2025-06-01 17:00Z', 'AAA', 1, 0), ('hours apart', '2025-06-01 18:00Z', 'BTC', 2, 0);
SELECT * FROM defidata_import();
SELECT count(*) FROM defidata.uncopied;
-- and then nothing is read, rows without a usable hour neither
SELECT fetched FROM defidata_import();
SELECT count(*) > 0 AS some FROM copy WHERE reason = 'hour';

-- batches of any size bring the same, and two sources may share ids
DELETE FROM remote WHERE id = 'b2';
SELECT count(*) FROM defidata_reconcile('100 years', true);
SELECT defidata_checksum('defidata.raw_mentions') AS checksum \gset
DELETE FROM defidata.raw_mentions;
SELECT defidata_detach('remote'), defidata_attach('remote', 'mentions', 'remote'), defidata_set('batch_size', '3');
SELECT * FROM defidata_import('2006-01-01 00:00Z');
SELECT defidata_checksum('defidata.raw_mentions') = :'checksum' AS same;
CREATE TABLE second AS SELECT id, 1748800000 AS "timestamp", symbol, 1 AS count FROM remote WHERE id ~ '^a';
SELECT defidata_attach('second', 'mentions', 'second');
SELECT * FROM defidata_import();
SELECT source, count(*) FROM defidata.raw_mentions WHERE id ~ '^a' GROUP BY source ORDER BY source;
ROLLBACK;
