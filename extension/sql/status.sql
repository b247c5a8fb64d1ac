-- status.sql: whether all is well.

CREATE FUNCTION defidata.rejects()
    RETURNS TABLE (symbol text, reason text, rows bigint, mentions float8, first_seen timestamptz, last_seen timestamptz)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('defidata.raw_mentions') IS NOT NULL THEN
        RETURN QUERY
        SELECT r.symbol COLLATE "default", r.reason, sum(r.rows)::bigint, sum(r.mentions), min(r.first_seen), max(r.last_seen)
          FROM (SELECT m.symbol, m.reason, count(*) AS rows, sum(m.mentions) FILTER (WHERE m.mentions BETWEEN 0 AND 1e9) AS mentions,
                       min(m.hour) AS first_seen, max(m.hour) AS last_seen
                  FROM defidata.raw_mentions m WHERE m.reason IS NOT NULL GROUP BY m.symbol, m.reason
                UNION ALL
                -- a quote that has no symbol shows by its asset
                SELECT COALESCE(p.symbol, p.asset), p.reason, count(*), NULL, min(defidata.hour_of(p.at)), max(defidata.hour_of(p.at))
                  FROM defidata.prices p WHERE p.reason IS NOT NULL GROUP BY 1, p.reason) r
         GROUP BY r.symbol, r.reason;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.rejects() IS 'the rejected rows by symbol and reason';

CREATE FUNCTION defidata.run_status(OUT name text, OUT state text, OUT value text, OUT hint text)
    RETURNS SETOF record STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stale_after constant interval := defidata.setting_value('stale_after');
    last_run    record;
    success     timestamptz;
    backfill    record;
BEGIN
    name := 'last run';
    SELECT CASE WHEN r.status = 'running' AND defidata.has_died(r.pid, r.started_at) THEN 'interrupted' ELSE r.status END AS status,
           r.stage, r.error, r.started_at INTO last_run FROM defidata.runs r
     WHERE r.trigger IN ('run', 'refresh') AND r.status <> 'skipped' ORDER BY r.id DESC LIMIT 1;
    SELECT max(r.finished_at) INTO success FROM defidata.runs r WHERE r.stage = 'publish' AND r.status = 'ok';
    state := CASE WHEN success IS NULL THEN 'warn'
                  WHEN now() - success > 2 * stale_after THEN 'fail'
                  WHEN now() - success > stale_after OR last_run.status IN ('failed', 'interrupted') THEN 'warn'
                  ELSE 'ok' END;
    IF last_run.status = 'failed' AND success IS DISTINCT FROM NULL AND success < last_run.started_at AND now() - success > stale_after THEN
        state := 'fail';
    END IF;
    value := COALESCE(last_run.status || ' in ' || last_run.stage || '; last success '
                      || COALESCE(date_trunc('second', now() - success) || ' ago', 'never'), 'none');
    hint := CASE WHEN state <> 'ok' THEN concat_ws(' ', 'The error was: ' || last_run.error || '.', 'SELECT * FROM defidata_refresh(); tells what is wrong, or mends it.') END;
    RETURN NEXT;

    name := 'backfill';
    SELECT CASE WHEN r.status = 'running' AND defidata.has_died(r.pid, r.started_at) THEN 'interrupted' ELSE r.status END AS status,
           r.counts INTO backfill FROM defidata.runs r
     WHERE r.trigger = 'backfill' ORDER BY r.id DESC LIMIT 1;
    state := CASE WHEN backfill.status IN ('failed', 'interrupted') THEN 'warn' ELSE 'ok' END;
    value := COALESCE(backfill.status || format(', %s of %s chunks', backfill.counts ->> 'done', backfill.counts ->> 'chunks'), 'none');
    hint := CASE WHEN state <> 'ok' THEN 'Call defidata_backfill with the same range again; what is done costs little.' END;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION defidata.run_status() IS 'the part of status that tells of runs';

CREATE FUNCTION defidata.data_status(OUT name text, OUT state text, OUT value text, OUT hint text)
    RETURNS SETOF record STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stale_after constant interval := defidata.setting_value('stale_after');
    settle      constant interval := defidata.setting_value('settle_after');
    latest      timestamptz;
    unsettled   bigint;
    share       float8;
    sources     constant text[] := ARRAY(SELECT defidata.copied_sources());
BEGIN
    name := 'sources';
    value := (SELECT format('%s of mentions, %s of prices', count(*) FILTER (WHERE s.kind = 'mentions'), count(*) FILTER (WHERE s.kind = 'prices'))
                FROM defidata.source s);
    state := CASE WHEN EXISTS (SELECT FROM defidata.source s WHERE s.kind = 'mentions')
                  OR defidata.has_streams() THEN 'ok' ELSE 'fail' END;
    hint := CASE state WHEN 'fail' THEN 'Attach one with defidata_attach_server or defidata_attach.' END;
    RETURN NEXT;

    name := 'latest hour';
    SELECT max(h.hour) FILTER (WHERE h.settled), count(*) FILTER (WHERE NOT h.settled AND h.hour + settle + interval '1 hour' < now())
      INTO latest, unsettled FROM defidata.hours h WHERE h.hour > now() - interval '14 days' OR h.settled;
    state := CASE WHEN latest IS NULL THEN 'warn' WHEN now() - latest - settle > 2 * stale_after + interval '1 hour' THEN 'fail'
                  WHEN now() - latest - settle > stale_after + interval '1 hour' THEN 'warn' ELSE 'ok' END;
    value := COALESCE(to_char(latest AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC, ' || date_trunc('minute', now() - latest) || ' ago', 'none');
    hint := CASE WHEN state <> 'ok' THEN 'Either no cycle runs or the collector delivers no complete hours; see the row last run.' END;
    RETURN NEXT;

    name := 'unsettled hours';
    unsettled := (SELECT count(*) FROM defidata.hours h
                   WHERE NOT h.settled AND h.rows > 0 AND h.hour > now() - interval '14 days' AND h.hour + settle < now());
    unsettled := unsettled + (SELECT count(*) FROM defidata.raw_mentions r
                              WHERE r.source = ANY (sources)
                                AND r.reason = 'hour' AND r.hour > now() AND isfinite(r.hour));
    state := CASE WHEN unsettled > 0 THEN 'warn' ELSE 'ok' END;
    value := unsettled::text;
    hint := CASE WHEN unsettled > 0 THEN 'Hours with less than half of the usual rows, or in the future, are not published until the collector completes them.' END;
    RETURN NEXT;

    name := 'alerts';
    state := 'ok';
    value := (SELECT count(*) FROM defidata.alerts) || ' stand';
    hint := CASE WHEN value <> '0 stand' THEN 'SELECT * FROM defidata.alerts;' END;
    RETURN NEXT;

    name := 'rejected rows';
    SELECT count(*) FILTER (WHERE r.reason IS NOT NULL)::float8 / NULLIF(count(*), 0) INTO share
      FROM defidata.raw_mentions r
     WHERE r.source = ANY (sources) AND r.hour > now() - interval '24 hours' AND r.hour <= now();
    state := CASE WHEN share > 0.5 THEN 'warn' ELSE 'ok' END;
    value := COALESCE(round(100 * share::numeric, 1) || ' % of the last 24 hours', 'no rows in the last 24 hours');
    hint := CASE WHEN state <> 'ok' THEN 'SELECT * FROM defidata.rejects ORDER BY mentions DESC LIMIT 20; shows what the list could take up.' END;
    RETURN NEXT;

    name := 'coverage of 14 days';
    share := (SELECT count(*) FROM defidata.hours h WHERE h.observed AND h.hour <= latest AND h.hour > latest - interval '336 hours') / 336.0;
    state := CASE WHEN share >= defidata.setting_value('min_coverage')::float8 THEN 'ok' ELSE 'warn' END;
    value := round(100 * share::numeric, 1) || ' %';
    hint := CASE WHEN state <> 'ok' THEN 'Figures over 14 days are NULL below min_coverage; backfill what the source holds, or wait.' END;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION defidata.data_status() IS 'the part of status that tells of sources and hours';

CREATE FUNCTION defidata.cron_status(OUT name text, OUT state text, OUT value text, OUT hint text)
    RETURNS SETOF record STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found record;
BEGIN
    name := 'pg_cron';
    state := 'ok';
    value := 'launcher running';
    BEGIN
        PERFORM defidata.require_cron();
    EXCEPTION WHEN object_not_in_prerequisite_state OR insufficient_privilege THEN
        GET STACKED DIAGNOSTICS value = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
        -- an owner who is no superuser
        hint := COALESCE(NULLIF(hint, ''), format('GRANT pg_read_all_settings, pg_read_all_stats TO %I;', current_user));
        state := 'warn';
        RETURN NEXT;
        RETURN;
    END;
    IF (SELECT count(*) FROM pg_stat_activity a WHERE a.backend_type = 'pg_cron launcher') = 0 THEN
        state := 'fail';
        value := 'launcher not running';
        hint := 'Restart the server; its log tells why the launcher ended.';
    END IF;
    RETURN NEXT;

    FOR found IN EXECUTE 'SELECT w.job, c.jobid, c.active, d.status, d.return_message, d.start_time FROM defidata.jobs('''') w'
                         ' LEFT JOIN cron.job c ON c.jobname = w.job AND c.database = current_database()'
                         ' LEFT JOIN LATERAL (SELECT * FROM cron.job_run_details r WHERE r.jobid = c.jobid ORDER BY r.runid DESC LIMIT 1) d ON true' LOOP
        name := 'job ' || found.job;
        state := CASE WHEN found.jobid IS NULL OR NOT found.active THEN 'warn' WHEN found.status = 'failed' THEN 'fail' ELSE 'ok' END;
        value := CASE WHEN found.jobid IS NULL THEN 'not scheduled' WHEN NOT found.active THEN 'not active'
                      ELSE COALESCE(found.status, 'not run yet') END;
        hint := CASE WHEN found.jobid IS NULL THEN 'SELECT defidata_schedule();'
                     WHEN NOT found.active THEN format('SELECT cron.alter_job(%s, active := true);', found.jobid)
                     WHEN found.status = 'failed' THEN found.return_message END;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.cron_status() IS 'the part of status that tells of pg_cron';

CREATE FUNCTION defidata.status() RETURNS TABLE (name text, state text, value text, hint text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('defidata.runs') IS NULL THEN
        RETURN QUERY SELECT 'sources', 'fail', 'nothing is set up', 'Attach a source with defidata_attach_server or defidata_attach.';
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM defidata.data_status() UNION ALL SELECT * FROM defidata.source_status()
                 UNION ALL SELECT * FROM defidata.run_status()
                 UNION ALL SELECT * FROM defidata.streams_status() UNION ALL SELECT * FROM defidata.cron_status();
END
$$;
COMMENT ON FUNCTION defidata.status() IS 'the rows of defidata.status';

CREATE FUNCTION defidata.check() RETURNS TABLE (name text, state text, value text, hint text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    src    record;
    first  record;
    code   text;
    failed text[] := '{}';
    advice text := 'SELECT * FROM defidata.status; has the next steps.';
BEGIN
    FOR src IN SELECT s.name, s.kind, s.relation, s.columns FROM defidata.source s ORDER BY s.name LOOP
        name := 'source ' || src.name;
        state := 'ok';
        value := 'reachable, of the expected shape';
        hint := NULL;
        BEGIN
            PERFORM defidata.check_shape(src.relation, src.kind, src.columns);
            EXECUTE format('SELECT FROM %s LIMIT 1', src.relation);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS value = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
            state := 'fail';
            code := COALESCE(code, SQLSTATE);
            failed := failed || format('%s: %s', name, value);
            advice := concat_ws(' ', NULLIF(hint, ''), advice);
        END;
        RETURN NEXT;
    END LOOP;
    FOR name, state, value, hint IN SELECT * FROM defidata.status() LOOP
        IF state = 'fail' THEN
            failed := failed || format('%s: %s', name, value);
        END IF;
        RETURN NEXT;
    END LOOP;
    IF failed <> '{}' THEN
        RAISE EXCEPTION 'defidata is not well: %', array_to_string(failed, '; ')
            USING ERRCODE = COALESCE(code, 'object_not_in_prerequisite_state'),
                  HINT = advice;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.check() IS 'probes each source and its shape and returns these findings with those of defidata.status; raises an error, with the SQLSTATE of the first source that failed or 55000, if any state is fail';
