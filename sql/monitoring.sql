-- What a monitoring system reads: families in one block each, escaped labels, figures that are
-- those of status and runs, and who may ask.
-- All in one transaction that is rolled back, so that no other test meets it.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL extra_float_digits = -10;
SET LOCAL timezone = 'America/New_York';

-- a sample, by its name and labels
CREATE FUNCTION pg_temp.sample(wanted text) RETURNS text LANGUAGE sql
    RETURN (SELECT substr(l, length(wanted) + 2) FROM string_to_table(defidata_openmetrics(), E'\n') l
             WHERE starts_with(l, wanted || ' '));

-- before any data: what is unknown is left out
SELECT l FROM string_to_table(defidata_openmetrics(), E'\n') l
 WHERE l !~ '^#|^defidata_status_state' OR l ~ 'EOF|coverage|lag|success';
SELECT pg_temp.sample('defidata_status_state{check="sources"}');

-- two hours, one of them with a reject; a label that needs every escape
CREATE TABLE scanned AS
SELECT i || s.symbol AS id, (EXTRACT(epoch FROM date_trunc('hour', now())) - 3600 * i)::integer AS "timestamp", s.symbol, 100 AS count
  FROM generate_series(2, 3) i, unnest('{BTC,ETH,SOL,???}'::text[]) s (symbol);
SELECT defidata_attach(E'a "quoted"\\\nname', 'mentions', 'scanned');
SELECT defidata_add_alert('loud', 'mentions', 50, 40, min_mentions => 0), defidata_add_alert('silent', 'mentions', 5000, 40, min_mentions => 0);
SELECT status, inserted, rejected FROM defidata_refresh();
INSERT INTO defidata.alert_event (alert, token, hour, value, event, at)
SELECT 'loud', t, now(), 100, 'raised', now() FROM unnest('{BTC,ETH}'::text[]) t;
SELECT s, pg_temp.sample('defidata_' || s) AS value
  FROM unnest('{"build_info{version=\"1.1\"}",stale_after_seconds,generation,"stage_success{stage=\"publish\"}",
    "stage_rows{stage=\"import\",outcome=\"inserted\"}","stage_rows{stage=\"import\",outcome=\"rejected\"}",
    "rejected_ratio{kind=\"mentions\"}","standing_alerts{alert=\"loud\"}","standing_alerts{alert=\"silent\"}"}'::text[]) s;
SELECT pg_temp.sample('defidata_coverage_ratio')::float8 = 2 / 336.0 AS coverage,
       pg_temp.sample('defidata_source_lag_seconds{source="a \"quoted\"\\\nname",kind="mentions"}')::float8 BETWEEN 7200 AND 10800 AS lag,
       pg_temp.sample('defidata_latest_hour_age_seconds')::float8 BETWEEN 7200 AND 10800 AS age,
       to_timestamp(pg_temp.sample('defidata_latest_hour_timestamp_seconds')::float8) = date_trunc('hour', now()) - interval '2 hours' AS latest_hour,
       abs(pg_temp.sample('defidata_last_success_timestamp_seconds')::float8 - EXTRACT(epoch FROM clock_timestamp())) < 60 AS success,
       pg_temp.sample('defidata_stage_duration_seconds{stage="compute"}')::float8 BETWEEN 0 AND 60 AS duration;
-- the states are those of status
SELECT name, state FROM defidata.status s
 WHERE pg_temp.sample(format('defidata_status_state{check="%s"}', name)) IS DISTINCT FROM CASE state WHEN 'ok' THEN '0' WHEN 'warn' THEN '1' ELSE '2' END;

-- a stage that failed, beside the success before it
INSERT INTO defidata.runs (run, trigger, stage, status, started_at, finished_at, error) VALUES (0, 'run', 'import', 'failed', now(), now() + interval '90 seconds', 'gone');
SELECT pg_temp.sample('defidata_stage_success{stage="import"}') AS import, pg_temp.sample('defidata_stage_success{stage="compute"}') AS compute,
       pg_temp.sample('defidata_stage_duration_seconds{stage="import"}') AS duration;

-- the grammar: each family once, its lines together, its samples not twice, units in names
WITH line AS (
    SELECT n, l, CASE WHEN l ~ '^# (TYPE|UNIT|HELP) ' THEN split_part(l, ' ', 3) ELSE substring(l FROM '^[a-z_]+') END AS family
      FROM string_to_table(defidata_openmetrics(), E'\n') WITH ORDINALITY s (l, n) WHERE l NOT IN ('', '# EOF'))
SELECT bool_and(n = first + place - 1) AS together, count(*) FILTER (WHERE l LIKE '# TYPE %') = count(DISTINCT family) AS typed,
       count(*) = count(DISTINCT l) AS once, bool_and(l !~ '^# UNIT' OR family ~ (split_part(l, ' ', 4) || '$')) AS units,
       bool_and(l ~ '^# (TYPE|UNIT|HELP) defidata_[a-z_]+ .|^defidata_[a-z_]+(\{[a-z]+="([^"\\]|\\.)*"(,[a-z]+="([^"\\]|\\.)*")*\})? [-+0-9.e]+$') AS lines
  FROM (SELECT *, min(n) OVER (PARTITION BY family) AS first, row_number() OVER (PARTITION BY family ORDER BY n) AS place FROM line) line;
SELECT right(defidata_openmetrics(), 7) = E'\n# EOF\n' AS ended;

-- analysts may ask, readers may not
CREATE ROLE openmetrics_analyst;
CREATE ROLE openmetrics_reader;
SELECT defidata_grant('openmetrics_analyst', 'analyst'), defidata_grant('openmetrics_reader', 'reader');
SET LOCAL ROLE openmetrics_analyst;
SELECT length(defidata_openmetrics()) > 1000 AS analyst;
SET LOCAL ROLE openmetrics_reader;
\set VERBOSITY sqlstate
SELECT defidata_openmetrics();
ROLLBACK;
