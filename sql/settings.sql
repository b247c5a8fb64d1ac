-- Settings: the good and the bad values of each, and when they count.
BEGIN;
\set ON_ERROR_ROLLBACK on
SELECT name, value, description FROM defidata.setting ORDER BY name;

\a
SELECT name, value, error_of(format('SELECT defidata_set(%L, %L)', name, value)) FROM (VALUES
    ('match', 'exact'), ('match', 'prefix'), ('match', 'boundary'), ('match', 'Exact'), ('match', ''), ('match', NULL),
    ('fold_case', 'off'), ('fold_case', 'true'), ('fold_case', '1'), ('fold_case', 'on'), ('fold_case', 'maybe'), ('fold_case', ''), ('fold_case', NULL),
    ('use_builtin_list', 'off'), ('use_builtin_list', 'on'), ('use_builtin_list', '2'),
    ('symbol_pattern', '^[A-Z]{2,6}$'), ('symbol_pattern', ''), ('symbol_pattern', '^[A-Za-z]{1,4}$'), ('symbol_pattern', '['), ('symbol_pattern', '^(.*)\1$'),
    ('symbol_pattern', '(a{0,255}){0,255}'), ('symbol_pattern', '***='), ('symbol_pattern', '***:x(?=y)'), ('symbol_pattern', repeat('x', 200)), ('symbol_pattern', NULL),
    ('initial_span', '1 day'), ('initial_span', '90 days'), ('initial_span', '0'), ('initial_span', '-1 day'), ('initial_span', '101 years'), ('initial_span', 'a while'),
    ('initial_span', NULL), ('overlap', '0'), ('overlap', '48:00'), ('overlap', '-1 hour'), ('overlap', '2147483648 months'), ('overlap', '6'), ('overlap', ' 0.5 '),
    ('settle_after', '0'), ('settle_after', '90 minutes'), ('settle_after', '-1 s'), ('settle_after', ''),
    ('min_coverage', '0.5'), ('min_coverage', '1'), ('min_coverage', '1e-3'), ('min_coverage', '0'), ('min_coverage', '1.01'), ('min_coverage', '-0.5'), ('min_coverage', 'NaN'),
    ('min_coverage', 'Infinity'), ('min_coverage', '1e400'), ('min_coverage', 'half'), ('min_coverage', NULL),
    ('batch_size', '1'), ('batch_size', '10000000'), ('batch_size', '0'), ('batch_size', '-1'), ('batch_size', '10000001'), ('batch_size', '2147483648'), ('batch_size', '1e3'),
    ('price_max_age', '1 hour'), ('price_max_age', '0'), ('raw_retention', '0'), ('raw_retention', '30 days'), ('raw_retention', '90'), ('raw_retention', 'P1D'), ('raw_retention', '-30 days'),
    ('metrics_retention', '1 year'), ('metrics_retention', 'x'), ('history_retention', '100 years'), ('history_retention', '100 years 1 s'),
    ('stale_after', '1 minute'), ('stale_after', '0'),
    ('no_such_setting', '1'), ('', '1'), (NULL, '1'), (repeat('x', 200), '1'), ('match; DROP TABLE x', '1')) v (name, value);
SELECT error_of(format('SELECT defidata_set(''symbol_pattern'', %L)', repeat('x', n))) FROM unnest('{201,1000000}'::integer[]) n;
\a

-- the bad ones have changed nothing; a hint names what there is
SELECT name, left(value, 20) AS value, length(value) FROM defidata.setting ORDER BY name;
\a
SELECT error_of($$SELECT defidata_set('Match', 'exact')$$, true), error_of($$SELECT defidata_set('overlap', 'x')$$, true), error_of($$SELECT defidata_set('match', 'x')$$, true),
       error_of($$SELECT defidata_set('raw_retention', '90')$$, true);
\a
-- the table itself checks too
SELECT error_of($$UPDATE defidata.setting SET value = '-1' WHERE name = 'batch_size'$$);
SELECT error_of($$INSERT INTO defidata.setting VALUES ('new', '1', '')$$);

-- rules count at once in this session
SELECT defidata_set('symbol_pattern', '^[A-Za-z]{1,4}$'), defidata_set('match', 'boundary'), defidata_set('fold_case', 'on');
SELECT defidata_clean('zzz'), defidata_clean('ethx'), defidata_clean('btc.d');
SELECT defidata_set('symbol_pattern', '^Q');
SELECT defidata_clean('zzz'), defidata_clean('QED'), defidata_clean('qed');
SELECT defidata_set('match', 'prefix');
SELECT defidata_clean('ethx5'), defidata_clean('btc.d');
SELECT defidata_set('match', 'exact');
SELECT defidata_clean('ethx5'), defidata_clean('btc.d'), defidata_clean('btc');
SELECT defidata_set('fold_case', 'off');
SELECT defidata_clean('btc'), defidata_clean('BTC'), defidata_clean('Qed');
SELECT defidata_set('use_builtin_list', 'off');
SELECT defidata_clean('BTC');
INSERT INTO defidata.token VALUES ('BTC', 'mine');
SELECT defidata_clean('BTC');
-- a rule that is rolled back does not count
SAVEPOINT s;
SELECT defidata_set('symbol_pattern', '.');
SELECT defidata_clean('anything');
ROLLBACK TO s;
SELECT defidata_clean('anything');

-- once there are rows, a changed rule says what to do
CREATE TABLE source (id text, "timestamp" integer, symbol text, count integer);
INSERT INTO source VALUES ('a', 1748736000, 'BTC', 1);
SELECT defidata_attach('settings test', 'mentions', 'source');
SELECT inserted FROM defidata_import();
SELECT defidata_set('match', 'boundary');
SELECT defidata_set('match', 'boundary');
SELECT defidata_set('min_coverage', '0.9');
SELECT defidata_set('overlap', '2 hours');
ROLLBACK;
