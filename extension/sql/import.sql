-- import.sql: survey → compare → copy, in batches of whole hours.

CREATE TYPE defidata.batch AS (
    source      text,
    from_at     timestamptz,
    until_at    timestamptz,
    hours       timestamptz[],
    remote_rows bigint[],
    reread      timestamptz[]
);
COMMENT ON TYPE defidata.batch IS 'a part of an import: hours of a mentions source with the rows that it holds for them, and every hour that the whole import reads again; or quotes of a price source from from_at until until_at';
COMMENT ON COLUMN defidata.batch.source IS 'the source';
COMMENT ON COLUMN defidata.batch.from_at IS 'start of what is read';
COMMENT ON COLUMN defidata.batch.until_at IS 'end of what is read';
COMMENT ON COLUMN defidata.batch.hours IS 'the hours that are read; -infinity alone stands for rows whose time is unusable; NULL for quotes';
COMMENT ON COLUMN defidata.batch.remote_rows IS 'the rows that the source holds for each of them';
COMMENT ON COLUMN defidata.batch.reread IS 'every hour that the whole import reads again';

CREATE FUNCTION defidata.import_prices(source text, from_at timestamptz, until_at timestamptz, unusable boolean,
                                       copied_at timestamptz) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    piece  record;
    before bigint;
    counts jsonb;
BEGIN
    SELECT * INTO piece FROM defidata.source_sql(import_prices.source);
    SELECT count(*) INTO before FROM defidata.prices p
     WHERE p.source = import_prices.source AND (NOT unusable AND p.at >= from_at AND p.at < until_at OR unusable AND p.reason = 'hour');
    DELETE FROM defidata.uncopied u
     WHERE u.source = import_prices.source
       AND CASE WHEN unusable THEN u.hour = '-infinity' ELSE u.hour >= defidata.hour_of(from_at) AND u.hour < until_at END;
    PERFORM defidata.copy_part(source, CASE WHEN unusable THEN piece.unusable ELSE piece.in_range END, from_at, until_at,
                               CASE WHEN unusable THEN ARRAY['-infinity'::timestamptz] END, NULL, copied_at, NULL, NULL);
    SELECT jsonb_build_object('inserted', count(*) - before,
                              'updated', greatest(count(*) FILTER (WHERE p.fetched_at = copied_at) - count(*) + before, 0),
                              'rejected', count(*) FILTER (WHERE p.fetched_at = copied_at AND p.reason IS NOT NULL),
                              'fetched', count(*))
      INTO counts
      FROM defidata.prices p
     WHERE p.source = import_prices.source AND (NOT unusable AND p.at >= from_at AND p.at < until_at OR unusable AND p.reason = 'hour');
    UPDATE defidata.source s SET watermark = greatest(s.watermark, newest.at)
      FROM (SELECT max(p.at) AS at FROM defidata.prices p
             WHERE p.source = import_prices.source AND p.at >= from_at AND p.at < until_at AND p.reason IS DISTINCT FROM 'hour') newest
     WHERE s.name = import_prices.source AND newest.at > COALESCE(s.watermark, '-infinity');
    IF NOT unusable THEN
        PERFORM defidata.extend_quote_series(source, from_at, until_at, copied_at,
                                             (counts ->> 'updated')::bigint > 0);
    END IF;
    RETURN counts;
END
$$;
COMMENT ON FUNCTION defidata.import_prices(text, timestamptz, timestamptz, boolean, timestamptz) IS 'copies the quotes of a price source from from_at until until_at, or those whose time is unusable, and returns counts';

-- One batch: copy, count, mark the hours that changed.  Planned anew each time: a
-- plan for any batch could not tell hours from unusable ones and would read the
-- whole copy for each hour.
CREATE FUNCTION defidata.import_batch(batch defidata.batch) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    piece     record;
    condition text;
    copied_at constant timestamptz := clock_timestamp();
    unusable  constant boolean := batch.hours = ARRAY['-infinity'::timestamptz];
    census    record;
    short     record;
BEGIN
    PERFORM defidata.lock('writer');
    SELECT * INTO piece FROM defidata.source_sql(batch.source);
    IF piece.kind = 'prices' THEN
        RETURN defidata.import_prices(batch.source, batch.from_at, batch.until_at, COALESCE(unusable, false), copied_at);
    END IF;
    condition := CASE WHEN unusable THEN piece.unusable
                      -- hours without a gap are a range: to ask each row for its hour would cost the source twice the time
                      WHEN batch.from_at + interval '1 hour' * cardinality(batch.hours) = batch.until_at THEN piece.in_range
                      ELSE format('%s AND %s', piece.in_range, piece.in_hours) END;
    DELETE FROM defidata.uncopied u WHERE u.source = batch.source AND u.hour = ANY (batch.hours);
    PERFORM defidata.copy_part(batch.source, condition, batch.from_at, batch.until_at, batch.hours, batch.reread, copied_at, NULL, NULL);
    -- what was taken over from the old tables gives way to the source itself
    DELETE FROM defidata.raw_mentions r
     WHERE r.source = 'legacy' AND r.hour = ANY (batch.hours)
       AND (SELECT count(*) FROM defidata.source s WHERE s.name = 'legacy') = 0;

    SELECT * INTO census FROM defidata.take_census(batch.source, batch.hours, copied_at);
    -- what was found equal has changed here: it must be found so again
    DELETE FROM defidata.surveyed k WHERE k.source = batch.source AND k.hour = ANY (batch.hours || census.former);
    INSERT INTO defidata.hours AS h (hour)
    SELECT DISTINCT t FROM unnest(census.touched) t WHERE t BETWEEN '2006-01-01 00:00:00+00' AND copied_at
    ON CONFLICT (hour) DO UPDATE SET summed = false;
    FOR short IN SELECT w.hour, COALESCE(here.rows, 0)::bigint AS rows
                   FROM unnest(batch.hours, batch.remote_rows) w (hour, remote_rows)
                   LEFT JOIN (SELECT CASE WHEN unusable THEN '-infinity' ELSE c.hour END AS hour, sum(c.rows) AS rows
                                FROM unnest(census.hours_found, census.usable, census.rows) c (hour, usable, rows)
                               WHERE c.usable <> unusable GROUP BY 1) here ON here.hour = w.hour
                  WHERE COALESCE(here.rows, 0) <> w.remote_rows
                 UNION ALL
                 -- an hour that a row has left may hold it at the source all the same
                 SELECT DISTINCT f, NULL::bigint FROM unnest(census.former) f
                  WHERE NOT unusable AND f <> ALL (batch.hours || '-infinity'::timestamptz) LOOP
        PERFORM defidata.audit_hour(batch.source, short.hour, COALESCE(short.rows, (
                SELECT count(*) FROM defidata.raw_mentions r
                 WHERE r.source = batch.source AND r.hour = short.hour AND r.reason IS DISTINCT FROM 'hour')), condition,
            CASE WHEN unusable THEN batch.from_at ELSE short.hour END,
            CASE WHEN unusable THEN batch.until_at ELSE short.hour + interval '1 hour' END);
    END LOOP;
    UPDATE defidata.source s SET watermark = greatest(s.watermark, newest.hour)
      FROM (SELECT max(h) AS hour FROM unnest(batch.hours) h WHERE isfinite(h)) newest
     WHERE s.name = batch.source AND newest.hour > COALESCE(s.watermark, '-infinity');
    RETURN jsonb_build_object('inserted', COALESCE(census.inserted, 0), 'updated', COALESCE(census.updated, 0),
                              'rejected', COALESCE(census.rejected, 0), 'fetched', (SELECT sum(n) FROM unnest(batch.remote_rows) n));
END
$$;
COMMENT ON FUNCTION defidata.import_batch(defidata.batch) IS 'copies the hours of a batch (for prices: its quotes) and returns counts';

-- What an import has to read, as batches in ascending order of hours, so that the
-- watermark only moves over what is there.
CREATE FUNCTION defidata.plan_import(since timestamptz, until_hour timestamptz, batch_rows bigint) RETURNS SETOF defidata.batch
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    src        record;
    start      timestamptz;
    horizon    constant timestamptz := defidata.hour_of(now()) + interval '1 hour';
    finish     constant timestamptz := least(COALESCE(until_hour, horizon), horizon);
BEGIN
    PERFORM defidata.require_source();
    IF until_hour IS NULL THEN
        PERFORM defidata.read_streams();
    END IF;
    FOR src IN SELECT s.name, s.kind, s.relation, s.columns, s.watermark FROM defidata.source s ORDER BY s.kind, s.name LOOP
        PERFORM defidata.check_shape(src.relation, src.kind, src.columns);
        -- what is older has no usable hour
        start := least(greatest(COALESCE(since, defidata.import_start(src.name, src.watermark), finish), '2006-01-01 00:00:00+00'), finish);
        IF src.kind = 'prices' THEN
            -- a day at a time bounds what one transaction of a run holds; no
            -- days are asked for from before a source's first row or after its last
            RETURN QUERY
            SELECT src.name, d, least(d + interval '24 hours', finish), NULL::timestamptz[], NULL::bigint[], NULL::timestamptz[]
              FROM (SELECT start, finish WHERE finish - start <= '48 hours'
                    UNION ALL
                    SELECT r.oldest, r.newest FROM defidata.source_range(src.name) r WHERE finish - start > '48 hours' AND r.newest >= start) e (oldest, newest),
                   generate_series(greatest(start, e.oldest), least(finish - interval '1 microsecond', e.newest), interval '24 hours') d
            UNION ALL
            SELECT src.name, start, finish, ARRAY['-infinity'::timestamptz], NULL, NULL WHERE until_hour IS NULL;
        ELSE
            RETURN QUERY
            WITH wanted AS MATERIALIZED (
                SELECT s.hour, s.remote_rows, s.local_rows
                  FROM defidata.survey(src.name, start, finish, until_hour IS NULL, since IS NULL AND until_hour IS NULL) s),
            settled AS (
                DELETE FROM defidata.uncopied u
                 WHERE u.source = src.name AND (u.hour >= start AND u.hour < finish OR until_hour IS NULL AND NOT isfinite(u.hour))
                   AND NOT EXISTS (SELECT FROM wanted w WHERE w.hour = u.hour AND w.remote_rows > 0)),
            cut AS (
                SELECT w.hour, w.remote_rows, NOT isfinite(w.hour) AS unusable,
                       w.local_rows = 0 AS new,
                       div(sum(w.remote_rows) OVER (PARTITION BY isfinite(w.hour), w.local_rows = 0 ORDER BY w.hour) - 1, batch_rows) AS batch
                  FROM wanted w WHERE w.remote_rows > 0)
            SELECT src.name, CASE WHEN c.unusable THEN start ELSE min(c.hour) END,
                   CASE WHEN c.unusable THEN finish ELSE max(c.hour) + interval '1 hour' END,
                   array_agg(c.hour ORDER BY c.hour), array_agg(c.remote_rows ORDER BY c.hour),
                   (SELECT array_agg(w.hour) FROM wanted w WHERE isfinite(w.hour) AND w.local_rows > 0)
              -- hours that are read again are behind the watermark: they cannot move it over others
              FROM cut c GROUP BY c.unusable, c.new, c.batch ORDER BY c.unusable, c.new, c.batch;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.plan_import(timestamptz, timestamptz, bigint) IS 'reads the streams where until_hour is NULL, surveys every source from since (NULL: its watermark less the overlap) until until_hour (NULL: now) and returns the batches to read, of whole hours and about batch_rows rows each';

CREATE FUNCTION defidata.import(since timestamptz) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    batch  defidata.batch;
    counts jsonb := '{"fetched": 0, "inserted": 0, "updated": 0, "rejected": 0}';
BEGIN
    PERFORM defidata.lock('writer');
    -- a source without an index on its time is read from end to end for each batch,
    -- so these are as large as copy_part() can usually sort in memory
    FOR batch IN SELECT * FROM defidata.plan_import(since, NULL, 5 * defidata.setting_value('batch_size')::bigint) LOOP
        counts := defidata.add_counts(counts, defidata.import_batch(batch));
    END LOOP;
    RETURN counts;
END
$$;
COMMENT ON FUNCTION defidata.import(timestamptz) IS 'the import stage; see defidata_import';
