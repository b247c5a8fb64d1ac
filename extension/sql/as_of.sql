-- as_of.sql: the metrics as they were.

-- The query behind them.  $1 is the time, $2 and $3 the hours from and until, $4 the tokens or
-- NULL.  It is that of metrics.sql but for two things: observed are the hours that were, and in
-- each part of a token's facts what was revised since is put back.  A token or an hour that is
-- there no longer has its row by the revisions.
CREATE FUNCTION defidata.metrics_as_of_query(every_hour boolean) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN format($sql$
        WITH revised AS MATERIALIZED (
            SELECT DISTINCT ON (r.token, r.hour) r.token, r.hour, r.series
              FROM defidata.fact_revision r
             WHERE r.until > $1 AND r.hour >= defidata.week_of($2) - interval '336 hours'
               AND r.hour < $3 AND ($4::text[] IS NULL OR r.token = ANY ($4))
             ORDER BY r.token, r.hour, r.until),
        part AS MATERIALIZED (
            SELECT r.token, defidata.week_of(r.hour) AS week, r.hour >= o.day IS TRUE AS open,
                   array_agg(r.hour) AS hours, defidata.merge(r.series) AS series
              FROM revised r LEFT JOIN defidata.open_day o ON true
             GROUP BY 1, 2, 3),
        hour AS MATERIALIZED (
            SELECT h.hour
              FROM defidata.hours h
              LEFT JOIN LATERAL (SELECT v.observed FROM defidata.hour_revision v
                                  WHERE v.hour = h.hour AND v.until > $1
                                  ORDER BY v.until LIMIT 1) v ON true
             WHERE h.hour >= defidata.week_of($2) - interval '336 hours' AND h.hour < $3
               AND h.first_summed_at <= $1 AND COALESCE(v.observed, h.observed)),
        observed AS MATERIALIZED (
            SELECT w.start, array_agg(h.hour) AS hours
              FROM (SELECT DISTINCT defidata.week_of(h.hour) AS start FROM hour h
                     WHERE h.hour >= $2) w
              JOIN hour h ON h.hour >= w.start - interval '336 hours'
                         AND h.hour < w.start + interval '168 hours'
             GROUP BY w.start)
        SELECT f.token, %s
          FROM observed
          JOIN (SELECT %s COALESCE(s.token, p.token) AS token,
                       COALESCE(s.start, p.week) + l.later AS start
                  FROM (SELECT s.token, s.start FROM defidata.week_series s
                         WHERE s.start >= defidata.week_of($2) - interval '336 hours'
                           AND s.start < $3 AND ($4 IS NULL OR s.token = ANY ($4))) s
                  FULL JOIN (SELECT DISTINCT p.token, p.week FROM part p) p
                    ON p.token = s.token AND p.week = s.start
                 CROSS JOIN unnest(%L::interval[]) l (later)) f ON f.start = observed.start
          LEFT JOIN defidata.week_series s ON s.token = f.token AND s.start = f.start
          LEFT JOIN part p ON p.token = f.token AND p.week = f.start AND NOT p.open
          LEFT JOIN defidata.day_series sd
                 ON sd.token = f.token AND defidata.week_of(sd.start) = f.start
          LEFT JOIN part pd ON pd.token = f.token AND pd.week = f.start AND pd.open
          LEFT JOIN defidata.week_series s1
                 ON s1.token = f.token AND s1.start = f.start - interval '168 hours'
          LEFT JOIN part p1 ON p1.token = f.token AND p1.week = f.start - interval '168 hours'
          LEFT JOIN defidata.week_series s2
                 ON s2.token = f.token AND s2.start = f.start - interval '336 hours'
          LEFT JOIN part p2 ON p2.token = f.token AND p2.week = f.start - interval '336 hours'
         CROSS JOIN LATERAL defidata.%I(
                   ARRAY[defidata.put_back(s2.series, p2.series, p2.hours),
                         defidata.put_back(s1.series, p1.series, p1.hours),
                         defidata.put_back(s.series, p.series, p.hours),
                         defidata.put_back(sd.series, pd.series, pd.hours)],
                   observed.hours, greatest($2, f.start),
                   least($3, f.start + interval '168 hours'),
                   (SELECT c.value::float8 FROM defidata.setting c
                     WHERE c.name = 'min_coverage')) m
        $sql$, (SELECT string_agg(format('m.%I', c), ', ' ORDER BY i)
                  FROM unnest(defidata.view_columns()) WITH ORDINALITY u (c, i)),
        CASE WHEN every_hour THEN 'DISTINCT' ELSE '' END,
        CASE WHEN every_hour THEN '{0,168 hours,336 hours}' ELSE '{0}' END,
        CASE WHEN every_hour THEN 'metrics_each' ELSE 'metrics_over' END);
COMMENT ON FUNCTION defidata.metrics_as_of_query(boolean) IS
'the query of metrics as of a time: the hours that a token has, or every observed hour of a token
that was mentioned in the 336 hours up to it';

CREATE FUNCTION defidata.put_back(series defidata.series, former defidata.series,
    hours timestamptz[])
    RETURNS defidata.series
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN hours IS NULL THEN series
                ELSE defidata.replace_hours(series, former, hours) END;
COMMENT ON FUNCTION defidata.put_back(defidata.series, defidata.series, timestamptz[]) IS
    'a series with these hours as they were; as it is where hours is NULL';

-- date_bin takes no infinite time, and no hours are outside of these.
CREATE FUNCTION defidata.clock_hour(at timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN least(greatest(at, '2005-01-01 00:00:00+00'), '9999-01-01 00:00:00+00');
COMMENT ON FUNCTION defidata.clock_hour(timestamptz) IS
    'the time itself, or the nearest one that an hour can have';

CREATE FUNCTION defidata.metrics_as_of(at timestamptz, from_hour timestamptz,
                                       until_hour timestamptz, tokens text[])
    RETURNS SETOF defidata.token_metrics
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
BEGIN
    IF at IS NULL OR from_hour IS NULL OR until_hour IS NULL THEN
        RAISE EXCEPTION 'at, from_hour and until_hour must not be null'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY EXECUTE defidata.metrics_as_of_query(false)
      USING CASE WHEN at < now() THEN at ELSE 'infinity' END,
            defidata.clock_hour(from_hour), defidata.clock_hour(until_hour), tokens;
END
$$;
COMMENT ON FUNCTION defidata.metrics_as_of(timestamptz, timestamptz, timestamptz, text[]) IS
    'see defidata_metrics_as_of; of tokens, or of all where that is NULL';

-- Each hour has a time as of which it counts.  Where nothing that its windows reach has changed
-- since then, it is what it is today; the others are asked for one by one.
CREATE FUNCTION defidata.hours_published(from_hour timestamptz, until_hour timestamptz)
    RETURNS TABLE (hour timestamptz, at timestamptz, changed boolean)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT p.hour, p.at, p.latest > p.at
      FROM (SELECT h.hour, COALESCE(h.first_published_at, h.first_summed_at) AS at,
                   max(greatest(h.first_summed_at, v.until)) OVER (
                       ORDER BY h.hour RANGE BETWEEN interval '336 hours' PRECEDING
                                                 AND CURRENT ROW) AS latest
              FROM defidata.hours h
              LEFT JOIN LATERAL (SELECT max(v.until) AS until FROM defidata.hour_revision v
                                  WHERE v.hour = h.hour AND v.observed <> h.observed) v ON true
             WHERE h.hour >= from_hour - interval '336 hours' AND h.hour < until_hour
               AND h.first_summed_at IS NOT NULL) p
     WHERE p.hour >= from_hour;
END
$$;
COMMENT ON FUNCTION defidata.hours_published(timestamptz, timestamptz) IS
'when each hour was first published, or else first summed, and whether hours that its windows reach
have since become observed or ceased to be';

CREATE FUNCTION defidata.metrics_as_published(from_hour timestamptz, until_hour timestamptz,
                                              tokens text[], every_hour boolean)
    RETURNS SETOF defidata.token_metrics
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    first    constant timestamptz := defidata.clock_hour(from_hour);
    last     constant timestamptz := defidata.clock_hour(until_hour);
    query    constant text := defidata.metrics_as_of_query(every_hour);
    whole    timestamptz[];
    revised  record;
    due      record;
BEGIN
    IF from_hour IS NULL OR until_hour IS NULL THEN
        RAISE EXCEPTION 'from_hour and until_hour must not be null'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    whole := ARRAY(SELECT p.hour FROM defidata.hours_published(first, last) p WHERE p.changed);
    SELECT COALESCE(array_agg(q.token), '{}') AS tokens, COALESCE(array_agg(q.hour), '{}') AS hours
      INTO revised
      FROM (SELECT DISTINCT r.token, p.hour
              FROM (SELECT r.token, r.hour, max(r.until) AS until
                      FROM defidata.fact_revision r
                     WHERE r.hour >= first - interval '336 hours' AND r.hour < last
                       AND (tokens IS NULL OR r.token = ANY (tokens))
                     GROUP BY r.token, r.hour) r
              JOIN defidata.hours_published(first, last) p
                ON p.hour >= r.hour AND p.hour <= r.hour + interval '336 hours'
               AND p.at < r.until AND NOT p.changed) q;
    RETURN QUERY EXECUTE format(
        'SELECT * FROM (%s) q WHERE q.hour <> ALL ($5) AND NOT EXISTS ('
        'SELECT FROM unnest($6, $7) r (token, hour) WHERE r.token = q.token AND r.hour = q.hour)',
        query) USING 'infinity'::timestamptz, first, last, tokens, whole, revised.tokens,
                     revised.hours;
    FOR due IN SELECT p.hour, p.at,
                      CASE WHEN p.changed THEN metrics_as_published.tokens
                           ELSE r.named END AS tokens
                 FROM defidata.hours_published(first, last) p
                 LEFT JOIN (SELECT u.hour, array_agg(u.token) AS named
                              FROM unnest(revised.tokens, revised.hours) u (token, hour)
                             GROUP BY u.hour) r ON r.hour = p.hour
                WHERE p.changed OR r.hour IS NOT NULL
                ORDER BY p.hour LOOP
        RETURN QUERY EXECUTE query
          USING due.at, due.hour, due.hour + interval '1 hour', due.tokens;
    END LOOP;
END
$$;
COMMENT ON FUNCTION
    defidata.metrics_as_published(timestamptz, timestamptz, text[], boolean) IS
'see defidata_metrics_as_published; of tokens, or of all where that is NULL; every_hour: also the
observed hours in which a token was silent that was mentioned in the 336 hours up to them';
