-- grant.sql: who else may read and operate.

CREATE FUNCTION defidata.readable_tables(level text) RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY SELECT unnest('{token_stats,daily_mentions,publication,document}'::text[]) UNION ALL SELECT b.name FROM defidata.board b;
    IF level IN ('analyst', 'operator') THEN
        RETURN QUERY SELECT unnest('{metrics,hours,prices,raw_mentions,mention_series,week_series,day_series,uncopied,rejects,board_history,publication_history}'::text[]);
    END IF;
    IF level = 'operator' THEN
        RETURN QUERY SELECT unnest('{runs,status}'::text[]);
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.readable_tables(text) IS 'the tables and views that a level of defidata_grant may read';

CREATE FUNCTION defidata.callable_functions(level text) RETURNS SETOF regprocedure
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- whoever is let at the view metrics, or at a legacy one over it, calls metrics_over
    names text[] := '{defidata_board_as_of,defidata_document,defidata_report,metrics_over}';
BEGIN
    IF level IN ('analyst', 'operator') THEN
        names := names || '{defidata_event_study,study_add,study_finish,study,study_series,study_outcome,check_events,check_study,
                            defidata_history,history,defidata_metrics,defidata_checksum,reject_rows,merge,entries,replace_hours,metrics_at,metrics_at_add,metrics_at_finish,mentions_between}'::text[];
    END IF;
    IF level = 'operator' THEN
        names := names || '{defidata_refresh,defidata_run,defidata_backfill,defidata_reconcile,defidata_import,defidata_compute,
                            defidata_publish,defidata_recompute,defidata_check,status_rows,import,compute,publish,
                            start_run,start_stage,finish_stage,record_failure,try_plan,try_batch,try_compute,try_publish,
                            start_backfill,note_chunk,fail,run_import,run_compute,run_publish}'::text[];
    END IF;
    RETURN QUERY SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                   JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
                  WHERE e.extname = 'defidata' AND p.proname = ANY (names);
END
$$;
COMMENT ON FUNCTION defidata.callable_functions(text) IS 'the functions that a level of defidata_grant may call';

CREATE FUNCTION defidata.grant(role regrole, level text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target text;
BEGIN
    IF level IS NULL OR level NOT IN ('reader', 'analyst', 'operator') THEN
        RAISE EXCEPTION 'level must be reader, analyst or operator, not %', quote_nullable(left(level, 80))
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF role IS NULL OR role::oid = 0 THEN
        RAISE EXCEPTION 'a role is needed' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA defidata TO %s', role);
    FOR target IN SELECT format('defidata.%I', t) FROM defidata.readable_tables(level) t LOOP
        EXECUTE format('GRANT SELECT ON %s TO %s', target, role);
    END LOOP;
    FOR target IN SELECT f::text FROM defidata.callable_functions(level) f LOOP
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %s', target, role);
    END LOOP;
    IF (SELECT count(*) FROM defidata.distributed_tables()) > 0 THEN
        PERFORM defidata.prepare_workers();
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.grant(regrole, text) IS 'reader: boards, token_stats, daily_mentions, publication, documents and reports; analyst: also metrics, hours, prices, raw rows, rejects and history; operator: analyst, and may refresh, run, backfill, reconcile, recompute, check, and read runs and status';
