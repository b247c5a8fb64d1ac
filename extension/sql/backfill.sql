-- backfill.sql: history in chunks, each committed, beside the hourly cycle.

CREATE FUNCTION defidata.start_backfill(from_hour timestamptz, to_hour timestamptz, step interval,
    OUT run bigint, OUT chunks tstzrange[])
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    first constant timestamptz := defidata.hour_of(from_hour);
    -- whole hours: the last one may hold to_hour
    last  constant timestamptz := defidata.hour_of(least(to_hour - interval '1 microsecond', now()))
                                  + interval '1 hour';
    -- what generate_series adds is fixed hours, whatever the session's time zone
    width constant interval := make_interval(hours => (EXTRACT(epoch FROM step) / 3600)::integer);
BEGIN
    PERFORM defidata.setup();
    IF from_hour IS NULL OR NOT isfinite(from_hour) OR from_hour < '2006-01-01 00:00:00+00'
       OR to_hour IS NULL OR NOT isfinite(to_hour) THEN
        RAISE EXCEPTION 'from_hour and to_hour must be times since 2006'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF first >= last THEN
        RAISE EXCEPTION 'from_hour must be before to_hour, and before now'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF step IS NULL OR step < '1 hour' OR step > '100 years' THEN
        RAISE EXCEPTION 'step must be at least 1 hour and at most 100 years'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF NOT defidata.try_lock('backfill') THEN
        RAISE EXCEPTION 'another backfill is starting' USING ERRCODE = 'object_in_use';
    END IF;
    PERFORM defidata.require_source();
    PERFORM defidata.mark_interrupted();
    IF EXISTS (SELECT FROM defidata.runs r
                WHERE r.status = 'running' AND r.trigger = 'backfill') THEN
        RAISE EXCEPTION 'another backfill is under way' USING ERRCODE = 'object_in_use',
            HINT = 'defidata.runs shows its progress and the process that runs it.';
    END IF;
    chunks := ARRAY(SELECT tstzrange(c, least(c + width, last))
                      FROM generate_series(first, last - interval '1 microsecond', width) c);
    run := defidata.start_stage(NULL, 'backfill', 'backfill');
    PERFORM defidata.note_counts(run, jsonb_build_object('chunks', cardinality(chunks), 'done', 0));
END
$$;
COMMENT ON FUNCTION defidata.start_backfill(timestamptz, timestamptz, interval) IS
    'checks and cuts a backfill into chunks and records its begin; 22023 for a bad argument,'
    ' 55006 beside another backfill';

CREATE FUNCTION defidata.note_chunk(run bigint, chunk tstzrange) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    done   record;
    passed interval;
BEGIN
    PERFORM defidata.note_counts(run, '{"done": 1}');
    UPDATE defidata.runs r SET latest_hour = upper(chunk) - interval '1 hour'
     WHERE r.id = note_chunk.run
    RETURNING (r.counts ->> 'done')::integer AS chunks, (r.counts ->> 'chunks')::integer AS total,
              COALESCE((r.counts ->> 'fetched')::bigint, 0) AS rows, r.started_at INTO done;
    passed := clock_timestamp() - done.started_at;
    RAISE NOTICE 'backfill: % of % chunks done, up to % UTC; % rows, % rows/s, about % left',
        done.chunks, done.total,
        to_char(upper(chunk) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), done.rows,
        round(done.rows / greatest(EXTRACT(epoch FROM passed), 0.001)),
        date_trunc('second', passed / done.chunks * (done.total - done.chunks));
END
$$;
COMMENT ON FUNCTION defidata.note_chunk(bigint, tstzrange) IS
    'records that a chunk is done and tells the progress in a NOTICE';
