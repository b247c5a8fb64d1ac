-- Security: who may call and read what, really tried; pinned search_paths; no
-- password anywhere.  The database is this file's own; roles go at the end.
SET client_min_messages = warning;
SELECT no_plan();
CREATE VIEW member AS
SELECT p.* FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'defidata';

-- what the catalogs say
SELECT cmp_ok(count(*), '>', 20::bigint, 'there are SECURITY DEFINER functions') FROM member WHERE prosecdef;
SELECT is_empty($$SELECT oid::regprocedure FROM member WHERE prosecdef AND NOT COALESCE(proconfig @> '{"search_path=pg_catalog, pg_temp"}', false)$$,
                'each has a pinned search_path, pg_temp last');
SELECT is_empty($$SELECT oid::regprocedure FROM member WHERE prokind = 'p' AND (prosecdef OR proconfig IS NOT NULL)$$, 'the procedures, which commit, run as their caller');
SELECT is_empty($$SELECT oid::regprocedure FROM member WHERE prokind = 'f' AND prosqlbody IS NULL AND proconfig IS NULL AND NOT prosecdef
                   AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql')$$, 'no plpgsql function takes the caller''s search_path');
SELECT set_eq($$SELECT proname::text FROM member WHERE has_function_privilege('public', oid, 'EXECUTE')$$,
              ARRAY['defidata_clean', 'defidata_explain', 'defidata_rolling', 'defidata_unroll', 'series_in', 'series_out', 'series_recv', 'series_send',
                    'series_cmp', 'series_eq', 'series_ne', 'series_lt', 'series_le', 'series_gt', 'series_ge', 'series_hash', 'series_hash_extended'],
              'PUBLIC may clean, explain, roll, unroll, and read, write and compare the type');
SELECT is_empty($$SELECT nspname FROM pg_namespace WHERE nspname IN ('defidata', 'defidata_remote') AND (has_schema_privilege('public', oid, 'USAGE') OR has_schema_privilege('public', oid, 'CREATE'))$$,
                'PUBLIC has no right on the schemas');
SELECT lives_ok('SELECT defidata_setup()');
SELECT is_empty($$SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'defidata'::regnamespace AND c.relkind IN ('r', 'v', 'S')
                   AND has_table_privilege('public', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')$$, 'nor on any table');

-- data, and one role of each level
CREATE TABLE remote AS SELECT 'r' || i AS id, 1748736000 + 3600 * i AS "timestamp", 'BTC' AS symbol, 20 AS count FROM generate_series(0, 47) i;
SELECT defidata_attach('remote', 'mentions', 'remote');
SELECT is((SELECT status FROM defidata_refresh()), 'ok', 'the owner refreshes');
CREATE VIEW events_of_anybody AS SELECT 'BTC' AS token, now() AS at;
GRANT SELECT ON events_of_anybody TO PUBLIC;
CREATE ROLE tap_stranger;
CREATE ROLE tap_reader;
CREATE ROLE tap_analyst;
CREATE ROLE tap_operator;
SELECT defidata_grant('tap_reader', 'reader'), defidata_grant('tap_analyst', 'analyst'), defidata_grant('tap_operator', 'operator');
SELECT defidata_add_board('later', 'sma_24h', 'desc', 0);

-- the SQLSTATE that a role gets
CREATE FUNCTION attempt(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE statement;
    RESET ROLE;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
CREATE TABLE matrix (statement text, stranger text DEFAULT '42501', reader text DEFAULT '42501', analyst text DEFAULT '42501', operator text DEFAULT '42501');
-- everyone
INSERT INTO matrix SELECT s, 'ok', 'ok', 'ok', 'ok' FROM unnest(ARRAY[
    $$SELECT defidata_clean('btc')$$, $$SELECT defidata_explain('btc')$$, 'SELECT defidata_rolling(now(), 1, 1)', $$SELECT defidata_unroll(defidata_rolling(now(), 1, 1), '24 hours')$$]) s;
-- reader
INSERT INTO matrix SELECT s, '42501', 'ok', 'ok', 'ok' FROM unnest(ARRAY[
    'TABLE defidata.trending', 'TABLE defidata.later', 'TABLE defidata.board', 'TABLE defidata.token_stats', 'TABLE defidata.daily_mentions', 'TABLE defidata.publication', 'TABLE defidata.document', 'TABLE defidata.alerts', 'TABLE defidata.alert_event',
    $$SELECT defidata_board_as_of('trending', now())$$, $$SELECT defidata_document('/trending')$$]) s;
-- analyst
INSERT INTO matrix SELECT s, '42501', '42501', 'ok', 'ok' FROM unnest(ARRAY[
    'TABLE defidata.runs', 'TABLE defidata.status', 'TABLE defidata.metrics', 'TABLE defidata.hours', 'TABLE defidata.prices', 'TABLE defidata.raw_mentions', 'TABLE defidata.rejects',
    'SELECT defidata_openmetrics()', $$SELECT defidata_history('BTC')$$, $$SELECT defidata_checksum('defidata.metrics')$$,
    $$SELECT defidata_try_alert(now(), now(), 'mentions', 1)$$,
    $$SELECT defidata_metrics_as_of(now(), now(), now())$$, $$SELECT defidata_metrics_as_published(now(), now())$$, 'TABLE defidata.fact_revision',
    $$SELECT defidata_event_study('events_of_anybody')$$]) s;
-- operator; a procedure that may be called fails at its COMMIT, inside a function
INSERT INTO matrix SELECT s, '42501', '42501', '42501', 'ok' FROM unnest(ARRAY[
    'SELECT defidata_refresh()', 'SELECT defidata_import()', 'SELECT defidata_compute()', 'SELECT defidata_publish()',
    'SELECT defidata_reconcile()', 'SELECT defidata_recompute()']) s;
INSERT INTO matrix VALUES ('CALL defidata_run()', '42501', '42501', '42501', '2D000'), ($$CALL defidata_backfill('2025-06-01', '2025-06-02')$$, '42501', '42501', '42501', '2D000');
-- the owner alone
INSERT INTO matrix (statement) SELECT unnest(ARRAY[
    $$SELECT defidata_set('symbol_pattern', '.')$$, $$UPDATE defidata.setting SET value = '.' WHERE name = 'symbol_pattern'$$, $$INSERT INTO defidata.token VALUES ('EVIL')$$,
    'DELETE FROM defidata.token', $$SELECT defidata_attach('evil', 'mentions', 'pg_authid')$$, $$SELECT defidata_detach('remote')$$, $$SELECT defidata_attach_server('nothing')$$,
    $$UPDATE defidata.source SET relation = 'pg_authid'$$, 'TABLE defidata.source', $$SELECT defidata_add_board('evil', 'sma_24h')$$, $$SELECT defidata_drop_board('trending')$$, $$SELECT defidata_set_board('trending')$$,
    $$INSERT INTO defidata.board VALUES ('evil', 'sma_24h', 'asc', 0, 10)$$, $$SELECT defidata_grant('tap_reader', 'operator')$$, $$SELECT defidata_revoke('tap_operator')$$, 'SELECT defidata_mark_hours(now(), now(), true)', 'TABLE defidata.lock', 'SELECT defidata_reclean()', 'SELECT defidata_expire()',
    $$SELECT defidata_add_alert('evil', 'mentions', 1)$$, $$SELECT defidata_drop_alert('evil')$$, $$DELETE FROM defidata.alert_event$$, 'TABLE defidata.alert',
    $$SELECT defidata_load_prices('[]')$$, 'SELECT defidata_schedule()', 'SELECT defidata_unschedule()', 'SELECT defidata_setup()', 'DELETE FROM defidata.raw_mentions',
    'TRUNCATE defidata._trending', 'DELETE FROM defidata.trending', 'UPDATE defidata.publication SET generation = 0', 'DELETE FROM defidata.runs', 'ALTER TABLE defidata.token_stats DISABLE TRIGGER ALL',
    'DROP TABLE defidata._trending', 'DROP VIEW defidata.trending', 'CREATE TABLE defidata.evil ()', 'CREATE TABLE defidata_remote.evil ()', $$COPY defidata.token FROM PROGRAM 'true'$$, 'DROP EXTENSION defidata CASCADE',
    'SELECT defidata.setup()', $$SELECT defidata.attach('evil', 'mentions', 'pg_authid', '{}')$$, $$SELECT defidata.source_sql('remote')$$, $$SELECT defidata.parse_number('1')$$,
    $$SELECT defidata.replace_token_stats('SELECT 1', now())$$, $$SELECT defidata.fill_board('trending', '{BTC}')$$, $$SELECT defidata.copy_range('remote', NULL, '', '', 'true', 'true', 0, 1)$$,
    $$SELECT defidata.survey('remote; --', now(), now(), true)$$, $$SELECT defidata_load_mentions('feed', '[]')$$, 'SELECT passwd FROM pg_shadow', 'SELECT umoptions FROM pg_user_mapping']);
SELECT is(ARRAY[attempt('tap_stranger', statement), attempt('tap_reader', statement), attempt('tap_analyst', statement), attempt('tap_operator', statement)],
          ARRAY[stranger, reader, analyst, operator], left(statement, 80)) FROM matrix;

-- an internal function that an operator may call gets no further than its stage:
-- text in a batch never becomes SQL
SELECT is(attempt('tap_operator', $$SELECT defidata.try_batch(0, 'run', ROW('remote''; DROP TABLE defidata.token; --', now(), now(), ARRAY[now()], now(), false)::defidata.batch)$$),
          'ok', 'a batch of no source is caught');
SELECT has_table('defidata', 'token', 'and nothing was dropped');

-- what was granted can be taken back, all of it
CREATE ROLE tap_former;
SELECT defidata_grant('tap_former', 'operator');
SELECT is(attempt('tap_former', 'SELECT defidata_recompute()'), 'ok', 'an operator');
SELECT defidata_revoke('tap_former');
SELECT is_empty($$SELECT oid::regprocedure FROM member WHERE has_function_privilege('tap_former', oid, 'EXECUTE') AND NOT has_function_privilege('public', oid, 'EXECUTE')$$,
                'is one no more');
SELECT is_empty($$SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'defidata'::regnamespace AND has_any_column_privilege('tap_former', c.oid, 'SELECT') AND relkind IN ('r', 'v')$$,
                'and reads nothing');
SELECT throws_ok($$SELECT defidata_revoke(NULL)$$, '22023', NULL, 'a role is needed');
DROP ROLE tap_former;
-- where public is closed the schema of the entry points is opened for a role
REVOKE USAGE ON SCHEMA public FROM PUBLIC;
CREATE ROLE tap_shut_out;
SELECT is(attempt('tap_shut_out', 'SELECT public.defidata_clean(''btc'')'), '42501', 'a closed schema');
SELECT defidata_grant('tap_shut_out', 'reader');
SELECT is(attempt('tap_shut_out', 'SELECT count(*) FROM public.defidata_board_as_of(''trending'', now())'), 'ok', 'is open to a reader');
GRANT USAGE ON SCHEMA public TO PUBLIC;
DROP OWNED BY tap_shut_out;
DROP ROLE tap_shut_out;

-- the operator really runs; what it runs as is the owner's
SET ROLE tap_operator;
CALL defidata_run();
CALL defidata_backfill('2025-06-01', '2025-06-02');
RESET ROLE;
SELECT results_eq($$SELECT trigger || ' ' || stage || ' ' || status FROM defidata.runs WHERE trigger IN ('run', 'backfill') ORDER BY id$$,
                  $$VALUES ('run import ok'), ('run compute ok'), ('run publish ok'), ('backfill backfill ok')$$, 'runs by the operator are on record');

-- the cached list answers everyone alike, whoever filled it, and shows no row
INSERT INTO defidata.token VALUES ('HIDDEN.ONE', 'x', true), ('BTC', 'x', false);
SELECT is(defidata_clean('hidden.one') || COALESCE(defidata_clean('btc'), '-'), 'HIDDEN.ONE-', 'the owner''s list counts for the owner');
SET ROLE tap_stranger;
SELECT defidata_clean('hidden.one') AS by_stranger, defidata_clean('btc') IS NULL AS rejected \gset
RESET ROLE;
DELETE FROM defidata.token;
SET ROLE tap_stranger;
SELECT defidata_clean('hidden.one') IS NULL AS forgotten, defidata_clean('btc') AS again \gset
RESET ROLE;
SELECT is(ARRAY[:'by_stranger', :'rejected', :'forgotten', :'again'], ARRAY['HIDDEN.ONE', 't', 't', 'BTC'], 'for a stranger too, and no longer than it stands');
SELECT is(attempt('tap_stranger', 'SELECT * FROM defidata.token'), '42501', 'who cannot read the table');
SELECT is(attempt('tap_stranger', 'SELECT * FROM defidata.builtin_token'), '42501', 'not even the built-in list');

-- no password in errors, runs or status
CREATE SERVER tap_server FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1', dbname 'none', connect_timeout '2');
CREATE USER MAPPING FOR CURRENT_USER SERVER tap_server OPTIONS (user 'nobody', password 'hunter2-secret');
CREATE FUNCTION error_text(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text;
    detail  text;
    hint    text;
    context text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
    RETURN concat_ws(' ', SQLSTATE, message, detail, hint, context);
END
$$;
SELECT matches(error_text($$SELECT defidata_attach_server('tap_server')$$), '^08001', 'a server that is down is 08001');
SELECT unalike(error_text($$SELECT defidata_attach_server('tap_server')$$), '%hunter2%', 'without its password');
CREATE FOREIGN TABLE unreachable (id text, "timestamp" integer, symbol text, count float8) SERVER tap_server;
INSERT INTO defidata.source (name, kind, relation, columns) VALUES ('unreachable', 'mentions', 'unreachable', '{}');
\set VERBOSITY sqlstate
\set ON_ERROR_STOP off
CALL defidata_run();
\set ON_ERROR_STOP on
\set VERBOSITY default
SELECT is((SELECT status || ' ' || sqlstate FROM defidata.runs ORDER BY id DESC LIMIT 1), 'failed 08001', 'the failed run is on record');
SELECT is_empty($$SELECT r FROM defidata.runs r WHERE r::text LIKE '%hunter2%'$$, 'without the password');
SELECT is_empty($$SELECT s FROM defidata.status s WHERE s::text LIKE '%hunter2%'$$, 'status neither');
SELECT unalike(error_text('SELECT count(*) FROM defidata_check()'), '%hunter2%', 'check neither');
SET ROLE tap_operator;
SELECT count(*) = 0 AS hidden FROM pg_user_mappings WHERE umoptions IS NOT NULL \gset
RESET ROLE;
SELECT is(:'hidden'::text, 't', 'an operator sees no password in the catalogs');

-- the script itself
SELECT CASE WHEN script IS NULL THEN skip('the script is not readable here', 4) ELSE collect_tap(
           unalike(script, '%CREATE OR REPLACE%', 'the script has no CREATE OR REPLACE'),
           doesnt_match(script, '(?n)(CREATE|ADD|DROP) .*IF (NOT )?EXISTS', 'nor makes or drops anything IF it does or does not exist'),
           doesnt_match(script, '''[^''\n]*@extschema@[^''\n]*''', '@extschema@ never stands in quotes'),
           matches(script, '(?n)^CREATE SCHEMA defidata;', 'a schema that is there already is an error')) END
  FROM (SELECT pg_read_file(s.setting || '/extension/defidata--1.1.sql', 0, 10000000, true) AS script FROM pg_config s WHERE s.name = 'SHAREDIR') x;

SELECT * FROM finish();
DROP OWNED BY tap_stranger, tap_reader, tap_analyst, tap_operator;
DROP ROLE tap_stranger, tap_reader, tap_analyst, tap_operator;
