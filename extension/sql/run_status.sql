-- run_status.sql: what runs, the queue of NOTIFY and pg_cron tell of health, a function for each
-- row of defidata.status or each kind of them.  Only the primary knows of these.

CREATE FUNCTION defidata.last_record(triggers text[])
    RETURNS TABLE (status text, stage text, error text, started_at timestamptz, counts jsonb)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT CASE WHEN r.status = 'running' AND defidata.has_died(r.pid, r.started_at)
                THEN 'interrupted' ELSE r.status END,
           r.stage, r.error, r.started_at, r.counts
      FROM defidata.runs r
     WHERE r.trigger = ANY (triggers) AND r.status <> 'skipped'
     ORDER BY r.id DESC LIMIT 1;
END
$$;
COMMENT ON FUNCTION defidata.last_record(text[]) IS 'the last record of runs with these triggers';

CREATE FUNCTION defidata.last_run_status() RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    success constant timestamptz := (SELECT max(r.finished_at) FROM defidata.runs r
                                      WHERE r.stage = 'publish' AND r.status = 'ok');
    last    record;
    state   text := defidata.age_state(now() - success);
BEGIN
    SELECT * INTO last FROM defidata.last_record('{run,refresh}');
    IF last.status = 'failed' AND success < last.started_at AND state = 'warn' THEN
        state := 'fail';
    ELSIF last.status IN ('failed', 'interrupted') AND state = 'ok' THEN
        state := 'warn';
    END IF;
    RETURN defidata.finding('last run', state,
        COALESCE(last.status || ' in ' || last.stage || '; last success '
                 || COALESCE(date_trunc('second', now() - success) || ' ago', 'never'), 'none'),
        concat_ws(' ', 'The error was: ' || last.error || '.',
                  'SELECT * FROM defidata_refresh(); tells what is wrong, or mends it.'));
END
$$;
COMMENT ON FUNCTION defidata.last_run_status() IS 'how the last run or refresh ended';

CREATE FUNCTION defidata.backfill_status() RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    last record;
BEGIN
    SELECT * INTO last FROM defidata.last_record('{backfill}');
    RETURN defidata.finding('backfill',
        CASE WHEN last.status IN ('failed', 'interrupted') THEN 'warn' ELSE 'ok' END,
        COALESCE(last.status || format(', %s of %s chunks', last.counts ->> 'done',
                                       last.counts ->> 'chunks'), 'none'),
        'Call defidata_backfill with the same range again; what is done costs little.');
END
$$;
COMMENT ON FUNCTION defidata.backfill_status() IS 'how the last backfill ended';

CREATE FUNCTION defidata.queue_status() RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    usage constant float8 := pg_notification_queue_usage();
BEGIN
    RETURN defidata.finding('notifications', CASE WHEN usage > 0.5 THEN 'warn' ELSE 'ok' END,
        round(100 * usage) || ' % of their queue is full',
        'From 50 % on listeners are not notified: end the oldest transaction of a session that'
        ' listens.');
END
$$;
COMMENT ON FUNCTION defidata.queue_status() IS 'how full the queue of NOTIFY is';

CREATE FUNCTION defidata.launcher_status() RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    message text;
    advice  text;
BEGIN
    PERFORM defidata.require_cron();
    RETURN CASE
        WHEN EXISTS (SELECT FROM pg_stat_activity a WHERE a.backend_type = 'pg_cron launcher')
        THEN defidata.finding('pg_cron', 'ok', 'launcher running', NULL)
        ELSE defidata.finding('pg_cron', 'fail', 'launcher not running',
                              'Restart the server; its log tells why the launcher ended.') END;
EXCEPTION WHEN object_not_in_prerequisite_state OR insufficient_privilege THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, advice = PG_EXCEPTION_HINT;
    -- the privilege is that of an owner who is no superuser
    RETURN defidata.finding('pg_cron', 'warn', message, COALESCE(NULLIF(advice, ''),
        format('GRANT pg_read_all_settings, pg_read_all_stats TO %I;', current_user)));
END
$$;
COMMENT ON FUNCTION defidata.launcher_status() IS 'whether pg_cron can run jobs here';

CREATE FUNCTION defidata.job_status(job text) RETURNS defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found record;
    name  constant text := 'job ' || job;
BEGIN
    -- the one of this database first
    EXECUTE 'SELECT c.*, d.status, d.return_message,'
            ' defidata.job_flaw(c.database, c.nodeport) AS flaw FROM cron.job c'
            ' LEFT JOIN LATERAL (SELECT * FROM cron.job_run_details r'
            ' WHERE r.jobid = c.jobid ORDER BY r.runid DESC LIMIT 1) d ON true'
            ' WHERE c.jobname = $1 AND (c.database = current_database()'
            ' OR defidata.job_flaw(c.database, c.nodeport) IS NOT NULL)'
            ' ORDER BY defidata.job_flaw(c.database, c.nodeport) IS NOT NULL, c.jobid LIMIT 1'
       INTO found USING job;
    RETURN CASE
        WHEN found.jobid IS NULL
        THEN defidata.finding(name, 'warn', 'not scheduled', 'SELECT defidata_schedule();')
        WHEN found.flaw IS NOT NULL
        THEN defidata.finding(name, 'warn', found.flaw, 'SELECT defidata_schedule();')
        WHEN NOT found.active
        THEN defidata.finding(name, 'warn', 'not active',
                              format('SELECT cron.alter_job(%s, active := true);', found.jobid))
        WHEN found.status = 'failed'
        THEN defidata.finding(name, 'fail', found.status, found.return_message)
        ELSE defidata.finding(name, 'ok', COALESCE(found.status, 'not run yet'), NULL) END;
END
$$;
COMMENT ON FUNCTION defidata.job_status(text) IS 'whether a job is there and how it ended last';

CREATE FUNCTION defidata.cron_findings() RETURNS SETOF defidata.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    launcher constant defidata.finding := defidata.launcher_status();
BEGIN
    RETURN NEXT launcher;
    IF launcher.state <> 'warn' THEN
        RETURN QUERY SELECT f.* FROM defidata.jobs('') j, defidata.job_status(j.job) f;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.cron_findings() IS 'the rows of status that tell of pg_cron';
