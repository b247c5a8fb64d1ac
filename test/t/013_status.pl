# defidata.status and defidata_check(): each row turns to warn or fail when that
# which it tells of is broken, and is well again once that is mended.  Rows of
# pg_cron and its jobs are in 002_cron, of a backfill in 004_backfill, of unsettled
# hours in 007_rows.

use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;

# the collector is four hours behind
my $pair = Defidata->new(newest => 4);
my $database = $pair->database;

# row_is checks the state of a row of status, and that whatever is not well has a hint.
sub row_is
{
	my ($row, $state, $name, $in) = @_;
	is($pair->sql($in // $database, "SELECT state, COALESCE(hint, '') <> '' FROM defidata.status WHERE name = '$row'"),
		$state . ($state eq 'ok' ? '|f' : '|t'), $name);
	return;
}

subtest 'sources' => sub {
	$pair->sql('postgres', 'CREATE DATABASE bare');
	$pair->sql('bare', 'SET client_min_messages = warning; CREATE EXTENSION defidata CASCADE');
	row_is('sources', 'fail', 'nothing is set up', 'bare');
	$pair->sql('bare', 'SELECT defidata_setup()');
	row_is('sources', 'fail', 'nothing is attached', 'bare');
	$pair->fails('bare', 'SELECT * FROM defidata_check()', '55000', qr/sources/, 'defidata_check');
	row_is('sources', 'ok', 'a source is attached');
};

subtest 'coverage of 14 days' => sub {
	$pair->sql($database, q(SELECT defidata_set('initial_span', '5 days')));
	$pair->refresh($database);
	row_is('coverage of 14 days', 'warn', '5 days of 14');
	$pair->sql($database, "SET client_min_messages = error; CALL defidata_backfill(" . $pair->hour(400) . ', ' . $pair->hour(0) . ')');
	row_is('coverage of 14 days', 'ok', 'after a backfill');
	$pair->check_invariants($database, 'as imported at once');
};

subtest 'latest hour' => sub {
	foreach my $case ([ '10 hours', 'ok' ], [ '3 hours', 'warn' ], [ '1 hour', 'fail' ])
	{
		my ($stale_after, $state) = @$case;
		$pair->sql($database, "SELECT defidata_set('stale_after', '$stale_after')");
		row_is('latest hour', $state, "four hours ago, $stale_after allowed");
	}
	$pair->fails($database, 'SELECT * FROM defidata_check()', '55000', qr/latest hour/, 'defidata_check');
	$pair->sql($database, q(SELECT defidata_set('stale_after', '3 hours')));
	$pair->fill(3, 0);
	$pair->refresh($database);
	row_is('latest hour', 'ok', 'once the collector has caught up');
	is($pair->sql($database, q(SELECT count(*) > 5 FROM defidata_check())), 't', 'defidata_check');
};

subtest 'rejected rows' => sub {
	row_is('rejected rows', 'ok', 'a sixth of them');
	$pair->sql($database, "INSERT INTO defidata.token (symbol, enabled) SELECT DISTINCT token, false FROM defidata.raw_mentions WHERE token < 'M'; SELECT defidata_reclean()");
	row_is('rejected rows', 'warn', 'more than half of them');
	$pair->sql($database, 'DELETE FROM defidata.token; SELECT defidata_reclean()');
	row_is('rejected rows', 'ok', 'once the list is mended');
	$pair->check_invariants($database, 'as if nothing had been');
};

subtest 'last run' => sub {
	row_is('last run', 'ok', 'just now');
	# the clock cannot be turned, but the record can be made older
	my $age = 'UPDATE defidata.runs SET started_at = started_at - interval \'%1$s\', finished_at = finished_at - interval \'%1$s\'';
	$pair->sql($database, sprintf $age, '4 hours');
	row_is('last run', 'warn', 'none for stale_after');
	$pair->remote->stop;
	$pair->fails($database, 'CALL defidata_run()', '08001', qr/could not connect|connection to server/, 'a run fails');
	row_is('last run', 'fail', 'and the last one has failed');
	$pair->fails($database, 'SELECT * FROM defidata_check()', '08001',
		qr/source ct_scanner_tweetvolumeshours: could not connect.*last run: failed in import.*HINT/s, 'defidata_check: the remote is down');
	$pair->remote->start;
	$pair->sql($database, sprintf $age, '4 hours');
	row_is('last run', 'fail', 'none for twice that');
	$pair->refresh($database);
	row_is('last run', 'ok', 'after a refresh');
	$pair->sql($database, "ALTER SERVER ct_scanner OPTIONS (SET dbname 'nowhere')");
	$pair->try($database, 'CALL defidata_run()');
	row_is('last run', 'warn', 'a failure shortly after a success');
	$pair->sql($database, "ALTER SERVER ct_scanner OPTIONS (SET dbname 'ctscanner')");
	$pair->check_invariants($database, 'afterwards');
	row_is('last run', 'ok', 'well again');
};

$pair->finish_tests;
