-- The stored metrics and token_stats against their definition in plain SQL over
-- the raw rows, and by every path that leads there: at once, hour by hour with
-- late and corrected rows, by recompute, run and backfill.
CREATE SCHEMA metrics_test;
SET search_path = metrics_test, public;
SET timezone = 'Asia/Kolkata';

-- 21 days: dense, sparse, huge, bursting, late, ended and constant tokens, and
-- dirty rows; an outage of 30 hours, single hours missing, and one hour (350)
-- with rejected rows only
CREATE TABLE remote AS
SELECT i, row_number() OVER () || symbol AS id, (1748736000 + 3600 * i + i * 77 % 3600)::integer AS "timestamp", token, symbol, count::float8, sentiment::float8
  FROM generate_series(0, 503) i,
       LATERAL (VALUES ('BTC', 'BTC', 50 + i * 7919 % 101 + i % 24, (i * 104729 % 2001 - 1000) / 1000.0, true),
                       ('BTC', ' $btc ', i % 11, NULL, i % 3 = 0),
                       ('BTC', 'BTC.', 0, 1, i % 5 = 0),
                       ('ETH', 'eth', i % 5, sin(i), i * 31 % 17 = 3),
                       ('SOL', 'SOL', 1000000000 - i % 7, (-1) ^ i * 1000, true),
                       ('DOGE', 'doge', CASE WHEN i > 470 THEN 90 ELSE 1 END, 0.25, i > 400 OR i % 50 = 0),
                       ('ADA', 'ADA', i % 13, -0.5, i BETWEEN 440 AND 490),
                       ('XRP', 'XRP', 5, 0.1, i < 150),
                       ('LTC', 'LTC', 12, 0.25, true),
                       (NULL, 'NO MATCH', 7, 0, i % 2 = 0),
                       (NULL, 'BTC', -1 - i, 0, i % 4 = 0),
                       (NULL, 'ETH', 0.5, 0, i % 7 = 0),
                       ('XRP', 'XRP', 1, 'NaN', i % 6 = 0 AND i < 150)) r (token, symbol, count, sentiment, delivered)
 WHERE delivered AND i NOT BETWEEN 200 AND 229 AND i % 37 <> 5 AND (i <> 350 OR token IS NULL);

-- the definition: every token at every clock hour, c NULL in an outage, so that
-- windows are frames of rows
CREATE TABLE grid AS
SELECT t.token, i, to_timestamp(1748736000 + 3600 * i) AS hour, CASE WHEN o.n > 0 THEN COALESCE(f.c, 0)::numeric(40, 20) END AS c,
       COALESCE(f.s, 0) AS s, COALESCE(f.w, 0) AS w, f.c IS NOT NULL AS mentioned
  FROM (SELECT DISTINCT token FROM remote WHERE token IS NOT NULL) t CROSS JOIN generate_series(0, 503) i
  LEFT JOIN (SELECT i, count(*) AS n FROM remote GROUP BY i) o USING (i)
  LEFT JOIN (SELECT token, i, sum(count::numeric) AS c, sum(round(sentiment::numeric, 9) * count::numeric) FILTER (WHERE sentiment <> 'NaN') AS s,
                    sum(count::numeric) FILTER (WHERE sentiment <> 'NaN') AS w FROM remote GROUP BY 1, 2) f USING (token, i);
CREATE TABLE sums AS
SELECT *, avg(c) OVER d1 AS a24, count(c) OVER d1 AS n24, stddev_samp(c) OVER d1 AS d24, sum(s) OVER d1 / NULLIF(sum(w) OVER d1, 0) AS s24,
       avg(c) OVER d7 AS a168, count(c) OVER d7 AS n168, stddev_samp(c) OVER d7 AS d168, sum(s) OVER d7 / NULLIF(sum(w) OVER d7, 0) AS s168,
       avg(c) OVER d14 AS a336, count(c) OVER d14 AS n336, stddev_samp(c) OVER d14 AS d336,
       avg(c) OVER before AS a312, count(c) OVER before AS n312, sum(s) OVER before / NULLIF(sum(w) OVER before, 0) AS s312,
       avg(c) OVER former AS former_mean, count(c) OVER former AS former_n, stddev_samp(c) OVER former AS former_d,
       sum(mentioned::integer) OVER d14 > 0 AND sum(c) OVER d14 > 0 AS alive
  FROM grid
WINDOW d1 AS (PARTITION BY token ORDER BY i ROWS 23 PRECEDING), d7 AS (PARTITION BY token ORDER BY i ROWS 167 PRECEDING),
       d14 AS (PARTITION BY token ORDER BY i ROWS 335 PRECEDING), before AS (PARTITION BY token ORDER BY i ROWS BETWEEN 335 PRECEDING AND 24 PRECEDING),
       former AS (PARTITION BY token ORDER BY i ROWS BETWEEN 336 PRECEDING AND 1 PRECEDING);
CREATE INDEX ON sums (token, i);
CREATE TABLE definition AS
SELECT t.token, t.hour, t.c AS mentions, t.s / NULLIF(t.w, 0) AS sentiment,
       f.sma_24h, f.sma_7d, f.sma_14d, f.sma_24h_prev, f.sma_7d_prev,
       f.sma_24h / NULLIF(f.sma_24h_prev, 0) - 1 AS change_24h, f.sma_7d / NULLIF(f.sma_7d_prev, 0) - 1 AS change_7d,
       CASE WHEN t.n312 >= 0.75 * 312 THEN (24 * f.sma_24h + 24) / (24 * t.a312 + 24) - 1 END AS trend_24h,
       CASE WHEN t.n24 >= 18 AND x.n >= 7 THEN (2 * sqrt(24 * t.a24 + 0.375) - x.mean) / greatest(1, x.sd) END AS surge_14d,
       t.c / NULLIF(f.sma_14d, 0) - 1 AS deviation_14d,
       t.d24 / NULLIF(f.sma_24h, 0) AS rsd_24h, t.d168 / NULLIF(f.sma_7d, 0) AS rsd_7d, t.d336 / NULLIF(f.sma_14d, 0) AS rsd_14d,
       (t.c - f.sma_14d) / NULLIF(t.d336, 0) AS zscore_14d,
       CASE WHEN t.n24 >= 18 THEN t.s24 END AS sentiment_24h, CASE WHEN t.n168 >= 126 THEN t.s168 END AS sentiment_7d,
       t.n336 / 336.0 AS coverage_14d,
       CASE WHEN t.former_n >= 24 THEN (t.c - t.former_mean) / NULLIF(t.former_d, 0) END AS spike_14d,
       CASE WHEN t.n24 >= 18 AND t.n312 >= 234 THEN t.s24 - t.s312 END AS sentiment_change
  FROM sums t
  LEFT JOIN sums day ON day.token = t.token AND day.i = t.i - 24
  LEFT JOIN sums week ON week.token = t.token AND week.i = t.i - 168,
       LATERAL (SELECT CASE WHEN t.n24 >= 18 THEN t.a24 END AS sma_24h, CASE WHEN t.n168 >= 126 THEN t.a168 END AS sma_7d,
                       CASE WHEN t.n336 >= 252 THEN t.a336 END AS sma_14d, CASE WHEN day.n24 >= 18 THEN day.a24 END AS sma_24h_prev,
                       CASE WHEN week.n168 >= 126 THEN week.a168 END AS sma_7d_prev) f,
       LATERAL (SELECT count(*) AS n, avg(2 * sqrt(24 * p.a24 + 0.375)) AS mean, stddev_samp(2 * sqrt(24 * p.a24 + 0.375)) AS sd
                  FROM sums p WHERE p.token = t.token AND p.i = ANY (ARRAY(SELECT t.i - 24 * k FROM generate_series(1, 13) k)) AND p.n24 >= 18) x;

-- at once
SELECT defidata_attach('all', 'mentions', 'remote');
SELECT status, latest_hour AT TIME ZONE 'UTC' AS latest_hour, fetched, inserted, updated, rejected, computed FROM defidata_refresh();

-- each column of metrics: NULLs must agree, numbers but for rounding
CREATE TABLE stored_and_defined AS
SELECT token, hour, key, s.value AS stored, d.value AS defined
  FROM (SELECT token, hour, key, value::float8 FROM defidata.metrics x, jsonb_each_text(to_jsonb(x) - 'token' - 'hour')) s
  FULL JOIN (SELECT token, hour, key, value::float8 FROM definition x JOIN grid USING (token, hour), jsonb_each_text(to_jsonb(x) - 'token' - 'hour')
              WHERE mentioned) d USING (token, hour, key);
SELECT key AS metric, count(stored) AS figures, count(*) FILTER (WHERE stored IS NULL) AS nulls,
       count(*) FILTER (WHERE (stored IS NULL) <> (defined IS NULL) OR abs(stored - defined) > 1e-11 * greatest(1, abs(defined))) AS wrong
  FROM stored_and_defined WHERE key <> 'surge_14d' OR token <> 'SOL' GROUP BY key ORDER BY key;
-- the roots of huge counts cancel to a few digits
SELECT count(stored) AS figures, count(*) FILTER (WHERE (stored IS NULL) <> (defined IS NULL) OR abs(stored - defined) > 1e-6) AS wrong
  FROM stored_and_defined WHERE key = 'surge_14d' AND token = 'SOL';

-- token_stats: every token of the last 336 hours, silent ones too; XRP has ended
CREATE VIEW stats AS
SELECT d.*, sum(c) FILTER (WHERE g.token = d.token) / sum(c) AS dominance_24h, 24 * sma_24h AS mentions_24h,
       24 * (SELECT a312 FROM sums t WHERE t.token = d.token AND t.hour = d.hour) AS baseline_24h
  FROM definition d, grid g WHERE d.hour = '2025-06-21 23:00Z' AND g.hour BETWEEN '2025-06-21 00:00Z' AND '2025-06-21 23:00Z'
   AND (SELECT alive FROM sums t WHERE t.token = d.token AND t.hour = d.hour)
 GROUP BY d.token, d.hour, d.*, d.sma_24h, d.mentions, d.sentiment, d.sma_7d, d.sma_14d, d.sma_24h_prev, d.sma_7d_prev, d.change_24h, d.change_7d,
          d.trend_24h, d.surge_14d, d.deviation_14d, d.rsd_24h, d.rsd_7d, d.rsd_14d, d.zscore_14d, d.sentiment_24h, d.sentiment_7d, d.coverage_14d,
          d.spike_14d, d.sentiment_change;
SELECT key AS column, count(s.value) AS figures,
       count(*) FILTER (WHERE (s.value IS NULL) <> (d.value IS NULL)
                        OR abs(s.value - d.value) > greatest(abs(d.value), 1) * CASE WHEN key = 'surge_14d' THEN 1e-6 ELSE 1e-11 END) AS wrong
  FROM (SELECT token, key, value::float8 FROM defidata.token_stats x, jsonb_each_text(to_jsonb(x) - 'token' - 'hour' - 'name' - 'market_cap')
         WHERE key !~ 'price') s
  FULL JOIN (SELECT token, key, value::float8 FROM stats x, jsonb_each_text(to_jsonb(x) - 'token' - 'hour')) d USING (token, key)
 GROUP BY key ORDER BY key;
SELECT token, name, mentions, price FROM defidata.token_stats ORDER BY token;

-- hours and days
SELECT count(*) AS hours, sum(rows) AS rows, sum(mentions) AS mentions, sum(tokens) AS tokens, count(*) FILTER (WHERE rows <> n OR h.mentions <> c OR tokens <> t) AS wrong
  FROM defidata.hours h FULL JOIN
       (SELECT to_timestamp(1748736000 + 3600 * i) AS hour, count(*) AS n, COALESCE(sum(count) FILTER (WHERE token IS NOT NULL), 0) AS c, count(DISTINCT token) AS t
          FROM remote GROUP BY i) r USING (hour);
SELECT count(*) AS days, count(*) FILTER (WHERE d.mentions <> r.mentions OR tokens <> t OR observed_hours <> o) AS wrong
  FROM defidata.daily_mentions d FULL JOIN
       (SELECT date '2025-06-01' + i / 24 AS day, sum(count) FILTER (WHERE token IS NOT NULL) AS mentions,
               count(DISTINCT token) FILTER (WHERE count > 0) AS t, count(DISTINCT i) AS o FROM remote GROUP BY 1) r USING (day);

-- every other path leads to the same bits
CREATE FUNCTION checksums() RETURNS TABLE (relation text, checksum text) LANGUAGE sql AS $$
    SELECT r, defidata_checksum(r::regclass)
      FROM unnest('{raw_mentions,mention_series,metrics,token_stats,daily_mentions,trending,most_mentioned}'::text[]) t, format('defidata.%s', t) r
     UNION ALL SELECT 'hours', md5(string_agg(format('%s %s %s %s', hour, rows, mentions, tokens), ',' ORDER BY hour)) FROM defidata.hours
$$;
CREATE TABLE at_once AS SELECT * FROM checksums();
SELECT defidata_refresh() IS NOT NULL AS again;
TABLE at_once EXCEPT ALL SELECT * FROM checksums();
SELECT defidata_recompute() > 0 AS recomputed, defidata_publish() AS published;
TABLE at_once EXCEPT ALL SELECT * FROM checksums();

-- hour by hour and in steps of 7: a third of the rows come up to 5 hours late,
-- some are first seen with another count, token or sentiment
CREATE TABLE clock (now_i integer);
INSERT INTO clock VALUES (0);
CREATE VIEW feed AS
SELECT id, "timestamp", CASE WHEN fresh AND n % 7 = 1 THEN 'XRP' ELSE symbol END AS symbol, CASE WHEN fresh AND n % 5 = 0 THEN count + 3 ELSE count END AS count,
       CASE WHEN fresh AND n % 11 = 0 THEN 0.9 ELSE sentiment END AS sentiment
  FROM (SELECT *, now_i < i + n % 6 + 2 AS fresh FROM (SELECT *, hashtext(id) & 1023 AS n FROM remote) r, clock
         WHERE i + CASE WHEN n % 3 = 0 THEN n % 6 ELSE 0 END < now_i) f;
CREATE PROCEDURE catch_up(step integer) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE clock SET now_i = 0;
    WHILE (SELECT now_i FROM clock) < 512 LOOP
        UPDATE clock SET now_i = now_i + step;
        PERFORM defidata_refresh();
        COMMIT;
    END LOOP;
END
$$;
CALL start_over();
SELECT defidata_attach('all', 'mentions', 'feed'), defidata_set('overlap', '16 hours');
CALL catch_up(7);
TABLE at_once EXCEPT ALL SELECT * FROM checksums();
SELECT count(*) FILTER (WHERE counts ->> 'updated' <> '0') > 50 AS corrected_often FROM defidata.runs WHERE stage = 'import';

-- the stages one by one
CALL start_over();
SELECT defidata_attach('all', 'mentions', 'remote'), defidata_set('batch_size', '100');
SELECT * FROM defidata_import();
SELECT defidata_compute(), defidata_publish() > 0 AS published;
TABLE at_once EXCEPT ALL SELECT * FROM checksums();

-- as a scheduled run, in small batches
CALL start_over();
SELECT defidata_attach('all', 'mentions', 'remote'), defidata_set('batch_size', '1000');
CALL defidata_run();
SELECT run, trigger, stage, status, counts, latest_hour AT TIME ZONE 'UTC' AS latest_hour, sqlstate, error, finished_at >= started_at AS ended FROM defidata.runs ORDER BY id;
TABLE at_once EXCEPT ALL SELECT * FROM checksums();

-- the newest week first, then history in chunks, one range twice
CALL start_over();
SELECT defidata_attach('all', 'mentions', 'remote'), defidata_set('initial_span', '7 days');
SELECT status, fetched FROM defidata_refresh();
SET client_min_messages = warning;
CALL defidata_backfill('2025-06-10 00:30Z', '2025-06-18 00:00Z', '50 hours');
CALL defidata_backfill('2025-06-01 00:00Z', '2025-06-12 00:00Z', '3 days');
RESET client_min_messages;
SELECT id, run, trigger, stage, status, counts, latest_hour AT TIME ZONE 'UTC' AS latest_hour FROM defidata.runs WHERE trigger = 'backfill' ORDER BY id;
TABLE at_once EXCEPT ALL SELECT * FROM checksums();

-- rows corrected and deleted long ago, and reconciled
CALL start_over();
CREATE TABLE altered AS SELECT id, "timestamp", CASE WHEN i = 301 AND token = 'LTC' THEN 'XRP' ELSE symbol END AS symbol,
       CASE WHEN i IN (3, 120) THEN count + 1 ELSE count END AS count, sentiment FROM remote WHERE i <> 399
UNION ALL SELECT 'phantom', 1749000000, 'XRP', 77, 0.5;
CREATE TABLE which (altered boolean);
INSERT INTO which VALUES (true);
CREATE VIEW source_now AS SELECT * FROM altered WHERE (SELECT altered FROM which) UNION ALL SELECT id, "timestamp", symbol, count, sentiment FROM remote WHERE NOT (SELECT altered FROM which);
SELECT defidata_attach('all', 'mentions', 'source_now');
SELECT status FROM defidata_refresh();
UPDATE which SET altered = false;
SELECT source, hour AT TIME ZONE 'UTC' AS hour, remote_rows, local_rows, action FROM defidata_reconcile('100 years', true);
TABLE at_once EXCEPT ALL SELECT * FROM checksums();
SELECT count(*) FROM defidata_reconcile('100 years');

-- engines compared: token by token the public functions give the same averages
SELECT count(*) AS compared, count(*) FILTER (WHERE r.sma IS DISTINCT FROM m.sma_24h OR r.sma_prev IS DISTINCT FROM m.sma_24h_prev OR r.rsd IS DISTINCT FROM m.rsd_24h
                                              OR r.change IS DISTINCT FROM m.change_24h OR r.sentiment_avg IS DISTINCT FROM m.sentiment_24h) AS different
  FROM (SELECT token, defidata_rolling(hour, mentions, sentiment) AS series FROM defidata.metrics WHERE token IN ('LTC', 'DOGE', 'ADA') GROUP BY token) q,
       LATERAL defidata_unroll(series, '24 hours', ARRAY(SELECT hour FROM defidata.hours)) r JOIN defidata.metrics m USING (hour)
 WHERE m.token = q.token;
CALL start_over();
RESET search_path;
