-- How good an alert is: tweet counts of the Numenta Anomaly Benchmark by hours, and the alarms of
-- defidata_try_alert on them, for the benchmark's scorer.
--
--     psql -X -q -v metric=spike_14d -v enter=3.5 -f test/bench/alerts.sql < tweets.csv > alarms.csv
--
-- tweets.csv has the columns symbol,at,tweets, a row for each count, in UTC.  An alarm is known
-- when its hour is over.  Whatever is done here is rolled back; -v leave, rearm and min_mentions
-- are other arguments of the alert.
\set ON_ERROR_STOP on
\if :{?metric} \else \set metric spike_14d \endif
\if :{?enter} \else \set enter 3.5 \endif
\if :{?leave} \else \set leave '' \endif
\if :{?rearm} \else \set rearm '24 hours' \endif
\if :{?min_mentions} \else \set min_mentions 120 \endif
BEGIN;
SET LOCAL client_min_messages = error;
SET LOCAL timezone = 'UTC';
\o /dev/null
CREATE EXTENSION IF NOT EXISTS defidata CASCADE;
SELECT defidata_setup();
CREATE TABLE counts (symbol text, at timestamptz, tweets float8);
\copy counts FROM pstdin (FORMAT csv, HEADER)
CREATE TABLE benchmark AS
SELECT symbol || extract(epoch FROM date_trunc('hour', at)) AS id, date_trunc('hour', at) AS "timestamp",
       symbol, sum(tweets) AS count
  FROM counts GROUP BY symbol, date_trunc('hour', at);
SELECT defidata_attach('benchmark', 'mentions', 'benchmark');
SELECT defidata_import('2006-01-01'), defidata_compute(), defidata_publish();
\o
\pset format csv
SELECT token AS symbol, to_char(hour + interval '1 hour', 'YYYY-MM-DD HH24:MI:SS') AS at
  FROM defidata_try_alert('-infinity', 'infinity', :'metric', :'enter', NULLIF(:'leave', '')::float8,
                          'above', :'rearm', :'min_mentions')
 ORDER BY token, hour;
ROLLBACK;
