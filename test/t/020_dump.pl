# Dump and restore, and DROP EXTENSION: the user's data, lists and boards outlive them.
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

# A clone without data: the tables are there and their rows are not.  The first call sets those
# that are needed, boards fill, and one of the owner's is taken up by adding it again.
$analytics->command_ok([ 'pg_dump', '-Fc', '--schema-only', '-f', $dump, $analytics->connstr($database) ], 'the schema can be dumped');
$test->sql('postgres', 'CREATE DATABASE clone');
{
	local $ENV{PGOPTIONS} = '-c log_statement=none';
	$analytics->command_ok([ 'pg_restore', '--exit-on-error', '-d', $analytics->connstr('clone'), $dump ], 'and restored');
}
$test->sql('clone', q(SET client_min_messages = warning; SELECT defidata_attach_server('ct_scanner')));
$test->refresh('clone');
is($test->sql('clone', q(SELECT (SELECT count(*) FROM defidata.trending), (SELECT count(*) FROM defidata.board), (SELECT count(*) FROM defidata.setting) > 10)),
	'10|7|t', 'a clone without data fills its boards');
$test->sql('clone', q(SELECT defidata_add_board('mine', 'sma_7d', 'desc', 0, 5)));
is($test->sql('clone', 'SELECT count(*) FROM defidata.mine'), '5', "and the owner's, added again");

# DROP EXTENSION
$test->fails($database, 'DROP EXTENSION defidata', '2BP01', qr/cannot drop extension defidata/, 'DROP EXTENSION refuses');
is($test->sql($database, 'SELECT count(*) > 0 FROM defidata.raw_mentions'), 't', 'and the data stand');
$test->finish_tests;
