# Dump and restore, upgrade from an older version, and DROP EXTENSION: the user's
# data, lists and boards outlive all of them.
use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;

my $test = Defidata->new;
my $analytics = $test->analytics;
my $database = $test->database;

$test->refresh($database);
$test->sql($database, <<'END');
SET client_min_messages = warning;
INSERT INTO defidata.token (symbol, name) VALUES ('NOTATOKEN', 'Now it is one');
SELECT defidata_set('overlap', '12 hours');
SELECT defidata_add_board('mine', 'sma_7d', 'desc', 0, 5);
SELECT defidata_reclean();
END
$test->refresh($database);

# everything_of is what a copy of the database must have as well
sub everything_of
{
	my ($name) = @_;
	return $test->checksums($name)
	  . $test->sql($name, <<'END');

SELECT 'choices', (SELECT string_agg(t::text, ' ' ORDER BY symbol) FROM defidata.token t),
       (SELECT string_agg(s.name || '=' || s.value, ' ' ORDER BY name) FROM defidata.setting s),
       (SELECT string_agg(b::text, ' ' ORDER BY name) FROM defidata.board b),
       (SELECT string_agg(concat_ws(' ', s.name, s.kind, s.relation, s.watermark), ', ' ORDER BY name) FROM defidata.source s),
       (SELECT generation FROM defidata.publication), (SELECT count(*) FROM defidata.board_history), (SELECT count(*) FROM defidata.document)
END
}

# schema_of is what a schema consists of, as far as the catalogs tell
sub schema_of
{
	my ($name) = @_;
	return $test->sql($name, <<'END');
SELECT format('%s.%s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull)
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'defidata'::regnamespace AND c.relkind IN ('r', 'v') ORDER BY 1;
SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
 WHERE c.relnamespace = 'defidata'::regnamespace ORDER BY 1;
SELECT format('%s %s', t.tgrelid::regclass, pg_get_triggerdef(t.oid)) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE c.relnamespace = 'defidata'::regnamespace ORDER BY 1;
SELECT format('%s %s %s', p.oid::regprocedure, md5(p.prosrc), obj_description(p.oid, 'pg_proc')) FROM pg_proc p
  JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'defidata' ORDER BY 1;
END
}

# dump and restore into a new database
my $dump = $analytics->basedir . '/dump';
my $before = everything_of($database);
$analytics->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $analytics->connstr($database) ], 'the database can be dumped');
$test->sql('postgres', 'CREATE DATABASE restored');
{
	# the dump holds the user mapping with its password
	local $ENV{PGOPTIONS} = '-c log_statement=none';
	$analytics->command_ok([ 'pg_restore', '--exit-on-error', '-d', $analytics->connstr('restored'), $dump ], 'and restored');
}
is(everything_of('restored'), $before, 'with the same data, lists and boards');
my $later = $test->epoch(2);
$test->remote_sql(qq{INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count) VALUES ('later', $later, 'ETH', 5)});
$test->refresh($_) foreach ($database, 'restored');
is($test->checksums('restored'), $test->checksums($database), 'and the refresh goes on there');
# the list is the user's, so that no run of a fresh database compares
$test->check_invariants('restored', 'the restored one', refreshed => 1, clean => 0);
is($test->sql('restored', q(SELECT token FROM defidata.raw_mentions WHERE id = 'later')), 'ETH', 'with what is new');

# An older version, made of the present one: without documents, and without some
# columns that this version has.
my $extensions = $analytics->config_data('--sharedir') . '/extension';
my $script = slurp_file("$extensions/defidata--1.0.sql");
(my $older = $script) =~ s/^.*\['baseline_24h float8.*\n//m or die 'the column is not where it was';
$older =~ s/(\['mentions_24h float8 DEFAULT.*\]|\['mentions_24h float8.*?'\]),\n/$1],\n/;
$older =~ s/greatest\(t\.mentions_24h, t\.baseline_24h\)/t.mentions_24h/;
append_to_file("$extensions/defidata--0.9.sql", $older);

# the update brings the changed functions
my $update = '';
foreach my $name ('setup_tables', 'rank_tokens')
{
	$script =~ /^(CREATE FUNCTION defidata\.$name\(.*?^\$\$;\n)/ms or die "no $name in the script";
	(my $body = $1) =~ s/^CREATE FUNCTION/CREATE OR REPLACE FUNCTION/;
	$update .= $body;
}
append_to_file("$extensions/defidata--0.9--1.0.sql", $update);

$test->sql('postgres', 'CREATE DATABASE old');
$test->sql('old', q(SET client_min_messages = warning; CREATE EXTENSION postgres_fdw; CREATE EXTENSION defidata VERSION '0.9'));
$test->create_server('old', 'ct_scanner', 'ctscanner');
$test->sql('old', q(SET client_min_messages = warning; SELECT defidata_attach_server('ct_scanner')));
$test->refresh('old');
is($test->sql('old', q(SELECT count(*) FROM pg_attribute WHERE attrelid = 'defidata.token_stats'::regclass AND attname = 'baseline_24h')),
	0, 'the older version lacks a column');
my $kept = join '', map { $test->sql('old', "SELECT defidata_checksum('defidata.$_')") } qw(raw_mentions mention_series metrics hours prices);
$test->sql('old', 'ALTER EXTENSION defidata UPDATE; SELECT defidata_setup()');
is($test->sql('old', q(SELECT extversion FROM pg_extension WHERE extname = 'defidata')), '1.0', 'it is brought up to date');
is(join('', map { $test->sql('old', "SELECT defidata_checksum('defidata.$_')") } qw(raw_mentions mention_series metrics hours prices)),
	$kept, 'with its data in place');
my $fresh = $test->database;
is(schema_of('old'), schema_of($fresh), 'and has the schema of a fresh one');
$test->check_invariants('old', 'after the upgrade');
unlink "$extensions/defidata--0.9.sql", "$extensions/defidata--0.9--1.0.sql";

# DROP EXTENSION
$test->fails($database, 'DROP EXTENSION defidata', '2BP01', qr/cannot drop extension defidata/, 'DROP EXTENSION refuses');
is($test->sql($database, 'SELECT count(*) > 0 FROM defidata.raw_mentions'), 't', 'and the data stand');
$test->finish_tests;
