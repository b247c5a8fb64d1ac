-- source.sql: the relations that raw rows are read from, and their shapes.

CREATE SCHEMA defidata_remote;
COMMENT ON SCHEMA defidata_remote IS 'defidata: foreign tables that defidata_attach_server makes, named SERVER_TABLE';

-- What a source of each kind delivers: the logical columns, where they stand in
-- the CT-SCANNER's own tables, and the families of types that fit.
CREATE FUNCTION defidata.logical_columns(kind text, OUT logical text, OUT actual text,
                                         OUT required boolean, OUT families text[])
    RETURNS SETOF record IMMUTABLE PARALLEL SAFE LANGUAGE sql
BEGIN ATOMIC
    SELECT c.logical, c.actual, c.required, c.families::text[]
      FROM (VALUES
        ('mentions', 'id', 'id', true, '{string,integer,uuid}'),
        ('mentions', 'hour', 'timestamp', true, '{integer,timestamp,timestamptz}'),
        ('mentions', 'symbol', 'symbol', true, '{string}'),
        ('mentions', 'mentions', 'count', true, '{float,integer,numeric,string}'),
        ('mentions', 'sentiment', 'sentiment', false, '{float,integer,numeric,string}'),
        ('prices', 'id', 'id', true, '{string,integer,uuid}'),
        ('prices', 'asset', 'slug', false, '{string}'),
        ('prices', 'at', 'timestamp', true, '{integer,timestamp,timestamptz}'),
        ('prices', 'symbol', 'symbol', true, '{string}'),
        ('prices', 'price', 'price', true, '{float,integer,numeric,string}'),
        ('prices', 'change_24h', 'percent_change_24h', false, '{float,integer,numeric,string}'),
        ('prices', 'volume_24h', 'volume_24h', false, '{float,integer,numeric,string}'),
        ('prices', 'market_cap', 'market_cap', false, '{float,integer,numeric,string}')
      ) AS c (kind, logical, actual, required, families)
     WHERE c.kind = logical_columns.kind;
END;
COMMENT ON FUNCTION defidata.logical_columns(text) IS 'what a source of a kind (mentions or prices) delivers, with default column names and fitting type families';

CREATE FUNCTION defidata.type_family(type text) RETURNS text
    IMMUTABLE PARALLEL SAFE STRICT LANGUAGE sql
    RETURN CASE WHEN type IN ('text', 'character varying', 'character', 'name') THEN 'string'
                WHEN type IN ('smallint', 'integer', 'bigint') THEN 'integer'
                WHEN type IN ('real', 'double precision') THEN 'float'
                WHEN type = 'timestamp without time zone' THEN 'timestamp'
                WHEN type = 'timestamp with time zone' THEN 'timestamptz'
                ELSE type END;
COMMENT ON FUNCTION defidata.type_family(text) IS 'types that hold the same kind of value under one name; the type''s own name where it stands alone';

CREATE FUNCTION defidata.source_columns(relation regclass, kind text, columns jsonb,
        OUT logical text, OUT actual text, OUT required boolean, OUT families text[], OUT type text, OUT remote_name text)
    RETURNS SETOF record STABLE LANGUAGE sql
BEGIN ATOMIC
    SELECT c.logical, n.actual, c.required, c.families, pg_catalog.format_type(a.atttypid, NULL),
           COALESCE((SELECT o.option_value FROM pg_catalog.pg_options_to_table(a.attfdwoptions) o
                      WHERE o.option_name = 'column_name'), n.actual)
      FROM defidata.logical_columns(kind) c,
           LATERAL (SELECT COALESCE(columns ->> c.logical, c.actual)) n (actual)
           LEFT JOIN pg_catalog.pg_attribute a
                  ON a.attrelid = relation AND a.attname = n.actual AND a.attnum > 0 AND NOT a.attisdropped;
END;
COMMENT ON FUNCTION defidata.source_columns(regclass, text, jsonb) IS 'the logical columns of a source with their actual names and types; type NULL where the relation lacks one';

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

CREATE FUNCTION defidata.check_shape(relation regclass, kind text, columns jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    col record;
BEGIN
    IF (SELECT count(*) FROM pg_class c WHERE c.oid = relation) = 0 THEN
        RAISE EXCEPTION 'the relation of source % does not exist',
                        (SELECT COALESCE(string_agg(quote_ident(s.name), ', '), 'with OID ' || check_shape.relation::oid) FROM defidata.source s WHERE s.relation = check_shape.relation)
            USING ERRCODE = 'undefined_table',
                  HINT = 'Attach the source again with a relation that exists, or detach it with defidata_detach.';
    END IF;
    FOR col IN SELECT * FROM defidata.source_columns(relation, kind, columns) LOOP
        IF col.type IS NULL AND (col.required OR columns ? col.logical) THEN
            RAISE EXCEPTION 'relation % has no column "%" for %', relation, left(col.actual, 80), col.logical
                USING ERRCODE = 'undefined_column',
                      HINT = format('Name the right one in the argument columns of defidata_attach, for example ''{"%s": "my_column"}''.', col.logical);
        ELSIF defidata.type_family(col.type) <> ALL (col.families) THEN
            RAISE EXCEPTION 'column "%" of relation % has type %, expected % for %', col.actual, relation, col.type,
                            array_to_string(col.families, ' or '), col.logical
                USING ERRCODE = 'datatype_mismatch';
        END IF;
    END LOOP;
    PERFORM defidata.check_remote_shape(relation, kind, columns);
END
$$;
COMMENT ON FUNCTION defidata.check_shape(regclass, text, jsonb) IS 'raises 42703 or 42804 unless the relation, here and on the remote, can be read as a source of the kind';

CREATE FUNCTION defidata.attach(name text, kind text, relation regclass, columns jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    server    oid;
    former    text;
    watermark timestamptz;
BEGIN
    PERFORM defidata.setup();
    IF name IS NULL OR name = '' OR octet_length(name) > 127 THEN
        RAISE EXCEPTION 'a source needs a name of 1 to 127 bytes' USING ERRCODE = 'invalid_parameter_value';
    ELSIF kind IS NULL OR kind NOT IN ('mentions', 'prices') THEN
        RAISE EXCEPTION 'kind must be mentions or prices, not %', quote_nullable(left(kind, 80))
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF relation IS NULL THEN
        RAISE EXCEPTION 'a source needs a relation' USING ERRCODE = 'invalid_parameter_value';
    ELSIF columns IS NULL OR jsonb_typeof(columns) <> 'object' OR EXISTS (
            SELECT FROM jsonb_each(columns) c
             WHERE jsonb_typeof(c.value) <> 'string'
                OR c.key NOT IN (SELECT l.logical FROM defidata.logical_columns(kind) l)) THEN
        RAISE EXCEPTION 'columns must be a JSON object that maps logical to actual column names'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = (SELECT format('The columns of kind %s are %s.', kind, string_agg(l.logical, ', '))
                            FROM defidata.logical_columns(kind) l);
    ELSIF EXISTS (SELECT FROM defidata.source s
                   WHERE s.name = attach.name AND s.kind <> attach.kind) THEN
        RAISE EXCEPTION 'source "%" is attached as another kind', name USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Detach it first, or choose another name.';
    END IF;
    SELECT t.ftserver INTO server
      FROM pg_foreign_table t JOIN pg_foreign_server s ON s.oid = t.ftserver
           JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
     WHERE t.ftrelid = relation AND w.fdwname = 'postgres_fdw';
    IF FOUND THEN
        PERFORM defidata.setup_server(server);
    END IF;
    PERFORM defidata.check_shape(relation, kind, columns);
    -- the rows that a source of this name has left
    watermark := CASE kind WHEN 'mentions' THEN (SELECT max(r.hour) FROM defidata.raw_mentions r
                                                  WHERE r.source = name AND r.reason IS DISTINCT FROM 'hour')
                           ELSE (SELECT max(p.at) FROM defidata.prices p
                                  WHERE p.source = name AND p.reason IS DISTINCT FROM 'hour') END;
    DELETE FROM defidata.surveyed k WHERE k.source = attach.name;
    INSERT INTO defidata.source AS s (name, kind, relation, columns, watermark)
    VALUES (name, kind, relation, columns, watermark)
    ON CONFLICT ON CONSTRAINT source_pkey DO UPDATE
       SET relation = excluded.relation, columns = excluded.columns, attached_at = now();
    -- the same rows by another way would count twice
    IF kind = 'mentions' AND name <> 'legacy' AND NOT EXISTS (SELECT 1 FROM defidata.raw_mentions r WHERE r.source = name) THEN
        SELECT r.source INTO former FROM defidata.raw_mentions r WHERE r.source <> 'legacy' LIMIT 1;
        IF FOUND THEN
            RAISE NOTICE 'mentions of source "%" will add up with those of source "%"', name, former
                USING HINT = format('If it delivers the same rows, detach it and attach its relation as "%s" instead.', former);
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.attach(text, text, regclass, jsonb) IS 'registers a relation as a source; see defidata_attach';

CREATE FUNCTION @extschema@.defidata_attach(name text, kind text, relation regclass, columns jsonb DEFAULT '{}') RETURNS void LANGUAGE sql
BEGIN ATOMIC
    SELECT defidata.attach(name, kind, relation, columns);
END;
COMMENT ON FUNCTION @extschema@.defidata_attach(text, text, regclass, jsonb) IS 'registers a relation as a source. kind: mentions or prices; columns: logical to actual column names where they differ from the CT-SCANNER''s. 42703 or 42804 where the shape does not fit, 22023 for a bad argument';

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

CREATE FUNCTION @extschema@.defidata_attach_server(server name, remote_schema text DEFAULT 'public',
                                       mentions text DEFAULT 'tweetvolumeshours', prices text DEFAULT 'cmc_price')
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wrapper    text;
    server_oid oid;
    wanted     record;
BEGIN
    PERFORM defidata.setup();
    SELECT s.oid, w.fdwname INTO server_oid, wrapper
      FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE s.srvname = server;
    IF server_oid IS NULL THEN
        RAISE EXCEPTION 'server % does not exist', quote_nullable(server::text) USING ERRCODE = 'undefined_object',
            HINT = COALESCE((SELECT 'The servers of postgres_fdw are ' || string_agg(quote_ident(s.srvname), ', ' ORDER BY s.srvname) || '.'
                               FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE w.fdwname = 'postgres_fdw'),
                            'Make it with CREATE SERVER … FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host ''…'', dbname ''…'').');
    ELSIF wrapper <> 'postgres_fdw' THEN
        RAISE EXCEPTION 'server "%" is not of postgres_fdw but of %', server, wrapper USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Make a foreign table and attach it with defidata_attach.';
    ELSIF remote_schema IS NULL THEN
        RAISE EXCEPTION 'the remote schema must not be null' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM defidata.setup_server(server_oid);
    FOR wanted IN SELECT * FROM (VALUES ('mentions', mentions), ('prices', prices)) t (kind, remote_table)
                   WHERE t.remote_table IS NOT NULL LOOP
        IF defidata.attach_remote_table(server_oid, wanted.kind, remote_schema, wanted.remote_table) THEN
            PERFORM defidata.attach(server || '_' || wanted.remote_table, wanted.kind,
                                    format('defidata_remote.%I', server || '_' || wanted.remote_table)::regclass, '{}');
        ELSIF wanted.kind = 'prices' THEN
            RAISE NOTICE 'remote table %.% does not exist or is not readable; going on without prices',
                         left(remote_schema, 80), left(wanted.remote_table, 80);
        ELSE
            RAISE EXCEPTION 'remote table %.% does not exist', left(remote_schema, 80), left(wanted.remote_table, 80)
                USING ERRCODE = 'undefined_table',
                      HINT = 'Name the schema in the argument remote_schema, the table in the argument mentions.';
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.defidata_attach_server(name, text, text, text) IS 'makes foreign tables for the CT-SCANNER''s tables on a postgres_fdw server, checks them and attaches them as sources SERVER_TABLE; NULL skips one. 42704: no such server; 42P01: no mentions table there; 42501: it may not be read; 42703 or 42804: wrong shape';

CREATE FUNCTION @extschema@.defidata_detach(name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.setup();
    DELETE FROM defidata.source s WHERE s.name = defidata_detach.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'source % is not attached', quote_nullable(left(name, 80)) USING ERRCODE = 'undefined_object',
            HINT = 'SELECT name FROM defidata.source lists the sources.';
    END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.defidata_detach(text) IS 'the source is no longer read; its rows stay. 42704 where there is no such source';

REVOKE ALL ON FUNCTION defidata.logical_columns(text), defidata.type_family(text),
    defidata.source_columns(regclass, text, jsonb), defidata.server_view(oid, text),
    defidata.make_foreign_table(text, text, text, text, text, text), defidata.setup_server(oid),
    defidata.remote_columns(oid, text, text), defidata.check_remote_shape(regclass, text, jsonb),
    defidata.check_shape(regclass, text, jsonb), defidata.attach_remote_table(oid, text, text, text),
    defidata.attach(text, text, regclass, jsonb), @extschema@.defidata_attach(text, text, regclass, jsonb), @extschema@.defidata_attach_server(name, text, text, text),
    @extschema@.defidata_detach(text) FROM PUBLIC;
