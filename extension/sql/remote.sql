-- remote.sql: what a remote server says about itself, and the foreign tables made of it.
--
-- The remote may lie.  What it says of its tables is read as values, compared with
-- values that are known here, and answered with names and types from here: no text
-- of the remote's becomes part of a statement.

-- The catalogs of a server that are asked, with the columns that are read of them:
-- its own tables, since information_schema shows no materialized view.
CREATE FUNCTION defidata.remote_catalogs(OUT name text, OUT columns text) RETURNS SETOF record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT *
      FROM (VALUES
        ('pg_namespace', 'oid oid, nspname text'),
        ('pg_class', 'oid oid, relname text, relnamespace oid'),
        ('pg_attribute', 'attrelid oid, attname text, atttypid oid, attnum smallint,'
                         ' attisdropped boolean'),
        ('pg_type', 'oid oid, typname text, typtype "char", typbasetype oid')
      ) AS c (name, columns);
END;
COMMENT ON FUNCTION defidata.remote_catalogs() IS
    'the catalogs of a server that are asked about its tables, and the columns read of each';

CREATE FUNCTION defidata.remote_table(server oid, remote_schema text, remote_table text,
    schema regnamespace)
    RETURNS regclass
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT min(c.oid::bigint)::oid::regclass
      FROM pg_foreign_table t
      JOIN pg_class c ON c.oid = t.ftrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE t.ftserver = server AND (schema IS NULL OR c.relnamespace = schema)
       AND COALESCE((SELECT o.option_value FROM pg_options_to_table(t.ftoptions) o
                      WHERE o.option_name = 'schema_name'), n.nspname) = remote_schema
       AND COALESCE((SELECT o.option_value FROM pg_options_to_table(t.ftoptions) o
                      WHERE o.option_name = 'table_name'), c.relname) = remote_table;
END;
COMMENT ON FUNCTION defidata.remote_table(oid, text, text, regnamespace) IS
'a foreign table of a server over a table there, found by what it shows, not by name; in one schema
here, or (NULL) any';

-- Names are cut to 63 bytes; what is cut off goes on in a digest, so that two names of which
-- the first 63 bytes agree are two.
CREATE FUNCTION defidata.local_name(VARIADIC names text[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    whole constant text := array_to_string(names, '_');
    cut   text := left(whole, 54);
BEGIN
    IF octet_length(whole) <= 63 THEN
        RETURN whole;
    END IF;
    WHILE octet_length(cut) > 54 LOOP
        cut := left(cut, -1);
    END LOOP;
    RETURN cut || '_' || left(md5(whole), 8);
END
$$;
COMMENT ON FUNCTION defidata.local_name(text[]) IS
    'a name of at most 63 bytes made of several, another one for others';

CREATE FUNCTION defidata.make_foreign_table(local_name text, definitions text, server_name text,
        remote_schema text, remote_table text, kind text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('CREATE FOREIGN TABLE defidata_remote.%I (%s) SERVER %I'
                   ' OPTIONS (schema_name %L, table_name %L)',
                   local_name, definitions, server_name, remote_schema, remote_table);
    EXECUTE format('COMMENT ON FOREIGN TABLE defidata_remote.%I IS %L', local_name,
                   format('%s.%s of server %s', remote_schema, remote_table, server_name));
    EXECUTE (SELECT string_agg(format('COMMENT ON COLUMN defidata_remote.%I.%I IS %L', local_name,
                                      a.attname, COALESCE('read as ' || l.logical,
                                                          'as the remote''s catalog has it')), '; ')
               FROM pg_attribute a
               LEFT JOIN defidata.logical_columns(kind) l ON l.actual = a.attname
              WHERE a.attrelid = format('defidata_remote.%I', local_name)::regclass
                AND a.attnum > 0);
END
$$;
COMMENT ON FUNCTION defidata.make_foreign_table(text, text, text, text, text, text) IS
'makes a foreign table with its comments; definitions are SQL and never the remote''s; kind:
mentions or prices, NULL where it is no source';

CREATE FUNCTION defidata.make_catalogs(server oid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    server_name constant text := (SELECT s.srvname FROM pg_foreign_server s WHERE s.oid = server);
    wanted      record;
BEGIN
    FOR wanted IN SELECT c.name, c.columns FROM defidata.remote_catalogs() c LOOP
        IF defidata.remote_table(server, 'pg_catalog', wanted.name, 'defidata_remote') IS NULL THEN
            PERFORM defidata.make_foreign_table(
                defidata.local_name(server_name, 'pg_catalog', wanted.name), wanted.columns,
                server_name, 'pg_catalog', wanted.name, NULL);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.make_catalogs(oid) IS
    'makes the foreign tables over the catalogs of a server that are not there';

CREATE FUNCTION defidata.setup_server(server oid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    server_name text;
    options     text[];
    wanted      record;
BEGIN
    SELECT s.srvname, s.srvoptions INTO server_name, options
      FROM pg_foreign_server s WHERE s.oid = server;
    IF NOT EXISTS (SELECT FROM pg_user_mappings m
                    WHERE m.srvid = server AND m.usename IN (current_user, 'public')) THEN
        RAISE EXCEPTION 'role "%" has no user mapping for server "%"', current_user, server_name
            USING ERRCODE = 'undefined_object',
                  DETAIL = 'Sources are read as the role that owns the extension.',
                  HINT = format('CREATE USER MAPPING FOR %I SERVER %I'
                                ' OPTIONS (user ''...'', password ''...'');',
                                current_user, server_name);
    END IF;
    -- a dead remote must not hold the hourly cycle for ever
    FOR wanted IN SELECT *
                    FROM (VALUES ('connect_timeout', '10'), ('fetch_size', '10000'),
                                 ('keepalives_idle', '30'), ('keepalives_interval', '10'),
                                 ('keepalives_count', '3')) o (name, value)
                   WHERE NOT EXISTS (SELECT FROM pg_options_to_table(options) p
                                      WHERE p.option_name = o.name) LOOP
        EXECUTE format('ALTER SERVER %I OPTIONS (ADD %I %L)', server_name, wanted.name,
                       wanted.value);
        RAISE NOTICE 'added option % ''%'' to server "%"', wanted.name, wanted.value, server_name;
    END LOOP;
    PERFORM defidata.make_catalogs(server);
END
$$;
COMMENT ON FUNCTION defidata.setup_server(oid) IS
'adds the options that a server lacks, with a NOTICE each, and the foreign tables that show its
column types; 42704 where this role has no user mapping';

-- Text may have any name there.  What is read as text although it is none (an enum, money) must
-- not be computed with there: defidata.opaque is a type that postgres_fdw does not know.
CREATE DOMAIN defidata.opaque AS text;
COMMENT ON DOMAIN defidata.opaque IS
    'text here of a column that is none at the remote, and so can be read but not computed with'
    ' there';

CREATE FUNCTION defidata.local_type(typname text, typtype "char") RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN typtype = 'e' OR typname = 'money' THEN 'defidata.opaque'
        WHEN typname IN ('text', 'varchar', 'bpchar', 'name', 'citext') THEN 'text'
        WHEN typname = 'int2' THEN 'smallint'
        WHEN typname = 'int4' THEN 'integer'
        WHEN typname = 'int8' THEN 'bigint'
        WHEN typname = 'float4' THEN 'real'
        WHEN typname = 'float8' THEN 'double precision'
        WHEN typname = 'numeric' THEN 'numeric'
        WHEN typname = 'uuid' THEN 'uuid'
        WHEN typname = 'timestamp' THEN 'timestamp without time zone'
        WHEN typname = 'timestamptz' THEN 'timestamp with time zone' END;
COMMENT ON FUNCTION defidata.local_type(text, "char") IS
'the type with which a column of a remote type is read, by the type''s name and kind there; NULL
where it cannot be';

-- One question for all columns: its answer is of one moment.
CREATE FUNCTION defidata.remote_columns(server oid, remote_schema text, remote_table text,
    OUT name text, OUT remote_type text, OUT type text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- a domain may be one over a domain
    RETURN QUERY EXECUTE format($sql$
        SELECT a.attname, t.typname,
               CASE WHEN b3.oid IS NOT NULL THEN defidata.local_type(b3.typname, b3.typtype)
                    WHEN b2.oid IS NOT NULL THEN defidata.local_type(b2.typname, b2.typtype)
                    WHEN b1.oid IS NOT NULL THEN defidata.local_type(b1.typname, b1.typtype)
                    ELSE defidata.local_type(t.typname, t.typtype) END
          FROM %1$s n
          JOIN %2$s c ON c.relnamespace = n.oid
          JOIN %3$s a ON a.attrelid = c.oid
          JOIN %4$s t ON t.oid = a.atttypid
          LEFT JOIN %4$s b1 ON b1.oid = t.typbasetype AND t.typtype = 'd'
          LEFT JOIN %4$s b2 ON b2.oid = b1.typbasetype AND b1.typtype = 'd'
          LEFT JOIN %4$s b3 ON b3.oid = b2.typbasetype AND b2.typtype = 'd'
         WHERE n.nspname = %5$L AND c.relname = %6$L AND a.attnum > 0 AND NOT a.attisdropped
        $sql$,
        defidata.remote_table(server, 'pg_catalog', 'pg_namespace', 'defidata_remote'),
        defidata.remote_table(server, 'pg_catalog', 'pg_class', 'defidata_remote'),
        defidata.remote_table(server, 'pg_catalog', 'pg_attribute', 'defidata_remote'),
        defidata.remote_table(server, 'pg_catalog', 'pg_type', 'defidata_remote'),
        remote_schema, remote_table);
END
$$;
COMMENT ON FUNCTION defidata.remote_columns(oid, text, text) IS
'the columns of a remote table as the remote itself tells them, its name for their type, and the
type with which they are read (NULL: none fits); no rows where there is no such table';

CREATE FUNCTION defidata.foreign_place(relation regclass, OUT server oid, OUT schema_name text,
    OUT table_name text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT t.ftserver,
           COALESCE((SELECT o.option_value FROM pg_options_to_table(t.ftoptions) o
                      WHERE o.option_name = 'schema_name'), n.nspname),
           COALESCE((SELECT o.option_value FROM pg_options_to_table(t.ftoptions) o
                      WHERE o.option_name = 'table_name'), c.relname)
      INTO server, schema_name, table_name
      FROM pg_foreign_table t
      JOIN pg_class c ON c.oid = t.ftrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_foreign_server s ON s.oid = t.ftserver
      JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
     WHERE t.ftrelid = relation AND w.fdwname = 'postgres_fdw';
END
$$;
COMMENT ON FUNCTION defidata.foreign_place(regclass) IS
'where a foreign table of postgres_fdw reads; NULLs where it is none';

-- What the remote says of a foreign table of postgres_fdw must be what the
-- foreign table says, or values would be shifted, cut or refused half-way.
CREATE FUNCTION defidata.check_remote_shape(relation regclass, kind text, columns jsonb)
    RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    place constant record := defidata.foreign_place(relation);
    col   record;
    found bigint := 0;
BEGIN
    IF place.server IS NULL THEN
        RETURN;
    END IF;
    PERFORM defidata.make_catalogs(place.server);
    FOR col IN
        SELECT s.remote_name, s.type AS expected, r.name, r.remote_type, r.type
          FROM (SELECT * FROM defidata.remote_columns(place.server, place.schema_name,
                                                      place.table_name) OFFSET 0) r
          FULL JOIN (SELECT * FROM defidata.source_columns(relation, kind, columns) l
                      WHERE l.type IS NOT NULL) s ON s.remote_name = r.name
         ORDER BY r.name IS NULL LOOP
        found := found + (col.name IS NOT NULL)::integer;
        CONTINUE WHEN col.expected IS NULL;
        IF found = 0 THEN
            -- missing: the remote's own error is the clearest
            EXECUTE format('SELECT FROM %s LIMIT 1', relation);
            RAISE EXCEPTION 'the remote''s catalogs show no table %.%', place.schema_name,
                            place.table_name
                USING ERRCODE = 'undefined_table',
                      HINT = 'Its columns cannot be checked, and so it is not read.';
        ELSIF col.name IS NULL THEN
            RAISE EXCEPTION 'remote table %.% has no column "%"', place.schema_name,
                            place.table_name, col.remote_name
                USING ERRCODE = 'undefined_column',
                      DETAIL = format('Foreign table %s expects it with type %s.', relation,
                                      col.expected),
                      HINT = 'Attach the source again to adopt the remote''s present shape.';
        ELSIF defidata.type_family(col.type) IS DISTINCT FROM defidata.type_family(col.expected)
           OR col.type = 'bigint' AND col.expected <> 'bigint'
           OR col.type = 'integer' AND col.expected = 'smallint' THEN
            RAISE EXCEPTION 'column "%" of remote table %.% has type %, expected %',
                            col.remote_name, place.schema_name, place.table_name,
                            COALESCE(col.type, left(col.remote_type, 80)), col.expected
                USING ERRCODE = 'datatype_mismatch',
                      HINT = 'Attach the source again to adopt the remote''s present shape.';
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.check_remote_shape(regclass, text, jsonb) IS
'compares a postgres_fdw foreign table with the remote''s real columns; 42703 or 42804 where they
differ';
