-- rights.sql: nobody may call anything, but for what everybody may.  Others get their rights by
-- defidata_grant.

DO $$
DECLARE
    target regprocedure;
BEGIN
    FOR target IN SELECT p.oid FROM pg_proc p
                    JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                     AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
                    JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'defidata'
                   WHERE p.proname <> ALL ('{defidata_clean,defidata_explain,defidata_rolling,'
                                           'defidata_unroll,series_in,series_out,series_recv,'
                                           'series_send,series_cmp,series_eq,series_ne,series_lt,'
                                           'series_le,series_gt,series_ge,series_hash,'
                                           'series_hash_extended}')
                   LOOP
        EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', target);
    END LOOP;
END
$$;
