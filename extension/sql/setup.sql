-- setup.sql: makes the tables, or brings them up to date.
--
-- A fresh installation gets the tables as tables.sql has them; an older one the numbered
-- steps that it lacks (steps.sql).  What both lack of rows is put in: a clone without data has
-- tables and no rows.

-- The step that the tables have; a layout without rows is one of a clone without data.
CREATE FUNCTION defidata.present_step() RETURNS integer
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute a
                    WHERE a.attrelid = 'defidata.layout'::regclass AND a.attname = 'step'
                      AND NOT a.attisdropped) THEN
        RETURN 0;
    END IF;
    RETURN COALESCE((SELECT max(l.step) FROM defidata.layout l), defidata.latest_step());
END
$$;
COMMENT ON FUNCTION defidata.present_step() IS 'the number of the last step that the tables have';

-- Rules.c keeps what it has read of a table only where these triggers are there and fire always,
-- also for what replication writes, where statement triggers do not fire: row by row, then.
CREATE FUNCTION defidata.unwatched_tables() RETURNS SETOF regclass
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT c.oid::regclass
      FROM pg_class c
     WHERE c.relnamespace = 'defidata'::regnamespace
       AND c.relname IN ('builtin_token', 'setting', 'token')
       AND (SELECT count(*) FROM pg_trigger t
             WHERE t.tgrelid = c.oid AND t.tgenabled = 'A'
               -- bit 0: for each row
               AND (t.tgname, t.tgtype & 1) IN (('forget_rules', 1), ('forget_truncated', 0))) < 2;
END;
COMMENT ON FUNCTION defidata.unwatched_tables() IS
    'the tables of rules of which an edit could go unnoticed by the sessions that have read them';

CREATE FUNCTION defidata.watch_rules() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
    target regclass;
    former text;
BEGIN
    FOR target IN SELECT u FROM defidata.unwatched_tables() u LOOP
        FOR former IN SELECT t.tgname FROM pg_trigger t
                       WHERE t.tgrelid = target
                         AND t.tgname IN ('forget_rules', 'forget_truncated') LOOP
            EXECUTE format('DROP TRIGGER %I ON %s', former, target);
        END LOOP;
        EXECUTE format('CREATE TRIGGER forget_rules AFTER INSERT OR UPDATE OR DELETE ON %s'
                       ' FOR EACH ROW EXECUTE FUNCTION defidata.forget_rules()', target);
        EXECUTE format('CREATE TRIGGER forget_truncated AFTER TRUNCATE ON %s'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION defidata.forget_rules()', target);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER forget_rules,'
                       ' ENABLE ALWAYS TRIGGER forget_truncated', target);
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.watch_rules() IS
    'makes edits of list and settings drop what every session has read of them';

CREATE FUNCTION defidata.setup_rules() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO defidata.setting AS s (name, value, description)
    SELECT d.name, d.value, d.description FROM defidata.default_settings() d
    ON CONFLICT (name) DO UPDATE SET description = excluded.description
     WHERE s.description <> excluded.description;
    PERFORM defidata.watch_rules();
    IF NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = 'defidata.hours'::regclass
                      AND t.tgname = 'keep_hours') THEN
        CREATE TRIGGER keep_hours AFTER UPDATE ON defidata.hours
            REFERENCING OLD TABLE AS former NEW TABLE AS fresh
            FOR EACH STATEMENT EXECUTE FUNCTION defidata.keep_hours();
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.setup_rules() IS
'inserts missing settings, makes edits of list and settings reach every session, and keeps what
hours were';

-- Until here the view metrics of 1.0 went on calling it.
CREATE FUNCTION defidata.drop_former() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former constant regprocedure := to_regprocedure(
        'defidata.metrics_between(defidata.series[], timestamptz[], timestamptz, timestamptz,'
        ' float8)');
BEGIN
    IF former IS NOT NULL THEN
        EXECUTE format('ALTER EXTENSION defidata DROP FUNCTION %s', former);
        EXECUTE format('DROP FUNCTION %s', former);
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.drop_former() IS
    'drops the function that the view metrics of 1.0 called';

-- Rows that the pipeline needs; a built-in board that the owner has dropped stays dropped.
CREATE FUNCTION defidata.setup_rows() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.setup_rules();
    INSERT INTO defidata.publication (generation)
    SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM defidata.publication);
    IF NOT EXISTS (SELECT 1 FROM defidata.layout) THEN
        PERFORM defidata.setup_boards();
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.setup_rows() IS 'inserts the rows that the pipeline needs';

CREATE FUNCTION defidata.require_library() RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    present constant text := (SELECT extversion FROM pg_extension WHERE extname = 'defidata');
BEGIN
    -- a newer library serves older SQL, an older one may judge by former rules
    IF string_to_array(defidata.library_version(), '.')::integer[]
       < string_to_array(present, '.')::integer[] THEN
        RAISE EXCEPTION 'extension defidata is of version %, '
                        'the library in this session of version %',
            present, defidata.library_version()
            USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Reconnect if the extension was updated after this session began; '
                   'otherwise install the library of its version.';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.require_library() IS
    'raises 55000 where the library of this session is older than the extension';

CREATE FUNCTION defidata.can_write() RETURNS boolean
    LANGUAGE sql STABLE
    RETURN NOT pg_catalog.current_setting('transaction_read_only')::boolean;
COMMENT ON FUNCTION defidata.can_write() IS
    'whether this transaction may write; on a standby none may';

CREATE FUNCTION defidata.require_write() RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'this call writes, and this server is a standby'
            USING ERRCODE = 'read_only_sql_transaction',
                  HINT = 'Call it on the primary. Boards, documents, figures and status can be '
                         'read here.';
    ELSIF NOT defidata.can_write() THEN
        RAISE EXCEPTION 'this call writes, and the transaction is read-only'
            USING ERRCODE = 'read_only_sql_transaction',
                  HINT = 'SET default_transaction_read_only = off; or BEGIN READ WRITE;';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.require_write() IS
    'raises 25006 on a standby and in a read-only transaction';

-- What an entry point that writes calls first.
CREATE FUNCTION defidata.setup() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    present constant text := (SELECT extversion FROM pg_extension WHERE extname = 'defidata');
    step    integer;
BEGIN
    PERFORM defidata.require_library(), defidata.require_write(), defidata.check_owner();
    -- the last thing that setup makes tells that all is there; this is the way
    -- of nearly every call
    IF to_regclass('defidata.layout') IS NOT NULL THEN
        IF EXISTS (SELECT FROM defidata.layout l WHERE l.version = present)
           AND defidata.present_step() = defidata.latest_step()
           AND NOT EXISTS (SELECT FROM defidata.unwatched_tables()) THEN
            RETURN;
        END IF;
    END IF;
    -- the one table that is there before the others; nobody else has rights on it
    LOCK TABLE defidata.builtin_token IN SHARE ROW EXCLUSIVE MODE;
    IF to_regclass('defidata.layout') IS NULL THEN
        PERFORM defidata.create_tables();
    END IF;
    FOR step IN SELECT s FROM defidata.steps() s WHERE s > defidata.present_step() ORDER BY s LOOP
        EXECUTE format('SELECT defidata.step_%s()', step);
    END LOOP;
    PERFORM defidata.comment_tables(), defidata.setup_views(), defidata.setup_alert_view(),
            defidata.drop_former(), defidata.setup_rows(), defidata.restore_boards(),
            defidata.renew_grants();
    PERFORM defidata.comment_board(b.name) FROM defidata.board b WHERE defidata.has_board(b.name);
    PERFORM defidata.publish_documents();
    DELETE FROM defidata.layout;
    INSERT INTO defidata.layout (version, step) VALUES (present, defidata.latest_step());
END
$$;
COMMENT ON FUNCTION defidata.setup() IS
    'makes the tables, or brings them up to date; cheap where there is nothing to do';

-- What an entry point that only reads calls first.
CREATE FUNCTION defidata.setup_reader() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF defidata.can_write() THEN
        PERFORM defidata.setup();
        RETURN;
    END IF;
    PERFORM defidata.require_library(), defidata.check_owner();
    IF to_regclass('defidata.layout') IS NULL THEN
        RAISE EXCEPTION 'nothing is set up'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'SELECT defidata_setup(); on the primary, where it may write, makes the '
                         'tables.';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.setup_reader() IS
    'setup(), but where nothing can be written it makes do with the tables as they are';
