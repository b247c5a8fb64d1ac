-- setup.sql: makes the tables, or brings them up to date.
--
-- A fresh installation gets the tables as tables.sql has them; an older one the numbered
-- steps that it lacks, and must then look the same (test/t/021_upgrade.pl compares).  What both
-- lack of rows is put in: a clone without data has tables and no rows.

-- Step 1: from 1.0.  There locks were advisory, and the layout counted no steps.
CREATE FUNCTION defidata.step_1() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CREATE TABLE defidata.lock (
        name text COLLATE "C" NOT NULL,
        PRIMARY KEY (name)
    );
    ALTER TABLE defidata.layout ADD COLUMN step integer NOT NULL DEFAULT 0;
    ALTER TABLE defidata.layout ALTER COLUMN step DROP DEFAULT;
END
$$;
COMMENT ON FUNCTION defidata.step_1() IS 'locks that are rows';

-- Step 2: thin, marked, incomplete and expired hours.
CREATE FUNCTION defidata.step_2() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    ALTER TABLE defidata.hours
        ADD COLUMN expired boolean NOT NULL DEFAULT false,
        ADD COLUMN incomplete boolean NOT NULL DEFAULT false,
        ADD COLUMN thin boolean NOT NULL DEFAULT false,
        ADD COLUMN marked boolean,
        ADD COLUMN observed boolean NOT NULL
            GENERATED ALWAYS AS (COALESCE(rows, 0) > 0
                                 AND COALESCE(marked, NOT thin AND NOT incomplete)) STORED;
    UPDATE defidata.hours h SET expired = true
     WHERE h.rows > 0 AND NOT EXISTS (SELECT 1 FROM defidata.raw_mentions r WHERE r.hour = h.hour);
    PERFORM defidata.judge_hours('-infinity', 'infinity');
END
$$;
COMMENT ON FUNCTION defidata.step_2() IS 'hours that are thin, marked, incomplete or expired';

-- Step 10: quotes are known by their instant too.  What 1.0 chose among assets of one symbol
-- is chosen anew.
CREATE FUNCTION defidata.step_10() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    ALTER TABLE defidata.token ADD COLUMN asset text COLLATE "C";
    ALTER TABLE defidata.prices ADD COLUMN currency text COLLATE "C";
    -- of documents 1.0 read no other currency
    UPDATE defidata.prices SET currency = 'USD' WHERE source = 'documents';
    UPDATE defidata.prices SET at = '-infinity' WHERE at IS NULL;
    ALTER TABLE defidata.prices ALTER COLUMN at SET NOT NULL;
    ALTER TABLE defidata.prices DROP CONSTRAINT prices_pkey;
    ALTER TABLE defidata.prices ADD PRIMARY KEY (source, at, id);
    DROP INDEX defidata.prices_at_idx;
    CREATE INDEX ON defidata.prices (at) WHERE reason = 'hour';
    CREATE TABLE defidata.quote_series (
        asset text COLLATE "C" NOT NULL,
        source text COLLATE "C" NOT NULL,
        token text COLLATE "C" NOT NULL,
        currency text COLLATE "C" NOT NULL,
        day timestamptz NOT NULL,
        spelled boolean NOT NULL,
        at timestamptz[] NOT NULL,
        price float8[] NOT NULL,
        PRIMARY KEY (asset, source, token, currency, day)
    );
    CREATE INDEX ON defidata.quote_series
        (date_bin('24 hours', day, '2001-01-01 00:00:00+00'));
    PERFORM defidata.rebuild_quote_series();
    DELETE FROM defidata.token_asset;
    ALTER TABLE defidata.token_asset ADD COLUMN quoted text COLLATE "C" NOT NULL;
END
$$;
COMMENT ON FUNCTION defidata.step_10() IS
    'quotes by instant and currency, their series, pinned assets';

-- Step 20: metrics that came after 1.0.
CREATE FUNCTION defidata.step_20() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    ALTER TABLE defidata.token_stats
        ADD COLUMN spike_14d float8,
        ADD COLUMN sentiment_change float8;
END
$$;
COMMENT ON FUNCTION defidata.step_20() IS 'spike_14d and sentiment_change in token_stats';

-- Step 21: the past.  What 1.0 summed stands for every earlier time as it is found.
CREATE FUNCTION defidata.step_21() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CREATE TABLE defidata.fact_revision (
        token text COLLATE "C" NOT NULL,
        hour timestamptz NOT NULL,
        until timestamptz NOT NULL,
        series defidata.series NOT NULL,
        PRIMARY KEY (token, hour, until)
    );
    CREATE INDEX ON defidata.fact_revision (until);
    CREATE TABLE defidata.hour_revision (
        hour timestamptz NOT NULL,
        until timestamptz NOT NULL,
        observed boolean NOT NULL,
        settled boolean NOT NULL,
        PRIMARY KEY (hour, until)
    );
    CREATE TABLE defidata.revision_clock (
        latest timestamptz NOT NULL,
        PRIMARY KEY (latest)
    );
    ALTER TABLE defidata.hours
        ADD COLUMN first_summed_at timestamptz,
        ADD COLUMN first_published_at timestamptz;
    UPDATE defidata.hours h SET first_summed_at = '-infinity', first_published_at = p.at
      FROM defidata.hours o
      LEFT JOIN (SELECT g.latest_hour, min(g.published_at) AS at
                   FROM defidata.publication_history g GROUP BY g.latest_hour) p
             ON p.latest_hour = o.hour
     WHERE h.hour = o.hour AND h.rows IS NOT NULL;
END
$$;
COMMENT ON FUNCTION defidata.step_21() IS 'revisions of facts and hours';

-- Step 4: servers are asked about their tables by their catalogs.
CREATE FUNCTION defidata.step_4() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former record;
BEGIN
    FOR former IN SELECT s.oid AS server, defidata.remote_table(
                             s.oid, 'information_schema', 'columns', 'defidata_remote') AS relation
                    FROM pg_foreign_server s LOOP
        IF former.relation IS NOT NULL THEN
            PERFORM defidata.make_catalogs(former.server);
            EXECUTE format('DROP FOREIGN TABLE %s', former.relation);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.step_4() IS 'foreign tables over the catalogs of servers';

-- Step 22: alerts.
CREATE FUNCTION defidata.step_22() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CREATE TABLE defidata.alert (
        name text COLLATE "C" NOT NULL,
        metric text NOT NULL,
        direction text NOT NULL,
        enter float8 NOT NULL,
        leave float8 NOT NULL,
        rearm interval NOT NULL,
        min_mentions float8 NOT NULL,
        tokens text[] COLLATE "C",
        judged_hour timestamptz,
        added_at timestamptz NOT NULL,
        PRIMARY KEY (name),
        CHECK (direction IN ('above', 'below'))
    );
    CREATE TABLE defidata.alert_event (
        id bigint GENERATED ALWAYS AS IDENTITY,
        alert text COLLATE "C" NOT NULL,
        token text COLLATE "C" NOT NULL,
        hour timestamptz NOT NULL,
        value float8,
        event text NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (id),
        CHECK (event IN ('raised', 'ended'))
    );
    CREATE INDEX ON defidata.alert_event (alert, token, id);
END
$$;
COMMENT ON FUNCTION defidata.step_22() IS 'alerts and their events';

CREATE FUNCTION defidata.steps() RETURNS SETOF integer
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT substr(p.proname, 6)::integer
      FROM pg_proc p
     WHERE p.pronamespace = 'defidata'::regnamespace AND p.proname ~ '^step_[0-9]+$';
END;
COMMENT ON FUNCTION defidata.steps() IS 'the numbers of the steps that this version has';

CREATE FUNCTION defidata.latest_step() RETURNS integer
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT max(s) FROM defidata.steps() s);
COMMENT ON FUNCTION defidata.latest_step() IS 'the number of the last step that this version has';

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
    STABLE LANGUAGE sql SET search_path = pg_catalog, pg_temp
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
    STABLE LANGUAGE sql
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
