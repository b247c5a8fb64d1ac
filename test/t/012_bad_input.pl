# Bad input at its largest and oddest, from a remote and as arguments: strings of
# 300 MB, hours of every kind, long numbers, long and empty lists, what may not be
# read.  Each is rejected for its reason or refused with an SQLSTATE and a message
# of a reasonable length, and its neighbours are untouched.  Small bad values are
# in sql/importing.sql, cleaning.sql, settings.sql, prices.sql, publishing.sql and errors.sql.

use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = Defidata->new;

# judged lists the rows of a database that a test has brought, with what became of them
sub judged
{
	my ($database) = @_;
	return $pair->sql($database, q(SELECT id, length(symbol), token, reason FROM defidata.raw_mentions WHERE id ~ '^bad' ORDER BY id COLLATE "C"));
}

subtest 'rows of a remote' => sub {
	local $pair->{remote_database} = $pair->another_remote('odd', 'SELECT');
	my ($hour, $half) = ($pair->epoch(2), $pair->epoch(2) - 1800);
	my $years = $pair->epoch(0) + 10 * 365 * 86400;
	$pair->remote_sql(<<"END");
INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count, sentiment) VALUES
	('bad 01', $hour, repeat('x', 300000000), 1, 0), ('bad 02', $hour, repeat(' ', 1000000) || 'BTC', 1, 0), ('bad 03', $hour, repeat('BTC ', 250000), 1, 0),
	('bad 04', $hour, U&'\\00A0BTC', 1, 0), ('bad 05', $hour, U&'\\0410DA', 1, 0), ('bad 06', $hour, U&'\\216B', 1, 0), ('bad 07', $hour, E'BTC\\n', 1, 0),
	('bad 08', $hour, E'\\'"\\\\; DROP TABLE x; --', 1, 0), ('bad 09', $hour, '', 1, 0), ('bad 10', $hour, NULL, 1, 0),
	('bad 11', NULL, 'BTC', 1, 0), ('bad 12', -2147483648, 'BTC', 1, 0), ('bad 13', 2147483647, 'BTC', 1, 0), ('bad 14', 0, 'BTC', 1, 0),
	('bad 15', $years, 'BTC', 1, 0), ('bad 16', $half, 'BTC', 1, 0),
	('bad 20', $hour, 'BTC', NULL, 0), ('bad 21', $hour, 'BTC', -1, 0), ('bad 22', $hour, 'BTC', 1.5, 0), ('bad 23', $hour, 'BTC', 'NaN', 0),
	('bad 24', $hour, 'BTC', 1e9, 0), ('bad 25', $hour, 'BTC', 1e9 + 1, 0), ('bad 26', $hour, 'BTC', 2 ^ 63, 0), ('bad 27', $hour, 'BTC', 1e308, 0),
	('bad 30', $hour, 'BTC', 1, 'NaN'), ('bad 31', $hour, 'BTC', 1, 'Infinity'), ('bad 32', $hour, 'BTC', 1, '-Infinity'),
	('bad 33', $hour, 'BTC', 1, 1e308), ('bad 34', $hour, 'BTC', 1, 1e308);
INSERT INTO cmc_price (id, symbol, slug, price, market_cap, "timestamp") VALUES
	('bad 40', 'BTC', 'bitcoin', 55, repeat('9', 1000000), $hour), ('bad 41', 'BTC', 'bitcoin', repeat('9', 1000)::numeric, 'n/a', $hour),
	('bad 42', 'BTC', 'bitcoin', 1e-320, repeat(' ', 1000000), $hour), ('bad 43', 'BTC', repeat('b', 1000000), 55, '1', $hour), ('bad 44', 'BTC', 'bitcoin', 'NaN', '1', $hour);
END
	my $database = $pair->database;
	$pair->refresh($database);
	is(judged($database), <<'END' =~ s/\n\z//r, 'symbols, hours, counts and sentiments');
bad 01|300000000||symbol
bad 02|1000003|BTC|
bad 03|1000000||symbol
bad 04|4||symbol
bad 05|3||symbol
bad 06|1||symbol
bad 07|4|BTC|
bad 08|21||symbol
bad 09|0||symbol
bad 10|||symbol
bad 11|3||hour
bad 12|3||hour
bad 13|3||hour
bad 14|3||hour
bad 15|3||hour
bad 16|3|BTC|
bad 20|3||mentions
bad 21|3||mentions
bad 22|3||mentions
bad 23|3||mentions
bad 24|3|BTC|
bad 25|3||mentions
bad 26|3||mentions
bad 27|3||mentions
bad 30|3|BTC|
bad 31|3|BTC|
bad 32|3|BTC|
bad 33|3|BTC|
bad 34|3|BTC|
END
	is($pair->sql($database, q(SELECT id, length(asset), price, market_cap, reason FROM defidata.prices WHERE id ~ '^bad' ORDER BY id)), <<'END' =~ s/\n\z//r, 'quotes');
bad 40|7|55||
bad 41|7|||price
bad 42|7|1e-320||
bad 43|1000000|55|1|
bad 44|7|NaN|1|price
END
	is($pair->sql($database, q(SELECT length(symbol), rows FROM defidata.rejects WHERE length(symbol) > 100 ORDER BY 1)), "1000000|1\n300000000|1", 'rejects shows them');
	# hours that are none have no place in the comparison by hours
	$pair->check_invariants($database, 'afterwards', refreshed => 1, extra => 3);
};

subtest 'hours of a remote as timestamptz' => sub {
	local $pair->{remote_database} =
	  $pair->another_remote('moments', 'ALTER TABLE tweetvolumeshours ALTER "timestamp" TYPE timestamptz USING to_timestamp("timestamp")');
	$pair->remote_sql(q(INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count) SELECT 'bad ' || n, at, 'BTC', 1 FROM (VALUES
	(1, 'infinity'::timestamptz), (2, '-infinity'), (3, '0001-01-01 00:00+00'), (4, '4713-01-01 00:00+00 BC'), (5, '294276-12-31 23:59+00'), (6, NULL)) v (n, at)));
	my $database = $pair->database;
	$pair->refresh($database);
	is(judged($database), join("\n", map { "bad $_|3||hour" } 1 .. 6), 'rejected');
	is($pair->sql($database, 'SELECT latest_hour = ' . $pair->hour(0) . ' FROM defidata.publication'), 't', 'the neighbours are published');
};

subtest 'arguments of 300 MB, and of 1 MB where more would take minutes' => sub {
	my $database = $pair->database;
	$pair->refresh($database);
	$pair->sql($database, <<'END');
CREATE TABLE long (x text, white text, m text);
ALTER TABLE long ALTER x SET STORAGE external, ALTER white SET STORAGE external;
INSERT INTO long VALUES (repeat('x', 300000000), repeat(' ', 300000000) || 'BTC', repeat('m', 1000000));
-- SQLSTATE, and the length of all that the user is told
CREATE FUNCTION told(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail  text;
	hint    text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || CASE WHEN length(message || detail || hint) > 2000 THEN ' at length' ELSE '' END;
END $$;
END
	is($pair->sql($database, 'SELECT (defidata_explain(x)).rule, defidata_clean(x), (defidata_explain(white)).rule, defidata_clean(white) FROM long'),
		'too long||list|BTC', 'cleaning');
	my %calls = (
		q{defidata_set('match', x)} => '22023', q{defidata_set(x, 'on')} => '22023', q{defidata_set('symbol_pattern', x)} => '22023',
		q{defidata_set('overlap', m)} => '22023', q{defidata_set('batch_size', m)} => '22023',
		q{defidata_add_board(x, 'sma_24h')} => '22023', q{defidata_add_board('b', x)} => '22023', q{defidata_add_board('b', 'sma_24h', x)} => '22023',
		q{defidata_drop_board(x)} => '42704', q{defidata_board_as_of(x, now())} => '42704',
		q{defidata_attach(x, 'mentions', 'long')} => '22023', q{defidata_attach('a', x, 'long')} => '22023',
		q{defidata_attach('a', 'mentions', 'long', jsonb_build_object('id', m))} => '42703', q{defidata_detach(x)} => '42704',
		q{defidata_attach_server('ct_scanner', m)} => '42P01', q{defidata_attach_server('ct_scanner', mentions => m)} => '42P01', q{defidata_grant(CURRENT_USER::regrole, m)} => '22023',
		q{defidata_load_prices(to_jsonb(x))} => '54000|22023', q{defidata_schedule(x)} => '55000',
		# as many parts, and as many hours in few parts, as would not fit into one allocation
		q{(SELECT count(t) FROM defidata.metrics_over(array_fill('{}'::defidata.series, ARRAY[10000001]), '{}', '-infinity', 'infinity', 0.75) t)} => '54000',
		q{(SELECT count(t) FROM defidata.metrics_over(ARRAY(SELECT defidata_rolling('2000-01-01 00:00Z'::timestamptz + i * interval '1 hour', 1, 0)
			FROM generate_series(1, 11000000) i GROUP BY i / 1000000), '{}', '-infinity', 'infinity', 0.75) t)} => '54000',
		q{x::defidata.series} => '22P02', q{defidata_history(m)} => 'no error', q{defidata_document(x)} => 'no error', q{defidata_report(m)} => 'no error');
	foreach my $call (sort keys %calls)
	{
		like($pair->sql($database, "SELECT told('SELECT @{[$call =~ s/'/''/gr]} FROM long')"), qr/^(?:$calls{$call})$/, $call);
	}
	$pair->check_invariants($database, 'afterwards');
};

subtest 'every function with every extreme of its arguments' => sub {
	my $database = $pair->database;
	$pair->refresh($database);
	$pair->sql($database, <<'END');
CREATE TABLE extreme (type regtype, value text);
INSERT INTO extreme VALUES
	('text', NULL), ('text', ''), ('text', 'BTC'), ('text', E'a''b"c\\; --'), ('name', NULL), ('name', ''), ('name', 'x'), ('boolean', NULL), ('boolean', 'true'),
	('timestamptz', NULL), ('timestamptz', '-infinity'), ('timestamptz', 'infinity'), ('timestamptz', '4713-01-01 BC'), ('timestamptz', '294276-12-31'), ('timestamptz', '2000-01-01 00:30Z'),
	('integer', NULL), ('integer', '0'), ('integer', '-1'), ('integer', '2147483647'), ('bigint', NULL), ('bigint', '0'), ('bigint', '-1'), ('bigint', '9223372036854775807'),
	('float8', NULL), ('float8', '0'), ('float8', '-1'), ('float8', 'NaN'), ('float8', 'Infinity'), ('float8', '1e308'),
	('interval', NULL), ('interval', '0'), ('interval', '-1 day'), ('interval', '2147483647 days'), ('interval', '-178000000 years'),
	('jsonb', NULL), ('jsonb', 'null'), ('jsonb', '[]'), ('jsonb', '{}'), ('jsonb', '[{"id": 1e400, "symbol": null, "current_price": "x"}]'),
	('regclass', NULL), ('regclass', '0'), ('regclass', 'pg_class'), ('regclass', '4294967295'), ('regclass', 'pg_class_oid_index'), ('regrole', NULL), ('regrole', '0'), ('regrole', 'pg_monitor'),
	('defidata.series', NULL), ('defidata.series', '{}'), ('defidata.series', '{0001-01-01T00Z:1 9999-12-31T23Z:1000000000000000}'),
	('timestamptz[]', NULL), ('timestamptz[]', '{}'), ('timestamptz[]', '{NULL}'), ('timestamptz[]', '{-infinity,infinity}'), ('timestamptz[]', '{0001-01-01 00:00Z,9999-12-31 23:00Z}'),
	('text[]', NULL), ('text[]', '{}'), ('text[]', '{NULL}'), ('text[]', '{price,BTC}'), ('interval[]', NULL), ('interval[]', '{}'), ('interval[]', '{NULL,-1 day}'), ('interval[]', '{1 hour}');
-- of many arguments only one at a time is none of these
ALTER TABLE extreme ADD usual boolean NOT NULL DEFAULT false;
UPDATE extreme SET usual = true WHERE value IN ('BTC', 'x', 'true', '2000-01-01 00:30Z', '0', '{}', 'pg_class', '{1 hour}') AND type NOT IN ('regrole'::regtype);
-- each argument in turn, each of its values; procedures cannot be called from a function
CREATE TABLE call AS
WITH RECURSIVE call (oid, n, odd, text) AS (
	SELECT p.oid, 0, 0, format('SELECT %s(', p.oid::regproc) FROM pg_proc p
	 WHERE p.proname ~ '^defidata_' AND p.pronamespace = 'public'::regnamespace AND p.prokind <> 'p'
	UNION ALL
	SELECT c.oid, n + 1, odd + (NOT e.usual)::integer, format('%s%s%L::%s', text, CASE WHEN n > 0 THEN ', ' END, e.value, e.type)
	  FROM call c JOIN pg_proc p ON p.oid = c.oid JOIN extreme e ON e.type = p.proargtypes[n]
	 WHERE n < p.pronargs AND (p.pronargs < 6 OR odd + (NOT e.usual)::integer < 2))
SELECT c.oid, text || ')' AS statement FROM call c JOIN pg_proc p ON p.oid = c.oid AND p.pronargs = n;
-- what a call does is rolled back, so that each meets the same
CREATE FUNCTION answer(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RAISE SQLSTATE 'OK000';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
END
	is($pair->sql($database, q(SELECT p.oid::regprocedure FROM pg_proc p WHERE p.proname ~ '^defidata_' AND p.pronamespace = 'public'::regnamespace AND p.prokind <> 'p' AND p.oid NOT IN (SELECT oid FROM call))),
		'', 'each function is called');
	cmp_ok($pair->sql($database, 'SELECT count(*) FROM call'), '>', 2000, 'in thousands of ways');
	is($pair->sql($database, q(SET client_min_messages = error; SELECT answer, statement FROM (SELECT statement, answer(statement) FROM call) c WHERE answer !~ '^(22...|42...|55000|OK000)$' LIMIT 20)),
		'', 'a result, or an error that names a bad argument, a missing object or a missing step');
	$pair->check_invariants($database, 'afterwards');
};

subtest 'lists of no and of many symbols' => sub {
	my $database = $pair->database;
	$pair->sql($database, q(SELECT defidata_set('use_builtin_list', 'off')));
	is($pair->sql($database, q(SELECT defidata_clean('btc'), defidata_clean('1inch'))), 'BTC|', 'none: the pattern alone');
	$pair->sql($database, q(INSERT INTO defidata.token (symbol, enabled) SELECT format('Listed%s.%s', i % 10, i), i % 10 <> 0 FROM generate_series(1, 100000) i));
	is($pair->sql($database, q(SELECT count(*) FILTER (WHERE defidata_clean('$' || lower(symbol) || '/USDT') = symbol), count(*) FILTER (WHERE (defidata_explain(upper(symbol))).rule = 'disabled'),
		count(defidata_clean(symbol || '0')) FROM defidata.token)), '90000|10000|0', '100,000, each of them is found');
	$pair->check_invariants($database, 'a cycle with them', clean => 0);
};

subtest 'what may not be read' => sub {
	my $database = $pair->database;
	$pair->remote_sql('CREATE TABLE hidden AS SELECT * FROM tweetvolumeshours');
	$pair->fails($database, "SELECT defidata_attach_server('ct_scanner', mentions => 'hidden')", '42501', qr/hidden is not readable.*HINT:.*GRANT SELECT/s, 'by the remote\'s role');
	$pair->sql($database, q(CREATE ROLE outsider; SELECT defidata_grant('outsider', 'operator'); CREATE TABLE secret (a integer)));
	$pair->fails($database, "SET ROLE outsider; SELECT defidata_checksum('secret')", '42501', qr/permission denied for table secret/, 'by an operator');
	$pair->fails($database, "SET ROLE outsider; SELECT defidata_attach('mine', 'mentions', 'secret')", '42501', qr/permission denied for function/, 'nor attached by one');
	$pair->check_invariants($database, 'afterwards');
};

$pair->finish_tests;
