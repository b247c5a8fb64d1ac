-- compute.sql: raw rows → facts, for the hours that changed only.
--
-- Facts are the sums by token and hour, kept as one defidata.series for each
-- token and week.  They are all that is stored: metrics are arithmetic over them
-- (metrics.sql), so a late or corrected row has changed every metric that it
-- reaches as soon as its hour is summed.  What is due is marked in
-- defidata.hours, so that work which one transaction leaves undone is found by
-- the next.
--
-- An UPDATE writes a row anew, and nearly every hour is one of the latest day.
-- That day is open: its facts stand in day_series, so that an hour costs what the
-- day has got and not the week, and join their week in week_series when a later
-- day begins.  Rows of day_series leave room in their pages for the next hour's
-- version; weeks, which are read each hour and written once a day, fill theirs.
--
--     week_series    Monday ............................. Friday
--                    | hours of the week before the open day |
--     day_series                                             | hours of the open day |
--
-- Each row of day_series has one of its week beside it, be it empty: so the rows
-- of week_series are all that there are to compute metrics for, and a day is
-- joined to its week by token, on the shard where both are.

CREATE FUNCTION defidata.week_of(hour timestamptz) RETURNS timestamptz
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN pg_catalog.date_bin('7 days', hour, '2001-01-01 00:00:00+00');
COMMENT ON FUNCTION defidata.week_of(timestamptz) IS 'start of the week that holds the hour, a Monday in UTC';

CREATE FUNCTION defidata.part_of(hour timestamptz, open_day timestamptz) RETURNS timestamptz
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN CASE WHEN hour >= open_day THEN open_day ELSE defidata.week_of(hour) END;
COMMENT ON FUNCTION defidata.part_of(timestamptz, timestamptz) IS 'start of the facts that hold the hour: of the open day or of a week before it';

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

CREATE FUNCTION defidata.mentions_by_hour(parts defidata.series[], from_hour timestamptz, until_hour timestamptz)
    RETURNS TABLE (hour timestamptz, mentions bigint, tokens bigint)
    IMMUTABLE PARALLEL SAFE STRICT ROWS 168 LANGUAGE c AS 'MODULE_PATHNAME', 'defidata_mentions_by_hour';
COMMENT ON FUNCTION defidata.mentions_by_hour(defidata.series[], timestamptz, timestamptz) IS 'the mentions of each hour from from_hour until until_hour, summed over series of as many tokens, and how many of these have the hour; hours that none has are left out. 22023 for more than 87672 hours, 22003 where a sum is more than a bigint';

-- The two readers of raw rows are functions of their own, since RETURN QUERY can
-- have a parallel plan where other statements of plpgsql cannot.  A batch is
-- stored in the order of its ids (import.sql): by a bitmap each of its pages is
-- read once, by an index scan once for every hour.  Facts go on in the order of
-- tokens: where each week lies so, windows that go through three of them meet a
-- token while its state is still at hand.
CREATE FUNCTION defidata.facts_of(hours timestamptz[]) RETURNS TABLE (token text, series defidata.series)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off SET enable_indexscan = off SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    RETURN QUERY
    SELECT m.token, defidata.rolling(m.hour, m.mentions::bigint, m.sentiment)
      FROM defidata.raw_mentions m
     WHERE m.hour = ANY (hours) AND m.reason IS NULL
     GROUP BY m.token
     ORDER BY m.token;
END
$$;
COMMENT ON FUNCTION defidata.facts_of(timestamptz[]) IS 'the facts of hours by token, from the raw rows, in the order of tokens';

CREATE FUNCTION defidata.rows_of(hours timestamptz[]) RETURNS TABLE (hour timestamptz, rows bigint)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off SET enable_indexscan = off SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    RETURN QUERY
    SELECT m.hour, count(*)
      FROM defidata.raw_mentions m
     WHERE m.hour = ANY (hours) AND m.reason IS DISTINCT FROM 'hour'
     GROUP BY m.hour;
END
$$;
COMMENT ON FUNCTION defidata.rows_of(timestamptz[]) IS 'the number of raw rows of hours, rejected ones included';

-- The tokens that a part knows already are updated and only the others inserted:
-- to let ON CONFLICT find out would cost a lock and a probe more for each of
-- them, and nearly all are known.  Mostly all are, as the count of the UPDATE tells.
CREATE FUNCTION defidata.replace_facts(target regclass, start timestamptz, hours timestamptz[], again boolean, tokens text[], series defidata.series[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB' SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    week    constant timestamptz := defidata.week_of(start);
    known   text[];
    updated bigint;
BEGIN
    IF again THEN
        -- what the hours no longer have comes last, where unnest gives no series
        EXECUTE format('SELECT ARRAY(SELECT s.token FROM %s s WHERE s.start = $1 AND s.token <> ALL ($2))', target) INTO known USING start, tokens;
        tokens := tokens || known;
    END IF;
    EXECUTE format($sql$
        UPDATE %s s SET series = defidata.replace_hours(s.series, f.series, $2)
          FROM unnest($3, $4) f (token, series)
         WHERE s.start = $1 AND s.token = f.token
           AND (NOT $5 OR defidata.series_send(defidata.replace_hours(s.series, f.series, $2)) <> defidata.series_send(s.series))
        $sql$, target) USING start, hours, tokens, series, again;
    GET DIAGNOSTICS updated = ROW_COUNT;
    IF updated < cardinality(tokens) THEN
        -- a variable: as a constant of the plan the array is hashed
        EXECUTE format('SELECT ARRAY(SELECT s.token FROM %s s WHERE s.start = $1)', target) INTO known USING start;
        EXECUTE format($sql$
            INSERT INTO %s (token, start, series)
            SELECT f.token, $1, f.series FROM unnest($2, $3) f (token, series) WHERE f.token <> ALL ($4)
            $sql$, target) USING start, tokens, series, known;
        IF target = 'defidata.day_series'::regclass THEN
            known := ARRAY(SELECT s.token FROM defidata.week_series s WHERE s.start = week);
            INSERT INTO defidata.week_series (token, start, series)
            SELECT t, week, '{}' FROM unnest(tokens) t WHERE t <> ALL (known);
        END IF;
    END IF;
    IF again THEN
        -- a token whose last row of the part has gone leaves nothing behind
        DELETE FROM defidata.day_series d WHERE d.start = replace_facts.start AND defidata.series_send(d.series) = defidata.series_send('{}');
        IF FOUND OR target = 'defidata.week_series'::regclass THEN
            DELETE FROM defidata.week_series s
             WHERE s.start = week AND defidata.series_send(s.series) = defidata.series_send('{}')
               AND NOT EXISTS (SELECT 1 FROM defidata.day_series d WHERE d.token = s.token AND defidata.week_of(d.start) = s.start);
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.replace_facts(regclass, timestamptz, timestamptz[], boolean, text[], defidata.series[]) IS 'replaces hours of a week in week_series or of the open day in day_series by the facts of tokens; again: whether one of the hours was summed before, so that other tokens may have left it';

CREATE FUNCTION defidata.count_hours(start timestamptz, hours timestamptz[], series defidata.series[]) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    counted bigint;
BEGIN
    WITH counted AS (
        UPDATE defidata.hours h
           SET rows = COALESCE(r.rows, 0), mentions = COALESCE(f.mentions, 0), tokens = COALESCE(f.tokens, 0), summed = true, published = false
          FROM unnest(hours) w (hour)
          LEFT JOIN defidata.rows_of(hours) r ON r.hour = w.hour
          LEFT JOIN defidata.mentions_by_hour(series, start, start + interval '168 hours') f ON f.hour = w.hour
         WHERE h.hour = w.hour
        RETURNING h.tokens)
    SELECT sum(c.tokens) INTO counted FROM counted c;
    -- an hour whose last row has moved away is not observed any more
    DELETE FROM defidata.hours h WHERE h.hour = ANY (hours) AND h.rows = 0;
    -- the 24 observed hours after these are settled or not by what these hold
    UPDATE defidata.hours h SET published = false
      FROM (SELECT min(n) AS first, max(n) AS last FROM unnest(hours) n) changed
     WHERE h.published AND h.hour > changed.first
       AND h.hour <= COALESCE((SELECT max(f.hour) FROM (SELECT g.hour FROM defidata.hours g WHERE g.hour > changed.last ORDER BY g.hour LIMIT 24) f), changed.last);
    RETURN COALESCE(counted, 0);
END
$$;
COMMENT ON FUNCTION defidata.count_hours(timestamptz, timestamptz[], defidata.series[]) IS 'counts rows, accepted mentions and tokens of hours with these facts, of at most a week from start, notes that they are summed, and returns the token-hours';

CREATE FUNCTION defidata.turn_day() RETURNS timestamptz
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    open_day constant timestamptz := (SELECT o.day FROM defidata.open_day o);
    latest   constant timestamptz := (SELECT date_bin('1 day', max(h.hour), '2001-01-01 00:00:00+00') FROM defidata.hours h);
    facts    record;
BEGIN
    IF latest <= open_day THEN
        RETURN open_day;
    END IF;
    IF open_day IS NOT NULL THEN
        SELECT COALESCE(array_agg(d.token ORDER BY d.token), '{}') AS tokens, COALESCE(array_agg(d.series ORDER BY d.token), '{}') AS series INTO facts
          FROM defidata.day_series d;
        PERFORM defidata.replace_facts('defidata.week_series', defidata.week_of(open_day), ARRAY(SELECT generate_series(open_day, open_day + interval '23 hours', '1 hour')),
                                       false, facts.tokens, facts.series);
        DELETE FROM defidata.day_series;
    END IF;
    DELETE FROM defidata.open_day;
    INSERT INTO defidata.open_day SELECT latest WHERE latest IS NOT NULL;
    RETURN latest;
END
$$;
COMMENT ON FUNCTION defidata.turn_day() IS 'opens the day of the latest hour, where it is later than the open one, whose facts then join their week; returns the open day, which never goes back; NULL before the first hour';

CREATE FUNCTION defidata.sum_part(start timestamptz, open_day timestamptz, until_hour timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    finish constant timestamptz := CASE WHEN start < open_day THEN least(start + interval '168 hours', open_day) ELSE 'infinity' END;
    due    record;
    facts  record;
BEGIN
    SELECT array_agg(h.hour) AS hours, bool_or(h.rows IS NOT NULL) AS again INTO due
      FROM defidata.hours h
     WHERE NOT h.summed AND h.hour >= start AND h.hour < least(finish, until_hour);
    SELECT COALESCE(array_agg(f.token), '{}') AS tokens, COALESCE(array_agg(f.series), '{}') AS series INTO facts FROM defidata.facts_of(due.hours) f;
    PERFORM defidata.replace_facts(CASE WHEN start < open_day THEN 'defidata.week_series'::regclass ELSE 'defidata.day_series' END,
                                   start, due.hours, due.again, facts.tokens, facts.series);
    RETURN defidata.count_hours(start, due.hours, facts.series);
END
$$;
COMMENT ON FUNCTION defidata.sum_part(timestamptz, timestamptz, timestamptz) IS 'brings the facts of the due hours of a week or of the open day, before until_hour, up to what the raw rows say; returns the token-hours summed';

CREATE FUNCTION defidata.mark_since(since timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(defidata.lock_key('writer'));
    INSERT INTO defidata.hours AS h (hour)
    SELECT DISTINCT r.hour FROM defidata.raw_mentions r WHERE r.hour >= since AND r.reason IS DISTINCT FROM 'hour'
    ON CONFLICT (hour) DO UPDATE SET summed = false;
END
$$;
COMMENT ON FUNCTION defidata.mark_since(timestamptz) IS 'makes the facts of every hour that has raw rows, from since on, due';

-- One piece of work a call, so that a run can commit between them.
CREATE FUNCTION defidata.compute_step(until_hour timestamptz, OUT computed bigint, OUT more boolean)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    open_day timestamptz;
    first    timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(defidata.lock_key('writer'));
    open_day := defidata.turn_day();
    first := (SELECT min(h.hour) FROM defidata.hours h WHERE NOT h.summed AND h.hour < until_hour);
    more := first IS NOT NULL;
    computed := CASE WHEN more THEN defidata.sum_part(defidata.part_of(first, open_day), open_day, until_hour) ELSE 0 END;
END
$$;
COMMENT ON FUNCTION defidata.compute_step(timestamptz) IS 'sums the due hours, before until_hour, of one week or of the open day; computed: token-hours summed; more: whether to call again';

-- Another session sees application_name at once, though nothing is committed yet.
CREATE FUNCTION defidata.tell_progress(started timestamptz, total bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    remaining constant bigint := (SELECT count(*) FROM defidata.hours h WHERE NOT h.summed);
    share     constant float8 := greatest(1 - remaining::float8 / total, 0);
BEGIN
    PERFORM set_config('application_name', format('defidata compute %s %%', floor(100 * share)), true);
    RAISE NOTICE 'compute: % %% of % hours done, about % left', floor(100 * share), total,
        COALESCE(date_trunc('second', (clock_timestamp() - started) * ((1 - share) / NULLIF(share, 0)))::text, 'an unknown time');
END
$$;
COMMENT ON FUNCTION defidata.tell_progress(timestamptz, bigint) IS 'tells how far a long compute is, in a NOTICE and in application_name; total: hours due at its start';

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
        total := (SELECT count(*) FROM defidata.hours h WHERE NOT h.summed);
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
COMMENT ON FUNCTION @extschema@.defidata_compute(timestamptz) IS 'brings facts, and so the metrics, up to the raw copy, for the hours that changed or, where given, for every hour from since on; returns the token-hours summed';

CREATE FUNCTION @extschema@.defidata_recompute() RETURNS bigint LANGUAGE sql
BEGIN ATOMIC
    SELECT defidata.compute('-infinity');
END;
COMMENT ON FUNCTION @extschema@.defidata_recompute() IS 'rebuilds the facts of every hour that the raw copy still holds, and so every metric; returns the token-hours summed';

REVOKE ALL ON FUNCTION defidata.rolling(timestamptz, bigint, double precision),
    defidata.mentions_between(defidata.series, timestamptz, timestamptz),
    defidata.mentions_by_hour(defidata.series[], timestamptz, timestamptz), defidata.week_of(timestamptz), defidata.part_of(timestamptz, timestamptz),
    defidata.facts_of(timestamptz[]), defidata.rows_of(timestamptz[]),
    defidata.replace_facts(regclass, timestamptz, timestamptz[], boolean, text[], defidata.series[]), defidata.count_hours(timestamptz, timestamptz[], defidata.series[]), defidata.turn_day(),
    defidata.sum_part(timestamptz, timestamptz, timestamptz),
    defidata.mark_since(timestamptz), defidata.compute_step(timestamptz), defidata.tell_progress(timestamptz, bigint),
    defidata.compute(timestamptz), @extschema@.defidata_compute(timestamptz), @extschema@.defidata_recompute() FROM PUBLIC;
