-- remote.sql: what a remote server says about itself, and the foreign tables made of it.

-- The foreign tables through which a server is asked for its own column types
-- and encoding; found by what they show, not by name.
CREATE FUNCTION defidata.server_view(server oid, view text) RETURNS regclass
    STABLE LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT t.ftrelid::pg_catalog.regclass
      FROM pg_catalog.pg_foreign_table t JOIN pg_catalog.pg_class c ON c.oid = t.ftrelid
     WHERE t.ftserver = server AND c.relnamespace = 'defidata_remote'::pg_catalog.regnamespace
       AND t.ftoptions @> ARRAY['schema_name=information_schema', 'table_name=' || view];
END;
COMMENT ON FUNCTION defidata.server_view(oid, text) IS 'the foreign table over a view of a server''s information_schema';

CREATE FUNCTION defidata.make_foreign_table(local_name text, definitions text, server_name text, remote_schema text, remote_table text, kind text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('CREATE FOREIGN TABLE defidata_remote.%I (%s) SERVER %I OPTIONS (schema_name %L, table_name %L)',
                   local_name, definitions, server_name, remote_schema, remote_table);
    EXECUTE format('COMMENT ON FOREIGN TABLE defidata_remote.%I IS %L', local_name, format('%s.%s of server %s', remote_schema, remote_table, server_name));
    EXECUTE (SELECT string_agg(format('COMMENT ON COLUMN defidata_remote.%I.%I IS %L', local_name, a.attname,
                                      COALESCE('read as ' || l.logical, 'as the remote''s catalog has it')), '; ')
               FROM pg_attribute a LEFT JOIN defidata.logical_columns(kind) l ON l.actual = a.attname
              WHERE a.attrelid = format('defidata_remote.%I', local_name)::regclass AND a.attnum > 0);
END
$$;
COMMENT ON FUNCTION defidata.make_foreign_table(text, text, text, text, text, text) IS 'makes a foreign table with its comments; kind: mentions or prices, NULL where it is no source';

CREATE FUNCTION defidata.setup_server(server oid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    server_name text;
    options text[];
    wanted  record;
BEGIN
    SELECT s.srvname, s.srvoptions INTO server_name, options FROM pg_foreign_server s WHERE s.oid = server;
    IF (SELECT count(*) FROM pg_user_mappings m WHERE m.srvid = server AND m.usename IN (current_user, 'public')) = 0 THEN
        RAISE EXCEPTION 'role "%" has no user mapping for server "%"', current_user, server_name USING ERRCODE = 'undefined_object',
            DETAIL = 'Sources are read as the role that owns the extension.',
            HINT = format('CREATE USER MAPPING FOR %I SERVER %I OPTIONS (user ''…'', password ''…'');', current_user, server_name);
    END IF;
    -- a dead remote must not hold the hourly cycle for ever
    FOR wanted IN SELECT * FROM (VALUES ('connect_timeout', '10'), ('fetch_size', '10000'), ('keepalives_idle', '30'),
                                        ('keepalives_interval', '10'), ('keepalives_count', '3')) o (name, value)
                   WHERE NOT EXISTS (SELECT FROM pg_options_to_table(options) p WHERE p.option_name = o.name) LOOP
        EXECUTE format('ALTER SERVER %I OPTIONS (ADD %I %L)', server_name, wanted.name, wanted.value);
        RAISE NOTICE 'added option % ''%'' to server "%"', wanted.name, wanted.value, server_name;
    END LOOP;
    FOR wanted IN SELECT * FROM (VALUES ('columns', 'table_schema text, table_name text, column_name text, data_type text'),
                                        ('character_sets', 'character_set_name text')) v (name, definitions)
                   WHERE defidata.server_view(server, v.name) IS NULL LOOP
        PERFORM defidata.make_foreign_table(left(server_name, 30) || '_information_schema_' || wanted.name, wanted.definitions,
                                            server_name, 'information_schema', wanted.name, NULL);
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.setup_server(oid) IS 'adds the options that a server lacks, with a NOTICE each, and the foreign tables that show its column types and encoding';

CREATE FUNCTION defidata.remote_columns(server oid, remote_schema text, remote_table text,
                                        OUT name text, OUT type text)
    RETURNS SETOF record STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT c.column_name, c.data_type FROM %s c WHERE c.table_schema = $1 AND c.table_name = $2',
                                defidata.server_view(server, 'columns'))
           USING remote_schema, remote_table;
END
$$;
COMMENT ON FUNCTION defidata.remote_columns(oid, text, text) IS 'columns and types of a remote table as the remote itself tells them; none where it is missing or not readable';

-- What the remote says of a foreign table of postgres_fdw must be what the
-- foreign table says, or values would be shifted, cut or refused half-way.
CREATE FUNCTION defidata.check_remote_shape(relation regclass, kind text, columns jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    place  record;
    remote jsonb;
    col    record;
    found_type text;
BEGIN
    SELECT t.ftserver, o.options ->> 'schema_name' AS schema_name, o.options ->> 'table_name' AS table_name INTO place
      FROM pg_foreign_table t JOIN pg_foreign_server s ON s.oid = t.ftserver
           JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw,
           LATERAL (SELECT COALESCE(jsonb_object_agg(p.option_name, p.option_value), '{}')
                      FROM pg_options_to_table(t.ftoptions) p) o (options)
     WHERE t.ftrelid = relation AND w.fdwname = 'postgres_fdw';
    IF NOT FOUND OR defidata.server_view(place.ftserver, 'columns') IS NULL THEN
        RETURN;
    END IF;
    SELECT COALESCE(place.schema_name, n.nspname), COALESCE(place.table_name, c.relname)
      INTO place.schema_name, place.table_name
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation;
    SELECT jsonb_object_agg(r.name, r.type) INTO remote
      FROM defidata.remote_columns(place.ftserver, place.schema_name, place.table_name) r;
    IF remote IS NULL THEN
        -- missing or not readable: the remote's own error is the clearest
        EXECUTE format('SELECT FROM %s LIMIT 1', relation);
        RETURN;
    END IF;
    FOR col IN SELECT * FROM defidata.source_columns(relation, kind, columns) s WHERE s.type IS NOT NULL LOOP
        found_type := remote ->> col.remote_name;
        IF found_type IS NULL THEN
            RAISE EXCEPTION 'remote table %.% has no column "%"', place.schema_name, place.table_name, col.remote_name
                USING ERRCODE = 'undefined_column',
                      DETAIL = format('Foreign table %s expects it with type %s.', relation, col.type),
                      HINT = 'Attach the source again to adopt the remote''s present shape.';
        END IF;
        IF defidata.type_family(found_type) <> defidata.type_family(col.type)
           OR found_type = 'bigint' AND col.type <> 'bigint'
           OR found_type = 'integer' AND col.type = 'smallint' THEN
            RAISE EXCEPTION 'column "%" of remote table %.% has type %, expected %',
                            col.remote_name, place.schema_name, place.table_name, found_type, col.type
                USING ERRCODE = 'datatype_mismatch',
                      HINT = 'Attach the source again to adopt the remote''s present shape.';
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.check_remote_shape(regclass, text, jsonb) IS 'compares a postgres_fdw foreign table with the remote''s real columns; 42703 or 42804 where they differ';

CREATE FUNCTION defidata.same_encoding(relation regclass) RETURNS boolean
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    view regclass := (SELECT defidata.server_view(t.ftserver, 'character_sets') FROM pg_foreign_table t WHERE t.ftrelid = relation);
    same boolean;
BEGIN
    IF view IS NULL THEN
        -- a foreign table of another wrapper may hash as it likes
        RETURN (SELECT c.relkind <> 'f' FROM pg_class c WHERE c.oid = relation);
    END IF;
    EXECUTE format('SELECT bool_and(v.character_set_name = $1) FROM %s v', view) INTO same
      USING (SELECT pg_encoding_to_char(d.encoding) FROM pg_database d WHERE d.datname = current_database());
    RETURN same;
END
$$;
COMMENT ON FUNCTION defidata.same_encoding(regclass) IS 'whether text has the same bytes at the source as here, so that checksums can be compared';

CREATE FUNCTION defidata.attach_remote_table(server oid, kind text, remote_schema text, remote_table text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    server_name constant text := (SELECT s.srvname FROM pg_foreign_server s WHERE s.oid = server);
    local_name  constant text := server_name || '_' || remote_table;
    definitions text;
    message     text;
    detail      text;
BEGIN
    IF octet_length(local_name) > 63 THEN
        RAISE EXCEPTION 'foreign table name "%" is too long', left(local_name, 80) USING ERRCODE = 'name_too_long',
            HINT = 'Make a foreign table of your own and attach it with defidata_attach.';
    END IF;
    BEGIN
        SELECT string_agg(format('%I %s', r.name, CASE defidata.type_family(r.type) WHEN 'string' THEN 'text' ELSE r.type END),
                          ', ' ORDER BY r.name)
               FILTER (WHERE r.type NOT IN ('ARRAY', 'USER-DEFINED'))
          INTO definitions
          FROM defidata.remote_columns(server, remote_schema, remote_table) r
         WHERE r.name IN (SELECT l.actual FROM defidata.logical_columns(kind) l);
    EXCEPTION WHEN sqlclient_unable_to_establish_sqlconnection THEN
        -- most likely a slip in what the user has just typed
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = message, DETAIL = detail,
            HINT = format('Correct the address with ALTER SERVER %1$I OPTIONS (SET host ''…''), user and password with'
                          ' ALTER USER MAPPING FOR %2$I SERVER %1$I OPTIONS (SET password ''…'').', server_name, current_user);
    END;
    BEGIN
        IF to_regclass(format('defidata_remote.%I', local_name)) IS NOT NULL THEN
            EXECUTE format('DROP FOREIGN TABLE defidata_remote.%I', local_name);
        END IF;
        PERFORM defidata.make_foreign_table(local_name, COALESCE(definitions, 'id text'), server_name, remote_schema, remote_table, kind);
        -- information_schema hides what may not be read, or shows it in a schema that may not be entered
        EXECUTE format('SELECT FROM defidata_remote.%I LIMIT 1', local_name);
    EXCEPTION
        WHEN undefined_table THEN
            RETURN false;
        WHEN insufficient_privilege THEN
            IF kind = 'prices' THEN
                RETURN false;
            END IF;
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
            RAISE EXCEPTION 'remote table %.% is not readable', left(remote_schema, 80), left(remote_table, 80)
                USING ERRCODE = SQLSTATE, DETAIL = format('The remote says: %s.', left(message, 200)),
                      HINT = 'There, GRANT SELECT on the table, and USAGE on its schema, to the mapped user.';
    END;
    RETURN true;
END
$$;
COMMENT ON FUNCTION defidata.attach_remote_table(oid, text, text, text) IS 'makes the foreign table SERVER_TABLE with the needed columns in the remote''s own types; false where the remote has no such table, or no such prices that may be read; 42501 for mentions that may not';
