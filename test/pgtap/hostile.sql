-- Installation and use among hostile look-alikes: operators and functions that
-- fit better than the server's own, in the schema that CREATE EXTENSION is
-- given and first in every caller's search_path.  Each raises an error when it
-- is called, and none may be what the extension depends on.
SET client_min_messages = warning;
SELECT no_plan();
-- the template has the extension; without tables it goes, to come again among enemies
DROP EXTENSION defidata;
CREATE SCHEMA hostile;

-- every infix operator of the server's between two common types that it lacks
DO $$
DECLARE
    op record;
    types constant regtype[] := '{smallint,integer,bigint,real,double precision,numeric,text,character varying,name,timestamptz,timestamp,date,interval,boolean,jsonb,oid,regclass,text[],bigint[],timestamptz[]}';
    t regtype;
BEGIN
    FOREACH t IN ARRAY types LOOP
        EXECUTE format('CREATE FUNCTION hostile.%I(%s) RETURNS text LANGUAGE plpgsql AS ''BEGIN RAISE EXCEPTION $m$trapped by %%$m$, $m$%s$m$; END''', 'cast_' || t, t, t);
    END LOOP;
    FOR op IN SELECT o, l, r, CASE WHEN o ~ '[=<>]' OR o ~ '~' THEN 'boolean' ELSE 'text' END AS result, format('trap_%s', row_number() OVER ()) AS trap
                FROM unnest('{=,<>,<,<=,>,>=,+,-,*,/,%,||,#,&,~,!~,~~,!~~,->,->>,@>,&&,?}'::text[]) o, unnest(types) l, unnest(types) r
               WHERE NOT EXISTS (SELECT FROM pg_operator x WHERE x.oprname = o AND x.oprleft = l AND x.oprright = r) LOOP
        EXECUTE format('CREATE FUNCTION hostile.%I(%s, %s) RETURNS %s LANGUAGE plpgsql AS ''BEGIN RAISE EXCEPTION $m$trapped by %%$m$, $m$%s %s %s$m$; END''',
                       op.trap, op.l, op.r, op.result, op.l, op.o, op.r);
        EXECUTE format('CREATE OPERATOR hostile.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = hostile.%I)', op.o, op.l, op.r, op.trap);
    END LOOP;
END
$$;
-- functions: the server's names, with argument types that it lacks
DO $$
DECLARE
    f record;
BEGIN
    FOR f IN SELECT n, args
               FROM unnest('{format,concat_ws,length,octet_length,lower,upper,left,btrim,round,abs,ln,sqrt,floor,div,date_bin,date_trunc,to_char,to_timestamp,isfinite,hashtextextended,hashfloat8extended,md5,
                             substr,split_part,regexp_replace,array_to_string,cardinality,quote_ident,quote_nullable,jsonb_typeof,jsonb_each,jsonb_each_text,to_jsonb,unnest,generate_series,make_interval,
                             pg_advisory_xact_lock,pg_notify,current_setting,format_type,to_regclass,clock_timestamp,now}'::text[]) n,
                    unnest('{"",text,varchar,integer,bigint,timestamptz,name,jsonb,"double precision",regclass,"text, text","text, integer","integer, integer","text, bigint","bigint, bigint",
                             "numeric, integer","text, text, text","text, timestamptz, timestamptz","timestamptz, timestamptz, interval"}'::text[]) args
              WHERE to_regprocedure(format('pg_catalog.%I(%s)', n, args)) IS NULL LOOP
        EXECUTE format('CREATE FUNCTION hostile.%I(%s) RETURNS text LANGUAGE plpgsql AS ''BEGIN RAISE EXCEPTION $m$trapped by %%$m$, $m$%s(%s)$m$; END''', f.n, f.args, f.n, f.args);
    END LOOP;
END
$$;
CREATE FUNCTION hostile.format(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped by format''; END';
CREATE FUNCTION hostile.concat_ws(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped by concat_ws''; END';
-- types and casts of their own
CREATE TYPE hostile.evil AS (x integer);
CREATE FUNCTION hostile.from_text(text) RETURNS hostile.evil LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped by cast''; END';
CREATE CAST (text AS hostile.evil) WITH FUNCTION hostile.from_text(text) AS IMPLICIT;
CREATE FUNCTION hostile.defidata_unroll(hostile.evil) RETURNS hostile.evil LANGUAGE sql AS 'SELECT $1';
-- look-alikes that fit exactly, for callers whose search_path puts them first
CREATE FUNCTION hostile.hashtextextended(text, bigint) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped by exact hashtextextended''; END';
CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped by exact now''; END';
CREATE FUNCTION hostile.lower(anyrange) RETURNS anyelement LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped by exact lower''; END';
CREATE FUNCTION hostile.upper(anyrange) RETURNS anyelement LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped by exact upper''; END';
CREATE FUNCTION hostile.pg_backend_pid() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped by exact pg_backend_pid''; END';
CREATE FUNCTION hostile.text_eq(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped by exact =''; END';
CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.text_eq);
CREATE FUNCTION hostile.time_lt(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped by exact <''; END';
CREATE OPERATOR hostile.< (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = hostile.time_lt);
CREATE OPERATOR hostile.>= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = hostile.time_lt);
CREATE TABLE hostile.pg_class (oid oid);

-- the trap works: an expression that the server can only answer by a coercion is caught
-- (pgTAP itself would be trapped, so the path is theirs for one statement only)
CREATE FUNCTION trapped(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('search_path', 'public, hostile', true);
    EXECUTE statement;
    RETURN 'not trapped';
EXCEPTION WHEN raise_exception THEN
    RETURN SQLERRM;
END
$$;
SELECT alike(trapped('SELECT 1.5::float8 < 2'), 'trapped%', 'a better fit is chosen');

SELECT lives_ok('CREATE EXTENSION defidata SCHEMA hostile', 'the extension installs among them');
SELECT is_empty($$
    SELECT d.classid::regclass, pg_describe_object(d.classid, d.objid, 0), pg_describe_object(d.refclassid, d.refobjid, 0)
      FROM pg_depend d JOIN pg_depend m ON m.classid = d.classid AND m.objid = d.objid AND m.deptype = 'e'
      JOIN pg_extension e ON m.refclassid = 'pg_extension'::regclass AND m.refobjid = e.oid AND e.extname = 'defidata'
      LEFT JOIN pg_proc f ON d.refclassid = 'pg_proc'::regclass AND f.oid = d.refobjid
      LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
     WHERE f.pronamespace = 'hostile'::regnamespace AND f.proname !~ '^defidata_' OR o.oprnamespace = 'hostile'::regnamespace$$,
    'nothing of theirs was built in');

-- the whole way, with the hostile schema before the server's own
CREATE TABLE remote AS SELECT 'r' || i AS id, 1748736000 + 3600 * i AS "timestamp", 'BTC'::text AS symbol, 20::float8 AS count, 0.5::float8 AS sentiment FROM generate_series(0::bigint, 400::bigint) i;
CREATE TABLE quotes AS SELECT 'q' || i AS id, 'bitcoin'::text AS slug, 1748736000 + 3600 * i AS "timestamp", 'BTC'::text AS symbol, (100 + i)::text AS price FROM generate_series(0::bigint, 400::bigint) i;
CREATE FUNCTION lives(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'hostile, pg_catalog, public', true);
    EXECUTE statement;
    PERFORM pg_catalog.set_config('search_path', '"$user", public', true);
    RETURN ok(true, statement);
EXCEPTION WHEN OTHERS THEN
    PERFORM pg_catalog.set_config('search_path', '"$user", public', true);
    RETURN ok(false, pg_catalog.concat(statement, ': ', SQLERRM));
END
$$;
SELECT lives(s) FROM unnest(ARRAY[
    'SELECT hostile.defidata_setup()', $$SELECT hostile.defidata_attach('remote', 'mentions', 'public.remote')$$, $$SELECT hostile.defidata_attach('quotes', 'prices', 'public.quotes')$$,
    'SELECT hostile.defidata_refresh()', 'SELECT hostile.defidata_import()', 'SELECT hostile.defidata_compute()', 'SELECT hostile.defidata_publish()', 'SELECT hostile.defidata_recompute()',
    'SELECT hostile.defidata_reclean()', $$SELECT hostile.defidata_reconcile('99 years')$$, $$SELECT hostile.defidata_history('BTC', '7 days')$$, $$SELECT hostile.defidata_set('settle_after', '1 hour')$$,
    $$SELECT hostile.defidata_set('raw_retention', '1 hour')$$, 'SELECT hostile.defidata_expire()', $$SELECT hostile.defidata_add_board('mine', 'sma_24h', 'desc', 0, 5)$$,
    $$SELECT hostile.defidata_board_as_of('mine', pg_catalog.now())$$, $$SELECT hostile.defidata_drop_board('mine')$$, 'SELECT hostile.defidata_load_prices(''[]'')',
    $$SELECT hostile.defidata_checksum('defidata.metrics')$$, $$SELECT hostile.defidata_document('/trending')$$, $$SELECT hostile.defidata_document('/history/btc')$$,
    'TABLE defidata.status', 'TABLE defidata.rejects', $$SELECT hostile.defidata_clean('btc.x')$$, $$SELECT hostile.defidata_explain('zzzz')$$,
    $$SELECT hostile.defidata_unroll(hostile.defidata_rolling(hour, mentions, sentiment), '24 hours') FROM defidata.metrics$$, $$SELECT hostile.defidata_detach('quotes')$$]) s;

-- the procedures, which take the caller's search_path
SET search_path = hostile, pg_catalog, public;
SET client_min_messages = error;
CALL hostile.defidata_run();
CALL hostile.defidata_backfill('2025-06-01', '2025-06-10', '3 days');
RESET search_path;
SELECT results_eq($$SELECT r.trigger || ' ' || r.stage || ' ' || r.status FROM defidata.runs r WHERE r.trigger IN ('run', 'backfill') ORDER BY r.id$$,
                  $$VALUES ('run import ok'), ('run compute ok'), ('run publish ok'), ('backfill backfill ok')$$, 'run and backfill');
SELECT is((SELECT count(*)::integer FROM defidata.token_stats WHERE sma_14d = 20), 1, 'and the figures are right');
SELECT * FROM finish();
