-- survey.sql: which hours of a source differ from the copy.

-- An hour at which the copy was found equal to its source need not be read here
-- again, six times with the usual overlap, as long as the source says the same of it.
CREATE FUNCTION defidata.survey(source text, from_at timestamptz, until_at timestamptz, with_unusable boolean, trusting boolean)
    RETURNS TABLE (hour timestamptz, remote_rows bigint, local_rows bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    piece     record;
    there     record;
    here      record;
    checksum  text;
    after     constant timestamptz := (SELECT s.watermark + interval '1 hour' FROM defidata.source s WHERE s.name = survey.source);
    known     timestamptz[] := '{}';
    read_from timestamptz := from_at;
BEGIN
    SELECT * INTO piece FROM defidata.source_sql(survey.source);
    -- an hour after the newest of the copy needs no checksum: it differs; the usual case first
    checksum := CASE WHEN piece.row_hash IS NOT NULL AND defidata.same_encoding(piece.relation::regclass)
                     THEN format('sum(%s) FILTER (WHERE %s OR NOT (%s) OR %s IS NULL)', piece.row_hash, piece.before, piece.in_range, piece.when_at) END;
    -- rows whose hour is unusable stand together, under the hour -infinity
    EXECUTE format('SELECT array_agg(COALESCE(%s, ''-infinity'')) AS hours, array_agg(s.rows) AS rows, array_agg(s.checksum) AS checksums'
                   ' FROM (SELECT CASE WHEN %s THEN %s END AS bucket, count(*) AS rows, %s AS checksum'
                   '         FROM %s r WHERE %s GROUP BY 1) s',
                   piece.bucket_hour, piece.in_range, piece.bucket,
                   COALESCE(checksum, 'NULL::numeric'), piece.relation,
                   CASE WHEN with_unusable THEN format('(%s OR %s)', piece.in_range, piece.unusable) ELSE piece.in_range END)
       INTO there
      USING from_at, until_at, NULL::timestamptz[], defidata.epoch_of(from_at), defidata.epoch_of(until_at), NULL::bigint[],
            from_at AT TIME ZONE 'UTC', until_at AT TIME ZONE 'UTC', NULL::timestamp[],
            after, defidata.epoch_of(after), after AT TIME ZONE 'UTC';
    IF trusting THEN
        DELETE FROM defidata.surveyed k WHERE k.source = survey.source AND k.hour < from_at;
        known := ARRAY(SELECT k.hour FROM defidata.surveyed k
                         JOIN unnest(there.hours, there.rows, there.checksums) t (hour, rows, checksum) USING (hour, rows, checksum)
                        WHERE k.source = survey.source);
        read_from := (SELECT h FROM (SELECT generate_series(defidata.hour_of(from_at), until_at, interval '1 hour') AS h) e
                       WHERE h <> ALL (known) LIMIT 1);
    END IF;
    SELECT array_agg(h.hour) AS hours, array_agg(h.rows) AS rows, array_agg(h.checksum) AS checksums INTO here
      FROM (SELECT CASE WHEN r.reason = 'hour' THEN '-infinity' ELSE r.hour END AS hour, count(*) AS rows,
                   sum(hashtextextended(r.id, 0)
                       # CASE WHEN r.symbol IS NULL THEN 0 ELSE hashtextextended(r.symbol, 1) END
                       # CASE WHEN r.mentions IS NULL THEN 0 ELSE hashfloat8extended(r.mentions, 2) END
                       # CASE WHEN r.sentiment IS NULL THEN 0 ELSE hashfloat8extended(r.sentiment, 3) END) AS checksum
              FROM defidata.raw_mentions r
             WHERE r.source = survey.source
               AND (r.hour >= greatest(from_at, read_from) AND r.hour < until_at AND r.hour <> ALL (known)
                    AND r.reason IS DISTINCT FROM 'hour' OR with_unusable AND r.reason = 'hour')
             GROUP BY 1) h;
    RETURN QUERY
    WITH compared AS MATERIALIZED (
        SELECT hour, t.rows AS remote_rows, h.rows AS local_rows, t.checksum, t.rows = h.rows AND t.checksum = h.checksum AS same
          FROM (SELECT u.* FROM unnest(there.hours, there.rows, there.checksums) u (hour, rows, checksum) WHERE u.hour <> ALL (known)) t
          FULL JOIN unnest(here.hours, here.rows, here.checksums) h (hour, rows, checksum) USING (hour)),
    noted AS (
        INSERT INTO defidata.surveyed (source, hour, rows, checksum)
        SELECT survey.source, c.hour, c.remote_rows, c.checksum FROM compared c WHERE trusting AND c.same AND isfinite(c.hour)
        ON CONFLICT ON CONSTRAINT surveyed_pkey DO UPDATE SET rows = excluded.rows, checksum = excluded.checksum)
    SELECT c.hour, COALESCE(c.remote_rows, 0), COALESCE(c.local_rows, 0) FROM compared c WHERE c.same IS NOT TRUE ORDER BY c.hour;
END
$$;
COMMENT ON FUNCTION defidata.survey(text, timestamptz, timestamptz, boolean, boolean) IS 'hours in which a mentions source and its copy differ in count or checksum (always, where there is no checksum), with the rows of both. Rows with an unusable hour stand under -infinity. trusting: whether hours found equal by an earlier survey are equal as long as the source has the same rows';
