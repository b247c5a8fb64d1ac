-- live.sql: the last 60 minutes against 14 days of hours.

CREATE FUNCTION defidata.measure_baselines(ends timestamptz[])
    RETURNS TABLE (before timestamptz, token text, hours bigint, mentions numeric, squares numeric)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
    SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    RETURN QUERY
    WITH counted AS MATERIALIZED (
        SELECT c.token, c.hour, c.mentions
          FROM (SELECT r.token, r.hour, sum(r.mentions)::numeric AS mentions
                  FROM defidata.raw_mentions r
                 WHERE r.source IN (SELECT s.name FROM defidata.stream s)
                   AND r.hour >= (SELECT min(e) FROM unnest(ends) e) - interval '336 hours'
                   AND r.hour < (SELECT max(e) FROM unnest(ends) e)
                   AND r.reason IS DISTINCT FROM 'hour'
                 GROUP BY r.token, r.hour) c
          JOIN defidata.hours h ON h.hour = c.hour AND h.observed),
    observed AS (
        SELECT e.before, count(DISTINCT c.hour) AS hours
          FROM unnest(ends) e (before)
          JOIN counted c ON c.hour >= e.before - interval '336 hours' AND c.hour < e.before
         GROUP BY e.before)
    SELECT o.before, c.token, o.hours, sum(c.mentions), sum(c.mentions * c.mentions)
      FROM observed o
      JOIN counted c ON c.hour >= o.before - interval '336 hours' AND c.hour < o.before
     WHERE c.token IS NOT NULL
     GROUP BY o.before, c.token, o.hours;
END
$$;
COMMENT ON FUNCTION defidata.measure_baselines(timestamptz[]) IS
'of the observed hours in the 14 days until each of some times, by token and from streams alone:
their number, the sum of the mentions and of their squares';

CREATE FUNCTION defidata.keep_baselines() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    present constant timestamptz := defidata.hour_of(now());
BEGIN
    DELETE FROM defidata.stream_baseline;
    -- that of this hour, and that of the next
    INSERT INTO defidata.stream_baseline (before, token, hours, mentions, squares)
    SELECT m.* FROM defidata.measure_baselines(ARRAY[present - interval '1 hour', present]) m;
    PERFORM defidata.judge_minutes();
END
$$;
COMMENT ON FUNCTION defidata.keep_baselines() IS
'keeps what defidata_live compares with until the next cycle, and judges the minutes that no worker
has judged';

CREATE FUNCTION defidata.baseline(end_hour timestamptz)
    RETURNS TABLE (token text, hours bigint, mentions numeric, squares numeric)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY SELECT b.token, b.hours, b.mentions, b.squares FROM defidata.stream_baseline b
                  WHERE b.before = end_hour;
    IF NOT FOUND THEN
        RETURN QUERY SELECT m.token, m.hours, m.mentions, m.squares
                       FROM defidata.measure_baselines(ARRAY[end_hour]) m;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.baseline(timestamptz) IS
    'measure_baselines of one time, as it was kept or else measured now';

-- Minutes that begin in the last 60 until `at`, the one of `at` included.
CREATE FUNCTION defidata.live_at(at timestamptz)
    RETURNS TABLE (token text, mentions_60m bigint, sma_14d float8, zscore_60m float8,
                   sentiment_60m float8)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    first constant timestamptz := date_bin('1 minute', at, '2001-01-01 00:00:00+00')
                                  - interval '59 minutes';
BEGIN
    RETURN QUERY
    WITH recent AS MATERIALIZED (
        SELECT defidata.clean(s.symbol) AS token, sum(s.mentions) AS mentions,
               sum(s.weight) AS weight, sum(s.sentiment) AS sentiment
          FROM (SELECT u.symbol, sum(u.mentions) AS mentions, sum(u.weight) AS weight,
                       sum(u.sentiment) AS sentiment
                  FROM defidata.stream_sum u
                 WHERE u.stream IN (SELECT c.name FROM defidata.stream c WHERE c.mode = 'events')
                   AND u.at >= first AND u.at <= live_at.at
                 GROUP BY u.symbol) s
         GROUP BY 1)
    SELECT r.token, r.mentions::bigint, b.mentions::float8 / b.hours,
           (r.mentions::float8 - b.mentions::float8 / b.hours)
           / NULLIF(sqrt(greatest(b.hours * b.squares - b.mentions * b.mentions, 0)::float8
                         / (b.hours::float8 * (b.hours - 1))), 0),
           r.sentiment::float8 / 1e9 / NULLIF(r.weight, 0)::float8
      FROM recent r
      LEFT JOIN (SELECT k.* FROM defidata.baseline(defidata.hour_of(first)) k WHERE k.hours >= 24) b
             ON b.token = r.token
     WHERE r.token IS NOT NULL;
END
$$;
COMMENT ON FUNCTION defidata.live_at(timestamptz) IS
'every token that streams mentioned in the 60 minutes until a time, the minute of that time
included, against the 14 days of hours before them; NULL under 24 observed hours, or without
spread';

CREATE FUNCTION defidata.live_time() RETURNS timestamptz
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    drained constant timestamptz := (SELECT max(s.drained_at) FROM defidata.stream s);
BEGIN
    -- an idle stream is written once a minute
    RETURN CASE WHEN drained > now() - interval '90 seconds' THEN now() ELSE drained END;
END
$$;
COMMENT ON FUNCTION defidata.live_time() IS
    'up to when streams were read: now, where they are followed; NULL where they never were';

CREATE FUNCTION defidata.live(size integer, min_mentions integer)
    RETURNS TABLE (rank bigint, token text, mentions_60m bigint, sma_14d float8, zscore_60m float8,
                   sentiment_60m float8, as_of timestamptz)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
BEGIN
    IF to_regclass('defidata.follower') IS NOT NULL THEN
        RETURN QUERY
        SELECT row_number() OVER (ORDER BY l.zscore_60m DESC, l.mentions_60m DESC, l.token),
               l.*, t.at
          FROM defidata.live_time() t (at), LATERAL defidata.live_at(t.at) l
         WHERE l.zscore_60m IS NOT NULL AND l.mentions_60m >= min_mentions
         ORDER BY 1
         LIMIT size;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.live(integer, integer) IS 'see defidata_live';

-- An alert on zscore_60m is judged at each full minute, of those that its sums are still kept for.
CREATE FUNCTION defidata.judge_minutes() RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    latest constant timestamptz := date_trunc('minute', defidata.live_time()) - interval '1 minute';
    due    record;
    events bigint := 0;
BEGIN
    -- who publishes has the lock until that is done; what is missed now is judged the next time
    IF NOT EXISTS (SELECT FROM defidata.alert a
                    WHERE a.metric = 'zscore_60m' AND a.judged_hour < latest)
       OR NOT defidata.try_lock('alert') THEN
        RETURN 0;
    END IF;
    FOR due IN
        SELECT a.name, m.minute
          FROM defidata.alert a,
               generate_series(greatest(a.judged_hour + interval '1 minute',
                                        latest - interval '24 hours'),
                               latest, interval '1 minute') m (minute)
         WHERE a.metric = 'zscore_60m'
         ORDER BY m.minute, a.name
    LOOP
        events := events + defidata.judge_hour(due.name, due.minute, $sql$
            SELECT l.token, l.zscore_60m, COALESCE(t.mentions_24h, 0) AS mentions_24h,
                   COALESCE(t.baseline_24h, 0) AS baseline_24h
              FROM defidata.live_at($2) l LEFT JOIN defidata.token_stats t ON t.token = l.token
            $sql$);
    END LOOP;
    UPDATE defidata.alert a SET judged_hour = latest
     WHERE a.metric = 'zscore_60m' AND a.judged_hour < latest;
    IF events > 0 THEN
        PERFORM defidata.notify('defidata_alert', json_build_object('id', max(e.id)))
           FROM defidata.alert_event e;
    END IF;
    RETURN events;
END
$$;
COMMENT ON FUNCTION defidata.judge_minutes() IS
'judges by every alert on zscore_60m each full minute after the latest judged one, at most a day
back, up to the one that the streams were read to; returns the number of events';
