-- compute.sql: raw rows -> facts, for the hours that changed only.
--
-- What is due is marked in defidata.hours, so that work which one transaction
-- leaves undone is found by the next.

CREATE FUNCTION defidata.count_rows(hours timestamptz[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
    SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    UPDATE defidata.hours h SET rows = COALESCE(r.rows, 0)
      FROM unnest(hours) w (hour)
      LEFT JOIN defidata.rows_of(hours) r ON r.hour = w.hour
     WHERE h.hour = w.hour;
    PERFORM defidata.judge_hours(min(w), max(w)) FROM unnest(hours) w;
END
$$;
COMMENT ON FUNCTION defidata.count_rows(timestamptz[]) IS
    'counts the raw rows of hours and decides by them which hours are observed';

CREATE FUNCTION defidata.count_mentions(start timestamptz, hours timestamptz[],
                                        series defidata.series[]) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    counted bigint;
BEGIN
    WITH counted AS (
        UPDATE defidata.hours h
           SET mentions = CASE WHEN h.observed THEN COALESCE(f.mentions, 0) END,
               tokens = CASE WHEN h.observed THEN COALESCE(f.tokens, 0) END,
               summed = true, published = false,
               first_summed_at = COALESCE(h.first_summed_at, c.time)
          FROM unnest(hours) w (hour)
          LEFT JOIN defidata.mentions_by_hour(series, start, start + interval '168 hours') f
                 ON f.hour = w.hour
         CROSS JOIN defidata.revision_time() c (time)
         WHERE h.hour = w.hour
        RETURNING h.tokens)
    SELECT sum(c.tokens) INTO counted FROM counted c;
    RETURN COALESCE(counted, 0);
END
$$;
COMMENT ON FUNCTION defidata.count_mentions(timestamptz, timestamptz[], defidata.series[]) IS
'counts accepted mentions and tokens of hours with these facts, of at most a week from start, notes
that they are summed, and returns the token-hours';

CREATE FUNCTION defidata.turn_day() RETURNS timestamptz
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    open_day constant timestamptz := (SELECT o.day FROM defidata.open_day o);
    latest   constant timestamptz := (
        SELECT defidata.day_of(max(h.hour)) FROM defidata.hours h);
    facts    record;
BEGIN
    IF latest <= open_day THEN
        RETURN open_day;
    END IF;
    IF open_day IS NOT NULL THEN
        SELECT COALESCE(array_agg(d.token ORDER BY d.token), '{}') AS tokens,
               COALESCE(array_agg(d.series ORDER BY d.token), '{}') AS series
          INTO facts
          FROM defidata.day_series d;
        PERFORM defidata.replace_facts(
            'defidata.week_series', defidata.week_of(open_day),
            ARRAY(SELECT generate_series(open_day, open_day + interval '23 hours', '1 hour')),
            false, facts.tokens, facts.series);
        DELETE FROM defidata.day_series;
    END IF;
    DELETE FROM defidata.open_day;
    INSERT INTO defidata.open_day SELECT latest WHERE latest IS NOT NULL;
    RETURN latest;
END
$$;
COMMENT ON FUNCTION defidata.turn_day() IS
'opens the day of the latest hour, where it is later than the open one, whose facts then join their
week; returns the open day, which never goes back; NULL before the first hour';

CREATE FUNCTION defidata.sum_part(start timestamptz, open_day timestamptz,
                                  until_hour timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    in_week constant boolean := start < open_day;
    finish  constant timestamptz := CASE WHEN in_week
        THEN least(start + interval '168 hours', open_day) ELSE 'infinity' END;
    target  constant regclass := CASE WHEN in_week
        THEN 'defidata.week_series' ELSE 'defidata.day_series' END;
    due     record;
    facts   record;
BEGIN
    SELECT array_agg(h.hour) AS hours, bool_or(h.rows IS NOT NULL) AS again,
           -- of an hour that is not over yet nobody expects that it stands
           array_agg(h.hour) FILTER (WHERE h.first_summed_at IS NOT NULL
                                       AND h.hour + interval '1 hour' <= clock_timestamp()) AS kept
      INTO due
      FROM defidata.hours h
     WHERE NOT h.summed AND h.hour >= start AND h.hour < least(finish, until_hour);
    PERFORM defidata.count_rows(due.hours);
    SELECT COALESCE(array_agg(f.token), '{}') AS tokens,
           COALESCE(array_agg(f.series), '{}') AS series
      INTO facts
      FROM defidata.facts_of(ARRAY(SELECT h.hour FROM defidata.hours h
                                    WHERE h.hour = ANY (due.hours) AND h.observed)) f;
    PERFORM defidata.keep_facts(target, start, due.kept, facts.tokens, facts.series);
    PERFORM defidata.replace_facts(target, start, due.hours, due.again, facts.tokens, facts.series);
    RETURN defidata.count_mentions(start, due.hours, facts.series);
END
$$;
COMMENT ON FUNCTION defidata.sum_part(timestamptz, timestamptz, timestamptz) IS
'brings the facts of the due hours of a week or of the open day, before until_hour, up to what the
raw rows say; returns the token-hours summed';

CREATE FUNCTION defidata.mark_since(since timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    sources constant text[] := ARRAY(SELECT defidata.copied_sources());
BEGIN
    INSERT INTO defidata.hours AS h (hour)
    SELECT DISTINCT r.hour
      FROM defidata.raw_mentions r
     WHERE r.source = ANY (sources) AND r.hour >= since AND r.reason IS DISTINCT FROM 'hour'
    ON CONFLICT (hour) DO UPDATE SET summed = false;
    -- and those whose rows somebody has deleted by hand
    UPDATE defidata.hours h SET summed = false
     WHERE h.hour >= since AND h.rows > 0 AND h.summed AND NOT h.expired;
    PERFORM defidata.tell_expired(since, 'infinity');
END
$$;
COMMENT ON FUNCTION defidata.mark_since(timestamptz) IS
    'makes the facts of every hour that has raw rows, or had, from since on, due';

-- One part a call, so that a run can commit between them.
CREATE FUNCTION defidata.compute_part(until_hour timestamptz, OUT computed bigint,
                                      OUT more boolean)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    open_day timestamptz;
    first    timestamptz;
BEGIN
    PERFORM defidata.lock('writer'), defidata.judge_waiting(clock_timestamp());
    -- whoever had it summed anew: what is known of an expired hour is more than the raw rows say
    UPDATE defidata.hours h SET summed = true WHERE NOT h.summed AND h.expired;
    open_day := defidata.turn_day();
    first := (SELECT min(h.hour) FROM defidata.hours h
               WHERE NOT h.summed AND h.hour < until_hour);
    more := first IS NOT NULL;
    computed := CASE WHEN more
        THEN defidata.sum_part(defidata.part_of(first, open_day), open_day, until_hour) ELSE 0 END;
END
$$;
COMMENT ON FUNCTION defidata.compute_part(timestamptz) IS
'sums the due hours, before until_hour, of one week or of the open day; computed: token-hours
summed; more: whether to call again';

-- Another session sees application_name at once, though nothing is committed yet.
CREATE FUNCTION defidata.tell_progress(started timestamptz, total bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    remaining constant bigint := (SELECT count(*) FROM defidata.hours h WHERE NOT h.summed);
    share     constant float8 := greatest(1 - remaining::float8 / total, 0);
    time_left constant interval :=
        (clock_timestamp() - started) * ((1 - share) / NULLIF(share, 0));
BEGIN
    PERFORM set_config('application_name',
                       format('defidata compute %s %%', floor(100 * share)), true);
    RAISE NOTICE 'compute: % %% of % hours done, about % left', floor(100 * share), total,
        COALESCE(date_trunc('second', time_left)::text, 'an unknown time');
END
$$;
COMMENT ON FUNCTION defidata.tell_progress(timestamptz, bigint) IS
'tells how far a long compute is, in a NOTICE and in application_name; total: hours due at its
start';

CREATE FUNCTION defidata.compute(since timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    done    record;
    written bigint := 0;
    total   bigint;
    started constant timestamptz := clock_timestamp();
    told    timestamptz := started;
BEGIN
    PERFORM defidata.lock('writer');
    IF since IS NOT NULL THEN
        PERFORM defidata.mark_since(since);
        total := (SELECT count(*) FROM defidata.hours h WHERE NOT h.summed);
    END IF;
    LOOP
        done := defidata.compute_part('infinity');
        written := written + done.computed;
        EXIT WHEN NOT done.more;
        IF total > 0 AND clock_timestamp() > told + interval '2 seconds' THEN
            PERFORM defidata.tell_progress(started, total);
            told := clock_timestamp();
        END IF;
    END LOOP;
    RETURN written;
END
$$;
COMMENT ON FUNCTION defidata.compute(timestamptz) IS 'the compute stage; see defidata_compute';
