-- source.sql: what a source delivers, and the SQL that reads it.

-- What a source of each kind delivers: the logical columns, where they stand in
-- the CT-SCANNER's own tables, and the families of types that fit.
CREATE FUNCTION defidata.logical_columns(kind text, OUT logical text, OUT actual text,
                                         OUT required boolean, OUT families text[])
    RETURNS SETOF record IMMUTABLE PARALLEL SAFE LANGUAGE sql
BEGIN ATOMIC
    SELECT c.logical, c.actual, c.required, c.families
      FROM (VALUES
        ('mentions', 'id', 'id', true, '{string,integer,uuid}'::text[]),
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
        ('prices', 'market_cap', 'market_cap', false, '{float,integer,numeric,string}'),
        ('prices', 'currency', 'currency', false, '{string}')
      ) AS c (kind, logical, actual, required, families)
     WHERE c.kind = logical_columns.kind;
END;
COMMENT ON FUNCTION defidata.logical_columns(text) IS 'what a source of a kind (mentions or prices) delivers, with default column names and fitting type families';

CREATE FUNCTION defidata.type_family(type text) RETURNS text
    IMMUTABLE PARALLEL SAFE STRICT LANGUAGE sql
    RETURN CASE WHEN type IN ('text', 'character varying', 'character', 'name',
                               'defidata.opaque') THEN 'string'
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
    SELECT c.logical, n.actual, c.required, c.families, defidata.base_type(a.atttypid),
           COALESCE((SELECT o.option_value FROM pg_catalog.pg_options_to_table(a.attfdwoptions) o
                      WHERE o.option_name = 'column_name'), n.actual)
      FROM defidata.logical_columns(kind) c,
           LATERAL (SELECT COALESCE(columns ->> c.logical, c.actual)) n (actual)
           LEFT JOIN pg_catalog.pg_attribute a
                  ON a.attrelid = relation AND a.attname = n.actual AND a.attnum > 0 AND NOT a.attisdropped;
END;
COMMENT ON FUNCTION defidata.source_columns(regclass, text, jsonb) IS 'the logical columns of a source with their actual names and types; type NULL where the relation lacks one';

CREATE FUNCTION defidata.require_source() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (SELECT count(*) FROM defidata.source) = 0 AND NOT defidata.has_streams() THEN
        RAISE EXCEPTION 'no source is attached' USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Attach one with defidata_attach_server or defidata_attach.';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.require_source() IS 'raises 55000 where no source is attached';

-- The pieces of SQL that read one source.  Bounds and hours are parameters:
-- $1, $2, $3 from, until, hours as timestamptz; $4, $5, $6 the same as Unix
-- seconds (hours: seconds / 3600); $7, $8, $9 as timestamp; $10, $11, $12 another
-- bound for the piece before, in the same three.  A piece uses those that have the
-- type of the source's own column, so that its conditions can be evaluated by the
-- remote.
CREATE FUNCTION defidata.source_sql(source text, OUT kind text, OUT relation text, OUT in_range text, OUT in_hours text, OUT before text,
        OUT unusable text, OUT bucket text, OUT bucket_hour text, OUT when_at text, OUT id text, OUT id_usable text,
        OUT id_hash text, OUT columns text, OUT row_hash text)
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    src      record;
    col      record;
    part     text;
    family   text;
    hashable boolean := true;
BEGIN
    SELECT s.kind, s.relation, s.columns INTO src FROM defidata.source s WHERE s.name = source_sql.source;
    kind := src.kind;
    relation := src.relation::text;
    FOR col IN SELECT * FROM defidata.source_columns(src.relation, src.kind, src.columns) LOOP
        part := format('r.%I', col.actual);
        family := COALESCE(defidata.type_family(col.type), 'absent');
        CASE
            WHEN col.logical = 'id' THEN
                id := part || '::text';
                id_usable := CASE family WHEN 'string' THEN format('%s IS NOT NULL AND octet_length(%s) <= 512', part, part)
                                         ELSE part || ' IS NOT NULL' END;
                id_hash := format(CASE family WHEN 'string' THEN 'hashtextextended(%s, 0)'
                                              WHEN 'integer' THEN 'hashint8extended(%s, 0)'
                                              ELSE 'uuid_hash_extended(%s, 0)' END, part);
                hashable := hashable AND family = 'string';
                row_hash := id_hash;
                columns := concat_ws(', ', columns, id || ' COLLATE "C" AS id');
            WHEN col.logical IN ('hour', 'at') THEN
                when_at := part;
                in_range := format(CASE family WHEN 'integer' THEN '%1$s >= $4 AND %1$s < $5'
                                               WHEN 'timestamp' THEN '%1$s >= $7 AND %1$s < $8'
                                               ELSE '%1$s >= $1 AND %1$s < $2' END, part);
                before := part || CASE family WHEN 'integer' THEN ' < $11' WHEN 'timestamp' THEN ' < $12' ELSE ' < $10' END;
                unusable := format(CASE family
                    WHEN 'integer' THEN '(%1$s IS NULL OR %1$s < 1136073600 OR %1$s >= $5)'
                    WHEN 'timestamp' THEN '(%1$s IS NULL OR %1$s < timestamp ''2006-01-01'' OR %1$s >= $8)'
                    ELSE '(%1$s IS NULL OR %1$s < timestamptz ''2006-01-01 00:00:00+00'' OR %1$s >= $2)' END, part);
                bucket := format(CASE family
                    WHEN 'integer' THEN '(%s / 3600)'
                    WHEN 'timestamp' THEN 'date_bin(''1 hour'', %s, timestamp ''2001-01-01'')'
                    ELSE 'date_bin(''1 hour'', %s, timestamptz ''2001-01-01 00:00:00+00'')' END, part);
                bucket_hour := CASE family WHEN 'integer' THEN 'defidata.instant_of(s.bucket * 3600::bigint)'
                                           ELSE 'defidata.instant_of(s.bucket)' END;
                part := CASE family WHEN 'integer' THEN '$6' WHEN 'timestamp' THEN '$9' ELSE '$3' END;
                in_hours := format('%s = ANY (%s)', bucket, part);
                part := format('r.%I', col.actual);
                columns := concat_ws(', ', columns, CASE col.logical
                    WHEN 'hour' THEN format('defidata.hour_of(defidata.instant_of(%s)) AS hour', part)
                    ELSE format('COALESCE(defidata.instant_of(%s), ''-infinity'') AS at', part) END);
            WHEN 'string' = ALL (col.families) THEN
                columns := concat_ws(', ', columns, CASE family WHEN 'absent' THEN 'NULL::text' ELSE part || '::text COLLATE "C"' END
                                                    || ' AS ' || col.logical);
                row_hash := row_hash || format(' # CASE WHEN %1$s IS NULL THEN 0 ELSE hashtextextended(%1$s, 1) END', part);
            ELSE
                columns := concat_ws(', ', columns, CASE family
                    WHEN 'absent' THEN 'NULL::float8'
                    WHEN 'float' THEN part || '::float8'
                    WHEN 'integer' THEN part || '::float8'
                    ELSE format('defidata.parse_number(%s::text)', part) END || ' AS ' || col.logical);
                -- seeds tell the columns apart, so that swapped values show; CASE, since
                -- postgres_fdw sends no COALESCE
                IF family <> 'absent' THEN
                    hashable := hashable AND family IN ('float', 'integer');
                    row_hash := row_hash || format(' # CASE WHEN %1$s IS NULL THEN 0 ELSE hashfloat8extended(%1$s::float8, %2$s) END',
                                                   part, CASE col.logical WHEN 'mentions' THEN 2 ELSE 3 END);
                END IF;
        END CASE;
    END LOOP;
    IF NOT hashable THEN
        row_hash := NULL;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.source_sql(text) IS 'the pieces of SQL that read a source; row_hash is NULL where the columns have types of which it cannot compute a checksum that is comparable here';

CREATE FUNCTION defidata.source_range(source text, OUT oldest timestamptz, OUT newest timestamptz)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    piece    record;
    from_at  constant timestamptz := '2006-01-01 00:00:00+00';
    until_at constant timestamptz := defidata.hour_of(now()) + interval '1 hour';
BEGIN
    SELECT * INTO piece FROM defidata.source_sql(source_range.source);
    EXECUTE format('SELECT defidata.instant_of(s.oldest), defidata.instant_of(s.newest)'
                   ' FROM (SELECT min(%1$s) AS oldest, max(%1$s) AS newest FROM %2$s r WHERE %3$s) s',
                   piece.when_at, piece.relation, piece.in_range)
       INTO oldest, newest
      USING from_at, until_at, NULL::timestamptz[], defidata.epoch_of(from_at), defidata.epoch_of(until_at), NULL::bigint[],
            from_at AT TIME ZONE 'UTC', until_at AT TIME ZONE 'UTC';
END
$$;
COMMENT ON FUNCTION defidata.source_range(text) IS 'times of the oldest and the newest row of a source between 2006 and now';

CREATE FUNCTION defidata.import_start(source text, watermark timestamptz) RETURNS timestamptz
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    present record;
    start   timestamptz;
BEGIN
    IF watermark IS NOT NULL THEN
        RETURN defidata.hour_of(watermark - defidata.setting_value('overlap')::interval);
    END IF;
    SELECT * INTO present FROM defidata.source_range(source);
    start := defidata.hour_of(present.newest - defidata.setting_value('initial_span')::interval) + interval '1 hour';
    IF present.oldest < start THEN
        RAISE NOTICE 'source "%" has rows since %, older than the first import''s %', source,
                     to_char(present.oldest AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), defidata.setting_value('initial_span')
            USING HINT = format('CALL defidata_backfill(%L, %L) imports them.', present.oldest::text, start::text);
    END IF;
    RETURN start;
END
$$;
COMMENT ON FUNCTION defidata.import_start(text, timestamptz) IS 'where an import of a source begins: the overlap before the watermark, or, the first time, initial_span before its newest row';
