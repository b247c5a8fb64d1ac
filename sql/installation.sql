-- The extension is created, its tables are made by defidata_setup() and belong
-- to the user, not to the extension.
SET client_min_messages = warning;
CREATE EXTENSION defidata CASCADE;
RESET client_min_messages;

-- before setup nothing but the built-in list is a table
SELECT relname FROM pg_class WHERE relnamespace = 'defidata'::regnamespace AND relkind = 'r' ORDER BY 1;
SELECT count(*) >= 1000 AS well_known, count(*) FILTER (WHERE symbol IN ('1INCH', 'SUSHI', 'stETH', 'USDC.e')) AS odd_ones
  FROM defidata.builtin_token;

SELECT defidata_setup();
SELECT relname FROM pg_class WHERE relnamespace = 'defidata'::regnamespace AND relkind = 'r' ORDER BY relname COLLATE "C";

-- none of them is a member, all of them and their columns are commented
SELECT c.relname FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
 WHERE c.relnamespace = 'defidata'::regnamespace AND c.relkind = 'r' ORDER BY 1;
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'defidata'::regnamespace AND c.relkind IN ('r', 'v')
   AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL) ORDER BY 1, 2;

-- every function and type of the extension has a comment
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'defidata'
 WHERE obj_description(p.oid, 'pg_proc') IS NULL ORDER BY 1;

-- a second call changes nothing
SELECT defidata_setup();
SELECT name, value FROM defidata.setting ORDER BY name;
SELECT name, metric, direction, min_mentions, size FROM defidata.board ORDER BY name;

-- the data stands in the way of DROP EXTENSION
\set VERBOSITY sqlstate
DROP EXTENSION defidata;
\set VERBOSITY default

-- What the other files share.  Most of them are one transaction that is rolled
-- back; one that commits calls start_over at its end.
CREATE FUNCTION error_of(statement text, with_hint boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || ': ' || SQLERRM || CASE WHEN with_hint THEN COALESCE(' / ' || NULLIF(hint, ''), '') ELSE '' END;
END
$$;
CREATE PROCEDURE start_over() LANGUAGE plpgsql AS $$
DECLARE
    target regclass;
BEGIN
	SET LOCAL client_min_messages = warning;
    DROP VIEW defidata.metrics, defidata.mention_series, defidata.alerts;
    FOR target IN SELECT oid FROM pg_class WHERE relnamespace = 'defidata'::regnamespace AND relkind = 'r' AND relname <> 'builtin_token' LOOP
        EXECUTE format('DROP TABLE %s CASCADE', target);
    END LOOP;
    PERFORM defidata_setup();
END
$$;
