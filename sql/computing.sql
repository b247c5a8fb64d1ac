-- Facts by week and the open day: whatever arrives in whatever order, each hour of
-- each token stands in one row, with what the raw rows say.
BEGIN;
SET LOCAL timezone = 'America/St_Johns';
SET LOCAL datestyle = 'ISO';

-- from Friday 2025-06-06 on; B is silent on Sunday, C is heard of on Monday first
CREATE TABLE remote (i integer, id text, "timestamp" integer, symbol text, count float8, sentiment float8);
CREATE FUNCTION deliver(first integer, last integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO remote
    SELECT i, s || i, 1749168000 + 3600 * i, s, 1 + (i * 7 + ascii(s)) % 40, round(sin(i)::numeric, 3)
      FROM generate_series(first, last) i, unnest('{A,B,C}'::text[]) s
     WHERE NOT (s = 'B' AND i BETWEEN 48 AND 71 OR s = 'C' AND i < 72) $$;
CREATE VIEW feed AS SELECT * FROM remote;
SELECT defidata_attach('compute test', 'mentions', 'feed');

CREATE VIEW fact AS
SELECT s.token, s.start, e.hour, e.mentions, e.sentiment FROM defidata.mention_series s, LATERAL defidata.entries(s.series) e;
CREATE VIEW sums AS
SELECT token, hour, sum(mentions)::bigint AS mentions FROM defidata.raw_mentions WHERE reason IS NULL GROUP BY token, hour;
-- what is wrong with the facts and their metrics, and where the facts stand
CREATE FUNCTION wrong() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM ((SELECT token, hour, mentions FROM fact EXCEPT ALL TABLE sums) UNION ALL
                          (TABLE sums EXCEPT ALL SELECT token, hour, mentions FROM fact) UNION ALL
                          (SELECT token, hour, mentions FROM defidata.metrics EXCEPT ALL TABLE sums) UNION ALL
                          (TABLE sums EXCEPT ALL SELECT token, hour, mentions FROM defidata.metrics)) w $$;
CREATE FUNCTION state() RETURNS TABLE (wrong bigint, part text, tokens bigint, hours bigint, until timestamp) LANGUAGE sql AS $$
    SELECT wrong(), to_char(f.start AT TIME ZONE 'UTC', 'Dy DD') || CASE WHEN f.start = o.day THEN ', open' ELSE '' END,
           count(DISTINCT f.token), count(*), max(f.hour) AT TIME ZONE 'UTC'
      FROM fact f, defidata.open_day o GROUP BY f.start, o.day ORDER BY f.start $$;

-- a first import is cut at its last day; an hour more touches that day only
SELECT deliver(0, 30);
SELECT status FROM defidata_refresh();
SELECT * FROM state();
SELECT deliver(31, 31);
SELECT status FROM defidata_refresh();
SELECT * FROM state();
-- a day is over; so is a week
SELECT deliver(32, 50);
SELECT status FROM defidata_refresh();
SELECT * FROM state();
SELECT deliver(51, 75);
SELECT status FROM defidata_refresh();
SELECT * FROM state();
SELECT deliver(76, 97);
INSERT INTO remote VALUES (97, 'E97', 1749168000 + 3600 * 97, 'E', 5, 0);
SELECT status FROM defidata_refresh();
SELECT * FROM state();

-- late and corrected rows, of the open day, of its week and of the week before
INSERT INTO remote VALUES (97, 'late 97', 1749168000 + 3600 * 97, 'D', 5, 0), (80, 'late 80', 1749168000 + 3600 * 80, 'D', 5, 0),
    (50, 'late 50', 1749168000 + 3600 * 50, 'B', 5, 0);
UPDATE remote SET count = 100 WHERE symbol = 'A' AND i IN (40, 90, 96);
-- a token's only rows of the open day, or its only one at all, turn out to be another's
UPDATE remote SET symbol = 'A' WHERE id IN ('B96', 'B97', 'E97');
SELECT count(*) FROM defidata_reconcile('100 years');
SELECT status FROM defidata_refresh();
SELECT * FROM state();

-- a rebuild, and one from nothing, say the same
SELECT defidata_checksum('defidata.mention_series') AS facts, defidata_checksum('defidata.metrics') AS metrics, defidata_checksum('defidata.hours') AS hours \gset
SELECT defidata_recompute();
SELECT defidata_checksum('defidata.mention_series') = :'facts' AS facts, defidata_checksum('defidata.metrics') = :'metrics' AS metrics, defidata_checksum('defidata.hours') = :'hours' AS hours;
DELETE FROM defidata.week_series;
DELETE FROM defidata.day_series;
DELETE FROM defidata.open_day;
UPDATE defidata.hours SET rows = NULL, mentions = NULL, tokens = NULL, summed = false;
SELECT defidata_compute();
SELECT defidata_checksum('defidata.mention_series') = :'facts' AS facts, defidata_checksum('defidata.metrics') = :'metrics' AS metrics, defidata_checksum('defidata.hours') = :'hours' AS hours;
-- the metrics are the same whichever way they are asked for
SELECT defidata_checksum('defidata.metrics') = :'metrics' AND count(*) = 0 AS same
  FROM (SELECT to_jsonb(v) - '{spike_14d,sentiment_change}'::text[] FROM defidata.metrics v
        EXCEPT ALL SELECT to_jsonb(f) FROM defidata_metrics('2025-06-01', '2025-07-01') f) w;
SELECT count(*), min(hour) AT TIME ZONE 'UTC' AS first, max(hour) AT TIME ZONE 'UTC' AS last FROM defidata_metrics('2025-06-09 22:00+00', '2025-06-10 01:00+00', 'A');

-- the open day's hours all move back to the day before: it stays open, and takes what comes
UPDATE remote SET "timestamp" = "timestamp" - 7200 WHERE i >= 96;
SELECT count(*) FROM defidata_reconcile('100 years', true);
SELECT * FROM state();
SELECT max(hour) AT TIME ZONE 'UTC' AS latest FROM defidata.hours WHERE rows > 0;
SELECT deliver(98, 99);
SELECT status FROM defidata_refresh();
SELECT * FROM state();
ROLLBACK;
