-- defidata_unroll against plain SQL over the same rows, in numeric arithmetic.
CREATE SCHEMA unroll;
SET search_path = unroll, public;
SET timezone = 'Asia/Kolkata';

CREATE TABLE clock AS
SELECT i, timestamptz '2026-03-01 00:00Z' + i * interval '1 hour' AS hour
FROM generate_series(0, 399) i;
CREATE TABLE observed AS
SELECT * FROM clock WHERE i % 29 <> 7 AND i % 97 NOT BETWEEN 60 AND 66 AND i NOT BETWEEN 200 AND 259;
CREATE TABLE mentions AS
SELECT 'DENSE' AS token, hour, (i * 7919 % 101 + i % 24)::bigint AS mentions,
	((i * 104729 % 2001 - 1000) / 1000.0)::float8 AS sentiment
FROM clock
UNION ALL
SELECT 'SPARSE', hour, i % 5, CASE WHEN i % 4 <> 0 THEN sin(i) END FROM clock WHERE i * 31 % 17 = 3
UNION ALL
SELECT 'HUGE', hour, 1000000000000000 - i % 7, (-1) ^ i * 1e9 FROM clock WHERE i < 150
UNION ALL
SELECT 'GAPPED', hour, i % 3, 0.5 FROM clock WHERE i NOT BETWEEN 100 AND 300
UNION ALL
SELECT 'CONST', hour, 3, NULL FROM clock WHERE i > 30;
CREATE TABLE series AS
SELECT token, defidata_rolling(hour, mentions, sentiment) AS series FROM mentions GROUP BY token;

-- the hours of each way to call it: observed as given, or from first to last
CREATE TABLE calls AS
SELECT way, width, token, array_agg(o.hour ORDER BY i * 7 % 400) AS hours
FROM (VALUES ('given'), ('span')) w(way), (VALUES (1), (2), (24), (36), (100), (1000)) v(width),
	(SELECT token, min(hour) AS first, max(hour) AS last FROM mentions GROUP BY token) t,
	(SELECT *, EXISTS (SELECT FROM observed o WHERE o.i = clock.i) AS is_observed FROM clock) o
WHERE CASE way WHEN 'given' THEN is_observed ELSE o.hour BETWEEN first AND last END
GROUP BY way, width, token;

CREATE TABLE actual AS
SELECT way, width, token, u.*
FROM calls JOIN series USING (token),
	LATERAL defidata_unroll(series, width * interval '1 hour', CASE way WHEN 'given' THEN hours END) u;

-- the definition: joins on hours, and the exponential mean by recursion
CREATE TABLE points AS
SELECT way, width, token, hour, coalesce(m.mentions, 0)::numeric(40, 20) AS c, round(m.sentiment::numeric, 9) AS s,
	m.mentions * (m.sentiment IS NOT NULL)::int::numeric AS w,
	row_number() OVER (PARTITION BY way, width, token ORDER BY hour) AS n
FROM (SELECT way, width, token, unnest(hours) AS hour FROM calls) o
LEFT JOIN mentions m USING (token, hour);

CREATE TABLE emas AS
WITH RECURSIVE ema AS (
	SELECT way, width, token, hour, n, c::float8 AS ema FROM points WHERE n = 1
	UNION ALL
	SELECT way, width, token, p.hour, p.n,
		ema + (1 - (1 - 2.0::float8 / (width + 1)) ^ (extract(epoch FROM p.hour - ema.hour) / 3600)::float8)
			* (p.c::float8 - ema)
	FROM ema JOIN points p USING (way, width, token) WHERE p.n = ema.n + 1
)
SELECT * FROM ema;

CREATE INDEX ON points (way, width, token, hour);
CREATE TABLE expected AS
SELECT way, width, token, p.hour, c AS mentions, CASE WHEN w > 0 THEN s END AS sentiment,
	a AS sma, ap AS sma_prev, a / nullif(ap, 0) - 1 AS change, d AS stddev, d / nullif(a, 0) AS rsd,
	(c - a) / nullif(d, 0) AS zscore, ema, sa AS sentiment_avg
FROM points p JOIN emas USING (way, width, token, hour),
	LATERAL (SELECT CASE WHEN count(*) >= 0.75 * p.width THEN avg(c) END AS a,
			CASE WHEN count(*) >= 0.75 * p.width THEN stddev_samp(c) END AS d,
			CASE WHEN count(*) >= 0.75 * p.width THEN sum(s * w) / nullif(sum(w), 0) END AS sa
		FROM points q WHERE (q.way, q.width, q.token) = (p.way, p.width, p.token)
			AND q.hour > p.hour - p.width * interval '1 hour' AND q.hour <= p.hour) w1,
	LATERAL (SELECT CASE WHEN count(*) >= 0.75 * p.width THEN avg(c) END AS ap
		FROM points q WHERE (q.way, q.width, q.token) = (p.way, p.width, p.token)
			AND q.hour > p.hour - 2 * p.width * interval '1 hour'
			AND q.hour <= p.hour - p.width * interval '1 hour') w2;

-- NULLs must agree, numbers but for rounding
SELECT way, key AS figure, count(*) AS hours, count(e.value) AS defined,
	count(*) FILTER (WHERE (e.value IS NULL) <> (a.value IS NULL) OR
		abs(e.value - a.value) > 1e-12 * greatest(1, abs(e.value))) AS wrong
FROM (SELECT way, width, token, hour, key, value::float8
	FROM expected x, jsonb_each_text(to_jsonb(x) - '{way,width,token,hour}'::text[])) e
FULL JOIN (SELECT way, width, token, hour, key, value::float8
	FROM actual x, jsonb_each_text(to_jsonb(x) - '{way,width,token,hour}'::text[])) a
	USING (way, width, token, hour, key)
GROUP BY way, key ORDER BY way, key;

-- where nothing is missing, plain window functions say the same; sums of
-- integers are exact in both, so that these figures are equal, not just close
SELECT hour, mentions, sma, ema IS NOT NULL
FROM defidata_unroll((SELECT series FROM series WHERE token = 'DENSE'), '24 hours')
EXCEPT ALL
SELECT hour, mentions, CASE WHEN count(*) OVER w >= 18 THEN (sum(mentions) OVER w)::float8 / count(*) OVER w END, true
FROM mentions WHERE token = 'DENSE'
WINDOW w AS (ORDER BY hour ROWS 23 PRECEDING);

-- metrics and unroll agree, bit for bit, where they name the same figure
SELECT m.hour, m.mentions, m.sma_24h, m.rsd_24h, m.sma_24h_prev, m.change_24h, m.sentiment_24h
FROM series, LATERAL defidata.metrics_over(ARRAY[series], (SELECT array_agg(hour) FROM observed), '-infinity', 'infinity', 0.75) m
EXCEPT ALL
SELECT hour, mentions, sma, rsd, sma_prev, change, sentiment_avg
FROM actual WHERE way = 'given' AND width = 24;

-- the defaults; and the sample of the documentation
SELECT count(*), count(sma) FROM defidata_unroll((SELECT series FROM series WHERE token = 'CONST'));
SELECT token, count(*), count(sma)
FROM (SELECT token, defidata_rolling(hour, mentions, sentiment) AS series FROM mentions GROUP BY token) q,
	LATERAL defidata_unroll(series, window_width => '3 days') r
GROUP BY token ORDER BY token;

-- observed hours are truncated, sorted and taken once each; what lies in others is left out
SELECT hour AT TIME ZONE 'UTC' AS hour, mentions, sentiment, sma, ema, sentiment_avg
FROM defidata_unroll('{2026-01-01T01Z:4:2000000000:4 2026-01-01T02Z:9 2026-01-01T03Z:0}', '1 hour',
	'{2026-01-01 03:10Z,2026-01-01 03:20Z,2026-01-01 01:59:59Z,2025-12-31 23:00Z}');

-- no rows
SELECT count(*) FROM defidata_unroll(NULL);
SELECT count(*) FROM defidata_unroll('{}');
SELECT count(*) FROM defidata_unroll('{2026-01-01T01Z:4}', '1 day', '{}');
SELECT count(*) FROM defidata_unroll(NULL, '1 day', '{2026-01-01}');
-- a token without a row, but observed
SELECT mentions, sma FROM defidata_unroll('{}', '1 hour', '{2026-01-01}');

-- widths
SELECT w, count(sma) FROM unnest('{1 hour,"1 day -12 hours","60 minutes","3653 days"}'::interval[]) w,
	LATERAL defidata_unroll('{2026-01-01T01Z:4 2026-01-01T16Z:2}', w) GROUP BY w ORDER BY w;
SELECT defidata_unroll('{}', '1 month');
SELECT defidata_unroll('{}', '1 year -1 hour');
SELECT defidata_unroll('{}', '0');
SELECT defidata_unroll('{}', '-1 day');
SELECT defidata_unroll('{}', '90 minutes');
SELECT defidata_unroll('{}', '3653 days 1 hour');
SELECT defidata_unroll('{}', '2147483647 days 2562047788 hours');
SELECT defidata_unroll('{}', '-2147483648 days');
SELECT defidata_unroll('{}', NULL);

-- hours
SET timezone = 'UTC';
SELECT defidata_unroll('{}', '1 day', '{2026-01-01,NULL}');
SELECT defidata_unroll('{}', '1 day', '{infinity}');
SELECT defidata_unroll('{}', '1 day', '{0044-03-15 BC}');

-- a variance that integers of 128 bits cannot hold
SELECT count(zscore) FROM defidata_unroll(
	(SELECT defidata_rolling(timestamptz '2000-01-01 00:00Z' + i * interval '1 hour', 1000000000000000, 1e9)
	 FROM generate_series(1, 15000) i), '600 days');

-- the widest window over the largest sums
SELECT max(sma), min(sentiment_avg)
FROM defidata_unroll((SELECT defidata_rolling(timestamptz '2000-01-01 00:00Z' + i * interval '1 hour', 100000000000000, 1e9)
	FROM generate_series(1, 90000) i), '3653 days');

-- centuries apart: the time is that of the hours asked for
SELECT count(*), sum(mentions), count(sma)
FROM defidata_unroll('{0001-01-01T00Z:1 9999-12-31T23Z:2}', '1 hour', '{0001-01-01 00:00Z,9999-12-31 23:00Z}');
SET statement_timeout = '200ms';
SELECT count(*) FROM defidata_unroll('{0001-01-01T00Z:1 9999-12-31T23Z:2}', '1 hour');
RESET statement_timeout;

-- in the list of a SELECT, too
SELECT (u).mentions, (u).sma FROM (SELECT defidata_unroll('{2026-01-01T01Z:4 2026-01-01T02Z:2}', '1 hour') AS u) q;

RESET search_path;
RESET timezone;
SET client_min_messages = warning;
DROP SCHEMA unroll CASCADE;
