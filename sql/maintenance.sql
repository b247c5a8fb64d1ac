-- Maintenance: cleaning again, expiry, reconcile, checksum, history, status.
BEGIN;
\set ON_ERROR_ROLLBACK on
SET LOCAL timezone = 'America/New_York';
SET LOCAL datestyle = 'ISO';

-- 30 days of three tokens and one dirty symbol, an outage of a day, and quotes
CREATE TABLE remote AS
SELECT s || i AS id, 1748736000 + 3600 * i AS "timestamp", s AS symbol, (10 + i % 3)::float8 AS count, 0.5::float8 AS sentiment
  FROM generate_series(0, 719) i, unnest(ARRAY['BTC', 'ETH', 'SOL', 'PEPE2.0']) s WHERE i NOT BETWEEN 600 AND 623;
CREATE TABLE quotes AS SELECT 'q' || i AS id, 'bitcoin' AS slug, 1748736000 + 3600 * i AS "timestamp", 'btc' AS symbol, 100 + i AS price FROM generate_series(0, 719) i;
SELECT defidata_attach('remote', 'mentions', 'remote'), defidata_attach('quotes', 'prices', 'quotes');
SELECT defidata_set('initial_span', '40 days'), defidata_set('symbol_pattern', '^[A-Za-z]{1,4}$'), defidata_set('use_builtin_list', 'off');
SELECT status, latest_hour AT TIME ZONE 'UTC' AS latest_hour, inserted, rejected FROM defidata_refresh();
SELECT symbol, reason, rows, mentions FROM defidata.rejects;

-- a change of the list counts for new rows; reclean applies it to the old ones
INSERT INTO defidata.token VALUES ('PEPE2.0', 'Pepe', true), ('SOL', 'Solana', false);
UPDATE remote SET count = 99 WHERE id = 'SOL719';
SELECT updated, rejected FROM defidata_import();
SELECT token, reason, count(*) FROM defidata.raw_mentions WHERE symbol IN ('SOL', 'PEPE2.0') GROUP BY 1, 2 ORDER BY 1, 2;
SELECT defidata_reclean();
SELECT symbol, token, reason, count(*) FROM defidata.raw_mentions GROUP BY 1, 2, 3 ORDER BY 1;
SELECT defidata_reclean();
SELECT status FROM defidata_refresh();
SELECT token, name, mentions FROM defidata.token_stats ORDER BY token;
SELECT token, count(*) FROM defidata.metrics GROUP BY token ORDER BY token;
-- quotes are cleaned again too
INSERT INTO defidata.token VALUES ('BTC', 'off', false);
SELECT defidata_reclean();
SELECT token, reason, count(*) FROM defidata.prices GROUP BY 1, 2;
DELETE FROM defidata.token WHERE symbol IN ('BTC', 'SOL');
SELECT defidata_reclean();
SELECT status FROM defidata_refresh();

-- history: a row for each clock hour, 0 where observed in silence, NULL in an outage
SELECT count(*), min(hour) AT TIME ZONE 'UTC' AS first, max(hour) AT TIME ZONE 'UTC' AS last, count(mentions) AS observed, sum(mentions) AS mentions,
       min(price) AS price FROM defidata_history('btc');
SELECT hour AT TIME ZONE 'UTC' AS hour, mentions, sentiment, price FROM defidata_history('BTC', '97 hours') WHERE hour < '2025-06-26 02:00Z' OR hour > '2025-06-26 23:00Z' ORDER BY hour LIMIT 4;
DELETE FROM remote WHERE id = 'ETH718';
SELECT hour AT TIME ZONE 'UTC' AS hour, remote_rows, local_rows, action FROM defidata_reconcile('100 years', true);
SELECT hour AT TIME ZONE 'UTC' AS hour, mentions, sentiment, price FROM defidata_history('$eth', '3 hours');
SELECT count(*), sum(mentions) FROM defidata_history('NOBODY', '1 day');
SELECT span, error_of(format('SELECT count(*) FROM defidata_history(''BTC'', %L)', span)) FROM (VALUES ('59 minutes'), ('0'), ('-1 day'), ('100 years 1 day'), (NULL)) v (span);
SELECT error_of('SELECT defidata_history(NULL)');

-- checksum: order, time zone and record times do not count; every value does
SELECT defidata_checksum('defidata.raw_mentions') AS before \gset
CREATE TABLE raw_copy AS SELECT * FROM defidata.raw_mentions ORDER BY mentions, id DESC;
UPDATE raw_copy SET fetched_at = now();
SET LOCAL timezone = 'Asia/Tokyo';
SELECT defidata_checksum('raw_copy') = :'before' AS same;
SET LOCAL timezone = 'America/New_York';
SET LOCAL extra_float_digits = -5;
SELECT defidata_checksum('raw_copy') = :'before' AS same;
RESET extra_float_digits;
UPDATE raw_copy SET sentiment = 0.50000000000000011 WHERE id = 'BTC1';
SELECT defidata_checksum('raw_copy') = :'before' AS same;
UPDATE raw_copy SET sentiment = 0.5, token = NULL WHERE id = 'BTC1';
SELECT defidata_checksum('raw_copy') = :'before' AS same;
CREATE TABLE empty (a integer);
SELECT defidata_checksum('empty');
SELECT relation, error_of(format('SELECT defidata_checksum(%s)', relation)) FROM (VALUES ('NULL'), ('0'), ($$'no_such'$$)) v (relation);

-- reconcile: what is late, corrected or deleted anywhere
CREATE TEMP TABLE before_reconcile AS SELECT id, fetched_at FROM defidata.raw_mentions;
INSERT INTO remote VALUES ('late', 1748736000 + 3600 * 100, 'BTC', 7, NULL), (NULL, 1748736000 + 3600 * 101, 'BTC', 7, NULL);
UPDATE remote SET count = 77 WHERE id IN ('BTC50', 'ETH300');
UPDATE remote SET sentiment = NULL WHERE id = 'BTC301';
DELETE FROM remote WHERE id IN ('SOL200', 'SOL201', 'BTC201');
UPDATE remote SET "timestamp" = "timestamp" + 36000 WHERE id = 'SOL400';
SELECT source, hour AT TIME ZONE 'UTC' AS hour, remote_rows, local_rows, action FROM defidata_reconcile('100 years');
SELECT id, to_char(hour AT TIME ZONE 'UTC', 'MM-DD HH24') AS hour, mentions, sentiment FROM defidata.raw_mentions
 WHERE id IN ('late', 'BTC50', 'ETH300', 'BTC301', 'SOL200', 'SOL201', 'BTC201', 'SOL400') ORDER BY id;
SELECT count(*) AS written FROM defidata.raw_mentions r LEFT JOIN before_reconcile b USING (id) WHERE r.fetched_at IS DISTINCT FROM b.fetched_at;
SELECT cause, rows, hour AT TIME ZONE 'UTC' AS hour FROM defidata.uncopied;
-- what is reported stays reported; hours are emptied or halved only when asked
DELETE FROM remote WHERE id ~ '(220|221)$' AND (id ~ '221' OR id !~ '^BTC');
SELECT hour AT TIME ZONE 'UTC' AS hour, remote_rows, local_rows, action FROM defidata_reconcile('100 years');
SELECT hour AT TIME ZONE 'UTC' AS hour, remote_rows, local_rows, action FROM defidata_reconcile('100 years', true);
SELECT hour AT TIME ZONE 'UTC' AS hour, remote_rows, local_rows, action FROM defidata_reconcile('100 years', true);
SELECT count(*) FROM (SELECT id, "timestamp" / 3600 * 3600, symbol, count, sentiment FROM remote WHERE id IS NOT NULL
                      EXCEPT ALL SELECT id, EXTRACT(epoch FROM hour)::integer, symbol, mentions, sentiment FROM defidata.raw_mentions) x;
SELECT hour AT TIME ZONE 'UTC' AS hour, count(*) FROM defidata.superseded GROUP BY hour ORDER BY hour;
-- a source that has lost everything erases nothing, even if told to
CREATE TABLE kept AS TABLE remote;
TRUNCATE remote;
SELECT action, count(*), sum(local_rows) AS local_rows FROM defidata_reconcile('100 years') GROUP BY action;
SELECT count(*) FROM defidata.raw_mentions;
SELECT action, count(*), sum(local_rows) AS local_rows FROM defidata_reconcile('100 years', true) GROUP BY action;
SELECT count(*) FROM defidata.raw_mentions;
-- one that begins later is followed from there on only
INSERT INTO remote SELECT * FROM kept WHERE "timestamp" >= 1748736000 + 3600 * 250 OR id ~ '^BTC' AND "timestamp" >= 1748736000 + 3600 * 245;
SELECT min(hour) AT TIME ZONE 'UTC' AS first, max(hour) AT TIME ZONE 'UTC' AS last, action, count(*) FROM defidata_reconcile('100 years', true) GROUP BY action ORDER BY 1;
SELECT to_char(hour AT TIME ZONE 'UTC', 'MM-DD HH24') AS hour, count(*) FROM defidata.raw_mentions
 WHERE hour BETWEEN '2025-06-11 03:00Z' AND '2025-06-11 11:00Z' GROUP BY 1 ORDER BY 1;
TRUNCATE remote;
INSERT INTO remote TABLE kept;
SELECT count(*) > 0 AS differed FROM defidata_reconcile('100 years');
SELECT count(*) FROM (SELECT id, "timestamp" / 3600 * 3600, symbol, count, sentiment FROM remote WHERE id IS NOT NULL
                      EXCEPT ALL SELECT id, EXTRACT(epoch FROM hour)::integer, symbol, mentions, sentiment FROM defidata.raw_mentions) x;
SELECT since, error_of(format('SELECT count(*) FROM defidata_reconcile(%L)', since)) FROM (VALUES ('0'), ('-1 hour'), ('101 years'), (NULL)) v (since);
SELECT error_of('SELECT count(*) FROM defidata_reconcile(apply_deletes => NULL)');
SELECT stage, status, counts FROM defidata.runs WHERE stage = 'reconcile' ORDER BY id DESC LIMIT 1;

-- recompute mends what somebody has spoilt
SELECT defidata_checksum('defidata.metrics') AS metrics, defidata_checksum('defidata.mention_series') AS series \gset
DELETE FROM defidata.week_series WHERE token = 'ETH';
DELETE FROM defidata.day_series WHERE token = 'ETH';
UPDATE defidata.week_series SET series = '{}' WHERE token = 'BTC';
UPDATE defidata.day_series SET series = '{}' WHERE token = 'BTC';
SELECT defidata_recompute();
SELECT defidata_checksum('defidata.metrics') = :'metrics' AS metrics, defidata_checksum('defidata.mention_series') = :'series' AS series;
-- a new coverage counts at once
SELECT count(*) - count(sma_7d) AS undefined FROM defidata.metrics WHERE hour > '2025-06-26 00:00Z';
SELECT defidata_set('min_coverage', '1');
SELECT count(*) - count(sma_7d) AS undefined FROM defidata.metrics WHERE hour > '2025-06-26 00:00Z';
SELECT defidata_set('min_coverage', '0.75');

-- some hours of all tokens or of one are what the view has of them, without the metrics that came after 1.0
CREATE TEMP TABLE around_midnight AS SELECT * FROM defidata.metrics WHERE hour >= '2025-06-15 21:00Z' AND hour < '2025-06-16 03:00Z';
ALTER TABLE around_midnight DROP spike_14d, DROP sentiment_change;
SELECT (SELECT count(*) FROM around_midnight) AS rows, count(*) AS different
  FROM (SELECT * FROM defidata_metrics('2025-06-15 21:00Z', '2025-06-16 03:00Z') EXCEPT ALL TABLE around_midnight) d;
SELECT count(*) AS missing FROM (TABLE around_midnight EXCEPT ALL SELECT * FROM defidata_metrics('2025-06-15 21:00Z', '2025-06-16 03:00Z')) d;
SELECT hour AT TIME ZONE 'UTC' AS hour, mentions, sma_24h FROM defidata_metrics('2025-06-15 22:30Z', '2025-06-16 00:00:01Z', 'ETH');
SELECT count(*) = (SELECT count(*) FROM defidata.metrics) AS all FROM defidata_metrics('-infinity', 'infinity');
SELECT count(*) FROM defidata_metrics('2025-06-16', '2025-06-15');
SELECT error_of($$SELECT defidata_metrics(NULL, 'infinity')$$);
CREATE TEMP TABLE days AS TABLE defidata.daily_mentions;

-- expire: never the 336 hours behind the latest settled one, nothing where retention is 0
SELECT * FROM defidata_expire();
SELECT defidata_set('raw_retention', '1 day'), defidata_set('metrics_retention', '1 day'), defidata_set('history_retention', '99 years');
SELECT defidata_checksum('defidata.token_stats') AS stats \gset
SELECT relation, deleted FROM defidata_expire();
SELECT min(hour) AT TIME ZONE 'UTC' AS raw FROM defidata.raw_mentions;
SELECT min(hour) AT TIME ZONE 'UTC' AS metrics FROM defidata.metrics;
SELECT min(at) AT TIME ZONE 'UTC' AS prices FROM defidata.prices;
SELECT relation, deleted FROM defidata_expire();
SELECT defidata_publish();
SELECT defidata_checksum('defidata.token_stats') = :'stats' AS same;
-- recompute rebuilds what the raw copy still supports
SELECT defidata_recompute() > 0 AS recomputed, defidata_publish();
SELECT defidata_checksum('defidata.token_stats') = :'stats' AS same;
SELECT count(*) AS days_changed FROM (TABLE defidata.daily_mentions EXCEPT ALL TABLE days) x;
-- what has expired is neither missing nor read again
SELECT count(*) FROM defidata_reconcile('100 years');
SELECT status, inserted FROM defidata_refresh();
-- history goes by age
UPDATE defidata.publication_history SET published_at = published_at - interval '100 years' WHERE generation < 3;
SELECT relation, deleted > 0 AS deleted FROM defidata_expire() WHERE relation ~ 'history|runs';
SELECT min(generation) FROM defidata.board_history;

-- the progress of a long compute, here and, by application_name, in other sessions
UPDATE defidata.hours SET summed = false WHERE hour IN (SELECT hour FROM defidata.hours ORDER BY hour LIMIT 10);
SELECT defidata.tell_progress(clock_timestamp() - interval '30.5 seconds', 40);
SHOW application_name;
ROLLBACK;
