-- Distributed tables, as far as a PostgreSQL without Citus can tell: what it
-- says, and that tables and statements keep the shape that can be distributed.
-- test/citus.sh has the rest.
BEGIN;
SET client_min_messages = warning;
SELECT error_of('SELECT * FROM defidata_distribute()', true);
SELECT error_of('SELECT defidata_undistribute()', true);
SELECT * FROM defidata.distributed_tables();

-- A distributed table's unique keys hold the column that it is distributed by,
-- and nothing about it needs the other rows, or another table.
SELECT k.relation, k.key, bool_and(a.attname IS NOT NULL) AS in_each_key
  FROM defidata.shard_keys() k
  JOIN pg_index i ON i.indrelid = k.relation::regclass AND i.indisunique
  LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = k.key AND a.attnum = ANY (i.indkey)
 GROUP BY k.relation, k.key ORDER BY k.relation;
-- (n, NOT NULL, is listed from PostgreSQL 18 on; a row has it by itself.)
SELECT k.relation, c.conname FROM defidata.shard_keys() k JOIN pg_constraint c ON k.relation::regclass IN (c.conrelid, c.confrelid) AND c.contype NOT IN ('p', 'n');
SELECT k.relation, t.tgname FROM defidata.shard_keys() k JOIN pg_trigger t ON t.tgrelid = k.relation::regclass;
SELECT k.relation, a.attname FROM defidata.shard_keys() k
  JOIN pg_attribute a ON a.attrelid = k.relation::regclass AND a.attnum > 0 AND (a.atthasdef OR a.attidentity <> '');

-- What runs on the shards depends on its arguments alone: C functions, immutable.
SELECT p.oid::regprocedure::text COLLATE "C" AS function, p.provolatile, l.lanname
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
 WHERE p.pronamespace = 'defidata'::regnamespace
   AND (p.proname IN ('metrics_at', 'metrics_at_add', 'metrics_at_finish', 'replace_hours', 'mentions_between', 'entries', 'series_eq', 'series_ne')
        OR p.oid IN (SELECT d.refobjid FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                      WHERE r.ev_class = 'defidata.metrics'::regclass AND d.refclassid = 'pg_proc'::regclass))
 ORDER BY 1;

-- The view joins each copy of the facts by token to the first, has no WITH, and
-- sets nothing up to be found row by row.
SELECT v.def ~* '\mWITH\s+\w+\s+AS\M' AS has_with, v.def ~* '\m(LIMIT|OFFSET|UNION|OVER|nextval|now)\M' AS has_other,
       regexp_count(v.def, 'defidata\.(week|day)_series') AS parts,
       regexp_count(v.def, '\.token = f\.token') AS joined_by_token
  FROM (SELECT pg_get_viewdef('defidata.metrics'::regclass) AS def) v;
-- the statement of token_stats groups the facts by token and has no WITH
SELECT p.prosrc ~ 'FROM defidata\.mention_series f\s+WHERE [^()]*\([^()]*\)[^()]*\s+GROUP BY f\.token;' AS grouped_by_token,
       p.prosrc ~* '\mWITH\s+\w+\s+AS\M' AS has_with
  FROM pg_proc p WHERE p.oid = 'defidata.metrics_of'::regproc;

-- Statements that Citus refuses; no function may hold one.  A target that is
-- filled in stands for the facts.
SELECT format('defidata\.(%s|mention_series)', string_agg(split_part(k.relation, '.', 2), '|')) AS large FROM defidata.shard_keys() k \gset
CREATE TEMP VIEW body AS
SELECT p.oid::regprocedure AS function,
       regexp_replace(regexp_replace(p.prosrc, '--[^\n]*', '', 'g'), '(INSERT INTO|UPDATE|FROM) %s', '\1 defidata.week_series', 'g') AS source
  FROM pg_proc p
  JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'defidata' AND p.prosrc ~ :'large';
SELECT function AS selects_no_column FROM body WHERE source ~ ('\(SELECT FROM ' || :'large');
SELECT function AS has_subselect_in_values FROM body WHERE source ~ ('VALUES \([^;]*\(SELECT [^;]*' || :'large');
SELECT function AS has_parameter_in_conflict FROM body WHERE source ~ ('INSERT INTO ' || :'large' || '[^;]*ON CONFLICT[^;$]*\$\d');
SELECT function AS merges FROM body WHERE source ~ '\mMERGE INTO\M';
SELECT function AS joins_laterally FROM body WHERE source ~ ('LATERAL \(SELECT[^()]*FROM ' || :'large');
SELECT function AS updates_from_union FROM body WHERE source ~ ('UPDATE ' || :'large' || '[^;]*\mUNION\M');
ROLLBACK;
