-- check_ids.sql: whether the ids of a source tell its rows apart.

CREATE FUNCTION defidata.ids_repeat(relation regclass, kind text, columns jsonb) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    sql    constant defidata.source_sql := defidata.source_sql(relation, kind, columns);
    newest constant timestamptz := defidata.hour_of(
                        (defidata.source_range(sql, clock_timestamp())).newest);
    twice  boolean;
BEGIN
    -- the newest hour may have only begun
    EXECUTE format('SELECT EXISTS (SELECT FROM (SELECT %s FROM %s r WHERE %s) d'
                   ' GROUP BY d.%I, d.id HAVING count(*) > 1)',
                   (sql).columns, (sql).relation,
                   defidata.copyable(sql, defidata.in_span(sql, newest - interval '1 hour',
                                                           newest + interval '1 hour')),
                   CASE kind WHEN 'mentions' THEN 'hour' ELSE 'at' END) INTO twice;
    RETURN twice;
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
    -- such rows are counted when they are read
    RETURN false;
END
$$;
COMMENT ON FUNCTION defidata.ids_repeat(regclass, text, jsonb) IS
    'whether ids repeat within one of the two newest hours of mentions, or one instant of quotes';

-- One more column to tell them apart by is better than all of what a row holds, by which a
-- corrected row becomes another.
CREATE FUNCTION defidata.distinct_mapping(relation regclass, kind text, columns jsonb)
    RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    present   constant jsonb := COALESCE((
        SELECT jsonb_agg(c.actual) FROM defidata.source_columns(relation, kind, columns) c
         WHERE c.logical = 'id' AND c.type IS NOT NULL), '[]');
    families  constant text[] := (SELECT l.families FROM defidata.logical_columns(kind) l
                                   WHERE l.logical = 'id');
    figures   constant text[] := ARRAY(
        SELECT c.actual FROM defidata.source_columns(relation, kind, columns) c
         WHERE c.logical IN ('hour', 'at', 'mentions', 'sentiment', 'price', 'change_24h',
                             'volume_24h', 'market_cap'));
    candidate jsonb;
BEGIN
    FOR candidate IN
        SELECT jsonb_build_object('id', present || to_jsonb(a.attname::text))
          FROM pg_attribute a
         WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
           AND defidata.type_family(defidata.base_type(a.atttypid)) = ANY (families)
           AND a.attname <> ALL (figures) AND NOT present ? a.attname
         ORDER BY a.attname <> ALL (ARRAY(
                      SELECT c.actual FROM defidata.source_columns(relation, kind, columns) c
                       WHERE c.logical IN ('symbol', 'asset'))), a.attnum
    LOOP
        IF NOT defidata.ids_repeat(relation, kind, columns || candidate) THEN
            RETURN candidate;
        END IF;
    END LOOP;
    RETURN '{"id": []}';
END
$$;
COMMENT ON FUNCTION defidata.distinct_mapping(regclass, text, jsonb) IS
    'a mapping of id that tells the newest rows of a relation apart';

CREATE FUNCTION defidata.check_ids(relation regclass, kind text, columns jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF defidata.ids_repeat(relation, kind, columns) THEN
        RAISE EXCEPTION 'ids of relation % repeat within %', relation,
            CASE kind WHEN 'mentions' THEN 'an hour' ELSE 'an instant' END
            USING ERRCODE = 'unique_violation',
            DETAIL = 'A row is known by its hour, or instant, and id; of rows that share both one'
                     ' would be copied.',
            HINT = format('Attach it with columns %L.',
                          columns || defidata.distinct_mapping(relation, kind, columns));
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.check_ids(regclass, text, jsonb) IS
    'raises 23505, with a mapping that tells the rows apart, where the ids of the newest rows of a'
    ' relation repeat';
