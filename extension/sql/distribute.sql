-- distribute.sql: the large tables on the shards of a Citus cluster, and back.

CREATE FUNCTION defidata.require_citus() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'citus') THEN
        RAISE EXCEPTION 'Citus is not installed in this database'
            USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Here and on each worker: shared_preload_libraries = ''citus'' and'
                   ' CREATE EXTENSION citus; then here SELECT citus_add_node(host, port)'
                   ' for each worker. One machine needs none of it.';
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.require_citus() IS 'raises 55000 where this database has no Citus';

-- Whoever reads a distributed table does so on the workers in the same role.
-- Citus takes rights on tables there, but none on what belongs to an extension.
CREATE FUNCTION defidata.prepare_workers() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    commands text;
    failed   record;
BEGIN
    SELECT format('IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = ''defidata'') THEN'
                  ' CREATE EXTENSION defidata SCHEMA %s VERSION %L CASCADE; END IF;',
                  e.extnamespace::regnamespace, e.extversion)
      INTO commands
      FROM pg_extension e
     WHERE e.extname = 'defidata';
    SELECT concat(commands, string_agg(format('GRANT %s ON %s TO %s;', g.privilege, g.object,
                                              g.grantee::regrole), ''))
      INTO commands
      FROM (SELECT a.privilege_type AS privilege, 'SCHEMA defidata' AS object, a.grantee
              FROM pg_namespace n, aclexplode(n.nspacl) a
             WHERE n.nspname = 'defidata' AND a.grantee NOT IN (0, n.nspowner)
            UNION ALL
            SELECT a.privilege_type, 'ROUTINE ' || p.oid::regprocedure, a.grantee
              FROM pg_proc p, aclexplode(p.proacl) a
             WHERE p.pronamespace = 'defidata'::regnamespace
               AND a.grantee NOT IN (0, p.proowner)) g;
    commands := format('BEGIN SET LOCAL citus.enable_ddl_propagation = off; %s END', commands);
    FOR failed IN EXECUTE 'SELECT w.nodename, w.nodeport, w.result'
                          ' FROM run_command_on_workers($1) w WHERE NOT w.success'
                    USING format('DO %L', commands) LOOP
        RAISE EXCEPTION 'worker %:% cannot be prepared: %',
            failed.nodename, failed.nodeport, failed.result
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Each worker needs the files of this version of defidata, and each role'
                         ' that may read here. A role that is older than Citus is not there:'
                         ' CREATE ROLE makes it.';
    END LOOP;
END
$$;
COMMENT ON FUNCTION defidata.prepare_workers() IS
    'creates the extension on each worker and gives there the rights on it that are given here';

CREATE FUNCTION defidata.distribute() RETURNS TABLE (relation text, key text, shards bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
    target record;
BEGIN
    PERFORM defidata.require_citus();
    PERFORM defidata.lock('writer');
    PERFORM defidata.prepare_workers();
    FOR target IN SELECT k.relation::regclass AS relation, k.key, k.beside
                    FROM defidata.shard_keys() k
                   WHERE k.relation::regclass NOT IN (SELECT d
                                                        FROM defidata.distributed_tables() d)
                   LOOP
        PERFORM create_distributed_table(target.relation, target.key,
                                         colocate_with => target.beside);
        -- what it leaves here is a copy that nobody sees
        PERFORM truncate_local_data_after_distributing_table(target.relation);
    END LOOP;
    RETURN QUERY
    SELECT k.relation, k.key,
           (SELECT count(*) FROM pg_dist_shard s WHERE s.logicalrelid = k.relation::regclass)
      FROM defidata.shard_keys() k;
END
$$;
COMMENT ON FUNCTION defidata.distribute() IS
    'on the coordinator of a Citus cluster: spreads raw_mentions and prices by id, week_series'
    ' and day_series by token over the workers, with their rows, and returns by which column and'
    ' over how many shards. Refresh and all else go on as before. A second call changes nothing,'
    ' but gives a worker that was added since the rights of readers. 55000 without Citus';

CREATE FUNCTION defidata.undistribute() RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
    target regclass;
    undone integer := 0;
BEGIN
    PERFORM defidata.require_citus();
    PERFORM defidata.lock('writer');
    FOR target IN SELECT d FROM defidata.distributed_tables() d LOOP
        PERFORM undistribute_table(target);
        undone := undone + 1;
    END LOOP;
    -- tables and the views over them were made anew: comments and the views' readers are lost
    IF undone > 0 THEN
        PERFORM defidata.comment_tables(), defidata.setup_views(),
                defidata.copy_grants('week_series', 'mention_series'),
                defidata.copy_grants('week_series', 'metrics');
    END IF;
    RETURN undone;
END
$$;
COMMENT ON FUNCTION defidata.undistribute() IS
    'brings the distributed tables back to the coordinator, with their rows; returns how many'
    ' those were. 55000 without Citus';
