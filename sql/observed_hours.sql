-- Which hours are observed: thin ones are outages until their rows come, what is thin
-- follows its definition whatever the order in which rows came, and the owner may decide.
BEGIN;
\set ON_ERROR_ROLLBACK on
SET LOCAL timezone = 'Asia/Kolkata';
SET LOCAL datestyle = 'ISO';
-- a slow machine is told how far it is
SET LOCAL client_min_messages = warning;

-- 30 days of tokens A00, A01 …: 60 of them until hour 400, then 25, and 10 in the 8 hours of
-- each night
CREATE TABLE remote AS
SELECT i, s || '-' || i AS id, 1748736000 + 3600 * i AS "timestamp",
       chr(65 + s / 26) || chr(65 + s % 26) AS symbol, 20 AS count, 0.5 AS sentiment
  FROM generate_series(0, 719) i, generate_series(0, 59) s
 WHERE s < CASE WHEN i % 24 < 8 THEN 10 WHEN i < 400 THEN 60 ELSE 25 END;
-- a collector that was down for most of an hour, by day and by night
DELETE FROM remote WHERE i IN (300, 301) AND symbol > 'AC' OR i = 340 AND symbol > 'AA';
-- and rows of an hour that nearly all are missing, one of the first day
DELETE FROM remote WHERE i = 12 AND symbol > 'AB';
CREATE FUNCTION hour(i integer) RETURNS timestamptz LANGUAGE sql RETURN to_timestamp(1748736000 + 3600 * i);
CREATE FUNCTION numbers(hours timestamptz[]) RETURNS integer[] LANGUAGE sql
    RETURN ARRAY(SELECT (EXTRACT(epoch FROM h)::bigint - 1748736000) / 3600 FROM unnest(hours) h ORDER BY h);

-- the definition, as the documentation has it
CREATE VIEW definition AS
WITH r AS (SELECT i, count(*) AS rows, row_number() OVER (ORDER BY i) AS n FROM remote GROUP BY i),
m AS (SELECT r.*, (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY b.rows) FROM r b
                    WHERE b.n BETWEEN r.n - 24 AND r.n - 1) AS day,
             (SELECT CASE WHEN count(*) >= 3 THEN percentile_cont(0.5) WITHIN GROUP (ORDER BY b.rows) END FROM r b
               WHERE b.i < r.i AND b.i >= r.i - 168 AND (r.i - b.i) % 24 = 0) AS week
        FROM r)
SELECT i, rows FROM m
 WHERE n > 24 AND rows < least(day, week) / 2 AND rows < least(day, week) - 4 * sqrt(least(day, week));
CREATE VIEW found AS SELECT (EXTRACT(epoch FROM hour)::bigint - 1748736000) / 3600 AS i, rows FROM defidata.hours WHERE thin;

SELECT defidata_attach('hours test', 'mentions', 'remote');
SELECT defidata_set('initial_span', '100 days');
SELECT status FROM defidata_refresh();
SELECT count(*), numbers(array_agg(hour(i::integer))) FROM definition;
(TABLE found EXCEPT ALL TABLE definition) UNION ALL (TABLE definition EXCEPT ALL TABLE found);

-- a thin hour is in nothing
SELECT numbers(array_agg(hour)) AS hours, sum(rows) AS rows, sum(mentions) AS mentions, bool_or(settled) AS settled
  FROM defidata.hours WHERE hour IN (hour(300), hour(301));
SELECT count(*) FROM defidata.metrics WHERE hour = hour(300);
SELECT h.mentions, h.sentiment FROM defidata_history('AA', '30 days') h WHERE hour BETWEEN hour(299) AND hour(302) ORDER BY hour;
-- AA had 20 in each observed hour, so that its means are 20
SELECT count(DISTINCT sma_24h), min(sma_24h), max(sma_14d) FROM defidata.metrics WHERE token = 'AA' AND sma_24h IS NOT NULL;
SELECT mentions, tokens, observed_hours FROM defidata.daily_mentions WHERE day = (hour(300) AT TIME ZONE 'UTC')::date;

-- the owner decides
SELECT defidata_mark_hours(hour(300), hour(301), true), defidata_compute() > 0 AS computed, defidata_publish() > 0 AS published;
SELECT h.mentions FROM defidata_history('AA', '30 days') h WHERE hour BETWEEN hour(299) AND hour(302) ORDER BY hour;
SELECT defidata_mark_hours(hour(302), hour(303), false), defidata_compute() AS computed, defidata_publish() > 0 AS published;
SELECT h.mentions FROM defidata_history('AA', '30 days') h WHERE hour BETWEEN hour(299) AND hour(302) ORDER BY hour;
SELECT mentions, tokens, observed_hours FROM defidata.daily_mentions WHERE day = (hour(300) AT TIME ZONE 'UTC')::date;
SELECT defidata_mark_hours(hour(300), hour(303), NULL), defidata_compute() > 0 AS computed;
(TABLE found EXCEPT ALL TABLE definition) UNION ALL (TABLE definition EXCEPT ALL TABLE found);
SELECT defidata_mark_hours(hour(300), hour(300), true);
SELECT defidata_mark_hours(NULL, hour(300), true);

-- its rows come late, and those of later hours are judged anew by them
INSERT INTO remote SELECT 300, s || '-late300', 1748736000 + 3600 * 300, chr(65 + s / 26) || chr(65 + s % 26), 20, 0.5
  FROM generate_series(3, 59) s;
DELETE FROM remote WHERE i BETWEEN 360 AND 380 AND symbol > 'AT';
SELECT count(*) > 0 AS reconciled FROM defidata_reconcile('100 years', true);
SELECT numbers(array_agg(hour(i::integer))) FROM definition;
(TABLE found EXCEPT ALL TABLE definition) UNION ALL (TABLE definition EXCEPT ALL TABLE found);
SELECT h.mentions FROM defidata_history('AA', '30 days') h WHERE hour BETWEEN hour(299) AND hour(302) ORDER BY hour;

-- the same from scratch
SELECT defidata_checksum('defidata.hours') AS hours, defidata_checksum('defidata.metrics') AS metrics, defidata_checksum('defidata.daily_mentions') AS days \gset
SELECT defidata_recompute() > 0 AS recomputed, defidata_publish() AS published;
SELECT defidata_checksum('defidata.hours') = :'hours' AS hours, defidata_checksum('defidata.metrics') = :'metrics' AS metrics, defidata_checksum('defidata.daily_mentions') = :'days' AS days;

-- the latest hour is published when it is complete
INSERT INTO remote SELECT 720 + i, s || '-' || 720 + i, 1748736000 + 3600 * (720 + i), chr(65 + s / 26) || chr(65 + s % 26), 20, 0.5
  FROM generate_series(0, 12) i, generate_series(0, 24) s WHERE i < 12 AND (i >= 8 OR s < 10) OR i = 12 AND s < 2;
SELECT numbers(ARRAY[latest_hour]) FROM defidata_refresh();
INSERT INTO remote SELECT 732, s || '-732', 1748736000 + 3600 * 732, chr(65 + s / 26) || chr(65 + s % 26), 20, 0.5 FROM generate_series(2, 24) s;
SELECT numbers(ARRAY[latest_hour]) FROM defidata_refresh();
ROLLBACK;
