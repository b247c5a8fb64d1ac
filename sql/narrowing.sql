-- A condition on the hour of defidata.metrics leaves the rows that it should, and
-- is known before weeks are read: by conditions put together at random, in every
-- kind of query, against the same rows in a table; and by counting what is read.
BEGIN;
SET LOCAL timezone = 'America/St_Johns';
SET LOCAL datestyle = 'ISO';
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL jit = off;

-- ten weeks from Friday 2025-06-06 on, with an outage of a day, of tokens that
-- begin late, end early, or are silent for a week
CREATE TABLE remote AS
SELECT s || i AS id, 1749168000 + 3600 * i AS "timestamp", s AS symbol,
       (1 + (i * 7 + ascii(s)) % 40)::float8 AS count, round(sin(i)::numeric, 3)::float8 AS sentiment
  FROM generate_series(0, 1700) i, unnest('{A,B,C,D,E}'::text[]) s
 WHERE i NOT BETWEEN 800 AND 823
   AND NOT (s = 'B' AND i < 600 OR s = 'C' AND i > 1100 OR s = 'D' AND i BETWEEN 300 AND 700 OR s = 'E' AND i % 5 > 0);
SELECT defidata_attach('narrow test', 'mentions', 'remote');
SELECT inserted FROM defidata_import('2025-01-01');
SELECT defidata_compute() AS computed;
-- every hour of every week, as no condition says otherwise
CREATE TABLE computed AS TABLE defidata.metrics;
SELECT count(*), count(DISTINCT hour) AS hours, count(DISTINCT token) AS tokens FROM computed;

CREATE VIEW over AS SELECT hour AS at, token AS symbol, sma_7d, rsd_14d, surge_14d FROM defidata.metrics;
CREATE VIEW over_computed AS SELECT hour AS at, token AS symbol, sma_7d, rsd_14d, surge_14d FROM computed;
CREATE VIEW barrier WITH (security_barrier) AS TABLE defidata.metrics;
CREATE VIEW barrier_computed AS TABLE computed;
CREATE TABLE event AS
SELECT chr(65 + i % 6) AS token, '2025-06-06 00:00+00'::timestamptz + i * interval '37 hours' AS hour, i
  FROM generate_series(0, 45) i;

-- How many weeks of a token a query computes.
CREATE FUNCTION weeks_of(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ' || query INTO plan;
    RETURN (SELECT sum((node->>'Actual Loops')::bigint)
              FROM jsonb_path_query(plan, 'strict $.** ? (@."Function Name" == "metrics_over")') node);
END
$$;

-- The rows of a query as one text, bit for bit, or its error.
CREATE FUNCTION rows_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    rows text;
BEGIN
    EXECUTE format('SELECT count(*) || %L || COALESCE(md5(string_agg(q::text, %L ORDER BY q::text)), %L) FROM (%s) q',
                   ' ', ',', '', query) INTO rows;
    RETURN rows;
EXCEPTION WHEN data_exception THEN
    RETURN SQLERRM;
END
$$;

-- The weeks, of 47 of five tokens that there are, that a condition leaves.
SELECT count(*), sum(c.weeks) AS weeks FROM (SELECT weeks_of('TABLE defidata.metrics') AS weeks) c;
SELECT condition, weeks_of('SELECT * FROM defidata.metrics WHERE ' || condition) AS weeks,
       rows_of('SELECT * FROM defidata.metrics WHERE ' || condition) = rows_of('SELECT * FROM computed WHERE ' || condition) AS same
  FROM unnest(ARRAY[
       $$hour = '2025-07-10 12:00+00'$$,
       $$'2025-07-10 12:00+00' = hour$$,
       $$hour = '2025-07-10 12:30+00'$$,
       $$hour = '2025-07-07 00:00+00'$$,
       $$hour = '2025-07-06 23:00+00'$$,
       $$hour > '2025-07-06 23:00+00' AND hour < '2025-07-14 00:00+00'$$,
       $$hour >= '2025-07-06 23:00+00' AND hour <= '2025-07-14 00:00+00'$$,
       $$hour BETWEEN '2025-07-10' AND '2025-07-11'$$,
       $$hour >= date '2025-08-10'$$,
       $$hour < timestamp '2025-06-10 00:00'$$,
       $$hour > now() - interval '1 day'$$,
       $$hour = '2025-07-10 12:00+00' AND token = 'A'$$,
       $$token = 'A'$$,
       $$hour IN ('2025-06-20 12:00+00', '2025-07-10 12:00+00')$$,
       $$hour IN ('2025-06-20 12:00+00', '2025-07-10 12:00+00', NULL)$$,
       $$hour = ANY (ARRAY[date '2025-06-20', '2025-06-21'])$$,
       $$hour IN ('2025-07-10 12:00+00', date_trunc('day', now()))$$,
       $$hour = ANY (ARRAY(SELECT generate_series('2025-07-08 00:00+00'::timestamptz, '2025-07-10 00:00+00', '1 hour')))$$,
       $$hour < '2025-06-10' OR hour > '2025-08-12'$$,
       $$hour < '2025-06-10' OR token = 'A'$$,
       $$(hour < '2025-06-10' OR token = 'A' AND hour > '2025-08-01') AND hour > '2025-06-09'$$,
       $$NOT hour < '2025-08-12'$$,
       $$NOT (hour < '2025-08-12' AND token = 'A')$$,
       $$hour = (SELECT max(hour) FROM defidata.hours)$$,
       $$hour > (SELECT max(hour) FROM defidata.hours) - interval '2 days'$$,
       $$hour = NULL$$,
       $$hour >= 'infinity'$$,
       $$hour > '-infinity'$$,
       $$hour <> '2025-07-10 12:00+00'$$,
       $$hour >= '4714-11-24 BC'$$,
       $$hour <= '294276-12-31'$$,
       $$hour <= date '5874897-12-31' AND hour > timestamp '294276-12-31'$$,
       $$hour + interval '1 hour' = '2025-07-10 12:00+00'$$,
       $$hour > clock_timestamp() - interval '1 day'$$,
       $$hour > '2025-07-10'::timestamptz + random() * interval '0'$$]) condition;

-- Where a condition may stand: #M stands for the relation, #C for the condition,
-- #O for a view over it.
CREATE TABLE place (number integer GENERATED ALWAYS AS IDENTITY, query text);
INSERT INTO place (query) VALUES
    ('SELECT * FROM #M WHERE #C'),
    ('SELECT hour, token, sma_7d FROM #M WHERE sma_7d > 18 AND #C AND mentions > 3'),
    ('SELECT at, symbol, rsd_14d FROM (SELECT at AS hour, symbol AS token, * FROM #O) o WHERE #C'),
    ('SELECT * FROM barrier#T WHERE #C'),
    ('WITH w AS (SELECT * FROM #M) SELECT * FROM w WHERE #C'),
    ('WITH w AS MATERIALIZED (SELECT * FROM #M WHERE #C) SELECT count(*), sum(mentions) FROM w'),
    ('SELECT * FROM (SELECT * FROM #M OFFSET 0) m WHERE #C'),
    ('SELECT hour, sum(mentions), count(*) FROM #M WHERE #C GROUP BY hour'),
    ('SELECT * FROM (SELECT hour, token, sum(mentions) FROM #M GROUP BY hour, token) m WHERE #C'),
    ('SELECT hour, token, count(*) FROM #M GROUP BY hour, token HAVING #C AND count(*) > 0'),
    ('SELECT hour, token, count(*) FROM #M GROUP BY ROLLUP (hour, token) HAVING #C'),
    ('SELECT * FROM (SELECT hour, token, rank() OVER (PARTITION BY hour ORDER BY sma_7d DESC, token) FROM #M) m WHERE #C'),
    ('SELECT DISTINCT hour, token = ''A'' FROM #M WHERE #C'),
    ('SELECT e.i, m.* FROM event e JOIN #M m USING (token) WHERE #D'),
    ('SELECT e.i, hour, m.sma_7d FROM event e JOIN #M m USING (hour, token) WHERE #E'),
    ('SELECT e.i, hour, m.sma_7d FROM event e LEFT JOIN #M m USING (hour, token) WHERE #E'),
    ('SELECT e.i, m.* FROM event e LEFT JOIN #M m ON m.token = e.token AND m.hour = e.hour WHERE #E'),
    ('SELECT e.i, m.* FROM event e LEFT JOIN #M m ON m.token = e.token AND m.hour = e.hour AND #E'),
    ('SELECT e.i, m.* FROM event e LEFT JOIN #M m ON m.token = e.token AND #D'),
    ('SELECT e.i, m.* FROM event e LEFT JOIN #M m ON m.token = e.token WHERE #D'),
    ('SELECT e.i, m.* FROM event e LEFT JOIN #M m ON m.token = e.token WHERE #D OR m.hour IS NULL'),
    ('SELECT e.i, m.* FROM #M m LEFT JOIN event e ON e.token = m.token AND e.hour = m.hour AND #D WHERE m.token < ''C'''),
    ('SELECT e.i, m.* FROM #M m RIGHT JOIN event e ON e.token = m.token AND #D'),
    ('SELECT e.i, m.* FROM #M m FULL JOIN event e ON e.token = m.token AND e.hour = m.hour WHERE #D'),
    ('SELECT e.i, m.* FROM #M m FULL JOIN (SELECT * FROM event WHERE #C) e ON e.token = m.token AND e.hour = m.hour'),
    ('SELECT e.i FROM event e WHERE EXISTS (SELECT FROM #M m WHERE m.token = e.token AND m.hour > e.hour AND #D)'),
    ('SELECT e.i FROM event e WHERE NOT EXISTS (SELECT FROM #M m WHERE m.token = e.token AND m.hour = e.hour AND #D)'),
    ('SELECT e.i FROM event e WHERE NOT EXISTS (SELECT FROM #M m WHERE m.hour = e.hour AND #E)'),
    ('SELECT e.i FROM event e WHERE e.hour NOT IN (SELECT m.hour FROM #M m WHERE #D)'),
    ('SELECT e.i, (SELECT sum(mentions) FROM #M m WHERE m.token = e.token AND m.hour < e.hour AND #D) FROM event e WHERE e.i < 4'),
    ('SELECT e.i, m.n FROM event e, LATERAL (SELECT count(*) AS n FROM #M m WHERE m.hour > e.hour AND #D) m WHERE e.i < 4'),
    ('SELECT * FROM (SELECT hour, token FROM #M UNION ALL SELECT hour, token FROM event) u WHERE #C'),
    ('SELECT hour FROM #M WHERE #C INTERSECT SELECT hour FROM event'),
    ('SELECT m.hour, m.token, n.sma_7d FROM #M m JOIN #M n ON n.hour = m.hour AND n.token = ''A'' WHERE #D'),
    ('SELECT m.hour, n.token FROM #M m LEFT JOIN #M n ON n.hour = m.hour AND n.token = ''C'' WHERE m.token = ''A'' AND #D'),
    ('SELECT m.hour, n.hour AS other FROM #M m JOIN #M n ON n.hour = m.hour + interval ''1 day'' AND n.token = m.token WHERE #D'),
    ('SELECT m.hour, m.token, c.price FROM #M m LEFT JOIN (defidata.prices c JOIN event e ON e.token = c.token) ON c.token = m.token WHERE #D'),
    ('SELECT * FROM #M WHERE (#C) IS NOT TRUE'),
    ('SELECT * FROM #M WHERE NOT (#C)'),
    ('SELECT * FROM #M WHERE #C ORDER BY hour DESC, token LIMIT 7');

-- A condition, out of comparisons of the hour by every operator and type.
CREATE FUNCTION pick(choices text[]) RETURNS text VOLATILE LANGUAGE sql AS $$
    SELECT choices[1 + floor(random() * cardinality(choices))] $$;
CREATE FUNCTION random_time() RETURNS text VOLATILE LANGUAGE plpgsql AS $$
DECLARE
    at text := timestamp '2025-06-01' + floor(random() * 1900) * interval '1 hour'
               + floor(random() * 3) * interval '29.5 minutes';
BEGIN
    RETURN CASE floor(random() * 12)
           WHEN 0 THEN format('%L::date', at)
           WHEN 1 THEN format('%L::timestamp', at)
           WHEN 2 THEN format('(now() - (now() - %L::timestamptz))', at)
           WHEN 3 THEN format('(SELECT max(h.hour) - %L::interval FROM defidata.hours h)', floor(random() * 1700) || ' hours')
           WHEN 4 THEN pick('{''infinity''::timestamptz,''-infinity''::date,NULL::timestamptz,now(),
                              ''4714-11-24 00:00+00 BC''::timestamptz,''294276-12-31''::timestamp,''5874897-12-31''::date}')
           WHEN 5 THEN format('greatest(%L::timestamptz, NULL)', at)
           ELSE format('%L::timestamptz', at) END;
END
$$;
CREATE FUNCTION random_condition(depth integer) RETURNS text VOLATILE LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE floor(random() * CASE WHEN depth > 0 THEN 13 ELSE 8 END)
           WHEN 0 THEN format('@.hour = %s', random_time())
           WHEN 1 THEN format('%s %s @.hour', random_time(), pick('{<,<=,>=,>}'))
           WHEN 2 THEN format('@.hour BETWEEN %s AND %s', random_time(), random_time())
           WHEN 3 THEN format('@.hour IN (%s, %s, %s)', random_time(), random_time(), random_time())
           WHEN 4 THEN format('@.hour = ANY (ARRAY[%s, %s]::timestamptz[])', random_time(), random_time())
           WHEN 5 THEN pick('{@.token = ''A'',@.token IN (''B''\,''E''),@.hour <> ''2025-07-01 00:00+00''}')
           WHEN 8 THEN format('(%s OR %s)', random_condition(depth - 1), random_condition(depth - 1))
           WHEN 9 THEN format('NOT (%s)', random_condition(depth - 1))
           WHEN 10 THEN format('(%s) IS NOT FALSE', random_condition(depth - 1))
           WHEN 6 THEN format('@.hour %s %s', pick('{<,<=,>=,>}'), random_time())
           WHEN 7 THEN format('@.hour %s %s', pick('{<,<=,>=,>}'), random_time())
           ELSE format('(%s AND %s)', random_condition(depth - 1), random_condition(depth - 1)) END;
END
$$;

-- a query with one condition, on the view or on the table
CREATE FUNCTION query_of(template text, condition text, computed boolean) RETURNS text LANGUAGE sql AS $$
    SELECT replace(replace(replace(replace(replace(replace(template,
           '#M', CASE WHEN computed THEN 'computed' ELSE 'defidata.metrics' END),
           '#O', CASE WHEN computed THEN 'over_computed' ELSE 'over' END),
           '#T', CASE WHEN computed THEN '_computed' ELSE '' END),
           '#C', replace(condition, '@.', '')), '#D', replace(condition, '@.', 'm.')), '#E', replace(condition, '@.', 'e.')) $$;

-- 40 queries, each with twelve conditions; as a plain statement, or as a prepared one whose plan
-- knows none of the times, which it gets as parameters
SELECT setseed(0.25);
CREATE TABLE trial AS
SELECT p.number, p.query AS template, random_condition(2) AS condition FROM place p, generate_series(1, 12) ORDER BY p.number;
SELECT count(*) AS trials, count(DISTINCT condition) > 350 AS various FROM trial;
SELECT number, template, condition
  FROM trial t
 WHERE rows_of(query_of(template, condition, false)) IS DISTINCT FROM rows_of(query_of(template, condition, true));

CREATE FUNCTION prepared(query text, condition text) RETURNS text LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    literal  text;
    literals text[] := '{}';
    rows     text;
BEGIN
    FOR literal IN SELECT DISTINCT m[1] FROM regexp_matches(condition, '''[^'']+''::(?:timestamptz|timestamp|date)\M', 'g') m LOOP
        literals := literals || literal;
        query := replace(query, literal, '$' || cardinality(literals));
    END LOOP;
    EXECUTE format('PREPARE trial %s AS SELECT count(*) || %L || COALESCE(md5(string_agg(q::text, %L ORDER BY q::text)), %L) FROM (%s) q',
                   '(' || NULLIF((SELECT string_agg(split_part(l, '::', 2), ', ' ORDER BY n) FROM unnest(literals) WITH ORDINALITY u (l, n)), '') || ')',
                   ' ', ',', '', query);
    EXECUTE 'EXECUTE trial' || COALESCE('(' || NULLIF(array_to_string(literals, ', '), '') || ')', '') INTO rows;
    DEALLOCATE trial;
    RETURN rows;
EXCEPTION WHEN data_exception THEN
    -- PREPARE is not undone
    EXECUTE (SELECT 'DEALLOCATE ' || s.name FROM pg_prepared_statements s WHERE s.name = 'trial' UNION ALL SELECT 'RESET timezone' LIMIT 1);
    RETURN SQLERRM;
END
$$;
SELECT number, template, condition
  FROM trial t
 WHERE prepared(query_of(template, condition, false), condition) IS DISTINCT FROM rows_of(query_of(template, condition, true));

-- no more than that: a call that an outer join parts from its limits is left as it is
SELECT count(*) FROM defidata.week_series f
  LEFT JOIN defidata.metrics_over(ARRAY[f.series], (SELECT array_agg(h.hour) FROM defidata.hours h), f.start, f.start + interval '168 hours', 0) m ON true
 WHERE m.hour = '2025-07-10 12:00+00';
SELECT count(*) FROM defidata.week_series f
  JOIN defidata.metrics_over(ARRAY[f.series], (SELECT array_agg(h.hour) FROM defidata.hours h), f.start, f.start + interval '168 hours', 0) m ON m.hour = '2025-07-10 12:00+00';

-- What is read, of 47 weeks, or 94 where a query asks twice: an hour of five tokens is
-- in five; more where it cannot be seen from where the condition stands
SELECT number, left(query, 100) AS query,
       weeks_of(query_of(query, '@.hour >= ''2025-07-10 12:00+00'' AND @.hour < ''2025-07-10 13:00+00''', false)) < 30 AS few
  FROM place ORDER BY number;

-- a prepared statement that knows nothing
SET LOCAL plan_cache_mode = force_generic_plan;
PREPARE of_hour (timestamptz) AS SELECT * FROM defidata.metrics WHERE hour = $1;
PREPARE of_hours (timestamptz, timestamptz, text) AS SELECT * FROM over WHERE at >= $1 AND at < $2 AND symbol = $3;
SELECT weeks_of($$EXECUTE of_hour('2025-07-10 12:00+00')$$) AS of_hour,
       weeks_of($$EXECUTE of_hours('2025-07-06 23:00+00', '2025-07-08 00:00+00', 'A')$$) AS of_hours,
       weeks_of($$EXECUTE of_hour(NULL)$$) AS of_none;
RESET plan_cache_mode;

-- a parallel plan, statistics or not
SET LOCAL max_parallel_workers_per_gather = 2;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL min_parallel_index_scan_size = 0;
CREATE FUNCTION is_parallel(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    plan text;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN plan LIKE '%"Workers Planned"%';
END
$$;
SELECT is_parallel(query) AS parallel, weeks_of(query) AS weeks, rows_of(query) = rows_of(replace(query, 'defidata.metrics', 'computed')) AS same
  FROM unnest(ARRAY[$$SELECT * FROM defidata.metrics WHERE hour = '2025-07-10 12:00+00'$$,
                    $$SELECT * FROM defidata.metrics WHERE hour >= (SELECT max(hour) FROM defidata.hours)$$]) query;
ANALYZE;
SELECT is_parallel(query) AS parallel, weeks_of(query) AS weeks, rows_of(query) = rows_of(replace(query, 'defidata.metrics', 'computed')) AS same
  FROM unnest(ARRAY[$$SELECT * FROM defidata.metrics WHERE hour = '2025-07-10 12:00+00'$$,
                    $$SELECT * FROM defidata.metrics WHERE hour >= (SELECT max(hour) FROM defidata.hours)$$]) query;
SELECT count(*) AS wrong
  FROM trial t
 WHERE number % 5 = 0 AND rows_of(query_of(template, condition, false)) IS DISTINCT FROM rows_of(query_of(template, condition, true));
ROLLBACK;

-- a session that has not yet loaded the library knows too
\c
EXPLAIN (COSTS OFF, FORMAT JSON) SELECT * FROM defidata.metrics WHERE hour = '2025-07-10 12:00Z' \g | grep -om 1 'start < '
