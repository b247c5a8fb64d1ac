-- grant.sql: who else may read and operate.

-- What each level may do beyond the one before it.  Functions of schema defidata are among
-- them where a view, an aggregate or a procedure calls them in the name of whoever asks.
CREATE FUNCTION defidata.levels(OUT level text, OUT tables text[], OUT functions text[])
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT l.level, l.tables, l.functions
      FROM (VALUES
        ('reader',
         '{token_stats,daily_mentions,publication,document,board,alerts,alert_event}'::text[],
         '{defidata_board_as_of,defidata_document,defidata_report,defidata_live,
           metrics_over}'::text[]),
        ('analyst',
         '{metrics,hours,fact_revision,hour_revision,prices,raw_mentions,superseded,
           mention_series,week_series,day_series,uncopied,rejects,board_history,
           publication_history,runs,status,stream,stream_sum,stream_reject,stream_loss}',
         '{defidata_openmetrics,defidata_history,defidata_metrics,defidata_metrics_as_of,
           defidata_metrics_as_published,defidata_try_alert,defidata_checksum,defidata_event_study,
           reject_rows,status_rows,merge,entries,replace_hours,metrics_at,metrics_at_add,
           metrics_at_finish,mentions_between,
           study_add,study_finish,study,study_series,study_outcome,check_events,check_study}'),
        ('operator',
         '{}',
         '{defidata_refresh,defidata_run,defidata_backfill,defidata_reconcile,defidata_import,
           defidata_compute,defidata_publish,defidata_recompute,defidata_check,defidata_drain,
           start_run,start_stage,finish_stage,record_failure,try_plan,try_batch,try_compute,
           try_publish,start_backfill,note_chunk,fail,run_import,run_compute,run_publish}')
      ) AS l (level, tables, functions);
END;
COMMENT ON FUNCTION defidata.levels() IS
'the levels of defidata_grant, lowest first, with the tables and views in schema defidata that each
may read and the functions that it may call beyond those of the level before it; readers also have
the boards';

CREATE FUNCTION defidata.readable_tables(of_level text) RETURNS SETOF regclass
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT to_regclass(format('defidata.%I', t.name))
      FROM (SELECT unnest(l.tables)
              FROM defidata.levels() WITH ORDINALITY l
             WHERE l.ordinality <= (SELECT o.ordinality FROM defidata.levels() WITH ORDINALITY o
                                     WHERE o.level = of_level)
            UNION ALL
            -- a view of a reader's own may stand on the table of a board, which 1.0 had
            SELECT unnest(ARRAY[b.name, '_' || b.name]) FROM defidata.board b) t (name)
     WHERE to_regclass(format('defidata.%I', t.name)) IS NOT NULL;
END
$$;
COMMENT ON FUNCTION defidata.readable_tables(text) IS
    'the tables and views that a level of defidata_grant may read';

CREATE FUNCTION defidata.callable_functions(of_level text) RETURNS SETOF regprocedure
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT m.f
      FROM defidata.member_functions() m (f)
      JOIN pg_proc p ON p.oid = m.f
     WHERE p.proname IN (SELECT unnest(l.functions)
                           FROM defidata.levels() WITH ORDINALITY l
                          WHERE l.ordinality <= (SELECT o.ordinality
                                                   FROM defidata.levels() WITH ORDINALITY o
                                                  WHERE o.level = of_level));
END
$$;
COMMENT ON FUNCTION defidata.callable_functions(text) IS
    'the functions that a level of defidata_grant may call';

CREATE FUNCTION defidata.check_role(role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF role IS NULL OR role::oid = 0 THEN
        RAISE EXCEPTION 'a role is needed' USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.check_role(regrole) IS 'raises 22023 where the role is NULL or none';

-- Where public is closed, or the extension has a schema of its own, entry points are out of
-- reach without a right on it, which not everybody can give who owns the extension.
CREATE FUNCTION defidata.open_schema(schema regnamespace, role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF has_schema_privilege(role::oid, schema::oid, 'USAGE') THEN
        RETURN;
    END IF;
    BEGIN
        EXECUTE format('GRANT USAGE ON SCHEMA %s TO %s', schema, role);
    EXCEPTION WHEN insufficient_privilege THEN
        NULL;
    END;
    IF NOT has_schema_privilege(role::oid, schema::oid, 'USAGE') THEN
        RAISE WARNING 'role % may not use schema %, where the entry points are', role, schema
            USING HINT = format('Its owner can mend that: GRANT USAGE ON SCHEMA %s TO %s;',
                                schema, role);
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.open_schema(regnamespace, regrole) IS
    'lets a role use a schema; a WARNING with the next step where that is not ours to give';

CREATE FUNCTION defidata.grant(role regrole, level text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target text;
BEGIN
    IF level IS NULL OR level NOT IN (SELECT l.level FROM defidata.levels() l) THEN
        RAISE EXCEPTION 'level must be reader, analyst or operator, not %',
                        quote_nullable(left(level, 80))
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM defidata.check_role(role);
    EXECUTE format('GRANT USAGE ON SCHEMA defidata TO %s', role);
    PERFORM defidata.open_schema(e.extnamespace, role)
       FROM pg_extension e WHERE e.extname = 'defidata';
    FOR target IN SELECT t::text FROM defidata.readable_tables(level) t LOOP
        EXECUTE format('GRANT SELECT ON %s TO %s', target, role);
    END LOOP;
    FOR target IN SELECT f::text FROM defidata.callable_functions(level) f LOOP
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %s', target, role);
    END LOOP;
    IF EXISTS (SELECT FROM defidata.distributed_tables()) THEN
        PERFORM defidata.prepare_workers();
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.grant(regrole, text) IS 'see defidata_grant';

CREATE FUNCTION defidata.revoke(role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target text;
BEGIN
    PERFORM defidata.check_role(role);
    FOR target IN SELECT f::text FROM defidata.member_functions() f LOOP
        EXECUTE format('REVOKE ALL ON ROUTINE %s FROM %s', target, role);
    END LOOP;
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA defidata FROM %s', role);
    EXECUTE format('REVOKE ALL ON SCHEMA defidata FROM %s', role);
    EXECUTE (SELECT format('REVOKE USAGE ON SCHEMA %s FROM %s', e.extnamespace::regnamespace, role)
               FROM pg_extension e WHERE e.extname = 'defidata');
    IF EXISTS (SELECT FROM defidata.distributed_tables()) THEN
        PERFORM defidata.prepare_workers();
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.revoke(regrole) IS 'see defidata_revoke';

-- A role has the level whose marks it bears: an operator refreshes, an analyst reads metrics.
CREATE FUNCTION defidata.granted_levels(OUT role regrole, OUT level text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT DISTINCT ON (g.grantee) g.grantee::regrole, g.level
      FROM (SELECT a.grantee, 3 AS height, 'operator' AS level
              FROM pg_proc p, aclexplode(p.proacl) a
             WHERE p.oid IN (SELECT f FROM defidata.member_functions() f)
               AND p.proname = 'defidata_refresh'
            UNION ALL
            SELECT a.grantee, m.height, m.level
              FROM (VALUES (2, 'analyst', 'metrics'), (1, 'reader', 'token_stats'))
                   m (height, level, relation)
              JOIN pg_class c ON c.oid = format('defidata.%I', m.relation)::regclass,
                   aclexplode(c.relacl) a
             WHERE a.privilege_type = 'SELECT') g
      JOIN pg_extension e ON e.extname = 'defidata'
     WHERE g.grantee NOT IN (0, e.extowner)
     ORDER BY g.grantee, g.height DESC;
END
$$;
COMMENT ON FUNCTION defidata.granted_levels() IS 'the roles that have a level of defidata_grant';

-- A version may want other rights for a level.  Those on tables only grow: some may be there
-- by the owner's own hand.
CREATE FUNCTION defidata.renew_grants() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    granted record;
    target  text;
BEGIN
    FOR granted IN SELECT * FROM defidata.granted_levels() LOOP
        FOR target IN SELECT p.oid::regprocedure::text
                        FROM pg_proc p, aclexplode(p.proacl) a
                       WHERE p.oid IN (SELECT f FROM defidata.member_functions() f)
                         AND a.grantee = granted.role
                         AND p.oid NOT IN (SELECT f
                                             FROM defidata.callable_functions(granted.level) f)
                       LOOP
            EXECUTE format('REVOKE ALL ON ROUTINE %s FROM %s', target, granted.role);
        END LOOP;
        PERFORM defidata.grant(granted.role, granted.level);
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.renew_grants() IS
    'gives every role that has a level the rights that this version has for it';
