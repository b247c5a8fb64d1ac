-- schedule.sql: pg_cron, which is found at run time and never required.

CREATE FUNCTION defidata.has_database(database text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN EXISTS (SELECT FROM pg_database d WHERE d.datname = database);
COMMENT ON FUNCTION defidata.has_database(text) IS 'whether this server has such a database';

-- What helps where pg_cron is at home in another database, or in one that was renamed.
CREATE FUNCTION defidata.elsewhere_hint(home text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN format('Set cron.database_name = ''%s'' and restart the server', current_database())
        || CASE WHEN defidata.has_database(home) THEN
               format(', or connect to database "%s" and SELECT cron.schedule_in_database('
                      '''defidata cycle'', ''5 * * * *'', ''CALL %s.defidata_run()'', ''%s'');'
                      ' SELECT cron.unschedule(''defidata cycle'') there removes that job.', home,
                      (SELECT e.extnamespace::regnamespace FROM pg_extension e
                        WHERE e.extname = 'defidata'), current_database())
           ELSE '; then SELECT defidata_schedule();' END;
COMMENT ON FUNCTION defidata.elsewhere_hint(text) IS
    'the next step where pg_cron is set to run in another database';

-- Finds out why jobs could not be scheduled here.
CREATE FUNCTION defidata.require_cron() RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    preloaded constant boolean :=
        current_setting('shared_preload_libraries') ~ '(^|[ ,"/])pg_cron(\.so)?($|[ ,"])';
    home      constant text := current_setting('cron.database_name', true);
BEGIN
    IF NOT EXISTS (SELECT FROM pg_available_extensions a WHERE a.name = 'pg_cron') THEN
        RAISE EXCEPTION 'pg_cron is not installed'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Install its package, for example postgresql-15-cron, add pg_cron to '
                         'shared_preload_libraries, set cron.database_name and restart the server.';
    ELSIF NOT preloaded THEN
        RAISE EXCEPTION 'pg_cron is not loaded'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('Set shared_preload_libraries = ''pg_cron'' and cron.database_name'
                                ' = ''%s'' in postgresql.conf and restart the server.',
                                current_database());
    ELSIF home <> current_database() THEN
        RAISE EXCEPTION 'pg_cron runs in database "%", not in "%"', home, current_database()
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = defidata.elsewhere_hint(home);
    ELSIF to_regnamespace('cron') IS NULL THEN
        RAISE EXCEPTION 'pg_cron is not created in this database'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'CREATE EXTENSION pg_cron;';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.require_cron() IS
    'raises 55000 with the next step unless pg_cron can run jobs in this database';

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
                 WHERE h.error IS NULL AND h.database && ARRAY['all', current_database()::text]
                   AND h.user_name && ARRAY['all', role::text]
                 ORDER BY h.line_number LOOP
        IF host = '' OR host LIKE '/%' THEN
            CONTINUE WHEN rule.type <> 'local';
        ELSE
            CONTINUE WHEN rule.type NOT IN ('host', 'hostssl', 'hostnossl')
                       OR rule.address <> ALL (ARRAY['all', 'samehost', 'samenet', 'localhost',
                                                     '127.0.0.1', '127.0.0.0', '::1', '0.0.0.0',
                                                     '::', host]);
        END IF;
        RETURN rule.auth_method;
    END LOOP;
    RETURN 'reject';
EXCEPTION WHEN insufficient_privilege THEN
    -- who may not read the rules learns from the first run
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION defidata.cron_authentication(name) IS
'the authentication method that pg_hba.conf asks of a job of the role; reject where no rule fits,
NULL where this role may not know';

CREATE FUNCTION defidata.warn_of_authentication() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    method constant text := defidata.cron_authentication(current_user);
BEGIN
    IF method = 'reject' OR method IN ('peer', 'ident') AND current_user <> 'postgres' THEN
        RAISE WARNING 'pg_hba.conf would refuse the connections of pg_cron as role "%"',
                      current_user
            USING HINT = 'Set cron.use_background_workers = on and restart the server, or add a '
                         'rule for this role to pg_hba.conf.';
    ELSIF method NOT IN ('trust', 'peer', 'ident') THEN
        RAISE WARNING 'the connections of pg_cron as role "%" need a password (method %)',
                      current_user, method
            USING HINT = 'Set cron.use_background_workers = on and restart the server, or put the '
                         'password into the .pgpass file of the server''s user.';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.warn_of_authentication() IS
    'warns where pg_hba.conf would refuse the jobs of this role';

CREATE FUNCTION defidata.jobs(schedule text, OUT job text, OUT job_schedule text, OUT command text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    home constant text := (SELECT e.extnamespace::regnamespace::text FROM pg_extension e
                            WHERE e.extname = 'defidata');
BEGIN
    RETURN QUERY
    VALUES ('defidata cycle', schedule, format('CALL %s.defidata_run()', home)),
           ('defidata reconcile', '35 3 * * *',
            format('SELECT count(*) FROM %s.defidata_reconcile()', home)),
           ('defidata expire', '50 3 * * *',
            format('SELECT count(*) FROM %s.defidata_expire()', home));
END
$$;
COMMENT ON FUNCTION defidata.jobs(text) IS
    'the jobs that defidata_schedule makes, with the given schedule for the cycle';

-- Jobs keep the name of their database and the port of their server: after ALTER DATABASE RENAME,
-- or in a copy that a restore has made, they run elsewhere or nowhere.
CREATE FUNCTION defidata.job_flaw(database text, port integer) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN CASE
        WHEN NOT defidata.has_database(database)
        THEN format('of database "%s", which is not there', database)
        WHEN database = current_database() AND port <> current_setting('port')::integer
             AND NOT COALESCE(current_setting('cron.use_background_workers', true)::boolean, false)
        THEN format('of the server at port %s, which is not this one', port) END;
COMMENT ON FUNCTION defidata.job_flaw(text, integer) IS
    'why a job of pg_cron, as it is recorded, does not run here; NULL where it does';

CREATE FUNCTION defidata.schedule_job(job text, schedule text, command text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    other text;
    id    bigint;
BEGIN
    -- a schedule that is changed stays in its database: one that is of no use goes first
    EXECUTE 'SELECT count(cron.unschedule(c.jobid)) FROM cron.job c WHERE c.username = current_user'
            ' AND c.jobname = $1 AND defidata.job_flaw(c.database, c.nodeport) IS NOT NULL'
      USING job;
    EXECUTE 'SELECT c.database FROM cron.job c WHERE c.username = current_user AND c.jobname = $1'
            ' AND c.database <> current_database()' INTO other USING job;
    IF other IS NOT NULL THEN
        RAISE EXCEPTION 'role "%" has a job "%" in database "%"', current_user, job, other
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('SELECT cron.unschedule(%L); removes that one.', job);
    END IF;
    -- a job of this name and owner is changed, not doubled
    EXECUTE 'SELECT cron.schedule($1, $2, $3)' INTO id USING job, schedule, command;
    RETURN id;
END
$$;
COMMENT ON FUNCTION defidata.schedule_job(text, text, text) IS
    'makes a job of this role that runs here, or changes the one of that name; returns its id';

CREATE FUNCTION defidata.schedule(schedule text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted record;
    cycle  bigint;
    id     bigint;
BEGIN
    IF schedule IS NULL THEN
        RAISE EXCEPTION 'a schedule is needed'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'For example ''5 * * * *''.';
    END IF;
    PERFORM defidata.require_cron();
    PERFORM defidata.warn_of_authentication();
    FOR wanted IN SELECT * FROM defidata.jobs(schedule) LOOP
        id := defidata.schedule_job(wanted.job, wanted.job_schedule, wanted.command);
        cycle := COALESCE(cycle, id);
    END LOOP;
    RETURN cycle;
END
$$;
COMMENT ON FUNCTION defidata.schedule(text) IS 'see defidata_schedule';

CREATE FUNCTION defidata.unschedule() RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    removed integer;
BEGIN
    PERFORM defidata.require_cron();
    EXECUTE 'SELECT count(cron.unschedule(c.jobid)) FROM cron.job c'
            ' WHERE c.username = current_user'
            ' AND c.jobname IN (SELECT j.job FROM defidata.jobs('''') j)' INTO removed;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION defidata.unschedule() IS 'see defidata_unschedule';
