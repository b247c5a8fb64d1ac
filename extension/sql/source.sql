-- source.sql: what a source delivers, and the SQL that reads it.

-- What a source of each kind delivers: the logical columns, where they stand in the
-- CT-SCANNER's own tables, and the families of types that fit.
CREATE FUNCTION defidata.logical_columns(kind text, OUT logical text, OUT actual text,
                                         OUT required boolean, OUT families text[])
    RETURNS SETOF record LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT c.logical, c.actual, c.required, c.families
      FROM (VALUES
        ('mentions', 'id', 'id', false,
         '{string,integer,uuid,timestamp,timestamptz,date,boolean}'::text[]),
        ('mentions', 'hour', 'timestamp', true, '{integer,timestamp,timestamptz}'),
        ('mentions', 'symbol', 'symbol', true, '{string}'),
        ('mentions', 'mentions', 'count', true, '{float,integer,numeric,string}'),
        ('mentions', 'sentiment', 'sentiment', false, '{float,integer,numeric,string}'),
        ('prices', 'id', 'id', false,
         '{string,integer,uuid,timestamp,timestamptz,date,boolean}'),
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
COMMENT ON FUNCTION defidata.logical_columns(text) IS
    'what a source of a kind (mentions or prices) delivers, with default column names and fitting'
    ' type families';

CREATE FUNCTION defidata.type_family(type text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN type IN ('text', 'character varying', 'character', 'name',
                               'defidata.opaque') THEN 'string'
                WHEN type IN ('smallint', 'integer', 'bigint') THEN 'integer'
                WHEN type IN ('real', 'double precision') THEN 'float'
                WHEN type = 'timestamp without time zone' THEN 'timestamp'
                WHEN type = 'timestamp with time zone' THEN 'timestamptz'
                ELSE type END;
COMMENT ON FUNCTION defidata.type_family(text) IS
    'types that hold the same kind of value under one name; the type''s own name where it stands'
    ' alone';

-- The one logical column that may stand for several is id, or for none.
CREATE FUNCTION defidata.source_columns(relation regclass, kind text, columns jsonb,
        OUT logical text, OUT actual text, OUT required boolean, OUT families text[],
        OUT type text, OUT remote_name text)
    RETURNS SETOF record LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT c.logical, n.actual, c.required, c.families, defidata.base_type(a.atttypid),
           COALESCE((SELECT o.option_value FROM pg_catalog.pg_options_to_table(a.attfdwoptions) o
                      WHERE o.option_name = 'column_name'), n.actual)
      FROM defidata.logical_columns(kind) c
      CROSS JOIN LATERAL pg_catalog.jsonb_array_elements_text(
               CASE pg_catalog.jsonb_typeof(columns -> c.logical)
                    WHEN 'array' THEN columns -> c.logical
                    WHEN 'null' THEN '[]'
                    ELSE pg_catalog.jsonb_build_array(COALESCE(columns ->> c.logical, c.actual))
               END) n (actual)
      LEFT JOIN pg_catalog.pg_attribute a
             ON a.attrelid = relation AND a.attname = n.actual AND a.attnum > 0
                AND NOT a.attisdropped;
END;
COMMENT ON FUNCTION defidata.source_columns(regclass, text, jsonb) IS
    'the logical columns of a source with their actual names and types; type NULL where the'
    ' relation lacks one';

CREATE FUNCTION defidata.require_source() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM defidata.source) AND NOT defidata.has_streams() THEN
        RAISE EXCEPTION 'no source is attached'
            USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Attach one with defidata_attach_server or defidata_attach.';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.require_source() IS 'raises 55000 where no source is attached';

--
-- Pieces of SQL
--

CREATE TYPE defidata.source_sql AS (
    kind text, relation text, columns text, time_column text, time_family text,
    bucket text, bucket_hour text, id text, null_id text, long_id text, id_hash text, row_hash text
);
COMMENT ON TYPE defidata.source_sql IS
    'the pieces of SQL that read a source; a row of its relation goes by the name r';
COMMENT ON COLUMN defidata.source_sql.kind IS 'mentions or prices';
COMMENT ON COLUMN defidata.source_sql.relation IS 'the relation';
COMMENT ON COLUMN defidata.source_sql.columns IS 'the logical columns as they are copied';
COMMENT ON COLUMN defidata.source_sql.time_column IS 'the column that hour or at is read from';
COMMENT ON COLUMN defidata.source_sql.time_family IS 'the family of its type';
COMMENT ON COLUMN defidata.source_sql.bucket IS 'the hour as the column''s own type has it';
COMMENT ON COLUMN defidata.source_sql.bucket_hour IS 'the hour, of s.bucket';
COMMENT ON COLUMN defidata.source_sql.id IS 'the row''s key within its hour';
COMMENT ON COLUMN defidata.source_sql.null_id IS 'whether it has none';
COMMENT ON COLUMN defidata.source_sql.long_id IS 'whether that is too long to be copied';
COMMENT ON COLUMN defidata.source_sql.id_hash IS 'a hash of it';
COMMENT ON COLUMN defidata.source_sql.row_hash IS 'a hash of all that is copied';

-- Seeds tell columns apart, so that swapped values show; CASE, since postgres_fdw sends no
-- COALESCE.
CREATE FUNCTION defidata.hash_sql(expression text, family text, seed integer) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN format('CASE WHEN %1$s IS NULL THEN 0 ELSE '
        || CASE family
           WHEN 'string' THEN 'hashtextextended(%1$s::text, %2$s)'
           WHEN 'float' THEN 'hashfloat8extended(%1$s::float8, %2$s)'
           WHEN 'integer' THEN 'hashint8extended(%1$s::bigint, %2$s)'
           WHEN 'numeric' THEN 'hash_numeric_extended(%1$s, %2$s)'
           WHEN 'uuid' THEN 'uuid_hash_extended(%1$s, %2$s)'
           WHEN 'timestamp' THEN
               'interval_hash_extended(%1$s - timestamp ''2000-01-01'', %2$s)'
           WHEN 'timestamptz' THEN
               'interval_hash_extended(%1$s - timestamptz ''2000-01-01 00:00:00+00'', %2$s)'
           WHEN 'date' THEN 'hashint8extended((%1$s - date ''2000-01-01'')::bigint, %2$s)'
           ELSE 'hashint8extended(CASE WHEN %1$s THEN 1 ELSE 0 END, %2$s)' END
        || ' END', expression, seed);
COMMENT ON FUNCTION defidata.hash_sql(text, text, integer) IS
    'SQL for the hash of a column, 0 where it is NULL, that postgres_fdw can send; family: its'
    ' type''s';

-- A time as a column of that family has it, so that the remote can compare.
CREATE FUNCTION defidata.time_sql(family text, at timestamptz) RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE family WHEN 'integer' THEN format('%L::bigint', defidata.epoch_of(at))
                       WHEN 'timestamp' THEN format('%L::timestamp', at AT TIME ZONE 'UTC')
                       ELSE format('%L::timestamptz', at) END;
COMMENT ON FUNCTION defidata.time_sql(text, timestamptz) IS
    'SQL for a time, in the type that a column of that family is compared with';

CREATE FUNCTION defidata.in_span(source defidata.source_sql, from_at timestamptz,
                                 until_at timestamptz) RETURNS text
    LANGUAGE sql STABLE
    RETURN format('%1$s >= %2$s AND %1$s < %3$s', (source).time_column,
                  defidata.time_sql((source).time_family, from_at),
                  defidata.time_sql((source).time_family, until_at));
COMMENT ON FUNCTION defidata.in_span(defidata.source_sql, timestamptz, timestamptz) IS
    'the condition that a row''s time is from from_at until until_at';

CREATE FUNCTION defidata.in_hours(source defidata.source_sql, hours timestamptz[]) RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE (source).time_family
           WHEN 'integer' THEN
               format('%s = ANY (%L::bigint[])', (source).bucket,
                      ARRAY(SELECT defidata.epoch_of(h) / 3600 FROM unnest(hours) h))
           WHEN 'timestamp' THEN
               format('%s = ANY (%L::timestamp[])', (source).bucket,
                      ARRAY(SELECT h AT TIME ZONE 'UTC' FROM unnest(hours) h))
           ELSE format('%s = ANY (%L::timestamptz[])', (source).bucket, hours) END;
COMMENT ON FUNCTION defidata.in_hours(defidata.source_sql, timestamptz[]) IS
    'the condition that a row is of one of the hours';

CREATE FUNCTION defidata.out_of_span(source defidata.source_sql, until_at timestamptz)
    RETURNS text
    LANGUAGE sql STABLE
    RETURN format('(%1$s IS NULL OR %1$s < %2$s OR %1$s >= %3$s)', (source).time_column,
                  defidata.time_sql((source).time_family, '2006-01-01 00:00:00+00'),
                  defidata.time_sql((source).time_family, until_at));
COMMENT ON FUNCTION defidata.out_of_span(defidata.source_sql, timestamptz) IS
    'the condition that a row''s time is unusable: none, before 2006, or not before until_at';

-- A row without an id is known by what it holds, and its likes of one hour by a number too.
CREATE FUNCTION defidata.id_sql(keys text[], families text[], row_hash text, bucket text,
                                OUT id text, OUT null_id text, OUT long_id text, OUT id_hash text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    null_id := 'false';
    -- of several columns one may be NULL, and postgres_fdw sends no COALESCE
    long_id := COALESCE((
        SELECT string_agg(format('CASE WHEN %1$s IS NULL THEN 0'
                                 ' ELSE octet_length(%1$s::text) END', u.key), ' + ') || ' > 512'
          FROM unnest(keys, families) u (key, family) WHERE u.family = 'string'), 'false');
    CASE cardinality(keys)
    WHEN 0 THEN
        id_hash := row_hash;
        id := format('to_hex(%1$s) || ''-'' || row_number() OVER (PARTITION BY %2$s, %1$s)',
                     row_hash, bucket);
    WHEN 1 THEN
        id := keys[1] || '::text';
        null_id := keys[1] || ' IS NULL';
        id_hash := defidata.hash_sql(keys[1], families[1], 0);
        IF families[1] = 'string' THEN
            id_hash := format('hashtextextended(%s::text, 0)', keys[1]);
            long_id := format('octet_length(%s::text) > 512', keys[1]);
        END IF;
    ELSE
        id := format('ROW(%s)::text', array_to_string(keys, ', '));
        id_hash := (SELECT string_agg(defidata.hash_sql(u.key, u.family, 10 + u.n::integer),
                                      ' # ')
                      FROM unnest(keys, families) WITH ORDINALITY u (key, family, n));
    END CASE;
END
$$;
COMMENT ON FUNCTION defidata.id_sql(text[], text[], text, text) IS
    'the pieces of SQL about the id of a row: of one column, of several or of none; row_hash: the'
    ' hash of what else is copied; bucket: within what rows that hold the same are numbered';

CREATE FUNCTION defidata.source_sql(relation regclass, kind text, columns jsonb)
    RETURNS defidata.source_sql
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    sql      defidata.source_sql;
    col      record;
    value    text;
    family   text;
    keys     text[] := '{}';
    families text[] := '{}';
    copied   text[] := '{}';
    hashes   text[] := '{}';
    key      record;
BEGIN
    sql.kind := kind;
    sql.relation := relation::text;
    FOR col IN SELECT * FROM defidata.source_columns(relation, kind, columns) LOOP
        value := format('r.%I', col.actual);
        family := COALESCE(defidata.type_family(col.type), 'absent');
        CASE
        WHEN col.logical = 'id' THEN
            IF family <> 'absent' THEN
                keys := keys || value;
                families := families || family;
            END IF;
        WHEN col.logical IN ('hour', 'at') THEN
            sql.time_column := value;
            sql.time_family := family;
            sql.bucket := format(CASE family
                WHEN 'integer' THEN '(%s / 3600)'
                WHEN 'timestamp' THEN 'date_bin(''1 hour'', %s, timestamp ''2001-01-01'')'
                ELSE 'date_bin(''1 hour'', %s, timestamptz ''2001-01-01 00:00:00+00'')' END, value);
            sql.bucket_hour := CASE family
                WHEN 'integer' THEN 'defidata.instant_of(s.bucket * 3600::bigint)'
                ELSE 'defidata.instant_of(s.bucket)' END;
            copied := copied || CASE col.logical
                WHEN 'hour' THEN format('COALESCE(defidata.hour_of(defidata.instant_of(%s)),'
                                        ' ''-infinity'') AS hour', value)
                ELSE format('COALESCE(defidata.instant_of(%s), ''-infinity'') AS at', value) END;
        WHEN 'string' = ALL (col.families) THEN
            copied := copied || format(CASE family WHEN 'absent' THEN 'NULL::text AS %2$s'
                                       ELSE '%1$s::text COLLATE "C" AS %2$s' END,
                                       value, col.logical);
            IF family <> 'absent' THEN
                hashes := hashes || defidata.hash_sql(value, family, 1);
            END IF;
        ELSE
            copied := copied || format(CASE family
                WHEN 'absent' THEN 'NULL::float8 AS %2$s'
                WHEN 'float' THEN '%1$s::float8 AS %2$s'
                WHEN 'integer' THEN '%1$s::float8 AS %2$s'
                ELSE 'defidata.parse_number(%1$s::text) AS %2$s' END, value, col.logical);
            IF family <> 'absent' THEN
                hashes := hashes || defidata.hash_sql(
                    value, CASE family WHEN 'integer' THEN 'float' ELSE family END,
                    CASE col.logical WHEN 'mentions' THEN 2 ELSE 3 END);
            END IF;
        END CASE;
    END LOOP;
    sql.row_hash := array_to_string(hashes, ' # ');
    key := defidata.id_sql(keys, families, sql.row_hash,
                           CASE kind WHEN 'mentions' THEN sql.bucket ELSE sql.time_column END);
    sql.id := key.id;
    sql.null_id := key.null_id;
    sql.long_id := key.long_id;
    sql.id_hash := key.id_hash;
    IF keys <> '{}' THEN
        sql.row_hash := key.id_hash || ' # ' || sql.row_hash;
    END IF;
    sql.columns := array_to_string(copied || format('(%s) COLLATE "C" AS id', sql.id), ', ');
    RETURN sql;
END
$$;
COMMENT ON FUNCTION defidata.source_sql(regclass, text, jsonb) IS
    'the pieces of SQL that read a relation as a source of a kind with a mapping of its columns';

CREATE FUNCTION defidata.source_sql(source text) RETURNS defidata.source_sql
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT defidata.source_sql(s.relation, s.kind, s.columns)
      FROM defidata.source s WHERE s.name = source_sql.source
$$;
COMMENT ON FUNCTION defidata.source_sql(text) IS 'the pieces of SQL that read a source';

CREATE FUNCTION defidata.source_range(source defidata.source_sql, as_of timestamptz,
                                      OUT oldest timestamptz, OUT newest timestamptz)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
BEGIN
    EXECUTE format('SELECT defidata.instant_of(s.oldest), defidata.instant_of(s.newest)'
                   ' FROM (SELECT min(%1$s) AS oldest, max(%1$s) AS newest'
                   ' FROM %2$s r WHERE %3$s) s',
                   (source).time_column, (source).relation,
                   defidata.in_span(source, '2006-01-01 00:00:00+00',
                                    defidata.hour_of(as_of) + interval '1 hour'))
       INTO oldest, newest;
END
$$;
COMMENT ON FUNCTION defidata.source_range(defidata.source_sql, timestamptz) IS
    'times of the oldest and the newest row of a source between 2006 and the end of the hour of'
    ' as_of';

CREATE FUNCTION defidata.copyable(source defidata.source_sql, condition text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'NOT (' || (source).null_id || ') AND NOT (' || (source).long_id || ') AND '
           || condition;
COMMENT ON FUNCTION defidata.copyable(defidata.source_sql, text) IS
    'the condition, and that a row has an id by which it can be copied';
