-- The event study: against an independent formulation, with effects that are known,
-- and over many runs of noise.
BEGIN;
\set ON_ERROR_ROLLBACK on
SET LOCAL timezone = 'Asia/Kolkata';
SET LOCAL intervalstyle = 'postgres';

-- quotes each hour or so, some late, some missing, some of another asset; a token
-- whose asset was chosen, and one that has none any more
CREATE FUNCTION noise(a bigint, b bigint) RETURNS float8 LANGUAGE sql IMMUTABLE
RETURN sqrt(-2 * ln(((hashint8extended(a * 1000003 + b, 1) & 65535) + 1) / 65537.0::float8))
       * cos(2 * pi() * (hashint8extended(a * 1000003 + b, 2) & 65535) / 65536.0::float8);
INSERT INTO defidata.prices (source, id, token, asset, at, price, fetched_at, symbol, reason)
SELECT 's', concat_ws('-', 'q', t, i), CASE WHEN i % 23 <> 9 THEN 'T' || chr(64 + t) END, CASE WHEN i % 11 = 3 THEN 'other' ELSE 'asset' END,
       timestamptz '2025-03-01 00:20Z' + i * interval '1 hour' + (hashint8(i * 7 + t) % 45) * interval '1 minute',
       exp(noise(t, i) / 50), now(), 'T' || chr(64 + t), CASE WHEN i % 23 = 9 THEN 'symbol' END
  FROM generate_series(1, 3) t, generate_series(0, 90) i
 WHERE (i + t) % 13 > 1 AND NOT (t = 3 AND i < 40);
INSERT INTO defidata.prices (source, id, token, asset, at, price, fetched_at, symbol)
SELECT 'other', id, token, asset, at, price * 1.5, fetched_at, symbol FROM defidata.prices WHERE token = 'TB' AND at < '2025-03-02';
INSERT INTO defidata.token_asset (token, source, asset, chosen_at, quoted) VALUES ('TA', 's', 'asset', now(), 'TA'), ('TB', 'other', 'asset', now(), 'TB');
CREATE TABLE events AS
SELECT 'T' || chr(65 + n % 4) AS token, timestamptz '2025-03-01 00:00Z' + (hashint8(n) % 6000 + 1200) * interval '1 minute' AS at FROM generate_series(1, 40) n
UNION ALL VALUES ('TA', NULL::timestamptz), (NULL, '2025-03-02 00:00Z'), ('TA', 'infinity'), ('TB', '-infinity'), ('TA', '2025-03-02 05:00Z'), ('TA', '2025-03-02 05:00Z'),
       ('TA', '2024-01-01 00:00Z'), ('TB', '2026-01-01 00:00Z');

-- The definition, one event, set and quote at a time.  Hours are counted by their ends.
CREATE TABLE quotes AS
SELECT token, at, ln(price) AS figure FROM defidata.prices WHERE reason IS NULL AND asset = 'asset' AND token IS NOT NULL;
CREATE INDEX ON quotes (token, at, figure);
CREATE FUNCTION end_after(at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE
RETURN date_bin('1 hour', at + interval '1 hour' - interval '1 microsecond', '2000-01-01 00:00Z');
CREATE FUNCTION price_change(subject text, event timestamptz, horizon interval, until_end timestamptz) RETURNS float8 LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT b.figure - a.figure
      FROM (SELECT figure, at FROM quotes WHERE token = subject AND at <= end_after(event) + interval '1 hour' ORDER BY at DESC, figure DESC LIMIT 1) a,
           (SELECT figure, at FROM quotes WHERE token = subject AND at <= end_after(event) + interval '1 hour' + horizon ORDER BY at DESC, figure DESC LIMIT 1) b
     WHERE a.at > event AND a.at >= end_after(event) - interval '30 minutes'
       AND b.at > event AND b.at >= end_after(event) + horizon - interval '30 minutes'
       AND end_after(event) + interval '1 hour' + horizon <= until_end;
END;
CREATE TABLE span AS
SELECT end_after(min(at)) AS first, date_bin('1 hour', max(at) + interval '90 minutes', '2000-01-01 00:00Z') AS last FROM quotes;
-- splitmix64 and the draw, in numeric arithmetic
CREATE FUNCTION multiply(a bigint, b numeric) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (SELECT CASE WHEN m >= 9223372036854775808 THEN m - 18446744073709551616 ELSE m END::bigint
          FROM (SELECT mod(CASE WHEN a < 0 THEN a + 18446744073709551616 ELSE a::numeric END * b, 18446744073709551616) AS m) q);
CREATE FUNCTION shift_right(a bigint, n int) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (a >> n) & ((1::bigint << (64 - n)) - 1);
CREATE FUNCTION drawn_shifts(hours int, horizon int, sets int, seed bigint) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
    possible int[] := ARRAY(SELECT generate_series(horizon, hours - horizon));
    count int := cardinality(possible);
    state numeric := seed;
    z bigint;
    at int;
    swap int;
BEGIN
    FOR i IN 1 .. least(sets, count) LOOP
        state := mod(state + 11400714819323198485, 18446744073709551616);
        z := multiply((CASE WHEN state >= 9223372036854775808 THEN state - 18446744073709551616 ELSE state END)::bigint, 1);
        z := multiply(z # shift_right(z, 30), 13787848793156543929);
        z := multiply(z # shift_right(z, 27), 10723151780598845931);
        z := z # shift_right(z, 31);
        at := i + trunc((CASE WHEN z < 0 THEN z + 18446744073709551616 ELSE z::numeric END) * (count - i + 1) / 18446744073709551616);
        swap := possible[at];
        possible[at] := possible[i];
        possible[i] := swap;
    END LOOP;
    RETURN possible[1:least(sets, count)];
END
$$;
CREATE TABLE truth AS
SELECT h, e.token, e.at, price_change(e.token, e.at, h * interval '1 hour', s.last) AS change
  FROM unnest('{1,5,24}'::int[]) h, events e, span s
 WHERE e.token IS NOT NULL AND isfinite(e.at) AND end_after(e.at) + interval '1 hour' BETWEEN s.first AND s.last;
CREATE FUNCTION definition(placebo int, seed bigint)
RETURNS TABLE (h int, events bigint, mean float8, median float8, share_above float8, placebos bigint, placebo_mean float8,
               difference float8, low float8, high float8, p float8) LANGUAGE sql
AS $$
    WITH sets AS (
        SELECT h, s.last, EXTRACT(epoch FROM s.last - s.first)::int / 3600 + 1 AS hours FROM unnest('{1,5,24}'::int[]) h, span s),
    means AS (
        SELECT h, n, avg(price_change(t.token, t.moved, h * interval '1 hour', q.last)) AS mean
          FROM (SELECT t.token, t.h, d.n, s.last,
                       t.at + d.n * interval '1 hour' - CASE WHEN end_after(t.at) + (d.n + 1) * interval '1 hour' > s.last THEN s.hours ELSE 0 END * interval '1 hour' AS moved
                  FROM truth t JOIN sets s USING (h), unnest(drawn_shifts(s.hours, h, placebo, seed)) d (n)) q (token, h, n, last, moved),
               LATERAL (SELECT q.token, q.moved) t
         GROUP BY h, n),
    m AS (SELECT h, count(mean) AS sets, avg(mean) AS mean FROM means GROUP BY h),
    x AS (SELECT h, count(change) AS events, avg(change) AS mean, percentile_cont(0.5) WITHIN GROUP (ORDER BY change) AS median,
                 avg((change > 0)::int)::float8 AS above FROM truth GROUP BY h)
    SELECT h, x.events, x.mean, x.median, x.above, m.sets, m.mean, x.mean - m.mean,
           CASE WHEN m.sets >= 39 THEN x.mean - m.mean - percentile_cont(0.975) WITHIN GROUP (ORDER BY s.mean - m.mean) END,
           CASE WHEN m.sets >= 39 THEN x.mean - m.mean - percentile_cont(0.025) WITHIN GROUP (ORDER BY s.mean - m.mean) END,
           CASE WHEN m.sets >= 39 THEN (1 + count(*) FILTER (WHERE abs(s.mean - m.mean) >= abs(x.mean - m.mean))) / (1.0::float8 + m.sets) END
      FROM x JOIN m USING (h) JOIN means s USING (h)
     WHERE s.mean IS NOT NULL
     GROUP BY h, x.events, x.mean, x.median, x.above, m.sets, m.mean
$$;

-- all shifts, some of them, and too few
SELECT n AS placebo, d.h, s.events = d.events AND s.events + s.left_out = (SELECT count(*) FROM events) AS events, s.placebos, s.placebos = d.placebos AS sets,
       abs(s.mean - d.mean) < 1e-14 AND abs(s.median - d.median) < 1e-14 AND s.share_above = d.share_above AS truth,
       abs(s.placebo_mean - d.placebo_mean) < 1e-14 AND abs(s.difference - d.difference) < 1e-14 AS placebo,
       s.difference_low IS NOT DISTINCT FROM d.low OR abs(s.difference_low - d.low) < 1e-14 AS low,
       s.difference_high IS NOT DISTINCT FROM d.high OR abs(s.difference_high - d.high) < 1e-14 AS high, s.p IS NOT DISTINCT FROM d.p AS p
  FROM (VALUES (1000, 1), (45, -7), (38, 12345678901)) v (n, seed), definition(n, seed) d,
       defidata_event_study('events', '{price}', '{1 hour,5 hours,1 day}', n, seed) s
 WHERE s.horizon = d.h * interval '1 hour' ORDER BY n DESC, d.h;
-- the same bits again, other sets with another seed; p over the rows of the call
SELECT count(DISTINCT s::text) AS answers FROM generate_series(1, 3) i, LATERAL defidata_event_study('events', horizons => ARRAY['5 hours'::interval], placebo => 40, seed => 3 + i - i) s;
SELECT count(DISTINCT s.placebo_mean) AS answers FROM generate_series(1, 3) i, LATERAL defidata_event_study('events', horizons => ARRAY['5 hours'::interval], placebo => 40, seed => i) s;
SELECT count(*) AS rows, bool_and(s.p_adjusted = q.adjusted) AS adjusted
  FROM defidata_event_study('events', '{price}', '{1 hour,2 hours,3 hours,5 hours,1 day}', 60) s,
       LATERAL (SELECT least(1, min(t.p * 5 / (SELECT count(*) FROM defidata_event_study('events', '{price}', '{1 hour,2 hours,3 hours,5 hours,1 day}', 60) u WHERE u.p <= t.p))) AS adjusted
                  FROM defidata_event_study('events', '{price}', '{1 hour,2 hours,3 hours,5 hours,1 day}', 60) t WHERE t.p >= s.p) q;

-- a metric is the difference between two hours, as published; a silent hour has figures too
CREATE TABLE mentions AS
SELECT concat_ws('-', t, i) AS id, 1740787200 + 3600 * i AS "timestamp", 'T' || chr(64 + t) AS symbol, 5 + abs(hashint8(t * 1000 + i)) % 50 AS count, NULL::float8 AS sentiment
  FROM generate_series(1, 3) t, generate_series(0, 119) i WHERE (i + t) % 17 > 1;
SELECT defidata_attach('study', 'mentions', 'mentions');
SELECT status FROM defidata_refresh();
CREATE TABLE grid AS
SELECT 'T' || chr(64 + t) AS token, to_timestamp(1740787200 + 3600 * i) AS hour, COALESCE(m.count, 0)::float8 AS c, m.count IS NOT NULL OR i > 2 AS begun
  FROM generate_series(1, 3) t CROSS JOIN generate_series(0, 119) i LEFT JOIN mentions m ON m.id = concat_ws('-', t, i);
CREATE TABLE metrics AS
SELECT 'mentions' AS outcome, token, hour, c AS f FROM grid WHERE begun
UNION ALL
SELECT * FROM (SELECT 'sma_24h', token, hour, CASE WHEN count(*) OVER w >= 18 THEN avg(c) OVER w END AS f FROM grid
               WINDOW w AS (PARTITION BY token ORDER BY hour ROWS 23 PRECEDING)) s WHERE f IS NOT NULL;
SELECT s.outcome, s.horizon, s.events = d.events AS events, abs(s.mean - d.mean) < 1e-12 AS mean, abs(s.median - d.median) < 1e-12 AS median, s.left_out, s.placebos
  FROM defidata_event_study('events', '{mentions,sma_24h}', '{1 hour,1 day}') s,
       LATERAL (SELECT count(b.f - a.f) AS events, avg(b.f - a.f) AS mean, percentile_cont(0.5) WITHIN GROUP (ORDER BY b.f - a.f) AS median
                  FROM events e JOIN metrics a ON a.token = e.token JOIN metrics b ON b.token = e.token
                 WHERE a.outcome = s.outcome AND b.outcome = s.outcome AND isfinite(e.at) AND a.hour = end_after(e.at) AND b.hour = a.hour + s.horizon) d
 ORDER BY s.outcome, s.horizon;

-- what is known: 20 tokens over 60 days, two events each, in bursts that all share;
-- the price jumps by 5 % three hours after, an hour before, within the hour, or never
DELETE FROM defidata.prices;
DELETE FROM defidata.token_asset;
CREATE TABLE bursts AS
SELECT 'K' || t AS token, t, timestamptz '2025-03-10 00:00Z' + n * interval '17 days' + (t % 6) * interval '1 hour' + interval '17 minutes' AS at
  FROM generate_series(1, 20) t, generate_series(0, 1) n;
CREATE FUNCTION plant(jump interval) RETURNS void LANGUAGE sql AS $$
    DELETE FROM defidata.prices;
    INSERT INTO defidata.prices (source, id, token, asset, at, price, fetched_at, symbol)
    SELECT 's', concat_ws('-', q.t, q.i), 'K' || q.t, 'k' || q.t, q.at,
           exp(sum(noise(q.t, q.i) / 100 + 0.05 * q.jumps) OVER (PARTITION BY q.t ORDER BY q.i)), now(), 'K' || q.t
      FROM (SELECT g.t, i, timestamptz '2025-03-01 00:00Z' + i * interval '1 hour' AS at, (b.at IS NOT NULL)::int AS jumps
              FROM generate_series(0, 1440) i CROSS JOIN generate_series(1, 20) g (t)
              LEFT JOIN bursts b ON b.t = g.t AND end_after(b.at + jump) = timestamptz '2025-03-01 00:00Z' + i * interval '1 hour') q
$$;
CREATE TABLE verdicts (planted text, horizon interval, difference float8, low float8, high float8, p float8, p_adjusted float8);
CREATE FUNCTION judge(planted text, jump interval) RETURNS void LANGUAGE sql AS $$
    SELECT plant(jump);
    INSERT INTO verdicts SELECT planted, horizon, difference, difference_low, difference_high, p, p_adjusted
      FROM defidata_event_study('bursts', '{price}', '{1 hour,6 hours,24 hours}', 400, 7);
$$;
SELECT judge('after', '3 hours'), judge('before', '-1 hour'), judge('at the same time', '30 minutes'), judge('never', NULL);
SELECT planted, horizon, p < 0.01 AS found, low <= 0.05 AND high >= 0.05 AS holds_5, low <= 0 AND high >= 0 AS holds_0 FROM verdicts ORDER BY planted, horizon;

-- Many runs of noise: a walk of 1,500 hours, five bursts of ten events within six
-- hours, horizons that overlap them.  In about 5 % of runs p is at most 5 %, and
-- the interval holds what is true.  psql -v runs=5000 -f sql/studies.sql has more of them.
\if :{?runs}
\else
\set runs 200
\endif
CREATE TABLE walk AS
SELECT run, array_agg(timestamptz '2025-01-01 00:00Z' + i * interval '1 hour' ORDER BY i) AS times, array_agg(figure ORDER BY i) AS figures
  FROM (SELECT run, i, sum(noise(run, i)) OVER (PARTITION BY run ORDER BY i) AS figure FROM generate_series(1, :runs) run, generate_series(1, 1500) i) w
 GROUP BY run;
CREATE TABLE clusters AS
SELECT run, array_agg(timestamptz '2025-01-01 00:00Z' + interval '1 hour' * (hashint8extended(run * 7919 + b, 3) & 1023)
                      + interval '1 minute' * (hashint8extended(run * 104729 + b * 100 + k, 4) % 360 + 360)) AS events
  FROM generate_series(1, :runs) run, generate_series(1, 5) b, generate_series(1, 10) k GROUP BY run;
CREATE TABLE noise_runs AS
SELECT run, horizon, (defidata.study(w.times, w.figures, e.events, w.times[1], w.times[1500], horizon, '0', 300, run)).*
  FROM unnest('{1 hour,24 hours}'::interval[]) horizon, walk w JOIN clusters e USING (run) GROUP BY run, horizon;
SELECT horizon, avg((p <= 0.05)::int) BETWEEN 0.02 AND 0.08 AS five_in_hundred, avg((p <= 0.5)::int) BETWEEN 0.42 AND 0.58 AS half,
       avg((difference_low <= 0 AND difference_high >= 0)::int) BETWEEN 0.91 AND 0.98 AS covered
  FROM noise_runs GROUP BY horizon ORDER BY horizon;
-- 20 metrics of pure noise in a call: an adjusted p below 5 % in few of the calls
SELECT count(*) AS calls, count(*) FILTER (WHERE plain <= 0.05) > count(*) / 3 AS plain, count(*) FILTER (WHERE adjusted < 0.05) <= count(*) / 8 AS adjusted
  FROM (SELECT run / 20 AS call, min(p) AS plain, min(p * 20 / rank) AS adjusted
          FROM (SELECT run - 1 AS run, p, row_number() OVER (PARTITION BY (run - 1) / 20 ORDER BY p) AS rank FROM noise_runs WHERE horizon = '24 hours') q
         GROUP BY run / 20) q;

-- an analyst may, with what he may read; a reader may not
CREATE ROLE study_analyst;
CREATE ROLE study_reader;
SELECT defidata_grant('study_analyst', 'analyst'), defidata_grant('study_reader', 'reader');
SET LOCAL ROLE study_analyst;
SELECT error_of($$SELECT defidata_event_study('bursts')$$);
CREATE TEMP VIEW mine AS SELECT 'K1'::varchar AS token, timestamptz '2025-03-20 00:00Z' AS at;
SELECT events, left_out, p IS NULL AS undecided FROM defidata_event_study('mine', horizons => '{1 hour}', placebo => 5);
RESET ROLE;
SET LOCAL ROLE study_reader;
SELECT error_of($$SELECT defidata_event_study('pg_class')$$);
RESET ROLE;

-- nothing to say, and what is refused
CREATE VIEW no_events AS SELECT ''::text AS token, now() AS at WHERE false;
SELECT * FROM defidata_event_study('no_events', '{price,price,sma_24h}', '{1 hour,60 minutes}');
CREATE VIEW elsewhere AS SELECT 'NOSUCH' AS token, timestamptz '2025-03-10' AS at;
SELECT * FROM defidata_event_study('elsewhere', horizons => '{1 hour}');
SELECT events, left_out, placebos, mean, p FROM defidata_event_study('bursts', horizons => '{1000 hours,721 hours,720 hours}');
SELECT error_of(statement, true) FROM (VALUES
    ($$SELECT defidata_event_study(NULL)$$), ($$SELECT defidata_event_study('pg_class')$$),
    ($$SELECT defidata_event_study('bursts', '{}')$$), ($$SELECT defidata_event_study('bursts', '{price,NULL}')$$),
    ($$SELECT defidata_event_study('bursts', '{token}')$$), ($$SELECT defidata_event_study('bursts', '{"sma_24h; DROP TABLE x"}')$$),
    ($$SELECT defidata_event_study('bursts', horizons => '{}')$$), ($$SELECT defidata_event_study('bursts', horizons => '{1 month}')$$),
    ($$SELECT defidata_event_study('bursts', horizons => '{90 minutes}')$$), ($$SELECT defidata_event_study('bursts', horizons => '{-1 hour}')$$),
    ($$SELECT defidata_event_study('bursts', horizons => '{100 years}')$$), ($$SELECT defidata_event_study('bursts', horizons => '{4000 days}')$$),
    ($$SELECT defidata_event_study('bursts', placebo => 0)$$), ($$SELECT defidata_event_study('bursts', placebo => 100001)$$),
    ($$SELECT defidata_event_study('bursts', placebo => NULL)$$), ($$SELECT defidata_event_study('bursts', seed => NULL)$$)) v (statement);
CREATE VIEW local_time AS SELECT 'K1' AS token, timestamp '2025-03-10' AS at;
SELECT error_of($$SELECT defidata_event_study('local_time')$$, true);
-- the aggregate by itself
SELECT error_of(format($$SELECT defidata.study(%s, '2025-01-01', '2025-01-02', '1 hour', %s)$$, a, b))
  FROM (VALUES ($$'{2025-01-01}', '{1,2}', '{2025-01-01}'$$, $$'0', 100, 1$$), ($$'{2025-01-01}', '{NULL}', '{2025-01-01}'$$, $$'0', 100, 1$$),
               ($$'{2025-01-01}', '{1}', '{NULL}'$$, $$'0', 100, 1$$), ($$NULL, '{1}', NULL$$, $$'1 day', 100, 1$$), ($$NULL, NULL, NULL$$, $$'0', NULL, 1$$),
               ($$NULL, NULL, NULL$$, $$'0', 100, 1$$)) v (a, b);
SELECT defidata.study('{infinity,-infinity,2025-01-01 05:00Z}', '{1,2,3}', '{infinity,-infinity,2025-01-01 01:00Z}', '2025-01-01 00:00Z', '2025-01-02 00:00Z', '1 hour', '24 hours', 3, 1);
SELECT error_of($$SELECT defidata.study(NULL, NULL, NULL, '1800-01-01', '2025-01-02', '1 hour', '0', 3, 1)$$), error_of($$SELECT defidata.study(NULL, NULL, NULL, '-infinity', 'infinity', '1 hour', '0', 3, 1)$$);
SELECT defidata.study(NULL, NULL, NULL, '2025-01-03', '2025-01-02', '1 hour', '0', 3, 1), defidata.study(NULL, NULL, NULL, now(), now(), '1 hour', '0', 3, 1) FILTER (WHERE false) IS NULL;
ROLLBACK;
