-- record.sql: the records of runs.

CREATE FUNCTION defidata.start_stage(run bigint, trigger text, stage text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    started bigint;
BEGIN
    INSERT INTO defidata.runs (run, trigger, stage, status, started_at, pid)
    VALUES (start_stage.run, start_stage.trigger, start_stage.stage, 'running',
            clock_timestamp(), pg_backend_pid())
    RETURNING id INTO started;
    IF start_stage.run IS NULL THEN
        UPDATE defidata.runs r SET run = started WHERE r.id = started;
    END IF;
    RETURN started;
END
$$;
COMMENT ON FUNCTION defidata.start_stage(bigint, text, text) IS
    'records that a stage runs; run: the id of the run''s first record, NULL for that record'
    ' itself';

CREATE FUNCTION defidata.note_counts(stage bigint, counts jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE defidata.runs r SET counts = defidata.add_counts(r.counts, note_counts.counts)
     WHERE r.id = note_counts.stage;
END
$$;
COMMENT ON FUNCTION defidata.note_counts(bigint, jsonb) IS 'adds counts to the record of a stage';

CREATE FUNCTION defidata.finish_stage(stage bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE defidata.runs r
       SET status = 'ok', finished_at = clock_timestamp(),
           latest_hour = CASE r.stage
                         WHEN 'publish' THEN (SELECT p.latest_hour FROM defidata.publication p)
                         ELSE (SELECT max(h.hour) FROM defidata.hours h
                                WHERE h.rows IS DISTINCT FROM 0) END
     WHERE r.id = finish_stage.stage;
END
$$;
COMMENT ON FUNCTION defidata.finish_stage(bigint) IS 'records that a stage has succeeded';

CREATE TYPE defidata.failure AS (
    sqlstate text,
    message  text,
    detail   text,
    hint     text
);
COMMENT ON TYPE defidata.failure IS 'an error that a stage of a run met';
COMMENT ON COLUMN defidata.failure.sqlstate IS 'its SQLSTATE; NULL where nothing failed';
COMMENT ON COLUMN defidata.failure.message IS 'what is wrong';
COMMENT ON COLUMN defidata.failure.detail IS 'its DETAIL, where it has one';
COMMENT ON COLUMN defidata.failure.hint IS 'the next step, where there is one';

CREATE FUNCTION defidata.record_failure(stage bigint, INOUT failure defidata.failure)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE defidata.runs r
       SET status = 'failed', finished_at = clock_timestamp(), sqlstate = failure.sqlstate,
           error = concat_ws(': ', failure.message, NULLIF(failure.detail, ''))
     WHERE r.id = record_failure.stage
    RETURNING concat_ws(' ', format('Stage %s of run %s failed.', r.stage, r.run),
                        NULLIF(failure.detail, ''))
         INTO failure.detail;
    failure.hint := COALESCE(NULLIF(failure.hint, ''),
                             'defidata.runs has the record; the next run takes the work up where '
                             'this one left it.');
END
$$;
COMMENT ON FUNCTION defidata.record_failure(bigint, defidata.failure) IS
    'records that a stage has failed and completes the error with the stage and the next step';

-- A record that says running, of a process that is gone, was interrupted.
CREATE FUNCTION defidata.has_died(pid integer, started_at timestamptz) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NOT EXISTS (SELECT FROM pg_stat_activity a
                        WHERE a.pid = has_died.pid AND a.pid <> pg_backend_pid()
                          AND COALESCE(a.backend_start <= has_died.started_at, true));
END
$$;
COMMENT ON FUNCTION defidata.has_died(integer, timestamptz) IS
    'whether the process that began a stage works on it no more';

CREATE FUNCTION defidata.mark_interrupted() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE defidata.runs r SET status = 'interrupted', finished_at = clock_timestamp()
     WHERE r.status = 'running' AND defidata.has_died(r.pid, r.started_at);
END
$$;
COMMENT ON FUNCTION defidata.mark_interrupted() IS
    'marks the records of runs whose process has died';
