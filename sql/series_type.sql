-- The type defidata.series, the aggregates that build one, replace_hours and
-- entries.  What is computed from a series is tested in unroll and
-- metrics_formulas.
SET timezone = 'America/New_York';

-- text in and out
SELECT s::defidata.series FROM (VALUES
	('{}'), ('  { } '),
	('{2026-01-05T13Z:42:12500000000:40 2026-01-05T14Z:7}'),
	(E'{\t2026-01-05T13Z:0\n2026-01-05T14Z:000:-5:00002}'),
	('{2026-01-05T13Z:5:-1000000000000000000:1}'),
	('{0001-01-01T00Z:1 9999-12-31T23Z:1}'),
	('{1900-02-28T23Z:1 1900-03-01T00Z:1 2000-02-29T00Z:1 2024-02-29T23Z:1 2024-12-31T23Z:1 2025-01-01T00Z:1}'),
	('{2026-01-05T13Z:1000000000000000:1000000000000000000000000000000000:1000000000000000}'),
	('{2026-01-05T13Z:1000000000000000:-1000000000000000000000000000000000:1000000000000000}'),
	('{2026-01-05T13Z:0:1:1}')) v(s);

-- text that is none: the SQLSTATE, what is shown of it, and why
CREATE FUNCTION pg_temp.fault(input text, OUT state text, OUT fault text, OUT detail text) LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM input::defidata.series;
	fault := 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, fault = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
END $$;
\x on
SELECT f.* FROM (VALUES
	(1, ''), (2, 'x'), (3, '{'), (4, '{}}'), (5, '{} x'), (6, '{{}'), (7, '{,}'),
	(8, '{2026-01-05T13Z}'), (9, '{2026-01-05T13Z:}'), (10, '{2026-01-05T13Z:1'), (11, '{2026-01-05T13:1}'),
	(12, '{26-01-05T13Z:1}'), (13, '{2026-1-5T13Z:1}'), (14, '{2026-01-05 13Z:1}'),
	(15, '{2026-13-05T13Z:1}'), (16, '{2026-02-29T13Z:1}'), (17, '{1900-02-29T00Z:1}'), (18, '{2026-01-05T24Z:1}'),
	(19, '{0000-01-01T00Z:1}'), (20, '{2026-00-05T13Z:1}'), (21, '{2026-01-00T13Z:1}'), (22, '{10000-01-01T00Z:1}'),
	(23, '{2026-01-05T13Z:-1}'), (24, '{2026-01-05T13Z:+1}'), (25, '{2026-01-05T13Z:1.5}'), (26, '{2026-01-05T13Z:1e3}'),
	(27, '{2026-01-05T13Z:NaN}'), (28, '{2026-01-05T13Z:1000000000000001}'),
	(29, '{2026-01-05T13Z:99999999999999999999999999999999999999999999999999}'),
	(30, '{2026-01-05T13Z:1:1}'), (31, '{2026-01-05T13Z:1:1:}'), (32, '{2026-01-05T13Z:1:1:0}'),
	(33, '{2026-01-05T13Z:1:0:0}'), (34, '{2026-01-05T13Z:1:--1:1}'), (35, '{2026-01-05T13Z:1:1:1:1}'),
	(36, '{2026-01-05T13Z:1:1:-1}'), (37, '{2026-01-05T13Z:1:1:1000000000000001}'),
	(38, '{2026-01-05T13Z:1:1000000000000000001:1}'), (39, '{2026-01-05T13Z:1:-1000000000000000001:1}'),
	(40, '{2026-01-05T13Z:1:170141183460469231731687303715884105728:1}'),
	(41, '{2026-01-05T13Z:1 2026-01-05T13Z:1}'), (42, '{2026-01-05T13Z:1 2026-01-05T12Z:1}'),
	(43, '{2026-01-05T13Z:1,2026-01-05T14Z:1}'), (44, '{2026-01-05T13Z:1' || repeat('é', 100) || '}'),
	(45, '{' || repeat('x', 1000000) || '}'), (46, E'{2026-01-05T13Z:1\u00a02026-01-05T14Z:1}')) v(n, input),
	pg_temp.fault(input) f
ORDER BY n;
\x off

-- the encoding: small, and one for each series
SELECT s, defidata.series_send(s::defidata.series) FROM (VALUES
	('{}'), ('{1970-01-01T00Z:1}'), ('{1970-01-01T00Z:127 1970-01-01T01Z:128 1970-01-03T00Z:1:-1:1}'),
	('{1969-12-31T23Z:0:5:2}'), ('{9999-12-31T23Z:1000000000000000:-1000000000000000000000000000000000:1000000000000000}'))
	v(s);
-- what was there stays the end of the bytes when an hour is added, so that an UPDATE need not log it
SELECT substr(defidata.series_send(after), 9) = '\x0200ca9a3b00' || substr(defidata.series_send(before), 9) AS kept
FROM (SELECT defidata_rolling(timestamptz '2026-01-05' + i * interval '1 hour', i, 0.5) FILTER (WHERE i < 100) AS before,
		defidata_rolling(timestamptz '2026-01-05' + i * interval '1 hour', CASE i WHEN 100 THEN 2 ELSE i END, 0.5) AS after
	FROM generate_series(1, 100) i) s;
SELECT pg_column_size(defidata_rolling(timestamptz '2026-01-05' + i * interval '1 hour', i, round(sin(i)::numeric, 4)::float8)) AS week
FROM generate_series(1, 168) i;

-- binary out and in again, and bytes that are none, as a client may send them
CREATE TEMP TABLE bytes (series bytea);
CREATE TEMP TABLE received (series defidata.series);
INSERT INTO bytes SELECT defidata.series_send(s) FROM unnest('{"{}",
	"{2026-01-05T13Z:42:12500000000:40 2026-01-05T14Z:7}",
	"{0001-01-01T00Z:1 9999-12-31T23Z:1000000000000000:-1000000000000000000000000000000000:1000000000000000}"}'::defidata.series[]) s;
\copy bytes TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
TABLE received;
\copy received TO 'results/series.bin' (FORMAT binary)
CREATE TEMP TABLE bytes_again (series bytea);
\copy bytes_again FROM 'results/series.bin' (FORMAT binary)
TABLE bytes EXCEPT ALL TABLE bytes_again;
-- nothing at all
\copy (SELECT ''::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
-- another format
\copy (SELECT '\x0100'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
-- no count, no bounds, no widths
\copy (SELECT '\x03'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x0301'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x0301000010'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
-- more than there is
\copy (SELECT '\x03010000100101'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x0303000010000101'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
-- a count beyond the limit
\copy (SELECT '\x03ffffff7f00001001'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
-- data after the end
\copy (SELECT '\x030000'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x030100001001010100'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
-- an overlong number
\copy (SELECT '\x038000'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x03ffffffff7f'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
-- the first hour out of range, the last one wrong, an hour after it
\copy (SELECT '\x0301ffffff7f0010010101'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x0301000110010101'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x03020000100101010101'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
-- a skipped hour before the first
\copy (SELECT '\x030100011101010101'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
-- columns wider than any number needs: gaps, mentions, missing, sums; mentions without a width
\copy (SELECT '\x03010000150100000000000101'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x030100008001000000000000000101'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x030100001008010100000000000000'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x0301000010f10101000000000000000000000000000000'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x03010000000101'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
-- columns wider than their numbers need
\copy (SELECT '\x030100001101000101'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x030100002001010001'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x030100001002010100'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x030100001011010100'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
-- mentions above the limit; a weight below zero; a sum without weight, and one above what its weight allows
\copy (SELECT '\x030100007000ffffffffffffff'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x0301000010010102'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x030100001011010105'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
\copy (SELECT '\x03010000108001ffffffffffffff7f'::bytea) TO 'results/series.bin' (FORMAT binary)
\copy received FROM 'results/series.bin' (FORMAT binary)
SELECT count(*) FROM received;

-- rows of an hour add up; rows without hour or mentions are ignored; the hour
-- is that of UTC; sentiment is rounded once
SELECT defidata_rolling(h, m, s) FROM (VALUES
	('2026-01-05 13:59:59.999999Z'::timestamptz, 2::bigint, 0.5::float8), ('2026-01-05 13:00Z', 3, NULL),
	('2026-01-05 14:00Z', 0, 0.9), ('2026-01-05 12:30+05:30', 1, 0.1234567894),
	(NULL, 1, 1), ('2026-01-05 15:00Z', NULL, 1), ('1969-12-31 23:59Z', 7, -1)) v(h, m, s);
SELECT defidata_rolling(h, m, s, w) FROM (VALUES
	('2026-01-05 13:00Z'::timestamptz, 2::bigint, 0.5::float8, 1::bigint), ('2026-01-05 14:00Z', 3, NULL, 3),
	('2026-01-05 15:00Z', 4, 0.5, NULL), ('2026-01-05 16:00Z', 4, 0.5, 0), ('2026-01-05 17:00Z', 4, 0.5, 9)) v(h, m, s, w);
SELECT defidata_rolling(NULL, 1, 1), defidata_rolling(now(), NULL, 1);
SELECT defidata_rolling(now(), 1, 1) FROM generate_series(1, 0);
SELECT defidata.merge(NULL::defidata.series), defidata.merge('{}');
SELECT defidata_rolling('2026-01-01', m, s) FROM (VALUES (999999999999999, 1e9), (1, 1e9)) v(m, s);

-- refused
SET timezone = 'UTC';
SELECT defidata_rolling('infinity', 1, 1);
SELECT defidata_rolling('-infinity', 1, 1);
SELECT defidata_rolling('0001-12-31 23:59Z BC', 1, 1);
SELECT defidata_rolling('10000-01-01 00:00Z', 1, 1);
SELECT defidata_rolling('2026-01-01', -1, 1);
SELECT defidata_rolling('2026-01-01', 1, 1, -1);
SELECT defidata_rolling('2026-01-01', 1000000000000001, NULL);
SELECT defidata_rolling('2026-01-01', 1, 1, 9223372036854775807);
SELECT defidata_rolling('2026-01-01', 1, 'NaN');
SELECT defidata_rolling('2026-01-01', 1, '-Infinity');
SELECT defidata_rolling('2026-01-01', 1, 1.000001e9);
SELECT defidata_rolling('2026-01-01 00:00Z', m, NULL) FROM (VALUES (1000000000000000), (1)) v(m);
SELECT defidata_rolling('2026-01-01 00:00Z', 1, 0, w) FROM (VALUES (1000000000000000), (1)) v(w);
SELECT defidata.merge(s) FROM unnest('{"{2026-01-01T00Z:1000000000000000}","{2026-01-01T00Z:1}"}'::defidata.series[]) s;

SET timezone = 'America/New_York';

-- whatever the order of rows, and however parallel workers divide them
CREATE TABLE series_rows AS
SELECT i % 7 AS token, timestamptz '2026-01-01 00:00Z' + (i * 7919 % 3000) * interval '20 minutes' AS hour,
	(i % 50)::bigint AS mentions, CASE WHEN i % 5 > 0 THEN sin(i) END AS sentiment
FROM generate_series(1, 20000) i;
ANALYZE series_rows;
CREATE FUNCTION pg_temp.digests(ordering text) RETURNS TABLE (token int, hours bigint, digest text) LANGUAGE plpgsql
AS $$
BEGIN
	RETURN QUERY EXECUTE format('SELECT token, (SELECT count(*) FROM defidata.entries(s)), md5(defidata.series_send(s)) FROM
		(SELECT token, defidata_rolling(hour, mentions, sentiment %s) AS s FROM series_rows GROUP BY token) q', ordering);
END $$;
CREATE FUNCTION pg_temp.is_partial(query text) RETURNS boolean LANGUAGE plpgsql
AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
		IF line ~ 'Partial' THEN
			RETURN true;
		END IF;
	END LOOP;
	RETURN false;
END $$;
SET max_parallel_workers_per_gather = 0;
CREATE TEMP TABLE digests AS SELECT * FROM pg_temp.digests('');
SELECT token, hours FROM digests ORDER BY token;
SELECT * FROM pg_temp.digests('ORDER BY hour') EXCEPT TABLE digests;
SELECT * FROM pg_temp.digests('ORDER BY hour DESC') EXCEPT TABLE digests;
SELECT * FROM pg_temp.digests('ORDER BY mentions, sentiment') EXCEPT TABLE digests;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SELECT pg_temp.is_partial('SELECT token, defidata_rolling(hour, mentions, sentiment) FROM series_rows GROUP BY token');
SELECT * FROM pg_temp.digests('') EXCEPT TABLE digests;
CREATE TABLE series_parts AS
SELECT token, part, defidata_rolling(hour, mentions, sentiment) AS series
FROM (SELECT *, floor(extract(epoch FROM hour) / 3600)::int % 200 AS part FROM series_rows) q GROUP BY token, part;
ANALYZE series_parts;
SELECT pg_temp.is_partial('SELECT token, defidata.merge(series) FROM series_parts GROUP BY token');
SELECT token, md5(defidata.series_send(defidata.merge(series))) FROM series_parts GROUP BY token
EXCEPT SELECT token, digest FROM digests;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET parallel_leader_participation;
SELECT token, md5(defidata.series_send(defidata.merge(series ORDER BY part DESC))) FROM series_parts GROUP BY token
EXCEPT SELECT token, digest FROM digests;

-- the sums are those of plain SQL
SELECT token, hour, mentions, weight FROM
	(SELECT token, date_trunc('hour', hour) AS hour, sum(mentions) AS mentions,
		coalesce(sum(mentions) FILTER (WHERE sentiment IS NOT NULL), 0) AS weight,
		(sum(round(sentiment * 1e9)::numeric * mentions) / nullif(sum(mentions) FILTER (WHERE sentiment IS NOT NULL), 0) / 1e9)::float8 AS sentiment
	 FROM series_rows GROUP BY 1, 2) q
FULL JOIN (SELECT token, e.* FROM series_parts, defidata.entries(series) e) e USING (token, hour, mentions)
WHERE e.sentiment_weight IS DISTINCT FROM q.weight OR (e.sentiment IS NULL) <> (q.sentiment IS NULL)
	OR abs(e.sentiment - q.sentiment) > 1e-15;

-- as a window aggregate, and many hours in one group
SELECT defidata_rolling(h, 1, NULL) OVER (ORDER BY h DESC)
FROM (VALUES ('2026-01-01 00:00Z'::timestamptz), ('2026-01-01 01:00Z'), ('2026-01-01 01:30Z')) v(h);
-- (rows after a result count as they would have before it)
WITH v AS (SELECT i, '2026-01-01 00:00Z'::timestamptz + (i * 7919 % 97) * interval '1 hour' AS h FROM generate_series(1, 300) i)
SELECT count(*), count(*) FILTER (WHERE s OPERATOR(defidata.=)
	(SELECT defidata_rolling(h, v.i, sin(v.i)) FROM v WHERE v.i <= w.i)) AS same
FROM (SELECT i, defidata_rolling(h, i, sin(i)) OVER (ORDER BY i) AS s FROM v) w;
SELECT count(*), sum(mentions) FROM (SELECT defidata_rolling('2000-01-01 00:00Z'::timestamptz + (i * 7919 % 50000) * interval '1 hour', 1, 1) AS s
	FROM generate_series(1, 100000) i) q, defidata.entries(s);

-- mentions by hour: limits, a NULL part, hours that none has; against entries
SELECT * FROM defidata.mentions_by_hour('{"{2026-01-01T00Z:1 2026-01-01T02Z:3 2026-01-01T03Z:9}","{2026-01-01T02Z:4:0:4}",NULL,"{}"}', '2025-12-31 23:30Z', '2026-01-01 03:00Z');
SELECT * FROM defidata.mentions_by_hour('{}', '2026-01-01 00:00Z', '2026-01-01 03:00Z');
SELECT * FROM defidata.mentions_by_hour('{"{2026-01-01T00Z:1}"}', '2026-01-01 00:00Z', '2025-01-01 00:00Z');
SELECT count(*), count(*) FILTER (WHERE e.mentions = h.mentions AND e.tokens = h.tokens) AS same
FROM (SELECT hour, sum(mentions) AS mentions, count(*) AS tokens FROM series_parts, defidata.entries(series)
	WHERE hour >= '2026-01-05Z' AND hour < '2026-02-05Z' GROUP BY hour) e
FULL JOIN (SELECT h.* FROM (SELECT array_agg(series) AS parts FROM series_parts) p,
	LATERAL defidata.mentions_by_hour(parts, '2026-01-05Z', '2026-02-05Z') h) h USING (hour);
SELECT defidata.mentions_by_hour('{}', '2016-01-01 00:00Z', '2026-01-02 00:00Z');
SELECT defidata.mentions_by_hour('{}', '-infinity', 'infinity');
SELECT defidata.mentions_by_hour(array_agg('{2026-01-01T00Z:1000000000000000}'::defidata.series), '2026-01-01 00:00Z', '2026-01-01 01:00Z')
FROM generate_series(1, 9224);

-- replace_hours: after the end, within, before the start, removed, unsorted; numbers
-- that need wider columns
SELECT n, replaced, defidata.series_send(replaced) = defidata.series_send(replaced::text::defidata.series) AS canonical
FROM (VALUES
	(1, '{2026-01-01T00Z:1 2026-01-01T01Z:2}'::defidata.series, '{2026-01-01T02Z:3:7:3}'::defidata.series, '{2026-01-01 02:00Z}'::timestamptz[]),
	(2, '{2026-01-01T00Z:1 2026-01-01T01Z:2}', '{2026-01-01T02Z:3 2026-01-01T05Z:4}', '{2026-01-01 05:00Z,2026-01-01 02:30Z,2026-01-01 02:00Z}'),
	(3, '{2026-01-01T00Z:1 2026-01-01T01Z:2}', '{2026-01-01T00Z:9 2026-01-01T01Z:9}', '{2026-01-01 01:00Z}'),
	(4, '{2026-01-01T00Z:1 2026-01-01T02Z:2}', '{2025-12-31T23Z:5 2026-01-01T01Z:9}', '{2026-01-01 01:00Z,2025-12-31 23:00Z}'),
	(5, '{2026-01-01T00Z:1 2026-01-01T02Z:2}', '{2026-01-01T03Z:9}', '{2026-01-01 02:00Z}'),
	(6, '{2026-01-01T00Z:1}', NULL, '{2026-01-01 00:00Z}'),
	(7, NULL, '{2026-01-01T00Z:1 2026-01-01T01Z:2}', '{2026-01-01 00:00Z}'),
	(8, NULL, NULL, '{2026-01-01 00:00Z}'),
	(9, '{2026-01-01T00Z:1}', '{2026-01-01T01Z:1}', '{}'),
	(10, '{}', '{2026-01-01T01Z:1}', '{2026-01-01 01:00Z}'),
	(11, '{2026-01-01T00Z:1}', '{}', '{2026-01-01 05:00Z}'),
	(12, '{2026-01-01T00Z:1:1:1}', '{2026-01-01T01Z:255:-128:255}', '{2026-01-01 01:00Z}'),
	(13, '{2026-01-01T00Z:1:1:1}', '{2026-01-01T01Z:256:1:256}', '{2026-01-01 01:00Z}'),
	(14, '{2026-01-01T00Z:1:1:1}', '{2026-01-01T01Z:1:128:1}', '{2026-01-01 01:00Z}'),
	(15, '{2026-01-01T00Z:1:1:1}', '{2026-01-01T01Z:2:1:1}', '{2026-01-01 01:00Z}'),
	(16, '{2026-01-01T00Z:1:1:1}', '{2026-01-01T02Z:1:1:1}', '{2026-01-01 02:00Z}')) v(n, stored, fresh, hours),
	LATERAL defidata.replace_hours(stored, fresh, hours) replaced
ORDER BY n;
SELECT defidata.replace_hours('{}', '{}', NULL);
SELECT defidata.replace_hours('{}', '{}', '{NULL}');
SELECT defidata.replace_hours('{}', '{}', '{infinity}');

-- against its definition, over all parts of a token; the bytes are canonical
WITH parts AS (
	SELECT token, part % 4 AS part, defidata.merge(series) AS series
	FROM series_parts WHERE token IN (1, 2) GROUP BY 1, 2
), replaced AS (
	SELECT a.part AS a, b.part AS b, hours, a.series AS stored, b.series AS fresh,
		defidata.replace_hours(a.series, b.series, hours) AS result
	FROM parts a, parts b,
		(SELECT modulus, array_agg(timestamptz '2026-01-01 00:00Z' + i * interval '1 hour' ORDER BY i * 77 % 1000) AS hours
		 FROM generate_series(0, 999) i, unnest('{1,3,10}'::int[]) modulus WHERE i % modulus = 0 GROUP BY modulus) h
	WHERE a.token = 1 AND b.token = 2
)
SELECT count(*), count(*) FILTER (WHERE result::text = defined::text
	AND defidata.series_send(result) = defidata.series_send(result::text::defidata.series)) AS same
FROM replaced, LATERAL (
	SELECT coalesce(defidata.merge(format('{%s}', entry)::defidata.series), '{}') AS defined
	FROM (SELECT unnest(string_to_array(btrim(stored::text, '{}'), ' ')) AS entry, false AS is_fresh
		UNION ALL SELECT unnest(string_to_array(btrim(fresh::text, '{}'), ' ')), true) q
	WHERE is_fresh = ((substr(entry, 1, 13) || ':00Z')::timestamptz = ANY (hours))) d;

-- a series outlives its transaction's formats: short headers, out of line, in arrays
CREATE TABLE series_stored (n int, series defidata.series);
INSERT INTO series_stored SELECT 1, '{2026-01-05T13Z:42}' UNION ALL
SELECT 2, defidata_rolling(timestamptz '2026-01-01 00:00Z' + i * interval '1 hour', i, sin(i)) FROM generate_series(1, 2000) i;
SELECT n, (SELECT count(*) FROM defidata.entries(series)), length(series::text),
	(SELECT count(*) FROM defidata.entries((ARRAY[series])[1]))
FROM series_stored ORDER BY n;
SELECT attstorage FROM pg_attribute WHERE attrelid = 'series_stored'::regclass AND attname = 'series';

-- compared: equal is what holds the same, however it came to be and is stored
SELECT am.amname, opcname, amvalidate(c.oid) FROM pg_opclass c JOIN pg_am am ON am.oid = c.opcmethod
WHERE c.opcintype = 'defidata.series'::regtype AND c.opcdefault ORDER BY am.amname;
CREATE TABLE series_compared (n int, series defidata.series);
INSERT INTO series_compared VALUES
	(1, '{}'), (1, defidata.replace_hours('{2026-01-05T13Z:42}', NULL, '{2026-01-05 13:00Z}')),
	(2, '{2026-01-05T13Z:42}'), (3, '{2026-01-05T13Z:42:0:42}'), (4, '{2026-01-05T13Z:42 2026-01-05T14Z:0}'),
	(4, defidata.replace_hours('{2026-01-05T13Z:42}', '{2026-01-05T14Z:0}', '{2026-01-05 14:00Z}')),
	(5, '{2026-01-05T14Z:42}'), (6, '{1969-12-31T23Z:42}'), (7, '{2026-01-05T13Z:42 2026-01-06T13Z:500}'),
	(7, defidata.replace_hours('{2026-01-05T13Z:42 2026-01-06T13Z:70000}', '{2026-01-06T13Z:500}', '{2026-01-06 13:00Z}'));
INSERT INTO series_compared SELECT 2, defidata_rolling('2026-01-05 13:30Z', 42, NULL);
INSERT INTO series_compared
SELECT 8, defidata_rolling(timestamptz '2026-01-01 00:00Z' + i * interval '1 hour', i, sin(i)) FROM generate_series(1, 2000) i;
INSERT INTO series_compared
SELECT 9, defidata.replace_hours(series, '{2026-01-01T01Z:2}', '{2026-01-01 01:00Z}') FROM series_compared WHERE n = 8;
SELECT count(*) FROM series_compared WHERE pg_column_size(series) > 2000;
-- each with each: as stored, some out of line, and as parsed just now
SELECT count(*) AS pairs, count(*) FILTER (WHERE a.n = b.n) AS equal,
	count(*) FILTER (WHERE (a.n = b.n) <> (a.series OPERATOR(defidata.=) b.series)
		OR (a.n <> b.n) <> (a.series OPERATOR(defidata.<>) b.series)) AS wrong
FROM series_compared a, (TABLE series_compared UNION ALL SELECT n, series::text::defidata.series FROM series_compared) b;
-- the operators are those of one total order, and equal series have equal hashes
SELECT count(*) FILTER (WHERE sign(c) <> -sign(defidata.series_cmp(b.series, a.series))
	OR (c = 0) <> (a.n = b.n)
	OR (c < 0) <> (a.series OPERATOR(defidata.<) b.series) OR (c <= 0) <> (a.series OPERATOR(defidata.<=) b.series)
	OR (c > 0) <> (a.series OPERATOR(defidata.>) b.series) OR (c >= 0) <> (a.series OPERATOR(defidata.>=) b.series)) AS wrong,
	count(*) FILTER (WHERE a.n = b.n AND (defidata.series_hash(a.series) <> defidata.series_hash(b.series)
		OR defidata.series_hash_extended(a.series, 7) <> defidata.series_hash_extended(b.series, 7))) AS unequal_hashes
FROM series_compared a, series_compared b, LATERAL defidata.series_cmp(a.series, b.series) c;
SELECT count(DISTINCT defidata.series_hash(series)) AS hashes, count(DISTINCT defidata.series_hash_extended(series, 7)) AS with_seed,
	bool_and(defidata.series_hash_extended(series, 0)::bit(64)::bit(32) IS NOT NULL
		AND defidata.series_hash_extended(series, 0)::bit(64) << 32 = defidata.series_hash(series)::bit(64) << 32) AS seed_0_is_none
FROM series_compared;
-- by hash and by sort, by index and without
CREATE INDEX series_btree ON series_compared (series) WHERE n < 8;
CREATE FUNCTION series_ways(OUT grouped bigint, OUT apart bigint, OUT joined bigint, OUT matched bigint, OUT rows bigint)
LANGUAGE plpgsql AS $$
BEGIN
	SELECT (SELECT count(*) FROM (SELECT DISTINCT series FROM series_compared) q),
		(SELECT count(*) FROM (SELECT series FROM series_compared EXCEPT SELECT series FROM series_compared WHERE n > 2) q),
		(SELECT count(*) FROM series_compared a JOIN series_compared b USING (series)),
		(SELECT count(*) FROM series_compared WHERE series = '{2026-01-05T13Z:42}' AND n < 8),
		(SELECT count(DISTINCT c) FROM series_compared c)
	INTO grouped, apart, joined, matched, rows;
END
$$;
SET search_path = public, defidata;
SET enable_sort = off; SET enable_mergejoin = off; SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM series_compared a JOIN series_compared b USING (series) GROUP BY series;
SELECT * FROM series_ways();
RESET ALL;
SET search_path = public, defidata;
SET enable_hashagg = off; SET enable_hashjoin = off; SET enable_nestloop = off; SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM series_compared a JOIN series_compared b USING (series) GROUP BY series;
SELECT * FROM series_ways();
EXPLAIN (COSTS OFF) SELECT count(*) FROM series_compared WHERE series = '{2026-01-05T13Z:42}' AND n < 8;
DROP INDEX series_btree;
CREATE INDEX series_hash ON series_compared USING hash (series);
EXPLAIN (COSTS OFF) SELECT count(*) FROM series_compared WHERE series = '{2026-01-05T13Z:42}' AND n < 8;
SELECT * FROM series_ways();
RESET ALL;
SET timezone = 'America/New_York';
DROP TABLE series_compared;
DROP FUNCTION series_ways();

-- what PUBLIC may call
SELECT p.oid::regprocedure FROM pg_proc p
WHERE has_function_privilege('public', oid, 'EXECUTE') AND pronamespace = 'defidata'::regnamespace
	AND proname ~ '^(series|rolling|merge|replace_hours|entries|mentions_|metrics_(at|over))'
ORDER BY p.oid::regprocedure::text COLLATE "C";

DROP TABLE series_rows, series_parts, series_stored;
RESET timezone;
