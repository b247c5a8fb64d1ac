-- api_operator.sql: the entry points of operators, who keep the pipeline going and configure
-- nothing.
--
-- The procedures commit, so they can be neither SECURITY DEFINER nor have a SET clause: they
-- only call, by full name, the steps in run.sql and backfill.sql, which have the owner's rights
-- and which operators may call too.

CREATE FUNCTION @extschema@.defidata_refresh(OUT status text, OUT latest_hour timestamptz,
        OUT fetched bigint, OUT inserted bigint, OUT updated bigint, OUT rejected bigint,
        OUT computed bigint, OUT published bigint, OUT elapsed interval)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT * FROM defidata.refresh();
END;
COMMENT ON FUNCTION @extschema@.defidata_refresh() IS
'imports, computes and publishes in one transaction, all or nothing. status: ok, or skipped beside
a running refresh or run; computed: rows of metrics written; published: rows changed that readers
see';

CREATE FUNCTION @extschema@.defidata_import(since timestamptz DEFAULT NULL, OUT fetched bigint,
        OUT inserted bigint, OUT updated bigint, OUT rejected bigint)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT (i ->> 'fetched')::bigint, (i ->> 'inserted')::bigint,
           (i ->> 'updated')::bigint, (i ->> 'rejected')::bigint
      FROM defidata.import(since) i;
END;
COMMENT ON FUNCTION @extschema@.defidata_import(timestamptz) IS
'copies new, late and corrected rows of every source, from since (NULL: each source''s watermark
less the overlap). 55000 without a source; 08001 or 08006 where a remote is down; 42703 or 42804
where its shape has changed';

CREATE FUNCTION @extschema@.defidata_compute(since timestamptz DEFAULT NULL) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.compute(since);
END;
COMMENT ON FUNCTION @extschema@.defidata_compute(timestamptz) IS
'brings facts, and so the metrics, up to the raw copy, for the hours that changed or, where given,
for every hour from since on; returns the token-hours summed';

CREATE FUNCTION @extschema@.defidata_recompute() RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.rebuild_quote_series();
    SELECT defidata.compute('-infinity');
END;
COMMENT ON FUNCTION @extschema@.defidata_recompute() IS
'rebuilds the facts of every hour that the raw copy still holds, and so every metric, and the series
of every asset; returns the token-hours summed, and says how many hours have expired and stay as
they are';

CREATE FUNCTION @extschema@.defidata_publish() RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT defidata.publish();
END;
COMMENT ON FUNCTION @extschema@.defidata_publish() IS
'replaces token_stats, boards and daily_mentions as of the latest settled hour; returns how many
rows changed. Where one did, generation and history grow and the channel defidata is notified';

CREATE FUNCTION @extschema@.defidata_reconcile(since interval DEFAULT '14 days',
        apply_deletes boolean DEFAULT false)
    RETURNS TABLE (source text, hour timestamptz, remote_rows bigint, local_rows bigint,
                   action text)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup();
    SELECT * FROM defidata.reconcile(since, apply_deletes);
END;
COMMENT ON FUNCTION @extschema@.defidata_reconcile(interval, boolean) IS
'compares the count and checksum of each hour since now() - since with what its source said when
the hour was last read, and the count with the copy''s; reads the hours that differ again, computes
and publishes. action: read again; deleted, where apply_deletes took rows away; kept, where the
source has none, or fewer than half, of the hour''s rows left, and the copy is left as it is;
uncopied, where the source has rows that cannot be copied. apply_deletes follows the source there
too, but never before its oldest hour, nor where it is empty';

CREATE FUNCTION @extschema@.defidata_check()
    RETURNS TABLE (name text, state text, value text, hint text)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT defidata.setup_reader();
    SELECT * FROM defidata.check();
END;
COMMENT ON FUNCTION @extschema@.defidata_check() IS
'probes each source and its shape and returns these findings with those of defidata.status; raises
an error, with the SQLSTATE of the first source that failed or 55000, if any state is fail';

CREATE FUNCTION defidata.status_rows()
    RETURNS TABLE (name text, state text, value text, hint text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM defidata.status();
END;
COMMENT ON FUNCTION defidata.status_rows() IS 'the rows of defidata.status';

CREATE VIEW defidata.status AS SELECT * FROM defidata.status_rows();
COMMENT ON VIEW defidata.status IS
    'health, as the database knows it; defidata_check also probes the sources';
COMMENT ON COLUMN defidata.status.name IS 'what is judged';
COMMENT ON COLUMN defidata.status.state IS 'ok, warn or fail';
COMMENT ON COLUMN defidata.status.value IS 'what was found';
COMMENT ON COLUMN defidata.status.hint IS 'the next step, where one is needed';

CREATE PROCEDURE @extschema@.defidata_run()
    LANGUAGE plpgsql
AS $$
DECLARE
    run   bigint;
    stage bigint;
BEGIN
    run := defidata.start_run();
    COMMIT;
    IF run IS NULL THEN
        RAISE NOTICE 'another refresh or run is under way';
        RETURN;
    END IF;
    CALL defidata.run_import(run, 'run', NULL::timestamptz, NULL::timestamptz);
    PERFORM defidata.finish_stage(run);
    stage := defidata.start_stage(run, 'run', 'compute');
    COMMIT;
    CALL defidata.run_compute(stage, 'run', 'infinity'::timestamptz);
    PERFORM defidata.finish_stage(stage);
    stage := defidata.start_stage(run, 'run', 'publish');
    COMMIT;
    CALL defidata.run_publish(stage, 'run');
    PERFORM defidata.finish_stage(stage);
    COMMIT;
END
$$;
COMMENT ON PROCEDURE @extschema@.defidata_run() IS
'the cycle of defidata_refresh with a commit after each stage and batch, each stage on record in
defidata.runs, also where it fails; the error is raised again. For pg_cron';

CREATE PROCEDURE @extschema@.defidata_backfill(from_hour timestamptz, to_hour timestamptz,
        step interval DEFAULT '7 days')
    LANGUAGE plpgsql
AS $$
DECLARE
    started record;
    chunk   tstzrange;
BEGIN
    SELECT b.run, b.chunks INTO started FROM defidata.start_backfill(from_hour, to_hour, step) b;
    COMMIT;
    FOREACH chunk IN ARRAY started.chunks LOOP
        CALL defidata.run_import(started.run, 'backfill',
                                 pg_catalog.lower(chunk), pg_catalog.upper(chunk));
        CALL defidata.run_compute(started.run, 'backfill', pg_catalog.upper(chunk));
        PERFORM defidata.note_chunk(started.run, chunk);
        COMMIT;
    END LOOP;
    -- the hours after the range that its data reaches
    CALL defidata.run_compute(started.run, 'backfill', 'infinity'::timestamptz);
    CALL defidata.run_publish(started.run, 'backfill');
    PERFORM defidata.finish_stage(started.run);
    COMMIT;
END
$$;
COMMENT ON PROCEDURE @extschema@.defidata_backfill(timestamptz, timestamptz, interval) IS
'imports and computes the hours from from_hour until to_hour, oldest first, with a commit and a
NOTICE for each chunk of the length step; then the later hours that they reach, then publishes. Can
be stopped and called again. 22023: bad range or step; 55006: beside another backfill';
