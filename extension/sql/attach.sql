-- attach.sql: relations become sources, after a look at their shapes.

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
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    server    oid;
    former    text;
    watermark timestamptz;
BEGIN
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

CREATE FUNCTION defidata.attach_server(server name, remote_schema text,
                                       mentions text, prices text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wrapper    text;
    server_oid oid;
    wanted     record;
BEGIN
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
COMMENT ON FUNCTION defidata.attach_server(name, text, text, text) IS 'makes foreign tables for the CT-SCANNER''s tables on a postgres_fdw server, checks them and attaches them as sources SERVER_TABLE; NULL skips one. 42704: no such server; 42P01: no mentions table there; 42501: it may not be read; 42703 or 42804: wrong shape';

CREATE FUNCTION defidata.detach(name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM defidata.source s WHERE s.name = detach.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'source % is not attached', quote_nullable(left(name, 80)) USING ERRCODE = 'undefined_object',
            HINT = 'SELECT name FROM defidata.source lists the sources.';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.detach(text) IS 'the source is no longer read; its rows stay. 42704 where there is no such source';
