# The remote is an enemy: whatever it says of itself is read as a value and never becomes
# a part of a statement, on the first question or a later one.
use strict;
use warnings;

use Defidata;
use Test::More;

my $test = Defidata->new(newest => 300);
my $database = $test->database;

# pwned says whether something that only the owner may do has been done
sub pwned
{
	return $test->sql($database, q(SELECT count(*) FROM pg_roles WHERE rolname ~ 'pwned'))
	  . $test->sql($database, q(SELECT count(*) FROM pg_class WHERE relname ~ 'pwn'));
}

# What a remote's superuser can do without harm to himself: views in information_schema
# that answer otherwise on the first call, and functions and tables of catalogs' names in
# every schema that a search_path could begin with.
$test->remote_sql(<<'END');
ALTER VIEW information_schema.columns RENAME TO columns0;
CREATE SEQUENCE public.calls; GRANT ALL ON SEQUENCE public.calls TO public;
CREATE FUNCTION public.kind(t text, c text, d text) RETURNS text VOLATILE LANGUAGE sql AS $$
  SELECT CASE WHEN t = 'tweetvolumeshours' AND c = 'timestamp' AND nextval('public.calls') = 1 THEN
    'integer) SERVER ct_scanner OPTIONS (schema_name ''public'', table_name ''tweetvolumeshours''); CREATE ROLE pwned SUPERUSER LOGIN; CREATE FOREIGN TABLE defidata_remote.pwn (a int' ELSE d END $$;
CREATE VIEW information_schema.columns AS
SELECT table_schema::text, table_name::text, column_name::text, public.kind(table_name, column_name, data_type) AS data_type
  FROM information_schema.columns0;
CREATE SCHEMA scanner_reader;
GRANT USAGE ON SCHEMA scanner_reader TO public;
CREATE TABLE scanner_reader.pg_type AS SELECT oid, 'text) SERVER x; CREATE ROLE pwned2 SUPERUSER; --'::text AS typname, typtype, typbasetype FROM pg_catalog.pg_type;
CREATE TABLE public.pg_type AS TABLE scanner_reader.pg_type;
GRANT SELECT ON scanner_reader.pg_type, public.pg_type TO public;
ALTER ROLE scanner_reader SET search_path = scanner_reader, public, pg_catalog;
END
$test->sql($database, q(SET client_min_messages = warning; SELECT defidata_attach_server('ct_scanner')));
$test->refresh($database);
is(pwned(), '00', 'nothing that a view of the remote says is executed');
is($test->lost_hours($database), '', 'and the rows arrive');

# What a remote could do that is a program of its own, not PostgreSQL: its catalogs
# themselves lie.  Here foreign tables over others stand in their place.
$test->sql($database, <<'END');
CREATE SCHEMA lying;
DO $$
BEGIN
	EXECUTE replace(replace(pg_get_functiondef('defidata.remote_table'::regproc),
		'SELECT ((min', 'SELECT COALESCE(to_regclass(''lying.'' || remote_table.remote_table), ((min'),
		'::regclass AS min', '::regclass)');
	END
$$;
END
like($test->sql($database, q(SELECT pg_get_functiondef('defidata.remote_table'::regproc))), qr/lying/, 'lies are asked for');
my @lies = (
	[ 'pg_type', 'typname', q{'integer) SERVER ct_scanner; CREATE ROLE pwned3 SUPERUSER; --'::text}, qr/has type|has no column|lacks/ ],
	[ 'pg_type', 'typname', q{repeat('x', 100000)}, qr/has type|has no column/ ],
	[ 'pg_type', 'typtype', q{'e'::"char"}, undef ],
	[ 'pg_type', 'typbasetype', q{'4294967295'::oid}, undef ],
	[ 'pg_attribute', 'attname', q{(attname || '" text); CREATE ROLE pwned4 SUPERUSER; --')::text}, qr/has no column/ ],
	[ 'pg_attribute', 'atttypid', q{(random() * 100)::int::oid}, qr/has no column|has type/ ],
	[ 'pg_attribute', 'attnum', q{'not a number'::text}, qr/operator does not exist: text > integer/ ],
	[ 'pg_class', 'relname', q{$$tweetvolumeshours'; DROP TABLE defidata.token; --$$::text}, qr/catalogs show no table/ ],
	[ 'pg_class', 'oid', q{NULL::oid}, qr/catalogs show no table/ ],
	[ 'pg_namespace', 'nspname', q{$$public"; --$$::text}, qr/catalogs show no table/ ]);
foreach my $lie (@lies)
{
	my ($catalog, $column, $says, $error) = @$lie;
	my %columns = (
		pg_namespace => 'oid oid, nspname text', pg_class => 'oid oid, relname text, relnamespace oid',
		pg_attribute => 'attrelid oid, attname text, atttypid oid, attnum smallint, attisdropped boolean',
		pg_type => 'oid oid, typname text, typtype "char", typbasetype oid');
	my $others = join ', ', grep { $_ ne $column } map { /^(\w+)/ } split /, /, $columns{$catalog};
	$test->remote_sql(<<"END");
CREATE SCHEMA lies;
CREATE VIEW lies.$catalog AS SELECT $others, $says AS $column FROM pg_catalog.$catalog;
GRANT USAGE ON SCHEMA lies TO public;
GRANT SELECT ON lies.$catalog TO public;
END
	$test->sql($database, "CREATE FOREIGN TABLE lying.$catalog ($columns{$catalog}) SERVER ct_scanner OPTIONS (schema_name 'lies')");
	my (undef, $err) = $test->try($database, q(SET client_min_messages = warning; SELECT status FROM defidata_refresh()));
	my $name = "$catalog.$column lies: " . substr $says, 0, 50;
	unlike($err, qr/ XX\d{3}:/, "$name: no internal error");
	like($err, $error, "$name: an error names what is wrong") if $error;
	# whoever attaches anew takes the remote at its word, as far as that goes
	$test->try($database, q(SET client_min_messages = warning; SELECT defidata_attach_server('ct_scanner')));
	is(pwned(), '00', "$name: nothing is executed");
	is($test->sql($database, q(SELECT count(*) FROM pg_class WHERE oid = 'defidata.token'::regclass)), '1', "$name: nothing is dropped");
	$test->sql($database, "DROP FOREIGN TABLE lying.$catalog");
	$test->remote_sql('DROP SCHEMA lies CASCADE');
	$test->sql($database, q(SET client_min_messages = warning; SELECT defidata_attach_server('ct_scanner')));
	is($test->sql($database, 'SET client_min_messages = warning; SELECT status FROM defidata_refresh()'), 'ok', "$name: the truth mends it");
}
is($test->lost_hours($database), '', 'nothing is lost by all that');

# What stands at the remote is named as the remote may name it, and no two are one.
my $odd = 'odd " schema';
$test->remote_sql(<<"END");
CREATE SCHEMA "odd "" schema";
CREATE TABLE "odd "" schema"."a table's; name" (id text, "timestamp" integer, symbol text, count float8);
INSERT INTO "odd "" schema"."a table's; name" VALUES ('x', @{[$test->epoch(310)]}, 'BTC', 77);
CREATE TABLE "odd "" schema".tweetvolumeshours (id text, "timestamp" integer, symbol text, count float8);
CREATE TABLE t_@{['x' x 58]} (id text, "timestamp" integer, symbol text, count float8);
CREATE TABLE t_@{['x' x 58]}y (id text, "timestamp" integer, symbol text, count float8);
CREATE TYPE mood AS ENUM ('BTC', 'ETH');
CREATE DOMAIN hour_of_day AS integer;
CREATE DOMAIN hour_of_days AS hour_of_day;
CREATE MATERIALIZED VIEW mv AS SELECT id::varchar(90) AS id, "timestamp"::hour_of_days AS "timestamp", 'BTC'::mood AS symbol, count::numeric AS count
  FROM tweetvolumeshours WHERE symbol = 'BTC';
GRANT USAGE ON SCHEMA "odd "" schema" TO $Defidata::role;
GRANT SELECT ON ALL TABLES IN SCHEMA "odd "" schema" TO $Defidata::role;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO $Defidata::role;
END
my $other = $test->database;
$test->sql($other, <<"END");
SET client_min_messages = warning;
SELECT defidata_attach_server('ct_scanner', '$odd', 'a table''s; name', NULL);
SELECT defidata_attach_server('ct_scanner', '$odd', 'tweetvolumeshours', NULL);
SELECT defidata_attach_server('ct_scanner', mentions => 't_@{['x' x 58]}', prices => NULL);
SELECT defidata_attach_server('ct_scanner', mentions => 't_@{['x' x 58]}y', prices => NULL);
SELECT defidata_attach_server('ct_scanner', mentions => 'mv', prices => NULL);
END
is($test->sql($other, q(SELECT count(*), count(DISTINCT relation) FROM defidata.source WHERE kind = 'mentions')), '6|6', 'six tables are six sources');
is($test->sql($other, q(SELECT status FROM defidata_refresh())), 'ok', 'which are read');
is($test->sql($other, q(SELECT count(*) FROM defidata.raw_mentions WHERE mentions = 77 AND source LIKE '%name')), '1', 'one of an odd name');
is($test->sql($other, q(SELECT count(*) > 0, min(token), max(token) FROM defidata.raw_mentions WHERE source LIKE '%\_mv')), 't|BTC|BTC', 'a materialized view of domains and enums');
$test->fails($other, q(SELECT defidata_attach('again', 'mentions', 'defidata_remote.ct_scanner_tweetvolumeshours')), '42710', qr/reads relation .* already/, 'the same table twice');
$test->fails($other, q(SELECT defidata_attach('ct_scanner_mv', 'mentions', 'defidata_remote.ct_scanner_tweetvolumeshours')), '42710', qr/reads another relation/, 'a name that is another\'s');
$test->sql($other, q(CREATE FOREIGN TABLE mine (id text, "timestamp" integer, symbol text, count float8) SERVER ct_scanner OPTIONS (table_name 'tweetvolumeshours', schema_name 'public')));
$test->fails($other, q(SELECT defidata_attach('mine', 'mentions', 'mine')), '42710', qr/reads relation \S*mine already/, 'or by another way');
$test->finish_tests;
