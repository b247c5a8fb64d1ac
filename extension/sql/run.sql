-- run.sql: the whole cycle, in one transaction or in many.

CREATE FUNCTION defidata.refresh(OUT status text, OUT latest_hour timestamptz, OUT fetched bigint,
    OUT inserted bigint, OUT updated bigint, OUT rejected bigint, OUT computed bigint,
    OUT published bigint, OUT elapsed interval)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    started constant timestamptz := clock_timestamp();
    stage   bigint;
    run     bigint;
    counts  jsonb;
BEGIN
    status := 'skipped';
    IF defidata.try_lock('cycle') THEN
        PERFORM defidata.lock('writer');
        PERFORM defidata.mark_interrupted();
        run := defidata.start_stage(NULL, 'refresh', 'import');
        counts := defidata.import(NULL);
        fetched := counts ->> 'fetched';
        inserted := counts ->> 'inserted';
        updated := counts ->> 'updated';
        rejected := counts ->> 'rejected';
        PERFORM defidata.note_counts(run, counts), defidata.finish_stage(run);
        stage := defidata.start_stage(run, 'refresh', 'compute');
        computed := defidata.compute(NULL);
        PERFORM defidata.note_counts(stage, jsonb_build_object('computed', computed)),
                defidata.finish_stage(stage);
        stage := defidata.start_stage(run, 'refresh', 'publish');
        published := defidata.publish();
        PERFORM defidata.note_counts(stage, jsonb_build_object('published', published)),
                defidata.finish_stage(stage);
        status := 'ok';
    END IF;
    SELECT p.latest_hour INTO latest_hour FROM defidata.publication p;
    elapsed := clock_timestamp() - started;
END
$$;
COMMENT ON FUNCTION defidata.refresh() IS
    'imports, computes and publishes in one transaction, all or nothing. status: ok, or skipped'
    ' beside a running refresh or run; computed: rows of metrics written; published: rows changed'
    ' that readers see';

-- Begins a run, unless another one is under way.
CREATE FUNCTION defidata.start_run() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.setup();
    IF NOT defidata.try_lock('cycle') THEN
        INSERT INTO defidata.runs (trigger, stage, status, started_at, finished_at, pid)
        VALUES ('run', 'import', 'skipped', clock_timestamp(), clock_timestamp(), pg_backend_pid());
        RETURN NULL;
    END IF;
    PERFORM defidata.mark_interrupted();
    RETURN defidata.start_stage(NULL, 'run', 'import');
END
$$;
COMMENT ON FUNCTION defidata.start_run() IS
    'records the begin of a run and returns its id; NULL beside another run or refresh';

CREATE FUNCTION defidata.lock_cycle(trigger text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF trigger = 'run' THEN
        PERFORM defidata.lock('cycle');
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.lock_cycle(text) IS
    'takes the lock of the cycle for the transaction, where the trigger is a run';

-- What a run calls catches its error, because the run's record has to tell it.
CREATE FUNCTION defidata.try_plan(trigger text, since timestamptz, until_hour timestamptz,
    OUT batches defidata.batch[], OUT failure defidata.failure)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.lock_cycle(trigger);
    batches := ARRAY(SELECT b
                       FROM defidata.plan_import(since, until_hour,
                                                 defidata.setting_value('batch_size')::bigint) b);
EXCEPTION WHEN query_canceled OR OTHERS THEN
    GET STACKED DIAGNOSTICS failure.sqlstate = RETURNED_SQLSTATE, failure.message = MESSAGE_TEXT,
                            failure.detail = PG_EXCEPTION_DETAIL, failure.hint = PG_EXCEPTION_HINT;
END
$$;
COMMENT ON FUNCTION defidata.try_plan(text, timestamptz, timestamptz) IS
    'plan_import in a run, its error caught';

CREATE FUNCTION defidata.try_batch(stage bigint, trigger text, batch defidata.batch)
    RETURNS defidata.failure
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    failure defidata.failure;
BEGIN
    PERFORM defidata.lock_cycle(trigger);
    PERFORM defidata.note_counts(stage, defidata.import_batch(batch));
    RETURN NULL;
EXCEPTION WHEN query_canceled OR OTHERS THEN
    GET STACKED DIAGNOSTICS failure.sqlstate = RETURNED_SQLSTATE, failure.message = MESSAGE_TEXT,
                            failure.detail = PG_EXCEPTION_DETAIL, failure.hint = PG_EXCEPTION_HINT;
    RETURN failure;
END
$$;
COMMENT ON FUNCTION defidata.try_batch(bigint, text, defidata.batch) IS
    'import_batch in a run, its error caught';

CREATE FUNCTION defidata.try_compute(stage bigint, trigger text, until_hour timestamptz,
    OUT more boolean, OUT failure defidata.failure)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    done record;
BEGIN
    PERFORM defidata.lock_cycle(trigger);
    done := defidata.compute_part(until_hour);
    PERFORM defidata.note_counts(stage, jsonb_build_object('computed', done.computed));
    more := done.more;
EXCEPTION WHEN query_canceled OR OTHERS THEN
    GET STACKED DIAGNOSTICS failure.sqlstate = RETURNED_SQLSTATE, failure.message = MESSAGE_TEXT,
                            failure.detail = PG_EXCEPTION_DETAIL, failure.hint = PG_EXCEPTION_HINT;
    more := false;
END
$$;
COMMENT ON FUNCTION defidata.try_compute(bigint, text, timestamptz) IS
    'compute_part in a run, its error caught';

CREATE FUNCTION defidata.try_publish(stage bigint, trigger text) RETURNS defidata.failure
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    failure defidata.failure;
BEGIN
    PERFORM defidata.lock_cycle(trigger);
    PERFORM defidata.note_counts(stage, jsonb_build_object('published', defidata.publish()));
    RETURN NULL;
EXCEPTION WHEN query_canceled OR OTHERS THEN
    GET STACKED DIAGNOSTICS failure.sqlstate = RETURNED_SQLSTATE, failure.message = MESSAGE_TEXT,
                            failure.detail = PG_EXCEPTION_DETAIL, failure.hint = PG_EXCEPTION_HINT;
    RETURN failure;
END
$$;
COMMENT ON FUNCTION defidata.try_publish(bigint, text) IS 'publish in a run, its error caught';

-- A lost remote connection lets the transaction that met it no longer commit, so
-- the failure is recorded in one of its own.
CREATE PROCEDURE defidata.fail(stage bigint, failure defidata.failure)
    LANGUAGE plpgsql
AS $$
BEGIN
    ROLLBACK;
    failure := defidata.record_failure(stage, failure);
    COMMIT;
    RAISE EXCEPTION USING ERRCODE = failure.sqlstate, MESSAGE = failure.message,
                          DETAIL = failure.detail, HINT = failure.hint;
END
$$;
COMMENT ON PROCEDURE defidata.fail(bigint, defidata.failure) IS
    'records a failure and raises it again';

CREATE PROCEDURE defidata.run_import(stage bigint, trigger text, since timestamptz,
    until_hour timestamptz)
    LANGUAGE plpgsql
AS $$
DECLARE
    plan    record;
    batch   defidata.batch;
    failure defidata.failure;
BEGIN
    SELECT p.batches, p.failure INTO plan FROM defidata.try_plan(trigger, since, until_hour) p;
    failure := plan.failure;
    IF failure.sqlstate IS NOT NULL THEN
        CALL defidata.fail(stage, failure);
    END IF;
    COMMIT;
    FOREACH batch IN ARRAY plan.batches LOOP
        failure := defidata.try_batch(stage, trigger, batch);
        IF failure.sqlstate IS NOT NULL THEN
            CALL defidata.fail(stage, failure);
        END IF;
        COMMIT;
    END LOOP;
END
$$;
COMMENT ON PROCEDURE defidata.run_import(bigint, text, timestamptz, timestamptz) IS
    'the import stage with a commit after each batch';

CREATE PROCEDURE defidata.run_compute(stage bigint, trigger text, until_hour timestamptz)
    LANGUAGE plpgsql
AS $$
DECLARE
    done    record;
    failure defidata.failure;
BEGIN
    LOOP
        SELECT c.more, c.failure INTO done FROM defidata.try_compute(stage, trigger, until_hour) c;
        failure := done.failure;
        IF failure.sqlstate IS NOT NULL THEN
            CALL defidata.fail(stage, failure);
        END IF;
        COMMIT;
        EXIT WHEN done.more IS NOT TRUE;
    END LOOP;
END
$$;
COMMENT ON PROCEDURE defidata.run_compute(bigint, text, timestamptz) IS
    'the compute stage with a commit after each week and the open day';

CREATE PROCEDURE defidata.run_publish(stage bigint, trigger text)
    LANGUAGE plpgsql
AS $$
DECLARE
    failure defidata.failure;
BEGIN
    failure := defidata.try_publish(stage, trigger);
    IF failure.sqlstate IS NOT NULL THEN
        CALL defidata.fail(stage, failure);
    END IF;
    COMMIT;
END
$$;
COMMENT ON PROCEDURE defidata.run_publish(bigint, text) IS
    'the publish stage in a transaction of its own';
