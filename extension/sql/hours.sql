-- hours.sql: which hours are observed.
--
-- A collector that was down for most of an hour delivers a few rows of it.  They
-- count as an outage, not as the hour's figures: such an hour is thin, and facts
-- are of observed hours only (compute.sql), so that nothing above has to ask.

-- What is usual is the smaller of two medians, so that neither a feed that is
-- quiet at night nor one that has just grown has its hours taken for thin ones;
-- four standard deviations of a count keep a small feed's chance from it.
-- Hours with rows after those that changed are judged anew as far as one of their
-- medians can have changed.
CREATE FUNCTION defidata.judge_hours(first timestamptz, last timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    reach constant timestamptz := greatest(
        last + interval '168 hours',
        (SELECT max(f.hour) FROM (SELECT h.hour FROM defidata.hours h
                                   WHERE h.hour > last AND h.rows > 0
                                   ORDER BY h.hour LIMIT 24) f));
BEGIN
    UPDATE defidata.hours h SET thin = j.thin
      FROM (SELECT o.hour,
                   COALESCE(o.rows < m.usual / 2 AND o.rows < m.usual - 4 * sqrt(m.usual), false)
                   AS thin
              FROM defidata.hours o,
                   LATERAL (SELECT count(*) AS n,
                                   percentile_cont(0.5) WITHIN GROUP (ORDER BY b.rows) AS median
                              FROM (SELECT p.rows FROM defidata.hours p
                                     WHERE p.hour < o.hour AND p.rows > 0
                                     ORDER BY p.hour DESC LIMIT 24) b) day,
                   LATERAL (SELECT count(*) AS n,
                                   percentile_cont(0.5) WITHIN GROUP (ORDER BY p.rows) AS median
                              FROM defidata.hours p
                             WHERE p.rows > 0
                               AND p.hour = ANY (
                                   ARRAY(SELECT o.hour - make_interval(hours => 24 * d)
                                           FROM generate_series(1, 7) d))) week,
                   LATERAL (SELECT CASE WHEN day.n = 24 THEN
                                       least(day.median, CASE WHEN week.n >= 3 THEN week.median END)
                                   END AS usual) m
             WHERE o.hour BETWEEN first AND reach AND o.rows > 0 AND NOT o.expired) j
     WHERE h.hour = j.hour AND h.thin <> j.thin;
    -- what was summed when it was judged otherwise
    UPDATE defidata.hours h SET summed = false
     WHERE h.hour BETWEEN first AND reach AND h.summed AND h.observed <> (h.mentions IS NOT NULL)
       AND NOT h.expired;
END
$$;
COMMENT ON FUNCTION defidata.judge_hours(timestamptz, timestamptz) IS
'decides which hours from first to last, and after them as far as these are a measure, are thin;
those of which the facts are wrong by that become due';

CREATE FUNCTION defidata.mark_hours(from_hour timestamptz, until_hour timestamptz,
                                    observed boolean) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    changed bigint;
    expired bigint;
BEGIN
    IF from_hour IS NULL OR until_hour IS NULL OR from_hour >= until_hour THEN
        RAISE EXCEPTION 'from_hour must be before until_hour, and neither null'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM defidata.lock('writer');
    UPDATE defidata.hours h SET marked = mark_hours.observed
     WHERE h.hour >= from_hour AND h.hour < until_hour AND NOT h.expired
       AND h.marked IS DISTINCT FROM mark_hours.observed;
    GET DIAGNOSTICS changed = ROW_COUNT;
    UPDATE defidata.hours h SET summed = false
     WHERE h.hour >= from_hour AND h.hour < until_hour AND h.summed AND NOT h.expired
       AND h.observed <> (h.mentions IS NOT NULL);
    SELECT count(*) INTO expired FROM defidata.hours h
     WHERE h.hour >= from_hour AND h.hour < until_hour AND h.expired;
    IF expired > 0 THEN
        RAISE NOTICE '% hours have expired and stay as they are', expired;
    END IF;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION defidata.mark_hours(timestamptz, timestamptz, boolean) IS
    'see defidata_mark_hours';

CREATE FUNCTION defidata.observed_hours(from_hour timestamptz, until_hour timestamptz)
    RETURNS timestamptz[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN ARRAY(SELECT h.hour FROM defidata.hours h
                  WHERE h.hour > from_hour - interval '337 hours' AND h.hour < until_hour
                    AND h.observed
                  ORDER BY h.hour);
END
$$;
COMMENT ON FUNCTION defidata.observed_hours(timestamptz, timestamptz) IS
'the observed hours that the windows of a range of hours can touch, in ascending order';
