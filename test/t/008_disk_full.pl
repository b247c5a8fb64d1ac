# The disk is full: a small tmpfs holds the tables.  The cycle fails with 53100,
# the boards are served as they were, and all goes on once there is room.
#
# A tmpfs can be mounted by root, or in a user namespace of its own: the server is
# started in one.

use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;

my $mount = PostgreSQL::Test::Utils::tempdir;
# the inner namespace maps the user back, since the server refuses to run as root
my @namespace = ('unshare', '--user', '--map-root-user', '--mount', 'sh', '-c',
	'mount -t tmpfs -o size=$0 tmpfs "$1" && mkdir "$1/space" && shift && exec unshare --user --map-user=' . $> . ' --map-group=' . (split ' ', $))[0] . ' "$@"');

if (system(@namespace, '1m', $mount, 'true') != 0)
{
	plan skip_all => 'a tmpfs cannot be mounted here: neither root nor user namespaces';
}

my $pair = Defidata->new(newest => 8);
my $analytics = $pair->analytics;
$analytics->stop;
system(@namespace, '48m', $mount, 'pg_ctl', '--wait', '--silent', '--pgdata', $analytics->data_dir, '--log', $analytics->logfile, 'start') == 0
  or die 'the server does not start in a namespace';
$analytics->_update_pid(1);

$pair->sql('postgres', "CREATE TABLESPACE small LOCATION '$mount/space'");
my $attached = $pair->attached;
$pair->sql('postgres', "CREATE DATABASE crowded TEMPLATE $attached TABLESPACE small STRATEGY file_copy");
$pair->sql('crowded', "SELECT defidata_set('initial_span', '10 days')");
$pair->refresh('crowded');
$pair->sql('crowded', "SELECT defidata_set('initial_span', '28 days')");
$pair->fill(7, 0);

# boards returns what readers see.
sub boards
{
	return $pair->sql('crowded', q(SELECT string_agg(t::text, ';' ORDER BY rank) FROM defidata.trending t));
}

my $seen = boards();

# fill_disk takes what room there is, down to the last page.
sub fill_disk
{
	my $rows = 1024;

	$pair->sql('crowded', 'CREATE TABLE filler (filling text); ALTER TABLE filler ALTER filling SET STORAGE plain');
	while ($rows >= 1)
	{
		my ($out, $err) = $pair->try('crowded', "INSERT INTO filler SELECT repeat('x', 7000) FROM generate_series(1, $rows)");
		$rows = int($rows / 2) if Defidata::sqlstate_of($err) eq '53100';
	}
	return;
}

fill_disk();
my $backfill = 'CALL defidata_backfill(' . $pair->hour(400) . ', ' . $pair->hour(200) . ')';
foreach my $call ('SELECT * FROM defidata_refresh()', 'CALL defidata_run()', $backfill)
{
	$pair->fails('crowded', $call, '53100', qr/could not extend file/, $call);
	is(boards(), $seen, 'old boards are still served');
}
is($pair->sql('crowded', "SELECT string_agg(DISTINCT stage || ' ' || sqlstate, ', ') FROM defidata.runs WHERE status = 'failed'"),
	'backfill 53100, import 53100', 'I4: the records');
$pair->sql('crowded', 'DROP TABLE filler');
$pair->sql('crowded', "SET client_min_messages = warning; $backfill");
$pair->check_invariants('crowded', 'once there is room');
$pair->finish_tests;
