-- reconcile.sql: the copy against its sources, hour by hour.

-- What the source is asked again: hours that differ, and, with apply_deletes, those that were
-- left as they are.
CREATE FUNCTION defidata.find_differing(source text, from_at timestamptz, until_at timestamptz,
                                        apply_deletes boolean)
    RETURNS TABLE (hour timestamptz, remote_rows bigint, local_rows bigint)
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT hour, COALESCE(s.remote_rows, k.rows), COALESCE(s.local_rows, k.held)
      FROM defidata.survey(source, from_at, until_at, false) s
      FULL JOIN (SELECT k.* FROM defidata.surveyed k
                  WHERE k.source = find_differing.source AND k.hour >= from_at
                    AND k.hour < until_at AND k.kept IS NOT NULL AND apply_deletes
                    AND k.hour NOT IN (SELECT h.hour FROM defidata.hours h WHERE h.expired)) k
                USING (hour)
     ORDER BY hour
$$;
COMMENT ON FUNCTION defidata.find_differing(text, timestamptz, timestamptz, boolean) IS
    'the hours of a mentions source that a reconcile reads again, with the rows of both';

CREATE FUNCTION defidata.reconcile_source(source text, from_at timestamptz, until_at timestamptz,
                                          apply_deletes boolean)
    RETURNS TABLE (hour timestamptz, remote_rows bigint, local_rows bigint, action text)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    started   constant timestamptz := clock_timestamp();
    differing record;
    batch     defidata.batch;
BEGIN
    SELECT COALESCE(array_agg(d.hour), '{}') AS hours, array_agg(d.remote_rows) AS remote_rows,
           array_agg(d.local_rows) AS local_rows INTO differing
      FROM defidata.find_differing(reconcile_source.source, from_at, until_at, apply_deletes) d;
    FOR batch IN SELECT * FROM defidata.cut_batches(
            reconcile_source.source, from_at, until_at, differing.hours, differing.remote_rows,
            differing.local_rows, defidata.setting_value('batch_size')::bigint, started,
            apply_deletes) LOOP
        PERFORM defidata.import_batch(batch);
    END LOOP;
    RETURN QUERY
    SELECT w.hour, w.remote_rows, w.local_rows, w.action
      FROM (SELECT k.hour, COALESCE(d.remote_rows, k.rows) AS remote_rows,
                   COALESCE(d.local_rows, k.held) AS local_rows,
                   CASE WHEN k.kept IS NOT NULL THEN 'kept'
                        WHEN g.hour IS NOT NULL AND apply_deletes THEN 'deleted'
                        WHEN c.hour IS NOT NULL OR g.hour IS NOT NULL THEN 'read again'
                        WHEN k.rows > k.held THEN 'uncopied' END AS action
              FROM (SELECT * FROM defidata.surveyed k
                     WHERE k.source = reconcile_source.source
                       AND k.hour >= from_at AND k.hour < until_at) k
              LEFT JOIN unnest(differing.hours, differing.remote_rows, differing.local_rows)
                        d (hour, remote_rows, local_rows) ON d.hour = k.hour
              LEFT JOIN (SELECT DISTINCT u.hour FROM defidata.superseded u
                          WHERE u.source = reconcile_source.source
                            AND u.superseded_at >= started) g ON g.hour = k.hour
              LEFT JOIN (SELECT r.hour
                           FROM defidata.raw_mentions r
                          WHERE r.source = reconcile_source.source
                            AND r.hour = ANY (differing.hours) AND r.fetched_at >= started
                          GROUP BY r.hour) c ON c.hour = k.hour) w
     WHERE w.action IS NOT NULL
     ORDER BY w.hour;
END
$$;
COMMENT ON FUNCTION defidata.reconcile_source(text, timestamptz, timestamptz, boolean) IS
    'reads the differing hours of a mentions source again and reports them, and those that were'
    ' left as they are or have rows that cannot be copied';

CREATE FUNCTION defidata.reconcile(since interval, apply_deletes boolean)
    RETURNS TABLE (source text, hour timestamptz, remote_rows bigint, local_rows bigint,
                   action text)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    src       record;
    retention interval;
    start     timestamptz;
    stage     bigint;
    found     bigint := 0;
BEGIN
    IF since IS NULL OR since < '0' OR since > '100 years' OR apply_deletes IS NULL THEN
        RAISE EXCEPTION 'since must be an interval of 0 to 100 years, apply_deletes true or false'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM defidata.require_source();
    PERFORM defidata.lock('writer');
    PERFORM defidata.mark_interrupted();
    stage := defidata.start_stage(NULL, 'reconcile', 'reconcile');
    retention := defidata.setting_value('raw_retention');
    start := defidata.hour_of(greatest(now() - since, '2006-01-01 00:00:00+00'));
    IF retention > '0' THEN
        -- what has expired here is not missing
        start := greatest(start, defidata.hour_of(now() - retention) + interval '1 hour');
    END IF;
    FOR src IN SELECT * FROM defidata.source s
                WHERE s.kind = 'mentions' AND s.watermark IS NOT NULL ORDER BY s.name LOOP
        PERFORM defidata.check_shape(src.relation, src.kind, src.columns);
        source := src.name;
        FOR hour, remote_rows, local_rows, action IN
            SELECT * FROM defidata.reconcile_source(
                src.name, start,
                defidata.hour_of(least(src.watermark, clock_timestamp())) + interval '1 hour',
                apply_deletes) LOOP
            found := found + 1;
            RETURN NEXT;
        END LOOP;
    END LOOP;
    PERFORM defidata.tell_expired(start, 'infinity');
    IF found > 0 THEN
        PERFORM defidata.compute(NULL), defidata.publish();
    END IF;
    PERFORM defidata.note_counts(stage, jsonb_build_object('hours', found)),
            defidata.finish_stage(stage);
END
$$;
COMMENT ON FUNCTION defidata.reconcile(interval, boolean) IS
    'the reconcile stage; see defidata_reconcile';
