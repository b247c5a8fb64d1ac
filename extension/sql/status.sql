-- status.sql: whether all is well: the findings put together, and the probe of the sources.

CREATE FUNCTION defidata.standby_status() RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN defidata.finding('standby', 'ok', COALESCE('as of the primary ' ||
        date_trunc('second', now() - pg_last_xact_replay_timestamp()) || ' ago',
        'a copy of the primary') || '; ask that one about runs, jobs and sources', NULL);
END
$$;
COMMENT ON FUNCTION defidata.standby_status() IS 'that this server is a standby';

CREATE FUNCTION defidata.no_table_status() RETURNS defidata.finding
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN defidata.finding('sources', 'fail', 'nothing is set up',
                            'Attach a source with defidata_attach_server or defidata_attach.');
COMMENT ON FUNCTION defidata.no_table_status() IS 'that setup was never called';

-- What only the primary knows.
CREATE FUNCTION defidata.primary_findings() RETURNS SETOF defidata.finding
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM defidata.last_run_status()
    UNION ALL SELECT * FROM defidata.backfill_status()
    UNION ALL SELECT * FROM defidata.queue_status()
    UNION ALL SELECT * FROM defidata.streams_status()
    UNION ALL SELECT * FROM defidata.cron_findings();
END;
COMMENT ON FUNCTION defidata.primary_findings() IS
    'the rows of status that a standby cannot know of';

CREATE FUNCTION defidata.data_findings() RETURNS SETOF defidata.finding
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM defidata.sources_status()
    UNION ALL SELECT * FROM defidata.latest_hour_status()
    UNION ALL SELECT * FROM defidata.publication_status()
    UNION ALL SELECT * FROM defidata.boards_status()
    UNION ALL SELECT * FROM defidata.obstacles_status()
    UNION ALL SELECT * FROM defidata.documents_status()
    UNION ALL SELECT * FROM defidata.unsettled_status()
    UNION ALL SELECT * FROM defidata.thin_status()
    UNION ALL SELECT * FROM defidata.rejects_status()
    UNION ALL SELECT * FROM defidata.coverage_status()
    UNION ALL SELECT * FROM defidata.alerts_status()
    UNION ALL SELECT * FROM defidata.source_status();
END;
COMMENT ON FUNCTION defidata.data_findings() IS 'the rows of status that the data tell';

-- A row of status is a function that is named here, above or below.
-- Where this fails nothing else can be judged, as the tables are somebody else's.
CREATE FUNCTION defidata.owner_status() RETURNS SETOF defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    message text;
    step    text;
BEGIN
    PERFORM defidata.check_owner();
EXCEPTION WHEN insufficient_privilege THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, step = PG_EXCEPTION_HINT;
    RETURN NEXT defidata.finding('owners', 'fail', message, step);
END
$$;
COMMENT ON FUNCTION defidata.owner_status() IS
    'tables and extension of different owners, or somebody''s trigger; no row where all is well';

CREATE FUNCTION defidata.status() RETURNS TABLE (name text, state text, value text, hint text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY SELECT * FROM defidata.owner_status();
    IF FOUND THEN
        RETURN;
    ELSIF to_regclass('defidata.layout') IS NULL THEN
        RETURN QUERY SELECT * FROM defidata.no_table_status();
    ELSIF pg_is_in_recovery() THEN
        RETURN QUERY SELECT * FROM defidata.standby_status()
           UNION ALL SELECT * FROM defidata.data_findings();
    ELSE
        RETURN QUERY SELECT * FROM defidata.data_findings()
           UNION ALL SELECT * FROM defidata.primary_findings();
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.status() IS 'the rows of defidata.status';

-- Sources are the primary's to read.
CREATE FUNCTION defidata.probe_sources(OUT name text, OUT state text, OUT value text,
                                       OUT hint text, OUT code text)
    RETURNS SETOF record
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    src record;
BEGIN
    FOR src IN SELECT s.name, s.kind, s.relation, s.columns FROM defidata.source s
                WHERE NOT pg_is_in_recovery() ORDER BY s.name LOOP
        name := 'source ' || src.name;
        state := 'ok';
        value := 'reachable, of the expected shape';
        hint := NULL;
        code := NULL;
        BEGIN
            PERFORM defidata.check_shape(src.relation, src.kind, src.columns);
            EXECUTE format('SELECT FROM %s LIMIT 1', src.relation);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS value = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
            state := 'fail';
            code := SQLSTATE;
        END;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.probe_sources() IS
    'whether each source can be read and is of its shape; code: the SQLSTATE where not';

CREATE FUNCTION defidata.check()
    RETURNS TABLE (name text, state text, value text, hint text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found  record;
    code   text;
    failed text[] := '{}';
    advice text := 'SELECT * FROM defidata.status; has the next steps.';
BEGIN
    FOR found IN SELECT * FROM defidata.probe_sources()
       UNION ALL SELECT s.*, NULL FROM defidata.status() s LOOP
        name := found.name;
        state := found.state;
        value := found.value;
        hint := found.hint;
        RETURN NEXT;
        CONTINUE WHEN state <> 'fail';
        failed := failed || format('%s: %s', name, value);
        IF found.code IS NOT NULL THEN
            code := COALESCE(code, found.code);
            advice := concat_ws(' ', NULLIF(hint, ''), advice);
        END IF;
    END LOOP;
    IF failed <> '{}' THEN
        RAISE EXCEPTION 'defidata is not well: %', array_to_string(failed, '; ')
            USING ERRCODE = COALESCE(code, 'object_not_in_prerequisite_state'),
                  HINT = advice;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.check() IS 'see defidata_check';
