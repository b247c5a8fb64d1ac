-- The past as it was known: after each step of late rows, corrections, marks, a changed
-- list and deletions, what a reader sees is kept, and at the end each step is asked for
-- again.  This file commits: one transaction is one step.
SET client_min_messages = warning;
CREATE SCHEMA revision_test;
SET search_path = revision_test, public;

-- 27 days, of which some rows are late
CREATE TABLE remote (id text PRIMARY KEY, "timestamp" integer, symbol text, count float8, sentiment float8);
CREATE TABLE delivery AS
SELECT t || '-' || i AS id, (extract(epoch FROM date_trunc('day', now())) - 3600 * (1200 - i))::integer AS "timestamp", symbol,
       (1 + abs(hashint8(i * 31 + t)) % 40)::float8 AS count, CASE WHEN i % 3 = 0 THEN sin(i * t) END AS sentiment,
       -- the step in which the row is there at the source
       CASE WHEN i < 700 THEN 1 WHEN abs(hashint8(i * 7 + t)) % 40 = 0 THEN 3 + abs(hashint8(i + t)) % 4 ELSE 2 + (i - 700) / 50 END AS step
  FROM generate_series(300, 959) i, (VALUES (1, 'BTC'), (2, 'ETH'), (3, 'SOL'), (4, 'DOGE'), (5, 'RARE')) s (t, symbol)
 WHERE (t < 4 OR i % (t * 3) = 0) AND i NOT BETWEEN 500 AND 530;
CREATE TABLE seen AS SELECT 0 AS step, clock_timestamp() AS at, m.* FROM defidata.metrics m;
CREATE TABLE seen_hours AS SELECT 0 AS step, clock_timestamp() AS at, h.hour, h.observed, h.settled FROM defidata.hours h;
CREATE PROCEDURE look(step int) LANGUAGE sql AS $$
    INSERT INTO seen SELECT look.step, clock_timestamp(), m.* FROM defidata.metrics m;
    INSERT INTO seen_hours SELECT look.step, clock_timestamp(), h.hour, h.observed, h.settled FROM defidata.hours h WHERE h.first_summed_at IS NOT NULL;
$$;
-- what was published: the latest hour's figures at the time, from token_stats
CREATE TABLE told AS SELECT 0 AS step, s.* FROM defidata.token_stats s;
CREATE PROCEDURE cycle(step int) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM defidata_refresh();
    COMMIT;
    CALL revision_test.look(cycle.step);
    INSERT INTO revision_test.told SELECT cycle.step, s.* FROM defidata.token_stats s
     WHERE NOT EXISTS (SELECT FROM revision_test.told t WHERE t.hour = s.hour);
    COMMIT;
END
$$;

-- the initial import of 10 days, what is older by a backfill, and then the hours as they come
INSERT INTO remote SELECT id, "timestamp", symbol, count, sentiment FROM delivery WHERE step = 1;
SELECT defidata_attach('all', 'mentions', 'remote'), defidata_set('initial_span', '10 days');
CALL cycle(1);
SET client_min_messages = error;
CALL defidata_backfill(now() - interval '60 days', now() - interval '20 days');
SET client_min_messages = warning;
CALL look(2);
INSERT INTO remote SELECT id, "timestamp", symbol, count, sentiment FROM delivery WHERE step = 2;
CALL cycle(3);
-- late rows, far behind the overlap, come by a reconcile
INSERT INTO remote SELECT id, "timestamp", symbol, count, sentiment FROM delivery WHERE step = 3;
CALL cycle(4);
SELECT count(*) > 0 AS read_again FROM defidata_reconcile('60 days');
CALL look(5);
INSERT INTO remote SELECT id, "timestamp", symbol, count, sentiment FROM delivery WHERE step = 4;
SELECT count(*) > 0 AS read_again FROM defidata_reconcile('60 days');
CALL cycle(6);
-- corrected rows, some twice
UPDATE remote SET count = count + 5 WHERE abs(hashint8(split_part(id, '-', 2)::int)) % 60 = 3 AND symbol = 'BTC';
UPDATE remote SET sentiment = -sentiment WHERE abs(hashint8(split_part(id, '-', 2)::int)) % 60 = 9;
SELECT count(*) > 0 AS read_again FROM defidata_reconcile('60 days');
CALL look(7);
INSERT INTO remote SELECT id, "timestamp", symbol, count, sentiment FROM delivery WHERE step > 4;
UPDATE remote SET count = count * 2 WHERE abs(hashint8(split_part(id, '-', 2)::int)) % 60 = 3 AND symbol = 'BTC';
SELECT count(*) > 0 AS read_again FROM defidata_reconcile('60 days');
CALL cycle(8);
-- a token is disabled; between reclean and compute a reader sees the former facts
INSERT INTO defidata.token (symbol, enabled) VALUES ('DOGE', false);
SELECT defidata_reclean() > 0 AS recleaned;
CALL look(9);
CALL cycle(10);
-- hours are declared an outage; the hours count at once, the facts with the next compute
SELECT defidata_mark_hours(date_trunc('day', now()) - interval '300 hours', date_trunc('day', now()) - interval '290 hours', false);
CALL look(11);
SELECT defidata_compute() >= 0 AS computed;
CALL look(12);
SELECT defidata_mark_hours(date_trunc('day', now()) - interval '296 hours', date_trunc('day', now()) - interval '280 hours', NULL);
CALL look(13);
CALL cycle(14);
-- rows are deleted: a token's last row, and whole hours
DELETE FROM remote WHERE symbol = 'RARE' AND "timestamp" > extract(epoch FROM date_trunc('day', now())) - 3600 * 400;
DELETE FROM remote WHERE split_part(id, '-', 2)::int % 97 = 5;
SELECT count(*) > 0 AS deleted FROM defidata_reconcile('60 days', apply_deletes => true);
CALL look(15);
-- and the token is back
DELETE FROM defidata.token;
SELECT defidata_reclean() > 0 AS recleaned;
CALL cycle(16);
-- to rebuild is no change
SELECT count(*) AS facts FROM defidata.fact_revision \gset
SELECT count(*) AS hours FROM defidata.hour_revision \gset
SELECT defidata_recompute() > 0 AS recomputed;
SELECT count(*) = :facts AS facts, (SELECT count(*) FROM defidata.hour_revision) = :hours AS hours FROM defidata.fact_revision;
CALL look(17);
SELECT count(DISTINCT token) AS tokens, count(DISTINCT hour) > 50 AS many_hours, bool_or(series OPERATOR(defidata.=) '{}') AS from_nothing FROM defidata.fact_revision;

-- each step as its reader saw it
CREATE FUNCTION steps() RETURNS TABLE (step int, at timestamptz) LANGUAGE sql AS 'SELECT s.step, max(s.at) FROM revision_test.seen s GROUP BY s.step';
CREATE TABLE recalled AS SELECT s.step, s.at, m.* FROM steps() s, defidata_metrics_as_of(s.at, '-infinity', 'infinity') m;
SELECT count(DISTINCT step) AS steps, count(*) = (SELECT count(*) FROM recalled) AS as_many,
       (SELECT count(*) FROM (SELECT to_jsonb(s) - 'at' FROM seen s EXCEPT ALL SELECT to_jsonb(r) - 'at' FROM recalled r) q) AS wrong
  FROM seen;
SELECT count(DISTINCT md5) AS different_states FROM (SELECT md5(string_agg((to_jsonb(s) - 'at' - 'step')::text, ',' ORDER BY token, hour)) FROM seen s GROUP BY step) q;
SELECT count(*) AS wrong
  FROM (SELECT s.step, h.hour, COALESCE(v.observed, h.observed) AS observed, COALESCE(v.settled, h.settled) AS settled
          FROM steps() s JOIN defidata.hours h ON h.first_summed_at <= s.at
          LEFT JOIN LATERAL (SELECT * FROM defidata.hour_revision v WHERE v.hour = h.hour AND v.until > s.at ORDER BY v.until LIMIT 1) v ON true) r
  FULL JOIN seen_hours s ON s.step = r.step AND s.hour = r.hour
 WHERE (s.observed, s.settled) IS DISTINCT FROM (r.observed, r.settled);
-- one token, and some hours, are a part of that
CREATE TABLE recalled_in_part AS SELECT s.step, s.at, m.* FROM steps() s, defidata_metrics_as_of(s.at, date_trunc('day', now()) - interval '310 hours', date_trunc('day', now()) - interval '285 hours', 'ETH') m;
SELECT count(*) > 100 AS rows, (SELECT count(*) FROM (TABLE recalled_in_part EXCEPT ALL TABLE recalled) q) AS wrong,
       count(*) = (SELECT count(*) FROM recalled r WHERE token = 'ETH' AND hour >= date_trunc('day', now()) - interval '310 hours' AND hour < date_trunc('day', now()) - interval '285 hours') AS as_many
  FROM recalled_in_part;
-- before anything, and from now on
SELECT (SELECT count(*) FROM defidata_metrics_as_of('2020-01-01', '-infinity', 'infinity')) AS before,
       (SELECT count(*) FROM (SELECT * FROM defidata_metrics_as_of('infinity', '-infinity', 'infinity') EXCEPT ALL TABLE defidata.metrics) q) AS after;

-- each hour as published: by itself, and as it was told
CREATE TABLE as_published AS SELECT * FROM defidata_metrics_as_published('-infinity', 'infinity');
CREATE TABLE one_by_one AS
SELECT m.* FROM defidata.hours h, defidata_metrics_as_of(COALESCE(h.first_published_at, h.first_summed_at), h.hour, h.hour + interval '1 hour') m
 WHERE (extract(epoch FROM h.hour) / 3600)::int % 7 = 0;
SELECT count(*) > 200 AS rows, (SELECT count(*) FROM (TABLE one_by_one EXCEPT ALL TABLE as_published) q) AS wrong,
       count(*) = (SELECT count(*) FROM as_published p WHERE (extract(epoch FROM p.hour) / 3600)::int % 7 = 0) AS as_many
  FROM one_by_one;
SELECT count(DISTINCT t.hour) AS published, count(*) > 0 AS rows, count(*) FILTER (WHERE p IS NULL OR NOT to_jsonb(t) @> to_jsonb(p)) AS wrong
  FROM told t LEFT JOIN as_published p ON p.token = t.token AND p.hour = t.hour WHERE t.mentions > 0;
SELECT count(*) > 100 AS changed_since FROM (TABLE as_published EXCEPT TABLE defidata.metrics) q;
SELECT count(*) > 400 AS rows, (SELECT count(*) FROM (SELECT * FROM as_published WHERE token = 'BTC' EXCEPT SELECT * FROM defidata_metrics_as_published('-infinity', 'infinity', 'BTC')) q) AS wrong
  FROM defidata_metrics_as_published('-infinity', 'infinity', 'BTC');
-- silent hours too: the rows of the others, and of tokens mentioned in 336 hours
CREATE TABLE each_hour AS SELECT * FROM defidata.metrics_as_published('-infinity', 'infinity', NULL, true);
SELECT count(*) FILTER (WHERE mentions = 0) > 0 AS silent, (SELECT count(*) FROM (TABLE as_published EXCEPT TABLE each_hour) q) AS missing,
       (SELECT count(*) FROM (SELECT token, hour FROM each_hour GROUP BY 1, 2 HAVING count(*) > 1) q) AS twice FROM each_hour;
SELECT count(*) > 0 AS rows, count(*) FILTER (WHERE e IS NULL OR NOT to_jsonb(t) @> to_jsonb(e)) AS wrong
  FROM told t LEFT JOIN each_hour e ON e.token = t.token AND e.hour = t.hour;

-- the clock of changes goes on where the system's has gone back
UPDATE defidata.revision_clock SET latest = now() + interval '1 day';
SELECT latest FROM defidata.revision_clock \gset
UPDATE remote SET count = 1 WHERE id = '1-950';
SELECT count(*) AS read_again FROM defidata_reconcile('60 days');
UPDATE remote SET count = 2 WHERE id = '1-950';
SELECT count(*) AS read_again FROM defidata_reconcile('60 days');
SELECT count(*) AS changes, min(until) > :'latest' AS later, count(DISTINCT until) AS instants FROM defidata.fact_revision WHERE until > now();
SELECT count(*) AS different FROM (SELECT * FROM defidata_metrics_as_of(now(), '-infinity', 'infinity') EXCEPT ALL TABLE defidata.metrics) q;

-- what expires takes its past with it
SELECT defidata_set('metrics_retention', '12 days');
SELECT relation FROM defidata_expire() WHERE relation ~ 'revision|hours';
SELECT count(*) > 0 AS kept, bool_and(hour >= (SELECT min(h.hour) FROM defidata.hours h)) AS no_older FROM defidata.fact_revision;

SELECT error_of($$SELECT defidata_metrics_as_of(NULL, now(), now())$$), error_of($$SELECT defidata_metrics_as_published(now(), NULL)$$);
SET client_min_messages = warning;
DROP SCHEMA revision_test CASCADE;
RESET search_path;
CALL start_over();
RESET client_min_messages;
