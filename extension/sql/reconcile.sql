-- reconcile.sql: the copy against its sources, hour by hour.

-- Rows of an hour whose id the source holds no more, in that hour.
CREATE FUNCTION defidata.find_deleted(source text, hour timestamptz) RETURNS text[]
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    piece    record;
    present  text[];
    from_at  constant timestamptz := hour;
    until_at constant timestamptz := hour + interval '1 hour';
BEGIN
    SELECT * INTO piece FROM defidata.source_sql(find_deleted.source);
    BEGIN
        EXECUTE format('SELECT array_agg(%s) FROM %s r WHERE %s', piece.id, piece.relation, piece.in_range) INTO present
          USING from_at, until_at, NULL::timestamptz[], defidata.epoch_of(from_at), defidata.epoch_of(until_at), NULL::bigint[],
                from_at AT TIME ZONE 'UTC', until_at AT TIME ZONE 'UTC';
    EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
        RAISE WARNING 'cannot tell which rows of hour % source "%" has deleted: an id there is not valid text here', hour, source;
        RETURN NULL;
    END;
    RETURN ARRAY(SELECT r.id FROM defidata.raw_mentions r
                  WHERE r.source = find_deleted.source AND r.hour = find_deleted.hour AND r.reason IS DISTINCT FROM 'hour'
                    AND r.id <> ALL (COALESCE(present, '{}')));
END
$$;
COMMENT ON FUNCTION defidata.find_deleted(text, timestamptz) IS 'ids that the copy holds in an hour and its source does not';

CREATE FUNCTION defidata.reconcile_source(source text, from_at timestamptz, until_at timestamptz, apply_deletes boolean)
    RETURNS TABLE (hour timestamptz, remote_rows bigint, local_rows bigint, action text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    differing record;
    counts    jsonb;
    changed   bigint[] := '{}';
    missing   text[];
BEGIN
    SELECT array_agg(s.hour) AS hours, array_agg(s.remote_rows) AS remote_rows, array_agg(s.local_rows) AS local_rows INTO differing
      FROM defidata.survey(reconcile_source.source, from_at, until_at, false, false) s;
    -- all are read first: a row that an hour lacks may have moved to a later one
    FOR i IN 1 .. COALESCE(cardinality(differing.hours), 0) LOOP
        counts := '{"inserted": 0, "updated": 0}';
        IF differing.remote_rows[i] > 0 THEN
            counts := defidata.import_batch(ROW(source, from_at, until_at, differing.hours[i:i], differing.remote_rows[i:i], differing.hours)::defidata.batch);
        END IF;
        changed := changed || ((counts ->> 'inserted')::bigint + (counts ->> 'updated')::bigint);
    END LOOP;
    FOR i IN 1 .. cardinality(changed) LOOP
        hour := differing.hours[i];
        remote_rows := differing.remote_rows[i];
        local_rows := differing.local_rows[i];
        missing := defidata.find_deleted(source, hour);
        IF apply_deletes AND cardinality(missing) > 0 THEN
            DELETE FROM defidata.raw_mentions r WHERE r.source = reconcile_source.source AND r.id = ANY (missing);
            UPDATE defidata.hours h SET summed = false WHERE h.hour = reconcile_source.hour;
        END IF;
        action := CASE WHEN cardinality(missing) > 0 THEN CASE WHEN apply_deletes THEN 'deleted' ELSE 'kept' END
                       WHEN changed[i] > 0 THEN 'read again'
                       WHEN remote_rows > local_rows THEN 'uncopied'
                       -- its rows have moved to another hour
                       WHEN remote_rows < local_rows THEN 'read again' END;
        IF action IS NOT NULL THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.reconcile_source(text, timestamptz, timestamptz, boolean) IS 'reads the differing hours of a mentions source again and reports them';

CREATE FUNCTION defidata.reconcile(since interval, apply_deletes boolean)
    RETURNS TABLE (source text, hour timestamptz, remote_rows bigint, local_rows bigint, action text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    src       record;
    retention interval;
    start     timestamptz;
    stage     bigint;
    found     bigint := 0;
BEGIN
    IF since IS NULL OR since < '0' OR since > '100 years' OR apply_deletes IS NULL THEN
        RAISE EXCEPTION 'since must be an interval of 0 to 100 years, apply_deletes true or false' USING ERRCODE = 'invalid_parameter_value';
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
    FOR src IN SELECT * FROM defidata.source s WHERE s.kind = 'mentions' AND s.watermark IS NOT NULL ORDER BY s.name LOOP
        PERFORM defidata.check_shape(src.relation, src.kind, src.columns);
        source := src.name;
        FOR hour, remote_rows, local_rows, action IN
            SELECT * FROM defidata.reconcile_source(src.name, start, src.watermark + interval '1 hour', apply_deletes) LOOP
            found := found + 1;
            RETURN NEXT;
        END LOOP;
    END LOOP;
    IF found > 0 THEN
        PERFORM defidata.compute(NULL), defidata.publish();
    END IF;
    PERFORM defidata.note_counts(stage, jsonb_build_object('hours', found)), defidata.finish_stage(stage);
END
$$;
COMMENT ON FUNCTION defidata.reconcile(interval, boolean) IS 'compares count and checksum of each hour since now() - since with its source, reads the hours that differ again, computes and publishes. action: read again; kept or deleted, where the source holds rows no more; uncopied, where it holds rows that cannot be copied. Deletes only with apply_deletes';
