-- survey.sql: which hours of a source are other than when they were last read.
--
-- The source is compared with its own last answer (surveyed), and in number with the copy.  So
-- it does not matter what types it has, how it is mapped, nor in which encoding it writes.

-- What is asked: of each hour the number of rows and a checksum, and the number of those that
-- cannot be copied for their id.  The remote answers with a line for each hour.
CREATE FUNCTION defidata.answer_sql(source defidata.source_sql, condition text, usable text,
                                    checked text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'SELECT COALESCE(' || (source).bucket_hour || ', ''-infinity'') AS hour,'
           ' s.rows, s.checksum, s.null_ids, s.long_ids'
           ' FROM (SELECT CASE WHEN ' || usable || ' THEN ' || (source).bucket || ' END AS bucket,'
           ' count(*) AS rows, sum(' || (source).row_hash || ') FILTER (WHERE ' || checked
           || ') AS checksum, count(*) FILTER (WHERE ' || (source).null_id
           || ') AS null_ids, count(*) FILTER (WHERE ' || (source).long_id || ') AS long_ids'
           ' FROM ' || (source).relation || ' r WHERE ' || condition || ' GROUP BY 1) s';
COMMENT ON FUNCTION defidata.answer_sql(defidata.source_sql, text, text, text) IS
    'SQL that asks a source about the rows for which condition holds, by hour; those for which'
    ' usable does not stand under -infinity; only those for which checked holds have a checksum';

CREATE FUNCTION defidata.forget_answers(source text) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE defidata.surveyed k SET checksum = NULL WHERE k.source = forget_answers.source
$$;
COMMENT ON FUNCTION defidata.forget_answers(text) IS
    'has every hour of a source read again when it is surveyed next, as its mapping has changed';

-- One statement for each finds them by the key; there are few.
CREATE FUNCTION defidata.copied_sources() RETURNS SETOF text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    latest text := (SELECT min(r.source) FROM defidata.raw_mentions r);
BEGIN
    WHILE latest IS NOT NULL LOOP
        RETURN NEXT latest;
        latest := (SELECT min(r.source) FROM defidata.raw_mentions r WHERE r.source > latest);
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.copied_sources() IS
    'the sources that the copy has rows of, attached or not';

CREATE FUNCTION defidata.count_copied(source text, from_at timestamptz, until_at timestamptz)
    RETURNS TABLE (hour timestamptz, rows bigint)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    RETURN QUERY
    SELECT r.hour, count(*)
      FROM defidata.raw_mentions r
     WHERE r.source = count_copied.source AND r.hour >= from_at AND r.hour < until_at
       AND r.reason IS DISTINCT FROM 'hour'
     GROUP BY r.hour;
END
$$;
COMMENT ON FUNCTION defidata.count_copied(text, timestamptz, timestamptz) IS
    'rows that the copy has of a source, by hour; those that are rejected for their hour left out';

CREATE FUNCTION defidata.count_unusable(source text, until_at timestamptz) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    RETURN (SELECT count(*) FROM defidata.raw_mentions r
             WHERE r.source = count_unusable.source AND r.reason = 'hour'
               AND (r.hour < '2006-01-01 00:00:00+00' OR r.hour >= until_at));
END
$$;
COMMENT ON FUNCTION defidata.count_unusable(text, timestamptz) IS
    'rows that the copy has of a source and that are rejected for an hour before 2006 or not before'
    ' until_at';

CREATE FUNCTION defidata.survey(source text, from_at timestamptz, until_at timestamptz,
                                with_unusable boolean)
    RETURNS TABLE (hour timestamptz, remote_rows bigint, local_rows bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
#variable_conflict use_column
DECLARE
    sql      constant defidata.source_sql := defidata.source_sql(survey.source);
    usable   constant text := defidata.in_span(sql, from_at, until_at);
    unusable constant text := defidata.out_of_span(sql, until_at);
    noted    record;
    checked  text;
    there    record;
BEGIN
    -- an hour that was never read needs no checksum: it is read
    SELECT min(k.hour) AS first, max(k.hour) + interval '1 hour' AS until INTO noted
      FROM defidata.surveyed k
     WHERE k.source = survey.source AND k.hour >= from_at AND k.hour < until_at
       AND k.checksum IS NOT NULL;
    checked := COALESCE(defidata.in_span(sql, noted.first, noted.until), 'false');
    EXECUTE format('SELECT array_agg(a.hour) AS hours, array_agg(a.rows) AS rows,'
                   ' array_agg(a.checksum) AS checksums FROM (%s) a',
                   CASE WHEN with_unusable
                        THEN defidata.answer_sql(sql, format('(%s OR %s)', usable, unusable),
                                                 usable, format('(%s OR %s)', checked, unusable))
                        ELSE defidata.answer_sql(sql, usable, usable, checked) END)
       INTO there;
    RETURN QUERY
    SELECT hour, COALESCE(t.rows, 0), COALESCE(h.rows, 0)
      FROM unnest(there.hours, there.rows, there.checksums) t (hour, rows, checksum)
      FULL JOIN (SELECT * FROM defidata.count_copied(survey.source, from_at, until_at)
                 UNION ALL
                 SELECT '-infinity', n FROM defidata.count_unusable(survey.source, until_at) n
                  WHERE with_unusable AND n > 0) h (hour, rows) USING (hour)
      FULL JOIN (SELECT k.hour, k.rows, k.checksum, k.held FROM defidata.surveyed k
                  WHERE k.source = survey.source
                    AND (k.hour >= from_at AND k.hour < until_at
                         OR with_unusable AND k.hour = '-infinity')) k USING (hour)
     WHERE (COALESCE(t.rows, 0), COALESCE(t.checksum, 0), COALESCE(h.rows, 0))
           IS DISTINCT FROM (k.rows, k.checksum, k.held)
       -- what is known of an expired hour stays as it is
       AND hour NOT IN (SELECT e.hour FROM defidata.hours e WHERE e.expired)
     ORDER BY hour;
END
$$;
COMMENT ON FUNCTION defidata.survey(text, timestamptz, timestamptz, boolean) IS
    'hours from from_at until until_at, of which a mentions source says something else than when'
    ' they were last read, or the copy has another number of rows than then, with the rows of both.'
    ' Rows with an unusable hour stand under -infinity, where with_unusable';

CREATE FUNCTION defidata.tell_expired(from_at timestamptz, until_at timestamptz) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found record;
BEGIN
    SELECT count(*) AS hours, min(h.hour) AS first, max(h.hour) AS last INTO found
      FROM defidata.hours h
     WHERE h.expired AND h.hour >= from_at AND h.hour < until_at;
    IF found.hours > 0 THEN
        RAISE NOTICE '% hours from % to % UTC are left as they are: their raw rows have expired',
            found.hours, to_char(found.first AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
            to_char(found.last AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI');
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.tell_expired(timestamptz, timestamptz) IS
    'says in a NOTICE how many hours from from_at until until_at nothing is done about, as their'
    ' raw rows have expired';
