-- The metrics against their definition: each column of metrics_at is compared
-- with the same figure worked out in numeric arithmetic from the plain rows,
-- and metrics_over with metrics_at, bit for bit.
CREATE SCHEMA metrics_formulas;
SET search_path = metrics_formulas, public;
SET timezone = 'America/New_York';

-- 40 days around the end of daylight saving time, with outages of one hour
-- now and then, of a few hours, and of three days
CREATE TABLE clock AS
SELECT i, timestamptz '2025-10-10 00:00Z' + i * interval '1 hour' AS hour
FROM generate_series(0, 959) i;
CREATE TABLE observed AS
SELECT * FROM clock
WHERE i % 37 <> 5 AND i % 211 NOT BETWEEN 20 AND 26 AND i NOT BETWEEN 500 AND 571;

-- dense, sparse, huge, constant, and one that begins late and then is silent;
-- the dirty one has rows in hours that were not observed, and zeros
CREATE TABLE mentions AS
SELECT 'DENSE' AS token, hour, (i * 7919 % 101 + i % 24)::bigint AS mentions,
	((i * 104729 % 2001 - 1000) / 1000.0)::float8 AS sentiment
FROM observed
UNION ALL
SELECT 'SPARSE', hour, i % 5, CASE WHEN i % 4 <> 0 THEN sin(i) END
FROM observed WHERE i * 31 % 17 = 3
UNION ALL
SELECT 'HUGE', hour, 1000000000000000 - i % 7, CASE WHEN i % 2 = 0 THEN 1e9 ELSE -1e9 END
FROM observed
UNION ALL
SELECT 'CONST', hour, 12, 0.25 FROM observed
UNION ALL
SELECT 'LATE', hour, i % 13, NULL FROM observed WHERE i BETWEEN 600 AND 700
UNION ALL
SELECT 'DIRTY', hour, i % 3 * 40, cos(i) FROM clock WHERE i % 2 = 0;

CREATE TABLE series AS
SELECT token, defidata_rolling(hour, mentions, sentiment) AS series
FROM mentions GROUP BY token;

CREATE FUNCTION observed_hours() RETURNS timestamptz[] LANGUAGE sql STABLE
BEGIN ATOMIC SELECT array_agg(hour ORDER BY i * 523 % 960) FROM observed; END;

-- what windows of 14 days see of each hour: age 0 is the hour itself
CREATE VIEW aged AS
SELECT t.token, c.hour, (extract(epoch FROM c.hour - o.hour) / 3600)::int AS age,
	coalesce(m.mentions, 0)::numeric(40, 20) AS c,
	round(m.sentiment::numeric, 9) AS s, m.mentions::numeric * (m.sentiment IS NOT NULL)::int AS w
FROM series t
CROSS JOIN clock c
JOIN observed o ON o.hour > c.hour - interval '336 hours' AND o.hour <= c.hour
LEFT JOIN mentions m ON m.token = t.token AND m.hour = o.hour;

-- one window of the definition, as numbers
CREATE VIEW sums AS
SELECT token, hour,
	max(c) FILTER (WHERE age = 0) AS c,
	max(s) FILTER (WHERE age = 0 AND w > 0) AS s,
	count(*) FILTER (WHERE age < 24) AS n24,
	count(*) FILTER (WHERE age < 168) AS n168,
	count(*) AS n336,
	count(*) FILTER (WHERE age BETWEEN 24 AND 47) AS n24p,
	count(*) FILTER (WHERE age >= 168) AS n168p,
	count(*) FILTER (WHERE age >= 24) AS n312,
	sum(c) FILTER (WHERE age < 24) AS c24,
	sum(c) AS c336,
	avg(c) FILTER (WHERE age < 24) AS a24,
	avg(c) FILTER (WHERE age < 168) AS a168,
	avg(c) AS a336,
	avg(c) FILTER (WHERE age BETWEEN 24 AND 47) AS a24p,
	avg(c) FILTER (WHERE age >= 168) AS a168p,
	avg(c) FILTER (WHERE age >= 24) AS a312,
	stddev_samp(c) FILTER (WHERE age < 24) AS d24,
	stddev_samp(c) FILTER (WHERE age < 168) AS d168,
	stddev_samp(c) AS d336,
	sum(s * w) FILTER (WHERE age < 24) / nullif(sum(w) FILTER (WHERE age < 24), 0) AS s24,
	sum(s * w) FILTER (WHERE age < 168) / nullif(sum(w) FILTER (WHERE age < 168), 0) AS s168,
	sum(s * w) FILTER (WHERE age >= 24) / nullif(sum(w) FILTER (WHERE age >= 24), 0) AS s312
FROM aged GROUP BY token, hour;

-- the roots of surge_14d, one a day that was covered
CREATE VIEW roots AS
SELECT token, hour, age / 24 AS k, 2 * sqrt(24 * avg(c) + 0.375) AS x
FROM aged GROUP BY token, hour, age / 24 HAVING count(*) >= 18;
CREATE VIEW surges AS
SELECT token, hour,
	(max(x) FILTER (WHERE k = 0) - avg(x) FILTER (WHERE k > 0)) /
	greatest(1, stddev_samp(x) FILTER (WHERE k > 0)) AS surge
FROM roots GROUP BY token, hour HAVING count(*) FILTER (WHERE k > 0) >= 7;

-- the 14 days before the hour, which spike_14d compares it with
CREATE VIEW formers AS
SELECT t.token, c.hour, avg(coalesce(m.mentions, 0)::numeric(40, 20)) AS mean,
	stddev_samp(coalesce(m.mentions, 0)::numeric(40, 20)) AS deviation
FROM series t
CROSS JOIN clock c
JOIN observed o ON o.hour >= c.hour - interval '336 hours' AND o.hour < c.hour
LEFT JOIN mentions m ON m.token = t.token AND m.hour = o.hour
GROUP BY t.token, c.hour HAVING count(*) >= 24;

CREATE VIEW definition AS
SELECT t.token, t.hour, coalesce(c, 0) AS mentions, s AS sentiment,
	CASE WHEN n24 >= 18 THEN a24 END AS sma_24h,
	CASE WHEN n168 >= 126 THEN a168 END AS sma_7d,
	CASE WHEN n336 >= 252 THEN a336 END AS sma_14d,
	CASE WHEN n24p >= 18 THEN a24p END AS sma_24h_prev,
	CASE WHEN n168p >= 126 THEN a168p END AS sma_7d_prev,
	CASE WHEN n24 >= 18 AND n24p >= 18 THEN a24 / nullif(a24p, 0) - 1 END AS change_24h,
	CASE WHEN n168 >= 126 AND n168p >= 126 THEN a168 / nullif(a168p, 0) - 1 END AS change_7d,
	CASE WHEN n24 >= 18 AND n312 >= 234 THEN (24 * a24 + 24) / (24 * a312 + 24) - 1 END AS trend_24h,
	surge AS surge_14d,
	CASE WHEN n336 >= 252 THEN coalesce(c, 0) / nullif(a336, 0) - 1 END AS deviation_14d,
	CASE WHEN n24 >= 18 THEN d24 / nullif(a24, 0) END AS rsd_24h,
	CASE WHEN n168 >= 126 THEN d168 / nullif(a168, 0) END AS rsd_7d,
	CASE WHEN n336 >= 252 THEN d336 / nullif(a336, 0) END AS rsd_14d,
	CASE WHEN n336 >= 252 THEN (coalesce(c, 0) - a336) / nullif(d336, 0) END AS zscore_14d,
	CASE WHEN n24 >= 18 THEN s24 END AS sentiment_24h,
	CASE WHEN n168 >= 126 THEN s168 END AS sentiment_7d,
	n336 / 336.0 AS coverage_14d,
	CASE WHEN n24 >= 18 THEN 24 * a24 END AS mentions_24h,
	CASE WHEN n312 >= 234 THEN 24 * a312 END AS baseline_24h,
	coalesce(c24, 0) AS total_24h, coalesce(c336, 0) AS total_14d,
	(coalesce(c, 0) - f.mean) / nullif(f.deviation, 0) AS spike_14d,
	CASE WHEN n24 >= 18 AND n312 >= 234 THEN s24 - s312 END AS sentiment_change
FROM sums t LEFT JOIN surges u USING (token, hour) LEFT JOIN formers f USING (token, hour);

CREATE FUNCTION metrics_at(parts defidata.series[], observed timestamptz[], at timestamptz, min_coverage float8)
RETURNS SETOF defidata.metrics_row LANGUAGE sql
AS 'SELECT m.* FROM (SELECT (defidata.metrics_at(part, observed, at, min_coverage)).* FROM unnest(parts) part) m';

CREATE TABLE expected AS SELECT * FROM definition;
CREATE TABLE actual AS
SELECT token, m.*
FROM series, clock, LATERAL metrics_at(ARRAY[series], observed_hours(), clock.hour, 0.75) m;

-- each column at each clock hour; NULLs must agree, numbers but for rounding
-- (to that of the roots themselves where they are huge and alike)
SELECT e.key AS figure, count(*) AS hours, count(e.value) AS defined,
	count(*) FILTER (WHERE (e.value IS NULL) <> (a.value IS NULL) OR
		abs(e.value - a.value) > 1e-12 * greatest(1, abs(e.value), rounding)) AS wrong
FROM (SELECT token, hour, key, value::float8 FROM expected x, jsonb_each_text(to_jsonb(x) - 'token' - 'hour')) e
FULL JOIN (SELECT token, hour, key, value::float8 FROM actual x, jsonb_each_text(to_jsonb(x) - 'token' - 'hour')) a
	USING (token, hour, key),
LATERAL (SELECT CASE WHEN e.key = 'surge_14d' AND token = 'HUGE' THEN 1e8 END AS rounding) r
GROUP BY e.key ORDER BY e.key;

-- metrics_over gives the same bits, at the series' observed hours in the range
CREATE TABLE between_all AS
SELECT token, m.*
FROM series, LATERAL defidata.metrics_over(ARRAY[series], observed_hours(), '-infinity', 'infinity', 0.75) m;
SELECT count(*) FROM between_all;
SELECT token, hour FROM between_all
EXCEPT ALL SELECT token, hour FROM mentions JOIN observed USING (hour);
SELECT token, hour FROM mentions JOIN observed USING (hour)
EXCEPT ALL SELECT token, hour FROM between_all;
SELECT token, hour FROM (TABLE between_all EXCEPT ALL TABLE actual) q;

-- and the same whichever way the range is cut, with the hours that it needs
CREATE TABLE between_cut AS
SELECT token, m.*
FROM series, generate_series(timestamptz '2025-10-10 00:00Z', '2025-11-20', '100 hours') f,
	LATERAL (SELECT array_agg(hour) AS hours FROM observed
		WHERE hour >= f - interval '336 hours' AND hour < f + interval '100 hours') o,
	LATERAL (SELECT defidata_rolling(hour, mentions, sentiment) AS part FROM mentions
		WHERE token = series.token AND hour >= f - interval '336 hours' AND hour < f + interval '100 hours') p,
	LATERAL (SELECT ARRAY[part] AS parts WHERE part IS NOT NULL) a,
	LATERAL defidata.metrics_over(parts, hours, f, f + interval '100 hours', 0.75) m;
SELECT token, hour FROM (TABLE between_all EXCEPT ALL TABLE between_cut) q;
SELECT token, hour FROM (TABLE between_cut EXCEPT ALL TABLE between_all) q;

-- and however the series is cut into parts, in any order of them
CREATE TABLE between_parts AS
SELECT token, m.*
FROM (SELECT token, array_agg(part ORDER BY hashint8(n)) AS parts
	FROM (SELECT token, width_bucket(extract(epoch FROM hour), 1e9, 2e9, 5000) AS n, defidata_rolling(hour, mentions, sentiment) AS part
		FROM mentions GROUP BY 1, 2) p GROUP BY token) s,
	LATERAL defidata.metrics_over(parts, observed_hours(), '-infinity', 'infinity', 0.75) m;
SELECT token, hour FROM (TABLE between_all EXCEPT ALL TABLE between_parts) q;
SELECT token, hour FROM (TABLE between_parts EXCEPT ALL TABLE between_all) q;

-- as version 1.0 declares it: fewer columns of the same figures
CREATE FUNCTION metrics_between(parts defidata.series[], observed timestamptz[],
	from_hour timestamptz, until_hour timestamptz, min_coverage float8)
RETURNS TABLE (hour timestamptz, mentions bigint, sentiment float8, sma_24h float8, sma_7d float8,
	sma_14d float8, sma_24h_prev float8, sma_7d_prev float8, change_24h float8, change_7d float8,
	trend_24h float8, surge_14d float8, deviation_14d float8, rsd_24h float8, rsd_7d float8,
	rsd_14d float8, zscore_14d float8, sentiment_24h float8, sentiment_7d float8, coverage_14d float8)
LANGUAGE c IMMUTABLE STRICT AS '$libdir/defidata', 'defidata_metrics_between';
CREATE TABLE between_old AS
SELECT token, m.*
FROM series, LATERAL metrics_between(ARRAY[series], observed_hours(), '-infinity', 'infinity', 0.75) m;
SELECT count(*) FROM between_old;
SELECT token, hour FROM (TABLE between_old
	EXCEPT ALL SELECT token, hour, mentions, sentiment, sma_24h, sma_7d, sma_14d, sma_24h_prev, sma_7d_prev,
		change_24h, change_7d, trend_24h, surge_14d, deviation_14d, rsd_24h, rsd_7d, rsd_14d, zscore_14d,
		sentiment_24h, sentiment_7d, coverage_14d FROM between_all) q;

-- the threshold to the hour: the first `missing` hours of a window's latest
-- days unobserved
CREATE FUNCTION at_coverage(missing int4range, min_coverage float8,
	OUT n int, OUT d1 boolean, OUT d1_prev boolean, OUT d7 boolean, OUT d7_prev boolean, OUT d14 boolean,
	OUT trend boolean, OUT surge boolean)
LANGUAGE sql
AS $$
	SELECT coverage_14d * 336, sma_24h IS NOT NULL, sma_24h_prev IS NOT NULL, sma_7d IS NOT NULL,
		sma_7d_prev IS NOT NULL, sma_14d IS NOT NULL, trend_24h IS NOT NULL, surge_14d IS NOT NULL
	FROM metrics_at(ARRAY['{2026-01-31T23Z:1}'::defidata.series],
		(SELECT coalesce(array_agg(timestamptz '2026-01-31 23:00Z' - age * interval '1 hour'), '{}')
		 FROM generate_series(0, 500) age WHERE NOT age <@ missing),
		'2026-01-31 23:00Z', min_coverage)
$$;
SELECT * FROM (VALUES
	('empty'::int4range), ('[0,6)'), ('[0,7)'), ('[24,30)'), ('[24,31)'),
	('[0,42)'), ('[0,43)'), ('[168,210)'), ('[168,211)'),
	('[0,84)'), ('[0,85)'), ('[24,102)'), ('[24,103)'),
	('[24,174)'), ('[24,175)'), ('[24,600)'), ('[0,600)')) v(missing), at_coverage(missing, 0.75);
SELECT * FROM (VALUES
	('empty'::int4range, 1.0), ('[0,1)', 1), ('[335,336)', 1), ('[336,337)', 1),
	('[1,600)', 0), ('[0,600)', 0), ('[0,24)', 0)) v(missing, share), at_coverage(missing, share);

-- one observed hour has a mean, but no deviation
SELECT sma_24h, rsd_24h, zscore_14d, sentiment_24h
FROM metrics_at(ARRAY['{2026-01-31T23Z:4:2000000000:4}'::defidata.series], '{2026-01-31 23:30Z}', '2026-01-31 23:59Z', 0);

-- a silent hour and one that was not observed count no mentions
SELECT hour AT TIME ZONE 'UTC' AS hour, mentions, sentiment, sma_24h, coverage_14d * 336 AS n
FROM unnest('{2026-01-31 22:00Z,2026-01-31 23:00Z,2026-02-01 00:00Z}'::timestamptz[]) t,
	LATERAL metrics_at(ARRAY['{2026-01-31T22Z:5 2026-01-31T23Z:4}'::defidata.series], '{2026-01-31 22:00Z,2026-02-01 00:00Z}', t, 0);

-- one call site, ever other observed hours
SELECT n, coverage_14d * 336 AS observed
FROM generate_series(0, 4) n,
	LATERAL (SELECT coalesce(array_agg(timestamptz '2026-01-31 23:00Z' - i * interval '5 hours'), '{}') AS o
		FROM generate_series(1, n) i) q,
	LATERAL metrics_at(ARRAY['{}'::defidata.series], o, '2026-01-31 23:00Z', 0.75)
ORDER BY n;

-- groups of one query, each with its own, and parts in any order, one of them NULL
SELECT n, (m).coverage_14d * 336 AS observed, (m).total_14d
FROM (SELECT n, defidata.metrics_at(part, observed, '2026-01-31 23:00Z', 0.75) AS m
	FROM generate_series(0, 2) n,
		LATERAL (SELECT array_agg(timestamptz '2026-01-31 23:00Z' - i * interval '5 hours') AS observed FROM generate_series(0, n) i) o,
		unnest('{"{2026-01-31T18Z:3}",NULL,"{2026-01-31T13Z:2}","{2026-01-31T23Z:1}"}'::defidata.series[]) part
	GROUP BY n) q ORDER BY n;

-- ranges are rounded up to the hour, and their end is not in them
SELECT f, u, array_agg(m.hour AT TIME ZONE 'UTC')
FROM (VALUES ('2026-01-01 01:00Z'::timestamptz, '2026-01-01 02:00Z'::timestamptz),
	('2026-01-01 01:00:00.000001Z', '2026-01-01 02:00:00.000001Z'),
	('2026-01-01 00:59:59Z', '2026-01-01 01:00:01Z'),
	('-infinity', '2026-01-01 01:00Z'), ('2026-01-01 02:00Z', 'infinity'),
	('2026-01-01 02:00Z', '2026-01-01 01:00Z')) v(f, u)
LEFT JOIN LATERAL defidata.metrics_over(ARRAY['{2026-01-01T00Z:1 2026-01-01T01Z:1 2026-01-01T02Z:1 2026-01-01T03Z:1}'::defidata.series],
	'{2026-01-01 00:00Z,2026-01-01 01:00Z,2026-01-01 02:00Z}', f, u, 0) m ON true
GROUP BY f, u ORDER BY f, u;

-- NULL in, nothing out
SELECT * FROM defidata.metrics_over(NULL, '{}', '-infinity', 'infinity', 0.75);
SELECT defidata.metrics_at(NULL, '{}', '2026-01-01', 0.75) IS NULL FROM generate_series(1, 0);

-- refused
SET timezone = 'UTC';
SELECT defidata.metrics_over(ARRAY['{2026-01-01T00Z:1}', '{2026-01-01T00Z:1}']::defidata.series[], '{}', '2026-01-01', '2026-01-02', 0.75);
SELECT metrics_at(ARRAY['{}'::defidata.series], NULL, '2026-01-01', 0.75);
SELECT metrics_at(ARRAY['{}'::defidata.series], '{}', NULL, 0.75);
SELECT metrics_at(ARRAY['{}'::defidata.series], '{}', '2026-01-01', NULL);
SELECT metrics_at(ARRAY['{}'::defidata.series], '{}', '2026-01-01', 'NaN');
SELECT metrics_at(ARRAY['{}'::defidata.series], '{}', '2026-01-01', -0.1);
SELECT defidata.metrics_over(ARRAY['{}'::defidata.series], '{}', '2026-01-01', '2026-01-02', 1.01);
SELECT metrics_at(ARRAY['{}'::defidata.series], '{}', 'infinity', 0.75);
SELECT metrics_at(ARRAY['{}'::defidata.series], '{}', '0001-12-31 BC', 0.75);
SELECT metrics_at(ARRAY['{}'::defidata.series], '{NULL}', '2026-01-01', 0.75);
SELECT metrics_at(ARRAY['{}'::defidata.series], '{-infinity}', '2026-01-01', 0.75);
SELECT metrics_at(ARRAY['{}'::defidata.series], '{2026-01-01,10000-01-01}', '2026-01-01', 0.75);

-- the ends of the calendar
SELECT hour AT TIME ZONE 'UTC' AS hour, mentions, coverage_14d * 336 AS n
FROM defidata.metrics_over(ARRAY['{0001-01-01T00Z:1 9999-12-31T23Z:2}'::defidata.series],
	'{0001-01-01 00:00Z,9999-12-31 22:00Z,9999-12-31 23:00Z}', '-infinity', 'infinity', 0.75);

RESET search_path;
RESET timezone;
SET client_min_messages = warning;
DROP SCHEMA metrics_formulas CASCADE;
