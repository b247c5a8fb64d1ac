-- openapi.sql: the description of the documents, OpenAPI 3.1, made from what is there: the
-- boards, and the columns of tables with their types and comments.
--
-- Schemas of boards are named board_NAME, which no other schema is.

CREATE FUNCTION defidata.column_schema(type oid, nullable boolean, meaning text) RETURNS json
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT json_strip_nulls(json_build_object(
               'type', CASE WHEN nullable THEN json_build_array(j.type, 'null')
                            ELSE to_json(j.type) END,
               'format', j.format, 'description', meaning))
      FROM (SELECT CASE WHEN column_schema.type IN ('bigint'::regtype, 'integer'::regtype)
                        THEN 'integer'
                        WHEN column_schema.type = 'float8'::regtype THEN 'number'
                        WHEN column_schema.type = 'boolean'::regtype THEN 'boolean'
                        ELSE 'string' END AS type,
                   CASE column_schema.type
                        WHEN 'bigint'::regtype THEN 'int64' WHEN 'integer'::regtype THEN 'int32'
                        WHEN 'float8'::regtype THEN 'double' WHEN 'date'::regtype THEN 'date'
                        WHEN 'timestamptz'::regtype THEN 'date-time' END AS format) j;
END;
COMMENT ON FUNCTION defidata.column_schema(oid, boolean, text) IS
    'the schema of a column as JSON has it; meaning: its description, or NULL';

-- A view knows of no NOT NULL; the table below it does.
CREATE FUNCTION defidata.relation_schema(relation regclass, below regclass, names text[])
    RETURNS json
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT json_build_object('type', 'object',
               'required', json_agg(a.attname ORDER BY a.attnum),
               'properties', json_object_agg(a.attname,
                   defidata.column_schema(a.atttypid, b.attnotnull IS NOT TRUE,
                                          col_description(a.attrelid, a.attnum))
                   ORDER BY a.attnum))
      FROM pg_attribute a
      LEFT JOIN pg_attribute b ON b.attrelid = below AND b.attname = a.attname
                              AND NOT b.attisdropped
     WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
       AND (names IS NULL OR a.attname = ANY (names));
END;
COMMENT ON FUNCTION defidata.relation_schema(regclass, regclass, text[]) IS
    'the schema of a row of a relation; below: the table that says what is never null; names: of'
    ' these columns, NULL for all';

-- What a function returns means what it means in metrics, or else in token_stats.
CREATE FUNCTION defidata.result_schema(called regprocedure, known text[], hidden text[])
    RETURNS json
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT json_build_object('type', 'object',
               'required', json_agg(r.name ORDER BY r.place),
               'properties', json_object_agg(r.name,
                   defidata.column_schema(r.type, r.name <> ALL (known),
                       (SELECT col_description(a.attrelid, a.attnum) FROM pg_attribute a
                         WHERE a.attrelid IN (to_regclass('defidata.metrics'),
                                              to_regclass('defidata.token_stats'))
                           AND a.attname = r.name AND NOT a.attisdropped
                         ORDER BY a.attrelid <> to_regclass('defidata.metrics') LIMIT 1))
                   ORDER BY r.place))
      FROM pg_proc p
     CROSS JOIN LATERAL unnest(p.proargnames, p.proargmodes, p.proallargtypes)
                        WITH ORDINALITY r (name, mode, type, place)
     WHERE p.oid = called AND r.mode = 't' AND r.name <> ALL (hidden);
END;
COMMENT ON FUNCTION defidata.result_schema(regprocedure, text[], text[]) IS
    'the schema of a row that a function returns; known: what is never null; hidden: what is no'
    ' part of it';

CREATE FUNCTION defidata.array_schema(name text) RETURNS json
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN json_build_object('type', 'array',
               'items', json_build_object('$ref', '#/components/schemas/' || name));
COMMENT ON FUNCTION defidata.array_schema(text) IS 'the schema of an array of a named schema';

CREATE FUNCTION defidata.described_schemas() RETURNS TABLE (name text, schema json)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT 'board_' || b.name, defidata.relation_schema(
               to_regclass(defidata.board_view(b.name)),
               to_regclass(defidata.board_table(b.name)), NULL)
      FROM defidata.board b WHERE defidata.has_board(b.name)
    UNION ALL
    SELECT r.name, defidata.relation_schema(r.relation, r.below, r.names)
      FROM (VALUES ('token_stats', 'defidata.token_stats'::regclass,
                    'defidata.token_stats'::regclass, NULL::text[]),
                   ('token', 'defidata.token_stats', 'defidata.token_stats', '{token,name}'),
                   ('day', 'defidata.daily_mentions', 'defidata.daily_mentions', NULL),
                   ('alert', 'defidata.alerts', 'defidata.alert_event', NULL))
           r (name, relation, below, names)
    UNION ALL
    SELECT 'hour', defidata.result_schema('defidata.history(text,interval)', '{hour}', '{}')
    UNION ALL
    SELECT 'live', defidata.result_schema(l.live, '{rank,token,mentions_60m}', '{as_of}')
      FROM to_regprocedure('defidata.live(integer,integer)') l (live)
     WHERE defidata.has_streams();
END
$$;
COMMENT ON FUNCTION defidata.described_schemas() IS
    'the schemas of rows in documents, by the names that the description gives them';

-- A board's path is its own; other paths have a fixed body.  A path that stands here twice is
-- a board's that has taken the name of one that is made on request.
CREATE FUNCTION defidata.described_paths(stored text[])
    RETURNS TABLE (path text, operation text, summary text, schema json)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT DISTINCT ON (p.path) p.path, p.operation, p.summary, p.schema
      FROM (SELECT 1 AS choice, f.path, f.operation, f.summary, f.schema
              FROM (VALUES
                ('/tokenstats', 'tokenstats', 'every token of the last 14 days, by token',
                 defidata.array_schema('token_stats')),
                ('/tokens', 'tokens', 'the tokens and their names', defidata.array_schema('token')),
                ('/alltweets', 'alltweets', 'mentions by UTC day', defidata.array_schema('day')),
                ('/alerts', 'alerts', 'the alerts that stand, oldest first',
                 defidata.array_schema('alert')),
                ('/topstats', 'topstats', 'three boards and the generation they are of',
                 json_build_object('type', 'object', 'required',
                     json_build_array('generation', 'latest_hour', 'trending', 'volatile',
                                      'decreasing'),
                     'properties', (
                     SELECT json_object_agg(k.key, k.schema)
                       FROM (SELECT 'generation' AS key,
                                    defidata.column_schema('bigint'::regtype, false,
                                        'grows whenever something published changed') AS schema
                             UNION ALL
                             SELECT 'latest_hour', defidata.column_schema('timestamptz'::regtype,
                                                       true, 'the hour that is published')
                             UNION ALL
                             SELECT b.name, CASE WHEN defidata.has_board(b.name)
                                                 THEN defidata.array_schema('board_' || b.name)
                                                 ELSE '{"type": "array"}' END
                               FROM unnest('{trending,volatile,decreasing}'::text[]) b (name)) k)))
              ) f (path, operation, summary, schema) WHERE f.path = ANY (stored)
            UNION ALL
            SELECT 2, '/' || b.name, b.name,
                   format('the %s tokens first by %s, %s', b.size, b.metric, b.direction),
                   CASE WHEN defidata.has_board(b.name)
                        THEN defidata.array_schema('board_' || b.name)
                        ELSE '{"type": "array"}' END
              FROM defidata.board b WHERE '/' || b.name = ANY (stored)
            UNION ALL
            -- whatever else is stored
            SELECT 3, s.path, substr(s.path, 2), 'the document ' || s.path, '{}'
              FROM unnest(stored) s (path)
            UNION ALL
            SELECT 3, '/live', 'live', 'the board of the last 60 minutes',
                   defidata.array_schema('live')
             WHERE defidata.has_streams()
            UNION ALL
            SELECT 3, r.path, r.operation, r.summary, r.schema
              FROM (VALUES
                ('/tokenstats/{symbol}', 'tokenstatsOfToken', 'the figures of one token',
                 '{"$ref": "#/components/schemas/token_stats"}'::json),
                ('/history/{symbol}', 'historyOfToken', 'the last 7 days of one token by hour',
                 defidata.array_schema('hour')),
                ('/openapi.json', 'openapiDocument', 'this description', '{"type": "object"}'))
                r (path, operation, summary, schema)) p
     ORDER BY p.path, p.choice;
END
$$;
COMMENT ON FUNCTION defidata.described_paths(text[]) IS
    'every path that defidata_document answers, given those that are stored, with the schema of its'
    ' body';

CREATE FUNCTION defidata.operation(path text, operation text, summary text, schema json)
    RETURNS json
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT json_build_object('get', json_build_object(
        'operationId', operation, 'summary', summary,
        'parameters', CASE WHEN path LIKE '%{symbol}'
            THEN json '[{"$ref": "#/components/parameters/symbol"},
                        {"$ref": "#/components/parameters/ifNoneMatch"}]'
            ELSE json '[{"$ref": "#/components/parameters/ifNoneMatch"}]' END,
        'responses', json_build_object(
            '200', json_build_object('description', 'the document',
                'headers', json '{"ETag": {"$ref": "#/components/headers/ETag"}}',
                'content', json_build_object('application/json',
                               json_build_object('schema', schema))),
            '304', json '{"$ref": "#/components/responses/notModified"}',
            '404', json '{"$ref": "#/components/responses/notFound"}')));
END;
COMMENT ON FUNCTION defidata.operation(text, text, text, json) IS
    'how a path is asked for and what it answers';

CREATE FUNCTION defidata.openapi(stored text[]) RETURNS json
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
BEGIN
    RETURN json_build_object(
        'openapi', '3.1.0',
        'info', json_build_object('title', 'defidata',
            'version', (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'defidata'),
            'description', 'What people say of tokens, and their prices. Times are in UTC, changes'
                           ' and shares are fractions, what is unknown is null. A path is taken'
                           ' without regard to case.'),
        'servers', json '[{"url": "/"}]',
        'paths', (SELECT json_object_agg(p.path, defidata.operation(p.path, p.operation, p.summary,
                                                                    p.schema)
                                         ORDER BY p.path COLLATE "C")
                    FROM defidata.described_paths(stored) p),
        'components', json_build_object(
            'schemas', (SELECT json_object_agg(s.name, s.schema ORDER BY s.name COLLATE "C")
                          FROM defidata.described_schemas() s),
            'parameters', json '{
                "symbol": {"name": "symbol", "in": "path", "required": true,
                           "description": "the token as people type it: btc, $BTC",
                           "schema": {"type": "string", "minLength": 1}, "example": "BTC"},
                "ifNoneMatch": {"name": "If-None-Match", "in": "header",
                                "description": "the ETag of what the client has",
                                "schema": {"type": "string"}}}',
            'headers', json '{
                "ETag": {"description": "changes if and only if the document does",
                         "required": true, "schema": {"type": "string"}}}',
            'responses', json '{
                "notModified": {"description": "the client has the document"},
                "notFound": {"description": "no such path, or nothing is known of that token"}}'));
END
$$;
COMMENT ON FUNCTION defidata.openapi(text[]) IS
    'the description of the documents, given the paths of those that are stored; see'
    ' defidata_document';
