-- Errors: every entry point with NULL, with ends before starts, with 0,
-- negative and huge numbers, and called by somebody who may not.  Boards,
-- settings, sources and maintenance have more in their own files.
BEGIN;
\set ON_ERROR_ROLLBACK on
SET LOCAL timezone = 'UTC';
\a
-- without a source
SELECT call, error_of(call, true) FROM unnest(ARRAY[
    'SELECT defidata_refresh()', 'SELECT defidata_import()', $$SELECT defidata_import('2025-01-01')$$, 'SELECT defidata_reconcile()',
    $$CALL defidata_backfill('2025-01-01', '2025-01-02')$$, 'SELECT count(*) FROM defidata_check()']) call;
-- what needs none does not ask for one
SELECT defidata_compute(), defidata_publish(), defidata_recompute(), defidata_reclean(), count(*) FROM defidata_expire();
SELECT count(*) FROM defidata_history('BTC');

CREATE TABLE source (id text, "timestamp" timestamptz, symbol text, count integer);
INSERT INTO source VALUES ('a', '2025-06-01 10:00Z', 'BTC', 5);
SELECT defidata_attach('errors test', 'mentions', 'source');
SELECT call, error_of(call, true) FROM unnest(ARRAY[
    'SELECT defidata_attach(NULL, NULL, NULL, NULL)', 'SELECT defidata_attach_server(NULL, NULL, NULL, NULL)', 'SELECT defidata_detach(NULL)',
    'SELECT defidata_set(NULL, NULL)', 'SELECT defidata_add_board(NULL, NULL, NULL, NULL, NULL)', 'SELECT defidata_drop_board(NULL)',
    'SELECT defidata_board_as_of(NULL, NULL)', 'SELECT defidata_load_prices(NULL)', 'SELECT defidata_history(NULL, NULL)', 'SELECT defidata_checksum(NULL)',
    'SELECT defidata_schedule(NULL)', 'SELECT defidata_grant(NULL, NULL)', $$SELECT defidata_grant(NULL, 'reader')$$, $$SELECT defidata_grant(0, 'reader')$$,
    $$SELECT defidata_grant(CURRENT_USER::regrole, NULL)$$, $$SELECT defidata_grant(CURRENT_USER::regrole, 'owner')$$, $$SELECT defidata_grant('nobody', 'reader')$$,
    'SELECT defidata_reconcile(NULL)', $$SELECT defidata_reconcile('-1 second')$$, $$SELECT defidata_reconcile('2147483647 days')$$,
    $$SELECT defidata_history('BTC', '2147483647 days')$$,
    'SELECT defidata_import(NULL)', $$SELECT defidata_import('-infinity')$$, $$SELECT defidata_import('infinity')$$, $$SELECT defidata_import('2099-01-01')$$,
    $$SELECT defidata_import('0044-03-15 BC')$$, 'SELECT defidata_compute(NULL)', $$SELECT defidata_compute('-infinity')$$, $$SELECT defidata_compute('infinity')$$,
    'SELECT defidata_clean(NULL)', 'SELECT defidata_explain(NULL)', 'SELECT defidata_unroll(NULL, NULL, NULL)',
    'CALL defidata_backfill(NULL, NULL, NULL)', $$CALL defidata_backfill('2025-01-02', '2025-01-01')$$, $$CALL defidata_backfill('2025-01-01', '2025-01-01')$$,
    $$CALL defidata_backfill('-infinity', '2025-01-01')$$, $$CALL defidata_backfill('2025-01-01', 'infinity')$$, $$CALL defidata_backfill('2005-12-31', '2025-01-01')$$,
    $$CALL defidata_backfill('2099-01-01', '2099-02-01')$$, $$CALL defidata_backfill('2025-01-01', '2025-01-02', '0')$$, $$CALL defidata_backfill('2025-01-01', '2025-01-02', '-1 day')$$,
    $$CALL defidata_backfill('2025-01-01', '2025-01-02', '59 minutes')$$, $$CALL defidata_backfill('2025-01-01', '2025-01-02', '2147483647 hours')$$,
    $$CALL defidata_backfill('2025-01-01', '2025-01-02', NULL)$$]) call;

-- the engine
SELECT call, error_of('SELECT ' || call) FROM unnest(ARRAY[
    'defidata_unroll(defidata_rolling(now(), 1, 1), NULL)', $$defidata_unroll(defidata_rolling(now(), 1, 1), '0')$$, $$defidata_unroll(defidata_rolling(now(), 1, 1), '-1 hour')$$,
    $$defidata_unroll(defidata_rolling(now(), 1, 1), '59 minutes')$$, $$defidata_unroll(defidata_rolling(now(), 1, 1), '2147483647 days')$$,
    $$defidata_unroll(defidata_rolling(now(), 1, 1), '24 hours', '{}')$$, $$defidata_unroll(defidata_rolling(now(), 1, 1), '24 hours', '{NULL}')$$,
    $$defidata_unroll(defidata_rolling(now(), 1, 1), '24 hours', '{infinity}')$$,
    $$defidata_rolling('infinity', 1, 1)$$, $$defidata_rolling(now(), -1, 1)$$, $$defidata_rolling(now(), 9223372036854775807, 1)$$, $$defidata_rolling(now(), 1, 'NaN')$$,
    $$defidata_rolling(now(), 1, 'Infinity')$$, $$defidata_rolling(now(), 1, 1e308)$$, $$defidata_rolling(now(), 1, 1, -1)$$, $$'{'::defidata.series$$, $$''::defidata.series$$,
    $$'{2025-06-01 10:00Z:-1}'::defidata.series$$]) call;
\a

-- who was granted nothing may call the cleaning and the engine, and nothing else
CREATE ROLE errors_stranger;
GRANT EXECUTE ON FUNCTION error_of(text, boolean) TO errors_stranger;
SET LOCAL ROLE errors_stranger;
SELECT count(*) > 30 AS many, array_agg(DISTINCT proname) FILTER (WHERE error !~ '^42501: permission denied for (function|procedure)') AS callable
  FROM (SELECT p.proname, error_of(format('%s %I(%s)', CASE p.prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT' END, p.proname,
                                          (SELECT string_agg('NULL::' || format_type(a, NULL), ', ') FROM unnest(p.proargtypes) a))) AS error
          FROM pg_proc p WHERE p.proname ~ '^defidata_' AND p.pronamespace = 'public'::regnamespace) c;
SELECT defidata_clean('btc'), defidata_explain('btc');
SELECT error_of('TABLE defidata.trending');
RESET ROLE;

-- a relation that the caller may not read
GRANT USAGE ON SCHEMA defidata TO errors_stranger;
GRANT EXECUTE ON FUNCTION defidata_checksum(regclass) TO errors_stranger;
SET LOCAL ROLE errors_stranger;
SELECT error_of($$SELECT defidata_checksum('defidata.raw_mentions')$$), error_of($$SELECT defidata_checksum('pg_authid')$$);
RESET ROLE;

-- the session is as good as before
SELECT status FROM defidata_refresh();
ROLLBACK;
