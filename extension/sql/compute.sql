-- compute.sql: raw rows → facts → metrics, each for the hours that changed only.
--
-- Facts are the sums by token and hour, kept as one defidata.series for each
-- token and week.  The metrics of an hour are arithmetic over the facts of the
-- 336 hours behind it, done in C for a token at a time.  Both steps leave marks
-- in defidata.hours, so that work which one transaction leaves undone is
-- found by the next.

CREATE FUNCTION defidata.week_of(hour timestamptz) RETURNS timestamptz
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN pg_catalog.date_bin('7 days', hour, '2001-01-01 00:00:00+00');
COMMENT ON FUNCTION defidata.week_of(timestamptz) IS 'start of the week that holds the hour, a Monday in UTC';

-- defidata_rolling under a name that the stages can rely on.
CREATE AGGREGATE defidata.rolling(hour timestamptz, mentions bigint, sentiment double precision) (
    STYPE = internal,
    SFUNC = defidata.rolling_add,
    FINALFUNC = defidata.rolling_finish,
    COMBINEFUNC = defidata.rolling_combine,
    SERIALFUNC = defidata.rolling_serialize,
    DESERIALFUNC = defidata.rolling_deserialize,
    SSPACE = 512,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE defidata.rolling(timestamptz, bigint, double precision) IS 'defidata_rolling under a name that the stages can rely on';

CREATE FUNCTION defidata.mentions_between(series defidata.series, from_hour timestamptz, until_hour timestamptz) RETURNS bigint
    IMMUTABLE PARALLEL SAFE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'defidata_mentions_between';
COMMENT ON FUNCTION defidata.mentions_between(defidata.series, timestamptz, timestamptz) IS 'sum of the mentions of the hours from from_hour until until_hour; 0 where there are none';

-- Hours that were never summed: their facts are added to the week's.
CREATE FUNCTION defidata.sum_new_hours(week timestamptz, hours timestamptz[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    INSERT INTO defidata.mention_series AS s (token, week, series)
    SELECT f.token, $1, f.series
      FROM (SELECT r.token, defidata.rolling(r.hour, r.mentions::bigint, r.sentiment) AS series
              FROM defidata.raw_mentions r
             WHERE r.hour = ANY (hours) AND r.reason IS NULL
             GROUP BY r.token) f
    ON CONFLICT ON CONSTRAINT mention_series_pkey
    DO UPDATE SET series = defidata.replace_hours(s.series, excluded.series, hours);
    -- an hour more or less changes the windows of every token
    UPDATE defidata.hours h SET measured = false
      FROM (SELECT min(n) AS first, max(n) AS last FROM unnest(hours) n) new
     WHERE h.measured AND h.hour > new.first AND h.hour < new.last + interval '336 hours';
END
$$;
COMMENT ON FUNCTION defidata.sum_new_hours(timestamptz, timestamptz[]) IS 'adds the facts of hours of a week that have none yet';

-- Hours that were summed before: only tokens whose facts differ are written, and
-- only their metrics become stale.
CREATE FUNCTION defidata.sum_corrected_hours(week timestamptz, hours timestamptz[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    first_hour constant timestamptz := (SELECT min(h) FROM unnest(hours) h);
    last_hour  constant timestamptz := (SELECT max(h) FROM unnest(hours) h);
    changed    record;
BEGIN
    SELECT array_agg(c.token) AS tokens, array_agg(c.series) AS series INTO changed
      FROM (SELECT token, s.series AS former, defidata.replace_hours(s.series, f.series, hours) AS series
              FROM (SELECT m.token, m.series FROM defidata.mention_series m WHERE m.week = $1) s
              FULL JOIN (SELECT r.token, defidata.rolling(r.hour, r.mentions::bigint, r.sentiment) AS series
                           FROM defidata.raw_mentions r
                          WHERE r.hour = ANY (hours) AND r.reason IS NULL
                          GROUP BY r.token) f USING (token)
            OFFSET 0) c
     WHERE defidata.series_send(c.series) IS DISTINCT FROM defidata.series_send(c.former);
    INSERT INTO defidata.mention_series (token, week, series)
    SELECT c.token, $1, c.series FROM unnest(changed.tokens, changed.series) c (token, series)
    ON CONFLICT ON CONSTRAINT mention_series_pkey DO UPDATE SET series = excluded.series;
    -- a token whose last row of the week has gone leaves nothing behind
    DELETE FROM defidata.mention_series s USING unnest(changed.tokens, changed.series) c (token, series)
     WHERE s.week = $1 AND s.token = c.token AND defidata.series_send(c.series) = defidata.series_send('{}');
    INSERT INTO defidata.stale (token, from_hour, until_hour)
    SELECT t, first_hour, last_hour + interval '336 hours' FROM unnest(changed.tokens) t;
END
$$;
COMMENT ON FUNCTION defidata.sum_corrected_hours(timestamptz, timestamptz[]) IS 'sums hours of a week again and notes the tokens whose metrics that makes stale';

CREATE FUNCTION defidata.count_hours(hours timestamptz[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    UPDATE defidata.hours h
       SET rows = c.rows, mentions = c.mentions, summed = true, published = false
      FROM (SELECT w.hour, count(r.id) AS rows, COALESCE(sum(r.mentions) FILTER (WHERE r.reason IS NULL), 0)::bigint AS mentions
              FROM unnest($1) w (hour)
              LEFT JOIN defidata.raw_mentions r ON r.hour = w.hour AND r.reason IS DISTINCT FROM 'hour'
             GROUP BY w.hour) c
     WHERE h.hour = c.hour;
    -- an hour whose last row has moved away is not observed any more
    UPDATE defidata.hours h SET measured = false
      FROM (SELECT min(g.hour) AS first, max(g.hour) AS last FROM defidata.hours g WHERE g.hour = ANY ($1) AND g.rows = 0) gone
     WHERE h.measured AND h.hour > gone.first AND h.hour < gone.last + interval '336 hours';
    DELETE FROM defidata.metrics m USING defidata.hours g WHERE g.hour = ANY ($1) AND g.rows = 0 AND m.hour = g.hour;
    DELETE FROM defidata.hours g WHERE g.hour = ANY ($1) AND g.rows = 0;
END
$$;
COMMENT ON FUNCTION defidata.count_hours(timestamptz[]) IS 'counts the rows and accepted mentions of hours and notes that their facts are summed';

CREATE FUNCTION defidata.sum_week(week timestamptz, until_hour timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    due record;
BEGIN
    PERFORM pg_advisory_xact_lock(defidata.lock_key('writer'));
    SELECT array_agg(h.hour) AS hours, array_agg(h.hour) FILTER (WHERE h.rows IS NULL) AS new,
           array_agg(h.hour) FILTER (WHERE h.rows IS NOT NULL) AS corrected INTO due
      FROM defidata.hours h
     WHERE NOT h.summed AND h.hour >= week AND h.hour < least(week + interval '168 hours', until_hour);
    IF due.corrected IS NOT NULL THEN
        PERFORM defidata.sum_corrected_hours(week, due.corrected);
    END IF;
    IF due.new IS NOT NULL THEN
        PERFORM defidata.sum_new_hours(week, due.new);
    END IF;
    PERFORM defidata.count_hours(due.hours);
END
$$;
COMMENT ON FUNCTION defidata.sum_week(timestamptz, timestamptz) IS 'brings the facts of the due hours of a week, before until_hour, up to what the raw rows say';

-- Metrics of every token (tokens NULL) or of some, from from_hour until
-- until_hour.  The statement has no leading WITH and takes settings as
-- parameters: it can run where the series are.
CREATE FUNCTION defidata.write_metrics(from_hour timestamptz, until_hour timestamptz, tokens text[], replace boolean) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan SET work_mem = '64MB'
AS $$
DECLARE
    coverage constant float8 := defidata.setting_value('min_coverage')::float8;
    observed constant timestamptz[] := defidata.observed_hours(from_hour, until_hour);
    written  bigint;
BEGIN
    IF replace THEN
        DELETE FROM defidata.metrics m
         WHERE m.hour >= from_hour AND m.hour < until_hour AND (tokens IS NULL OR m.token = ANY (tokens));
    END IF;
    INSERT INTO defidata.metrics (token, hour, mentions, sentiment, sma_24h, sma_7d, sma_14d, sma_24h_prev, sma_7d_prev,
                                  change_24h, change_7d, trend_24h, surge_14d, deviation_14d, rsd_24h, rsd_7d, rsd_14d,
                                  zscore_14d, sentiment_24h, sentiment_7d, coverage_14d)
    SELECT s.token, m.hour, m.mentions, m.sentiment, m.sma_24h, m.sma_7d, m.sma_14d, m.sma_24h_prev, m.sma_7d_prev,
           m.change_24h, m.change_7d, m.trend_24h, m.surge_14d, m.deviation_14d, m.rsd_24h, m.rsd_7d, m.rsd_14d,
           m.zscore_14d, m.sentiment_24h, m.sentiment_7d, m.coverage_14d
      FROM (SELECT f.token, array_agg(f.series) AS parts
              FROM defidata.mention_series f
             WHERE f.week >= defidata.week_of(from_hour - interval '336 hours')
               AND f.week <= defidata.week_of(until_hour - interval '1 hour')
               AND (tokens IS NULL OR f.token = ANY (tokens))
             GROUP BY f.token) s,
           LATERAL defidata.metrics_between(s.parts, observed, from_hour, until_hour, coverage) m
     -- in the order of the key, for the index's sake
     ORDER BY m.hour, s.token;
    GET DIAGNOSTICS written = ROW_COUNT;
    RETURN written;
END
$$;
COMMENT ON FUNCTION defidata.write_metrics(timestamptz, timestamptz, text[], boolean) IS 'computes and stores the metrics of some tokens (NULL: all) for the hours from from_hour until until_hour; returns how many rows';

CREATE FUNCTION defidata.observed_hours(from_hour timestamptz, until_hour timestamptz) RETURNS timestamptz[]
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN ARRAY(SELECT h.hour FROM defidata.hours h
                  WHERE h.hour > from_hour - interval '337 hours' AND h.hour < until_hour AND h.rows > 0 ORDER BY h.hour);
END
$$;
COMMENT ON FUNCTION defidata.observed_hours(timestamptz, timestamptz) IS 'the observed hours that the windows of a range of hours can touch';

CREATE FUNCTION defidata.measure_week(week timestamptz, until_hour timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    due     record;
    written bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(defidata.lock_key('writer'));
    SELECT min(h.hour) AS first, max(h.hour) + interval '1 hour' AS until INTO due
      FROM defidata.hours h
     WHERE NOT h.measured AND h.hour >= week AND h.hour < least(week + interval '168 hours', until_hour);
    IF due.first IS NULL THEN
        RETURN 0;
    END IF;
    written := defidata.write_metrics(due.first, due.until, NULL,
        EXISTS (SELECT FROM defidata.hours h WHERE h.hour >= due.first AND h.hour < due.until AND h.tokens IS NOT NULL));
    PERFORM defidata.count_tokens(due.first, due.until);
    RETURN written;
END
$$;
COMMENT ON FUNCTION defidata.measure_week(timestamptz, timestamptz) IS 'computes the metrics of the due hours of a week, before until_hour, for every token; returns how many rows';

CREATE FUNCTION defidata.count_tokens(from_hour timestamptz, until_hour timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    UPDATE defidata.hours h SET measured = true, tokens = c.tokens, published = false
      FROM (SELECT o.hour, count(m.token) AS tokens
              FROM defidata.hours o LEFT JOIN defidata.metrics m
                ON m.hour = o.hour AND m.hour >= from_hour AND m.hour < until_hour
             WHERE o.hour >= from_hour AND o.hour < until_hour AND o.summed
             GROUP BY o.hour) c
     WHERE h.hour = c.hour;
END
$$;
COMMENT ON FUNCTION defidata.count_tokens(timestamptz, timestamptz) IS 'counts the tokens of hours and notes that their metrics are computed';

CREATE FUNCTION defidata.measure_stale() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    due     record;
    part    record;
    written bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(defidata.lock_key('writer'));
    FOR due IN SELECT min(s.from_hour) AS first, max(s.until_hour) AS until, array_agg(DISTINCT s.token) AS tokens
                 FROM defidata.stale s GROUP BY defidata.week_of(s.from_hour) LOOP
        FOR part IN SELECT min(h.hour) AS first, max(h.hour) + interval '1 hour' AS until
                      FROM defidata.hours h WHERE h.hour >= due.first AND h.hour < due.until AND h.measured
                     GROUP BY defidata.week_of(h.hour) LOOP
            written := written + defidata.write_metrics(part.first, part.until, due.tokens, true);
            PERFORM defidata.count_tokens(part.first, part.until);
        END LOOP;
    END LOOP;
    DELETE FROM defidata.stale;
    RETURN written;
END
$$;
COMMENT ON FUNCTION defidata.measure_stale() IS 'computes again what corrected facts have made stale; returns how many rows of metrics';

CREATE FUNCTION defidata.mark_since(since timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(defidata.lock_key('writer'));
    INSERT INTO defidata.hours AS h (hour)
    SELECT DISTINCT r.hour FROM defidata.raw_mentions r WHERE r.hour >= since AND r.reason IS DISTINCT FROM 'hour'
    ON CONFLICT (hour) DO UPDATE SET summed = false, measured = false;
END
$$;
COMMENT ON FUNCTION defidata.mark_since(timestamptz) IS 'makes facts and metrics of every hour that has raw rows, from since on, due';

-- One piece of work a call, so that a run can commit between them.
CREATE FUNCTION defidata.compute_step(until_hour timestamptz, OUT computed bigint, OUT more boolean)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    week timestamptz;
BEGIN
    computed := 0;
    more := true;
    SELECT defidata.week_of(min(h.hour)) INTO week FROM defidata.hours h WHERE NOT h.summed AND h.hour < until_hour;
    IF week IS NOT NULL THEN
        PERFORM defidata.sum_week(week, until_hour);
        RETURN;
    END IF;
    -- only now, since summing makes later hours due
    SELECT defidata.week_of(min(h.hour)) INTO week FROM defidata.hours h WHERE NOT h.measured AND h.hour < until_hour;
    IF week IS NOT NULL THEN
        computed := defidata.measure_week(week, until_hour);
        RETURN;
    END IF;
    computed := defidata.measure_stale();
    more := false;
END
$$;
COMMENT ON FUNCTION defidata.compute_step(timestamptz) IS 'sums or measures one due week, for hours before until_hour; computed: rows of metrics written; more: whether to call again';

-- Another session sees application_name at once, though nothing is committed yet.
CREATE FUNCTION defidata.tell_progress(started timestamptz, total bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- to sum an hour and to measure it are two pieces of work
    remaining constant bigint := (SELECT count(*) FILTER (WHERE NOT h.summed) + count(*) FILTER (WHERE NOT h.measured) FROM defidata.hours h
                                   WHERE NOT (h.summed AND h.measured));
    share     constant float8 := greatest(1 - remaining::float8 / total, 0);
BEGIN
    PERFORM set_config('application_name', format('defidata compute %s %%', floor(100 * share)), true);
    RAISE NOTICE 'compute: % %% of % hours done, about % left', floor(100 * share), total / 2,
        COALESCE(date_trunc('second', (clock_timestamp() - started) * ((1 - share) / NULLIF(share, 0)))::text, 'an unknown time');
END
$$;
COMMENT ON FUNCTION defidata.tell_progress(timestamptz, bigint) IS 'tells how far a long compute is, in a NOTICE and in application_name; total: pieces of work at its start';

CREATE FUNCTION defidata.compute(since timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    step    record;
    written bigint := 0;
    total   bigint;
    started constant timestamptz := clock_timestamp();
    told    timestamptz := started;
BEGIN
    PERFORM defidata.setup();
    PERFORM pg_advisory_xact_lock(defidata.lock_key('writer'));
    IF since IS NOT NULL THEN
        PERFORM defidata.mark_since(since);
        total := (SELECT 2 * count(*) FROM defidata.hours h WHERE NOT (h.summed AND h.measured));
    END IF;
    LOOP
        step := defidata.compute_step('infinity');
        written := written + step.computed;
        EXIT WHEN NOT step.more;
        IF total > 0 AND clock_timestamp() > told + interval '2 seconds' THEN
            PERFORM defidata.tell_progress(started, total);
            told := clock_timestamp();
        END IF;
    END LOOP;
    RETURN written;
END
$$;
COMMENT ON FUNCTION defidata.compute(timestamptz) IS 'the compute stage; see defidata_compute';

CREATE FUNCTION @extschema@.defidata_compute(since timestamptz DEFAULT NULL) RETURNS bigint LANGUAGE sql
BEGIN ATOMIC
    SELECT defidata.compute(since);
END;
COMMENT ON FUNCTION @extschema@.defidata_compute(timestamptz) IS 'brings facts and metrics up to the raw copy, for the hours that changed or, where given, for every hour from since on; returns the rows of metrics written';

CREATE FUNCTION @extschema@.defidata_recompute() RETURNS bigint LANGUAGE sql
BEGIN ATOMIC
    SELECT defidata.compute('-infinity');
END;
COMMENT ON FUNCTION @extschema@.defidata_recompute() IS 'rebuilds every metric that the raw copy still supports; returns the rows of metrics written';

REVOKE ALL ON FUNCTION defidata.rolling(timestamptz, bigint, double precision),
    defidata.mentions_between(defidata.series, timestamptz, timestamptz), defidata.week_of(timestamptz), defidata.sum_new_hours(timestamptz, timestamptz[]),
    defidata.sum_corrected_hours(timestamptz, timestamptz[]), defidata.count_hours(timestamptz[]),
    defidata.sum_week(timestamptz, timestamptz), defidata.write_metrics(timestamptz, timestamptz, text[], boolean),
    defidata.observed_hours(timestamptz, timestamptz), defidata.measure_week(timestamptz, timestamptz),
    defidata.count_tokens(timestamptz, timestamptz), defidata.measure_stale(), defidata.compute_step(timestamptz),
    defidata.mark_since(timestamptz), defidata.tell_progress(timestamptz, bigint), defidata.compute(timestamptz), @extschema@.defidata_compute(timestamptz),
    @extschema@.defidata_recompute() FROM PUBLIC;
