-- import.sql: survey -> batches of whole hours -> the copy.

-- A run commits between its plan and each batch: in the meantime a source may have gone.  One
-- that was attached again is read as it is now.
CREATE FUNCTION defidata.check_batch(batch defidata.batch) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    src defidata.source;
BEGIN
    SELECT s.* INTO src FROM defidata.source s WHERE s.name = batch.source;
    IF src.name IS NULL THEN
        RAISE EXCEPTION 'source "%" was detached while its rows were being read', batch.source
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'The next run reads what is attached then.';
    ELSIF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = src.relation) THEN
        RAISE EXCEPTION 'the relation of source "%" does not exist', batch.source
            USING ERRCODE = 'undefined_table',
                  HINT = 'Attach the source again with a relation that exists, or detach it with'
                         ' defidata_detach.';
    END IF;
    PERFORM defidata.check_reader(src.relation);
END
$$;
COMMENT ON FUNCTION defidata.check_batch(defidata.batch) IS
'raises 55000, 42P01 or 42501 where the source of a batch cannot be read any more';

-- Planned anew each time: a plan for any batch could not tell hours from unusable ones and
-- would read the whole copy for each hour.
CREATE FUNCTION defidata.import_batch(batch defidata.batch) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    copied_at constant timestamptz := clock_timestamp();
    counts    jsonb;
BEGIN
    PERFORM defidata.lock('writer'), defidata.check_batch(batch);
    IF (SELECT s.kind FROM defidata.source s WHERE s.name = batch.source) = 'prices' THEN
        RETURN defidata.import_prices(batch, copied_at);
    END IF;
    counts := defidata.import_mentions(batch, copied_at);
    PERFORM defidata.move_watermark(batch, (SELECT max(h) FROM unnest(batch.hours) h
                                             WHERE isfinite(h)));
    RETURN counts;
END
$$;
COMMENT ON FUNCTION defidata.import_batch(defidata.batch) IS
    'copies the hours of a batch (for prices: its quotes) and returns counts';

CREATE FUNCTION defidata.import_start(source text, planned_at timestamptz) RETURNS timestamptz
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    watermark constant timestamptz := defidata.watermark(source, planned_at);
    present   record;
    start     timestamptz;
BEGIN
    IF watermark IS NOT NULL THEN
        RETURN defidata.hour_of(watermark - defidata.setting_value('overlap')::interval);
    END IF;
    present := defidata.source_range(defidata.source_sql(source), planned_at);
    start := defidata.hour_of(present.newest - defidata.setting_value('initial_span')::interval)
             + interval '1 hour';
    IF present.oldest < start THEN
        RAISE NOTICE 'source "%" has rows since %, older than the first import''s %', source,
            to_char(present.oldest AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
            defidata.setting_value('initial_span')
            USING HINT = format('CALL defidata_backfill(%L, %L) imports them.',
                                present.oldest::text, start::text);
    END IF;
    RETURN start;
END
$$;
COMMENT ON FUNCTION defidata.import_start(text, timestamptz) IS
    'where an import of a source begins: the overlap before the watermark, or, the first time,'
    ' initial_span before its newest row';

-- A day at a time bounds what one transaction of a run holds; no days are asked for from before
-- a source's first row or after its last.
CREATE FUNCTION defidata.plan_prices(source text, start timestamptz, finish timestamptz,
                                     planned_at timestamptz) RETURNS SETOF defidata.batch
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    oldest timestamptz := start;
    newest timestamptz := finish;
BEGIN
    IF finish - start > '48 hours' THEN
        SELECT r.oldest, r.newest INTO oldest, newest
          FROM defidata.source_range(defidata.source_sql(source), planned_at) r;
    END IF;
    RETURN QUERY
    SELECT source, d, least(d + interval '24 hours', finish), NULL::timestamptz[], planned_at,
           false
      FROM generate_series(greatest(start, oldest),
                           least(finish - interval '1 microsecond', newest),
                           interval '24 hours') d
     WHERE newest >= start;
END
$$;
COMMENT ON FUNCTION defidata.plan_prices(text, timestamptz, timestamptz, timestamptz) IS
    'the batches in which the quotes of a source from start until finish are read';

-- Hours that are read again are behind the watermark: they cannot move it over others.
CREATE FUNCTION defidata.cut_batches(source text, start timestamptz, finish timestamptz,
                                     hours timestamptz[], remote_rows bigint[],
                                     local_rows bigint[], batch_rows bigint,
                                     planned_at timestamptz, apply_deletes boolean)
    RETURNS SETOF defidata.batch
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT source, CASE WHEN c.unusable THEN start ELSE min(c.hour) END,
           CASE WHEN c.unusable THEN finish ELSE max(c.hour) + interval '1 hour' END,
           array_agg(c.hour ORDER BY c.hour), planned_at, apply_deletes
      FROM (SELECT w.hour, NOT isfinite(w.hour) AS unusable, w.local_rows = 0 AS new,
                   div(sum(greatest(w.remote_rows, w.local_rows))
                           OVER (PARTITION BY isfinite(w.hour), w.local_rows = 0
                                 ORDER BY w.hour) - 1, batch_rows) AS batch
              FROM unnest(hours, remote_rows, local_rows) w (hour, remote_rows, local_rows)) c
     GROUP BY c.unusable, c.new, c.batch
     ORDER BY c.unusable, c.new, c.batch
$$;
COMMENT ON FUNCTION defidata.cut_batches(text, timestamptz, timestamptz, timestamptz[], bigint[],
                                         bigint[], bigint, timestamptz, boolean) IS
    'hours of a source as batches of about batch_rows rows each, in ascending order';

-- What an import has to read, as batches in ascending order of hours, so that the watermark
-- only moves over what is there.
CREATE FUNCTION defidata.plan_import(since timestamptz, until_hour timestamptz, batch_rows bigint)
    RETURNS SETOF defidata.batch
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    planned_at constant timestamptz := clock_timestamp();
    horizon    constant timestamptz := defidata.hour_of(planned_at) + interval '1 hour';
    finish     constant timestamptz := least(COALESCE(until_hour, horizon), horizon);
    src        record;
    start      timestamptz;
    wanted     record;
BEGIN
    PERFORM defidata.require_source();
    IF until_hour IS NULL THEN
        PERFORM defidata.read_streams();
    END IF;
    FOR src IN SELECT s.name, s.kind, s.relation, s.columns
                 FROM defidata.source s ORDER BY s.kind, s.name LOOP
        PERFORM defidata.check_shape(src.relation, src.kind, src.columns);
        -- what is older has no usable hour
        start := COALESCE(since, defidata.import_start(src.name, planned_at), finish);
        start := least(greatest(start, '2006-01-01 00:00:00+00'), finish);
        IF src.kind = 'prices' THEN
            RETURN QUERY
            SELECT * FROM defidata.plan_prices(src.name, start, finish, planned_at)
            UNION ALL
            SELECT src.name, start, finish, ARRAY['-infinity'::timestamptz], planned_at, false
             WHERE until_hour IS NULL;
            CONTINUE;
        END IF;
        SELECT array_agg(s.hour) AS hours, array_agg(s.remote_rows) AS remote_rows,
               array_agg(s.local_rows) AS local_rows INTO wanted
          FROM defidata.survey(src.name, start, finish, until_hour IS NULL) s;
        RETURN QUERY
        SELECT * FROM defidata.cut_batches(src.name, start, finish, wanted.hours,
                                           wanted.remote_rows, wanted.local_rows, batch_rows,
                                           planned_at, false);
    END LOOP;
    IF since IS NOT NULL THEN
        PERFORM defidata.tell_expired(since, finish);
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.plan_import(timestamptz, timestamptz, bigint) IS
    'reads the streams where until_hour is NULL, surveys every source from since (NULL: its'
    ' watermark less the overlap) until until_hour (NULL: now) and returns the batches to read, of'
    ' whole hours and about batch_rows rows each';

CREATE FUNCTION defidata.import(since timestamptz) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    batch  defidata.batch;
    counts jsonb := '{"fetched": 0, "inserted": 0, "updated": 0, "rejected": 0}';
BEGIN
    PERFORM defidata.lock('writer');
    -- a source without an index on its time is read from end to end for each batch, so these
    -- are as large as can usually be sorted in memory
    FOR batch IN SELECT * FROM defidata.plan_import(
            since, NULL, 5 * defidata.setting_value('batch_size')::bigint) LOOP
        counts := defidata.add_counts(counts, defidata.import_batch(batch));
    END LOOP;
    RETURN counts;
END
$$;
COMMENT ON FUNCTION defidata.import(timestamptz) IS 'the import stage; see defidata_import';
