-- schedule.sql: pg_cron, which is found at run time and never required.

-- Finds out why jobs could not be scheduled here.
CREATE FUNCTION defidata.require_cron() RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    preloaded constant boolean := current_setting('shared_preload_libraries') ~ '(^|[ ,"/])pg_cron(\.so)?($|[ ,"])';
    home      constant text := current_setting('cron.database_name', true);
BEGIN
    IF (SELECT count(*) FROM pg_available_extensions a WHERE a.name = 'pg_cron') = 0 THEN
        RAISE EXCEPTION 'pg_cron is not installed' USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Install its package, for example postgresql-15-cron, add pg_cron to shared_preload_libraries, set cron.database_name and restart the server.';
    ELSIF NOT preloaded THEN
        RAISE EXCEPTION 'pg_cron is not loaded' USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('Set shared_preload_libraries = ''pg_cron'' and cron.database_name = ''%s'' in postgresql.conf and restart the server.', current_database());
    ELSIF home <> current_database() THEN
        RAISE EXCEPTION 'pg_cron runs in database "%", not in "%"', home, current_database() USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('Set cron.database_name = ''%1$s'' and restart the server, or connect to database "%2$s" and'
                          ' SELECT cron.schedule_in_database(''defidata cycle'', ''5 * * * *'', ''CALL %3$s.defidata_run()'', ''%1$s'');'
                          ' SELECT cron.unschedule(''defidata cycle'') there removes that job.', current_database(), home,
                          (SELECT e.extnamespace::regnamespace FROM pg_extension e WHERE e.extname = 'defidata'));
    ELSIF to_regnamespace('cron') IS NULL THEN
        RAISE EXCEPTION 'pg_cron is not created in this database' USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'CREATE EXTENSION pg_cron;';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.require_cron() IS 'raises 55000 with the next step unless pg_cron can run jobs in this database';

-- How pg_hba.conf would treat the connection that pg_cron makes for a job.
CREATE FUNCTION defidata.cron_authentication(role name) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    host constant text := COALESCE(current_setting('cron.host', true), 'localhost');
    rule record;
BEGIN
    IF current_setting('cron.use_background_workers', true)::boolean THEN
        RETURN 'trust';
    END IF;
    FOR rule IN SELECT h.type, h.address, h.auth_method FROM pg_hba_file_rules h
                 WHERE h.error IS NULL AND h.database && ARRAY['all', current_database()::text] AND h.user_name && ARRAY['all', role::text]
                 ORDER BY h.line_number LOOP
        IF host = '' OR host LIKE '/%' THEN
            CONTINUE WHEN rule.type <> 'local';
        ELSE
            CONTINUE WHEN rule.type NOT IN ('host', 'hostssl', 'hostnossl')
                       OR rule.address <> ALL (ARRAY['all', 'samehost', 'samenet', 'localhost', '127.0.0.1', '127.0.0.0', '::1', '0.0.0.0', '::', host]);
        END IF;
        RETURN rule.auth_method;
    END LOOP;
    RETURN 'reject';
EXCEPTION WHEN insufficient_privilege THEN
    -- who may not read the rules learns from the first run
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION defidata.cron_authentication(name) IS 'the authentication method that pg_hba.conf asks of a job of the role; reject where no rule fits, NULL where this role may not know';

CREATE FUNCTION defidata.warn_of_authentication() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    method constant text := defidata.cron_authentication(current_user);
BEGIN
    IF method = 'reject' OR method IN ('peer', 'ident') AND current_user <> 'postgres' THEN
        RAISE WARNING 'pg_hba.conf would refuse the connections of pg_cron as role "%"', current_user
            USING HINT = 'Set cron.use_background_workers = on and restart the server, or add a rule for this role to pg_hba.conf.';
    ELSIF method NOT IN ('trust', 'peer', 'ident') THEN
        RAISE WARNING 'the connections of pg_cron as role "%" need a password (method %)', current_user, method
            USING HINT = 'Set cron.use_background_workers = on and restart the server, or put the password into the .pgpass file of the server''s user.';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.warn_of_authentication() IS 'warns where pg_hba.conf would refuse the jobs of this role';

CREATE FUNCTION defidata.jobs(schedule text, OUT job text, OUT job_schedule text, OUT command text)
    RETURNS SETOF record STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    home constant text := (SELECT e.extnamespace::regnamespace::text FROM pg_extension e WHERE e.extname = 'defidata');
BEGIN
    RETURN QUERY VALUES ('defidata cycle', schedule, format('CALL %s.defidata_run()', home)),
                        ('defidata reconcile', '35 3 * * *', format('SELECT count(*) FROM %s.defidata_reconcile()', home)),
                        ('defidata expire', '50 3 * * *', format('SELECT count(*) FROM %s.defidata_expire()', home));
END
$$;
COMMENT ON FUNCTION defidata.jobs(text) IS 'the jobs that defidata_schedule makes, with the given schedule for the cycle';

CREATE FUNCTION defidata.schedule(schedule text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    cycle bigint;
    wanted record;
    job_id bigint;
BEGIN
    IF schedule IS NULL THEN
        RAISE EXCEPTION 'a schedule is needed' USING ERRCODE = 'invalid_parameter_value', HINT = 'For example ''5 * * * *''.';
    END IF;
    PERFORM defidata.require_cron();
    PERFORM defidata.warn_of_authentication();
    FOR wanted IN SELECT * FROM defidata.jobs(schedule) LOOP
        -- a job of this name and owner is changed, not doubled
        EXECUTE 'SELECT cron.schedule($1, $2, $3)' INTO job_id USING wanted.job, wanted.job_schedule, wanted.command;
        cycle := COALESCE(cycle, job_id);
    END LOOP;
    RETURN cycle;
END
$$;
COMMENT ON FUNCTION defidata.schedule(text) IS 'has pg_cron run the cycle by the schedule, a reconcile and an expiry each day, as the extension''s owner; returns the job id of the cycle. 55000 where pg_cron cannot run jobs here; a WARNING where pg_hba.conf would refuse them';

CREATE FUNCTION defidata.unschedule() RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    removed integer := 0;
BEGIN
    PERFORM defidata.require_cron();
    EXECUTE 'SELECT count(cron.unschedule(c.jobid)) FROM cron.job c'
            ' WHERE c.username = current_user AND c.jobname IN (SELECT j.job FROM defidata.jobs('''') j)' INTO removed;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION defidata.unschedule() IS 'removes the jobs that defidata_schedule made; returns how many there were. 55000 without pg_cron';
