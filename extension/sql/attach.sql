-- attach.sql: relations become sources, after a look at their shapes.

-- A view is read by running what stands in it, with the rights of whoever reads: so everything in
-- it, and in the views under it, has to be of somebody who could do all that anyway.
CREATE FUNCTION defidata.check_reader(relation regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    foreigner record;
BEGIN
    WITH RECURSIVE reads AS (
        SELECT relation::oid AS oid
        UNION
        SELECT d.refobjid
          FROM reads r
          JOIN pg_rewrite w ON w.ev_class = r.oid
          JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                          AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.oid)
    SELECT x.object, o.rolname AS owner INTO foreigner
      FROM (SELECT format('relation %s', c.oid::regclass) AS object, c.relowner AS owner
              FROM reads r
              JOIN pg_class c ON c.oid = r.oid
             WHERE c.relkind = 'v' OR c.relrowsecurity
            UNION ALL
            SELECT format('function %s', p.oid::regprocedure), p.proowner
              FROM reads r
              JOIN pg_rewrite w ON w.ev_class = r.oid
              JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                              AND d.refclassid = 'pg_proc'::regclass
              JOIN pg_proc p ON p.oid = d.refobjid) x
      JOIN pg_roles o ON o.oid = x.owner
     WHERE o.rolname <> current_user AND NOT o.rolsuper
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% belongs to role %, whose code would run as role %', foreigner.object,
                        foreigner.owner, current_user
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('It would run where %s is read.', relation),
                  HINT = format('Make its owner %I, or attach a view of your own over tables.',
                                current_user);
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.check_reader(regclass) IS
'raises 42501 where reading a relation would run what somebody else wrote, who is no superuser: a
view, a function in it or a policy';

CREATE FUNCTION defidata.check_shape(relation regclass, kind text, columns jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    col  record;
    lost text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation) THEN
        SELECT COALESCE(string_agg(quote_ident(s.name), ', '),
                        'with OID ' || check_shape.relation::oid) INTO lost
          FROM defidata.source s WHERE s.relation = check_shape.relation;
        RAISE EXCEPTION 'the relation of source % does not exist', lost
            USING ERRCODE = 'undefined_table',
                  HINT = 'Attach the source again with a relation that exists, or detach it with'
                         ' defidata_detach.';
    END IF;
    PERFORM defidata.check_reader(relation);
    FOR col IN SELECT * FROM defidata.source_columns(relation, kind, columns) LOOP
        IF col.type IS NULL AND (col.required OR columns ? col.logical) THEN
            RAISE EXCEPTION 'relation % has no column "%" for %', relation, left(col.actual, 80),
                            col.logical
                USING ERRCODE = 'undefined_column',
                      HINT = format('Name the right one in the argument columns of'
                                    ' defidata_attach, for example ''{"%s": "my_column"}''.',
                                    col.logical);
        ELSIF defidata.type_family(col.type) <> ALL (col.families) THEN
            RAISE EXCEPTION 'column "%" of relation % has type %, expected % for %', col.actual,
                            relation, col.type, array_to_string(col.families, ' or '), col.logical
                USING ERRCODE = 'datatype_mismatch';
        END IF;
    END LOOP;
    PERFORM defidata.check_remote_shape(relation, kind, columns);
END
$$;
COMMENT ON FUNCTION defidata.check_shape(regclass, text, jsonb) IS
'raises 42703 or 42804 unless the relation, here and on the remote, can be read as a source of the
kind';

CREATE FUNCTION defidata.check_attach(name text, kind text, relation regclass, columns jsonb)
    RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    logical text[];
    other   record;
BEGIN
    IF name IS NULL OR name = '' OR octet_length(name) > 127 THEN
        RAISE EXCEPTION 'a source needs a name of 1 to 127 bytes'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF kind IS NULL OR kind NOT IN ('mentions', 'prices') THEN
        RAISE EXCEPTION 'kind must be mentions or prices, not %', quote_nullable(left(kind, 80))
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF relation IS NULL THEN
        RAISE EXCEPTION 'a source needs a relation' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    logical := ARRAY(SELECT l.logical FROM defidata.logical_columns(kind) l);
    IF columns IS NULL OR jsonb_typeof(columns) <> 'object' OR EXISTS (
            SELECT FROM jsonb_each(columns) c
             WHERE c.key <> ALL (logical)
                OR NOT (jsonb_typeof(c.value) = 'string'
                        OR c.key = 'id' AND jsonb_typeof(c.value) = 'array'
                           AND NOT c.value @? '$[*] ? (@.type() <> "string")')) THEN
        RAISE EXCEPTION 'columns must be a JSON object that maps logical to actual column names'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('The columns of kind %s are %s.', kind,
                                array_to_string(logical, ', '));
    END IF;
    IF EXISTS (SELECT FROM defidata.document_source d WHERE d.name = check_attach.name) THEN
        RAISE EXCEPTION 'source "%" is one of documents', name
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('Choose another name, or drop its rows:'
                                ' SELECT defidata_detach(%L, true);', name);
    END IF;
    SELECT s.kind, s.relation INTO other FROM defidata.source s WHERE s.name = check_attach.name;
    IF other.kind <> kind THEN
        RAISE EXCEPTION 'source "%" is attached as another kind', name
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Detach it first, or choose another name.';
    ELSIF other.relation <> relation
          AND EXISTS (SELECT FROM pg_class c WHERE c.oid = other.relation) THEN
        RAISE EXCEPTION 'source "%" reads another relation, %', name, other.relation
            USING ERRCODE = 'duplicate_object',
                  HINT = format('SELECT defidata_detach(%L); first, or choose another name.', name);
    END IF;
    -- the same table twice would count twice
    SELECT s.name INTO other
      FROM defidata.source s, defidata.foreign_place(check_attach.relation) p,
           defidata.foreign_place(s.relation) q
     WHERE s.name <> check_attach.name AND s.kind = check_attach.kind
       AND (s.relation = check_attach.relation
            OR (p.server, p.schema_name, p.table_name) = (q.server, q.schema_name, q.table_name));
    IF FOUND THEN
        RAISE EXCEPTION 'source "%" reads relation % already', other.name, relation
            USING ERRCODE = 'duplicate_object',
                  HINT = format('SELECT defidata_detach(%L); first, if it is to have another name.',
                                other.name);
    ELSIF defidata.is_stream(name) THEN
        RAISE EXCEPTION 'source "%" is a stream', name USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Choose another name.';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.check_attach(text, text, regclass, jsonb) IS
'checks the arguments of defidata_attach; 22023 for a bad one, 42710 where the name or the relation
is another source''s';

CREATE FUNCTION defidata.attach(name text, kind text, relation regclass, columns jsonb)
    RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    place     record;
    former    text;
    watermark timestamptz;
BEGIN
    PERFORM defidata.check_attach(name, kind, relation, columns);
    place := defidata.foreign_place(relation);
    IF place.server IS NOT NULL THEN
        PERFORM defidata.setup_server(place.server);
    END IF;
    PERFORM defidata.check_shape(relation, kind, columns);
    -- the rows that a source of this name has left
    watermark := CASE kind
                 WHEN 'mentions' THEN (SELECT max(r.hour) FROM defidata.raw_mentions r
                                        WHERE r.source = name AND r.reason IS DISTINCT FROM 'hour')
                 ELSE (SELECT max(p.at) FROM defidata.prices p
                        WHERE p.source = name AND p.reason IS DISTINCT FROM 'hour') END;
    PERFORM defidata.check_ids(relation, kind, columns), defidata.forget_answers(name);
    INSERT INTO defidata.source AS s (name, kind, relation, columns, watermark)
    VALUES (name, kind, relation, columns, watermark)
    ON CONFLICT ON CONSTRAINT source_pkey DO UPDATE
       SET relation = excluded.relation, columns = excluded.columns, attached_at = now();
    -- the same rows by another way would count twice
    IF kind = 'mentions' AND name <> 'legacy'
       AND NOT EXISTS (SELECT 1 FROM defidata.raw_mentions r WHERE r.source = name) THEN
        SELECT r.source INTO former FROM defidata.raw_mentions r WHERE r.source <> 'legacy' LIMIT 1;
        IF FOUND THEN
            RAISE NOTICE 'mentions of source "%" will add up with those of source "%"', name, former
                USING HINT = format('If it delivers the same rows, detach it and attach its'
                                    ' relation as "%s" instead.', former);
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.attach(text, text, regclass, jsonb) IS
    'registers a relation as a source; see defidata_attach';

-- Its foreign table and so its source have the name that they have already, or one made of
-- server, schema (where it is not public) and table.
CREATE FUNCTION defidata.name_remote_table(server oid, remote_schema text, remote_table text)
    RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    present constant regclass := defidata.remote_table(server, remote_schema, remote_table,
                                                       'defidata_remote');
    wanted  constant text := defidata.local_name(VARIADIC array_remove(ARRAY[
        (SELECT s.srvname::text FROM pg_foreign_server s WHERE s.oid = server),
        NULLIF(remote_schema, 'public'), remote_table], NULL));
    other   record;
BEGIN
    IF present IS NOT NULL THEN
        RETURN (SELECT c.relname FROM pg_class c WHERE c.oid = present);
    ELSIF to_regclass(format('defidata_remote.%I', wanted)) IS NOT NULL THEN
        other := defidata.foreign_place(format('defidata_remote.%I', wanted)::regclass);
        RAISE EXCEPTION 'foreign table defidata_remote.% exists and shows another table', wanted
            USING ERRCODE = 'duplicate_table',
                  DETAIL = format('It shows %s.%s of server %s.', other.schema_name,
                                  other.table_name, (SELECT s.srvname FROM pg_foreign_server s
                                                      WHERE s.oid = other.server)),
                  HINT = 'Detach its source and drop it, or make a foreign table of your own for'
                         ' this one and attach that with defidata_attach.';
    END IF;
    RETURN wanted;
END
$$;
COMMENT ON FUNCTION defidata.name_remote_table(oid, text, text) IS
'the name here of the foreign table over a remote table; 42P07 where another one has it';

CREATE FUNCTION defidata.remote_definitions(server oid, kind text, remote_schema text,
                                            remote_table text) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    server_name constant text := (SELECT s.srvname FROM pg_foreign_server s WHERE s.oid = server);
    definitions text;
    message     text;
    detail      text;
BEGIN
    SELECT string_agg(format('%I %s', l.actual, r.type), ', ' ORDER BY l.actual)
      INTO definitions
      FROM defidata.logical_columns(kind) l
      JOIN (SELECT * FROM defidata.remote_columns(server, remote_schema, remote_table) OFFSET 0) r
           ON r.name = l.actual
     WHERE r.type IS NOT NULL;
    RETURN definitions;
EXCEPTION WHEN sqlclient_unable_to_establish_sqlconnection THEN
    -- most likely a slip in what the user has just typed
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = message, DETAIL = detail,
        HINT = format('Correct the address with ALTER SERVER %1$I OPTIONS (SET host ''...''),'
                      ' user and password with ALTER USER MAPPING FOR %2$I SERVER %1$I'
                      ' OPTIONS (SET password ''...'').', server_name, current_user);
END
$$;
COMMENT ON FUNCTION defidata.remote_definitions(oid, text, text, text) IS
'definitions of the columns that a source of the kind reads, of those that a remote table has';

CREATE FUNCTION defidata.attach_remote_table(server oid, kind text, remote_schema text,
                                             remote_table text) RETURNS regclass
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    server_name constant text := (SELECT s.srvname FROM pg_foreign_server s WHERE s.oid = server);
    local_name  constant text := defidata.name_remote_table(server, remote_schema, remote_table);
    definitions constant text := defidata.remote_definitions(server, kind, remote_schema,
                                                             remote_table);
    message     text;
BEGIN
    IF to_regclass(format('defidata_remote.%I', local_name)) IS NOT NULL THEN
        EXECUTE format('DROP FOREIGN TABLE defidata_remote.%I', local_name);
    END IF;
    PERFORM defidata.make_foreign_table(local_name, COALESCE(definitions, 'id text'), server_name,
                                        remote_schema, remote_table, kind);
    EXECUTE format('SELECT FROM defidata_remote.%I LIMIT 1', local_name);
    RETURN format('defidata_remote.%I', local_name);
EXCEPTION
    WHEN undefined_table THEN
        RETURN NULL;
    WHEN insufficient_privilege THEN
        IF kind = 'prices' THEN
            RETURN NULL;
        END IF;
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
        RAISE EXCEPTION 'remote table %.% is not readable', left(remote_schema, 80),
                        left(remote_table, 80)
            USING ERRCODE = SQLSTATE,
                  DETAIL = format('The remote says: %s.', left(message, 200)),
                  HINT = 'There, GRANT SELECT on the table, and USAGE on its schema, to the mapped'
                         ' user.';
END
$$;
COMMENT ON FUNCTION defidata.attach_remote_table(oid, text, text, text) IS
'makes the foreign table over a remote table with the needed columns in the remote''s own types;
NULL where the remote has no such table, or no such prices that may be read; 42501 for mentions
that may not';

CREATE FUNCTION defidata.find_server(server name) RETURNS oid
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found record;
    ours  text;
BEGIN
    SELECT s.oid, w.fdwname INTO found
      FROM pg_foreign_server s
      JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
     WHERE s.srvname = server;
    IF found.oid IS NULL THEN
        SELECT string_agg(quote_ident(s.srvname), ', ' ORDER BY s.srvname) INTO ours
          FROM pg_foreign_server s
          JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
         WHERE w.fdwname = 'postgres_fdw';
        RAISE EXCEPTION 'server % does not exist', quote_nullable(server::text)
            USING ERRCODE = 'undefined_object',
                  HINT = COALESCE('The servers of postgres_fdw are ' || ours || '.',
                                  'Make it with CREATE SERVER ... FOREIGN DATA WRAPPER'
                                  ' postgres_fdw OPTIONS (host ''...'', dbname ''...'').');
    ELSIF found.fdwname <> 'postgres_fdw' THEN
        RAISE EXCEPTION 'server "%" is not of postgres_fdw but of %', server, found.fdwname
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Make a foreign table and attach it with defidata_attach.';
    END IF;
    RETURN found.oid;
END
$$;
COMMENT ON FUNCTION defidata.find_server(name) IS
    'a server of postgres_fdw by its name; 42704 where there is none, 22023 for another wrapper''s';

CREATE FUNCTION defidata.attach_server(server name, remote_schema text, mentions text, prices text)
    RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    server_oid constant oid := defidata.find_server(server);
    wanted     record;
    relation   regclass;
BEGIN
    IF remote_schema IS NULL THEN
        RAISE EXCEPTION 'the remote schema must not be null'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM defidata.setup_server(server_oid);
    FOR wanted IN SELECT * FROM (VALUES ('mentions', mentions), ('prices', prices))
                                t (kind, remote_table)
                   WHERE t.remote_table IS NOT NULL LOOP
        relation := defidata.attach_remote_table(server_oid, wanted.kind, remote_schema,
                                                 wanted.remote_table);
        IF relation IS NOT NULL THEN
            PERFORM defidata.attach((SELECT c.relname FROM pg_class c WHERE c.oid = relation),
                                    wanted.kind, relation, '{}');
        ELSIF wanted.kind = 'prices' THEN
            RAISE NOTICE 'remote table %.% does not exist or is not readable;'
                         ' going on without prices',
                         left(remote_schema, 80), left(wanted.remote_table, 80);
        ELSE
            RAISE EXCEPTION 'remote table %.% does not exist', left(remote_schema, 80),
                            left(wanted.remote_table, 80)
                USING ERRCODE = 'undefined_table',
                      HINT = 'Name the schema in the argument remote_schema, the table in the'
                             ' argument mentions.';
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.attach_server(name, text, text, text) IS 'see defidata_attach_server';
