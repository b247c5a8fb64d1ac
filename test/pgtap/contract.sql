-- The public contract: tables with their columns, types and keys, entry points
-- with their arguments, what is whose, comments, defaults.
BEGIN;
SELECT no_plan();
SET LOCAL client_min_messages = warning;

-- before setup the extension has one table, and no member is a user's table afterwards
SELECT set_eq($$SELECT relname::text FROM pg_class WHERE relnamespace = 'defidata'::regnamespace AND relkind = 'r'$$,
              ARRAY['builtin_token'], 'only the built-in list is a table before setup');
SELECT lives_ok('SELECT defidata_setup()', 'setup runs');
SELECT lives_ok('SELECT defidata_setup()', 'and runs again');

CREATE VIEW member AS
SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
 WHERE e.extname = 'defidata' AND d.deptype = 'e';
SELECT set_eq($$SELECT c.relname::text FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid$$,
              ARRAY['builtin_token', 'rejects', 'status'], 'the members among the relations');
SELECT is_empty($$SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'defidata'::regnamespace AND c.relkind = 'S'
                   AND EXISTS (SELECT FROM member m WHERE m.objid = c.oid)$$, 'no sequence is a member');
SELECT is((SELECT string_agg(e.extname, ',') FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
            WHERE d.classid = 'pg_extension'::regclass AND d.objid = (SELECT oid FROM pg_extension WHERE extname = 'defidata')),
          'postgres_fdw', 'postgres_fdw is required, nothing else is');
SELECT is((SELECT array[relocatable::text, trusted::text, superuser::text, COALESCE(schema, '-')] FROM pg_available_extension_versions WHERE name = 'defidata' AND version = '1.1'),
          ARRAY['false', 'false', 'true', '-'], 'control: not relocatable, not trusted, no schema of its own');
SELECT has_schema('defidata_remote');

-- tables: columns of the contract (others may stand beside them) and keys
CREATE TABLE contract (relation text, key text, columns text);
INSERT INTO contract VALUES
    ('source', 'name', 'name text, kind text, relation regclass, columns jsonb'),
    ('token', 'symbol', 'symbol text, name text, enabled boolean'),
    ('setting', 'name', 'name text, value text'),
    ('board', 'name', 'name text, metric text, direction text, min_mentions double precision, size integer'),
    ('raw_mentions', 'source, hour, id', 'source text, id text, hour timestamp with time zone, symbol text, mentions double precision, sentiment double precision, token text, reason text, fetched_at timestamp with time zone'),
    ('superseded', 'source, hour, id, superseded_at', 'source text, id text, hour timestamp with time zone, symbol text, mentions double precision, sentiment double precision, token text, reason text, fetched_at timestamp with time zone, superseded_at timestamp with time zone'),
    ('prices', 'source, at, id', 'source text, id text, token text, asset text, at timestamp with time zone, price double precision, change_24h double precision, volume_24h double precision, market_cap double precision, fetched_at timestamp with time zone, currency text'),
    ('hours', 'hour', 'hour timestamp with time zone, rows bigint, mentions bigint, tokens bigint, settled boolean, first_summed_at timestamp with time zone, first_published_at timestamp with time zone'),
    ('metrics', NULL, 'token text, hour timestamp with time zone, mentions bigint, sentiment double precision, sma_24h double precision, sma_7d double precision, sma_14d double precision, sma_24h_prev double precision, sma_7d_prev double precision, change_24h double precision, change_7d double precision, trend_24h double precision, surge_14d double precision, deviation_14d double precision, rsd_24h double precision, rsd_7d double precision, rsd_14d double precision, zscore_14d double precision, sentiment_24h double precision, sentiment_7d double precision, coverage_14d double precision'),
    ('daily_mentions', 'day', 'day date, mentions bigint, tokens bigint, observed_hours integer'),
    ('alert', 'name', 'name text, metric text, direction text, enter double precision, leave double precision, rearm interval, min_mentions double precision, tokens text[]'),
    ('alert_event', 'id', 'id bigint, alert text, token text, hour timestamp with time zone, value double precision, event text, at timestamp with time zone'),
    ('board_history', 'generation, board, rank', 'generation bigint, board text, rank integer, token text, value double precision'),
    ('publication_history', 'generation', 'generation bigint, latest_hour timestamp with time zone, published_at timestamp with time zone'),
    ('publication', NULL, 'generation bigint, latest_hour timestamp with time zone, published_at timestamp with time zone'),
    ('runs', 'id', 'id bigint, trigger text, stage text, status text, started_at timestamp with time zone, finished_at timestamp with time zone, counts jsonb, latest_hour timestamp with time zone, sqlstate text, error text'),
    ('rejects', NULL, 'symbol text, reason text, rows bigint, mentions double precision, first_seen timestamp with time zone, last_seen timestamp with time zone'),
    ('status', NULL, 'name text, state text, value text, hint text'),
    ('builtin_token', 'symbol', 'symbol text, name text');
INSERT INTO contract
SELECT 'token_stats', 'token', replace(columns, 'token text, hour', 'token text, name text, hour') || ', dominance_24h double precision, price double precision, price_change_1h double precision, price_change_24h double precision, price_change_7d double precision, price_volatility_7d double precision, market_cap double precision, price_at timestamp with time zone'
  FROM contract WHERE relation = 'metrics';
INSERT INTO contract
SELECT b, 'rank', 'rank integer, token text, value double precision, hour timestamp with time zone, mentions bigint, sentiment double precision, sma_24h double precision, sma_7d double precision, change_24h double precision, change_7d double precision, trend_24h double precision, surge_14d double precision, rsd_24h double precision, rsd_7d double precision, sentiment_24h double precision, coverage_14d double precision, mentions_24h double precision, price double precision, price_change_24h double precision, name text'
  FROM unnest('{trending,decreasing,volatile,surging,most_mentioned,most_positive,most_negative}'::text[]) b;
SELECT is(found.columns, c.columns, 'columns of ' || c.relation)
  FROM contract c,
       LATERAL (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) AS columns
                  FROM pg_attribute a WHERE a.attrelid = to_regclass('defidata.' || c.relation) AND a.attnum > 0 AND NOT a.attisdropped
                   AND ', ' || c.columns || ',' LIKE '%, ' || a.attname || ' %') found
 ORDER BY c.relation;
-- a board is a view over the table of the same name behind an underscore
SELECT is((SELECT pg_get_constraintdef(oid) FROM pg_constraint
            WHERE conrelid = COALESCE(to_regclass('defidata._' || relation), to_regclass('defidata.' || relation)) AND contype = 'p'),
          'PRIMARY KEY (' || key || ')', 'key of ' || relation)
  FROM contract WHERE key IS NOT NULL ORDER BY relation;
SELECT is_empty($$SELECT a.attrelid::regclass, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                   WHERE c.relnamespace = 'defidata'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND a.attname IN ('token', 'symbol')
                     AND a.attcollation <> '"C"'::regcollation$$, 'tokens and symbols are of collation C');
SELECT is_empty($$SELECT a.attrelid::regclass, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                   WHERE c.relnamespace = 'defidata'::regnamespace AND c.relkind <> 'i' AND a.atttypid = 'timestamp'::regtype$$, 'no time is without a zone');

-- entry points: arguments, result, volatility (i, s, v), parallel safety (s, u), kind (function, procedure, aggregate)
CREATE TABLE entry_point (name text, arguments text, result text, labels text);
INSERT INTO entry_point VALUES
    ('defidata_setup', '', 'void', 'v u f'),
    ('defidata_attach_server', 'server name, remote_schema text DEFAULT ''public''::text, mentions text DEFAULT ''tweetvolumeshours''::text, prices text DEFAULT ''cmc_price''::text', 'void', 'v u f'),
    ('defidata_attach', 'name text, kind text, relation regclass, columns jsonb DEFAULT ''{}''::jsonb', 'void', 'v u f'),
    ('defidata_detach', 'name text, drop_rows boolean DEFAULT false', 'void', 'v u f'),
    ('defidata_load_mentions', 'source text, document jsonb, OUT stored bigint, OUT rejected bigint', 'record', 'v u f'),
    ('defidata_refresh', 'OUT status text, OUT latest_hour timestamp with time zone, OUT fetched bigint, OUT inserted bigint, OUT updated bigint, OUT rejected bigint, OUT computed bigint, OUT published bigint, OUT elapsed interval', 'record', 'v u f'),
    ('defidata_run', '', NULL, 'v u p'),
    ('defidata_import', 'since timestamp with time zone DEFAULT NULL::timestamp with time zone, OUT fetched bigint, OUT inserted bigint, OUT updated bigint, OUT rejected bigint', 'record', 'v u f'),
    ('defidata_compute', 'since timestamp with time zone DEFAULT NULL::timestamp with time zone', 'bigint', 'v u f'),
    ('defidata_publish', '', 'bigint', 'v u f'),
    ('defidata_backfill', 'IN from_hour timestamp with time zone, IN to_hour timestamp with time zone, IN step interval DEFAULT ''7 days''::interval', NULL, 'v u p'),
    ('defidata_reconcile', 'since interval DEFAULT ''14 days''::interval, apply_deletes boolean DEFAULT false', 'TABLE(source text, hour timestamp with time zone, remote_rows bigint, local_rows bigint, action text)', 'v u f'),
    ('defidata_recompute', '', 'bigint', 'v u f'),
    ('defidata_reclean', '', 'bigint', 'v u f'),
    ('defidata_clean', 'raw text', 'text', 's s f'),
    ('defidata_explain', 'raw text, OUT token text, OUT rule text', 'record', 's s f'),
    ('defidata_add_alert', 'name text, metric text, enter double precision, leave double precision DEFAULT NULL::double precision, direction text DEFAULT ''above''::text, rearm interval DEFAULT ''24:00:00''::interval, min_mentions double precision DEFAULT 240, tokens text[] DEFAULT NULL::text[]', 'void', 'v u f'),
    ('defidata_drop_alert', 'name text', 'void', 'v u f'),
    ('defidata_try_alert', 'from_hour timestamp with time zone, until_hour timestamp with time zone, metric text, enter double precision, leave double precision DEFAULT NULL::double precision, direction text DEFAULT ''above''::text, rearm interval DEFAULT ''24:00:00''::interval, min_mentions double precision DEFAULT 240, tokens text[] DEFAULT NULL::text[]', 'TABLE(token text, hour timestamp with time zone, value double precision, ended_at timestamp with time zone)', 'v u f'),
    ('defidata_metrics_as_of', 'at timestamp with time zone, from_hour timestamp with time zone, until_hour timestamp with time zone, for_token text DEFAULT NULL::text', 'SETOF defidata.token_metrics', 'v u f'),
    ('defidata_metrics_as_published', 'from_hour timestamp with time zone, until_hour timestamp with time zone, for_token text DEFAULT NULL::text', 'SETOF defidata.token_metrics', 'v u f'),
    ('defidata_event_study', 'events regclass, outcomes text[] DEFAULT ''{price}''::text[], horizons interval[] DEFAULT ''{01:00:00,24:00:00,"7 days"}''::interval[], placebo integer DEFAULT 1000, seed bigint DEFAULT 1', 'SETOF defidata.study_row', 's r f'),
    ('defidata_load_prices', 'document jsonb, currency text DEFAULT NULL::text, asset text DEFAULT NULL::text, OUT stored bigint, OUT rejected bigint', 'record', 'v u f'),
    ('defidata_openmetrics', '', 'text', 'v u f'),
    ('defidata_history', 'token text, span interval DEFAULT ''7 days''::interval', 'TABLE(hour timestamp with time zone, mentions bigint, sentiment double precision, price double precision)', 'v u f'),
    ('defidata_add_board', 'name text, metric text, direction text DEFAULT ''desc''::text, min_mentions double precision DEFAULT 240, size integer DEFAULT 10', 'void', 'v u f'),
    ('defidata_set_board', 'name text, metric text DEFAULT NULL::text, direction text DEFAULT NULL::text, min_mentions double precision DEFAULT NULL::double precision, size integer DEFAULT NULL::integer', 'void', 'v u f'),
    ('defidata_drop_board', 'name text', 'void', 'v u f'),
    ('defidata_board_as_of', 'board text, at timestamp with time zone', 'TABLE(rank integer, token text, value double precision, generation bigint, latest_hour timestamp with time zone)', 's u f'),
    ('defidata_set', 'name text, value text', 'void', 'v u f'),
    ('defidata_schedule', 'schedule text DEFAULT ''5 * * * *''::text', 'bigint', 'v u f'),
    ('defidata_unschedule', '', 'integer', 'v u f'),
    ('defidata_expire', 'OUT relation text, OUT deleted bigint', 'SETOF record', 'v u f'),
    ('defidata_check', '', 'TABLE(name text, state text, value text, hint text)', 'v u f'),
    ('defidata_checksum', 'relation regclass', 'text', 's u f'),
    ('defidata_grant', 'role regrole, level text', 'void', 'v u f'),
    ('defidata_distribute', '', 'TABLE(relation text, key text, shards bigint)', 'v u f'),
    ('defidata_undistribute', '', 'integer', 'v u f'),
    ('defidata_rolling', 'hour timestamp with time zone, mentions bigint, sentiment double precision', 'defidata.series', 'i s a'),
    ('defidata_rolling', 'hour timestamp with time zone, mentions bigint, sentiment double precision, sentiment_weight bigint', 'defidata.series', 'i s a'),
    ('defidata_unroll', 'series defidata.series, window_width interval DEFAULT ''24:00:00''::interval, observed timestamp with time zone[] DEFAULT NULL::timestamp with time zone[]',
     'TABLE(hour timestamp with time zone, mentions bigint, sentiment double precision, sma double precision, sma_prev double precision, change double precision, stddev double precision, rsd double precision, zscore double precision, ema double precision, sentiment_avg double precision)', 'i s f');
SET LOCAL intervalstyle = postgres;
SELECT is((SELECT pg_get_function_arguments(p.oid) || ' → ' || COALESCE(pg_get_function_result(p.oid), '') || ' ' || concat_ws(' ', p.provolatile, p.proparallel, p.prokind)
             FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
            WHERE p.proname = e.name AND p.pronamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'defidata')
              AND (e.name <> 'defidata_rolling' OR pg_get_function_arguments(p.oid) = e.arguments)),
          e.arguments || ' → ' || COALESCE(e.result, '') || ' ' || e.labels, e.name)
  FROM entry_point e ORDER BY e.name, e.arguments;
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
                   WHERE p.pronamespace <> ALL (ARRAY['defidata', 'public']::regnamespace[]) OR (p.pronamespace = 'public'::regnamespace) <> (p.proname ~ '^defidata_')$$,
                'what is named defidata_* stands in the schema of CREATE EXTENSION, everything else in defidata');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
                   WHERE p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql')
                     AND regexp_replace(p.prosrc, $r$'([^']|'')*'|--[^\n]*$r$, '', 'g') ~ '\mdefidata_[a-z_]+ *\('
                     AND regexp_replace(p.prosrc, $r$'([^']|'')*'|--[^\n]*$r$, '', 'g') !~ ('\m' || p.proname || '\.')$$,
                'no function calls an entry point, whose schema it cannot know');
-- no function is labelled more stable than what it calls: by the parsed bodies, in which also a cast by text is a
-- call, and for plpgsql, whose text says less, by the names of our own functions
CREATE TEMP VIEW body AS
SELECT p.oid, p.provolatile, p.prosqlbody::text AS parsed,
       regexp_replace(p.prosrc, $r$'([^']|'')*'|--[^\n]*$r$, '', 'g') AS text, l.lanname
  FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid JOIN pg_language l ON l.oid = p.prolang
 WHERE p.prokind = 'f';
CREATE TEMP VIEW call AS
SELECT b.oid AS caller, f[1]::oid AS callee FROM body b, regexp_matches(b.parsed, ':(?:funcid|opfuncid) (\d+)', 'g') f
UNION SELECT b.oid, t.typinput FROM body b, regexp_matches(b.parsed, ':resulttype (\d+) :resultcollid \d+ :coerceformat', 'g') f JOIN pg_type t ON t.oid = f[1]::oid
UNION SELECT b.oid, t.typoutput FROM body b, regexp_matches(b.parsed, '\{COERCEVIAIO :arg \{(?:VAR|PARAM|CONST|FUNCEXPR|OPEXPR) (?:(?!type)[^{}])*?:(?:var|param|const|funcresult|opresult)type (\d+)', 'g') f JOIN pg_type t ON t.oid = f[1]::oid
UNION SELECT b.oid, p.oid FROM body b JOIN body p ON b.text ~ ('\mdefidata\.' || (SELECT proname FROM pg_proc WHERE oid = p.oid) || ' *\(') WHERE b.lanname = 'plpgsql';
SELECT cmp_ok((SELECT count(*) FROM call), '>', 300::bigint, 'calls are found');
SELECT is_empty($$SELECT c.caller::regprocedure, b.provolatile, p.oid::regprocedure, p.provolatile
                    FROM call c JOIN body b ON b.oid = c.caller JOIN pg_proc p ON p.oid = c.callee
                   WHERE b.provolatile < p.provolatile$$, 'no function is labelled more stable than what it calls');
SELECT is_empty($$SELECT oid::regprocedure FROM body WHERE provolatile = 'i' AND parsed IS NULL AND lanname NOT IN ('c', 'sql')$$,
                'no function is immutable whose calls cannot be seen');
-- the aggregate in full; a token's metrics at an hour, a study, and an asset's figures are never put together from parts of their group
SELECT is_empty($$SELECT a.aggfnoid FROM pg_aggregate a JOIN member m ON m.objid = a.aggfnoid
                   WHERE (a.aggcombinefn = 0 OR a.aggserialfn = 0 OR a.aggdeserialfn = 0 OR a.aggfinalfn = 0)
                     AND a.aggfnoid::regproc <> ALL ('{defidata.metrics_at,defidata.study,defidata.price_figures}'::regproc[])$$, 'aggregates combine, serialize and deserialize');
SELECT ok(typsend <> 0 AND typreceive <> 0, 'series has binary output and input') FROM pg_type WHERE oid = 'defidata.series'::regtype;

-- comments on everything that is public, and on the internals
SELECT is_empty($$SELECT objid, classid::regclass FROM member WHERE classid IN ('pg_proc'::regclass, 'pg_class'::regclass)
                   AND obj_description(objid, classid::regclass::name) IS NULL$$, 'every function and view has a comment');
SELECT is_empty($$SELECT t.typname FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
                   WHERE t.typtype IN ('b', 'c') AND t.typelem = 0 AND t.typrelid = 0 AND obj_description(t.oid, 'pg_type') IS NULL$$, 'every type has one');
SELECT is_empty($$SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                   WHERE c.relnamespace = 'defidata'::regnamespace AND c.relkind IN ('r', 'v', 'c')
                     AND (col_description(c.oid, a.attnum) IS NULL OR COALESCE(obj_description(c.oid, 'pg_class'), obj_description(c.reltype, 'pg_type')) IS NULL)$$,
                'every table, view, composite type and column has one');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
                   WHERE array_length(p.proargnames, 1) IS DISTINCT FROM NULLIF(cardinality(COALESCE(p.proallargtypes, p.proargtypes)), 0)
                      OR '' = ANY (p.proargnames)$$, 'every argument has a name');

-- settings and boards as they come
SELECT results_eq('SELECT name COLLATE "default", value FROM defidata.setting ORDER BY name', $$VALUES
    ('batch_size', '50000'), ('currency', 'USD'), ('fold_case', 'on'), ('history_retention', '0'), ('initial_span', '28 days'), ('match', 'boundary'), ('metrics_retention', '0'),
    ('min_coverage', '0.75'), ('overlap', '6 hours'), ('price_max_age', '24 hours'), ('raw_retention', '0'), ('settle_after', '0'), ('stale_after', '3 hours'),
    ('symbol_pattern', '^[A-Za-z]{1,4}$'), ('use_builtin_list', 'on')$$, 'settings');
SELECT results_eq('SELECT name COLLATE "default", metric, direction, min_mentions::integer, size FROM defidata.board ORDER BY name', $$VALUES
    ('decreasing', 'trend_24h', 'asc', 240, 10), ('most_mentioned', 'sma_24h', 'desc', 240, 10), ('most_negative', 'sentiment_24h', 'asc', 240, 10),
    ('most_positive', 'sentiment_24h', 'desc', 240, 10), ('surging', 'surge_14d', 'desc', 240, 10), ('trending', 'trend_24h', 'desc', 240, 10),
    ('volatile', 'rsd_7d', 'desc', 240, 10)$$, 'boards');
SELECT cmp_ok((SELECT count(*) FROM defidata.builtin_token), '>=', 1000::bigint, 'the built-in list has 1,000 tokens or more');
SELECT set_eq('TABLE defidata.publication', $$VALUES (0::bigint, NULL::timestamptz, NULL::timestamptz)$$, 'one publication, of nothing yet');
SELECT throws_ok('DROP EXTENSION defidata', '2BP01', NULL, 'DROP EXTENSION refuses while tables stand');
SELECT * FROM finish();
ROLLBACK;
