# Sources that are detached, attached anew, renamed or dropped beside a run or a backfill:
# the run goes on as it began or ends with an error that names what happened, and the next
# one is well.  And whoever has no rights holds nothing up.
use strict;
use warnings;

use Defidata;
use Test::More;

my $test = Defidata->new(newest => 300);

# between runs SQL while a run, or a backfill, stands between its plan and its first batch, and
# returns what the run said
sub between
{
	my ($database, $call, $sql) = @_;
	my $holder = $test->session($database);
	my $runner = $test->session($database, client_min_messages => 'warning');

	$holder->query('BEGIN; LOCK TABLE defidata.lock IN SHARE ROW EXCLUSIVE MODE');
	$runner->start($call);
	$test->wait_for_wait($runner->pid);
	my (undef, $err) = $test->try($database, "SET client_min_messages = warning; $sql");
	is($err, '', 'nobody waits for the run');
	$holder->query('COMMIT');
	$holder->close;
	my (undef, $messages) = $runner->finish;
	$runner->close;
	return $messages;
}

my $port = $test->remote->port;
my $server = "CREATE SERVER ct_scanner FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '$port', dbname 'ctscanner')";
my $mapping = "CREATE USER MAPPING FOR CURRENT_USER SERVER ct_scanner OPTIONS (user '$Defidata::role', password '$Defidata::password')";
my $again = q(SELECT defidata_attach_server('ct_scanner'));
my $detach = q(SELECT defidata_detach('ct_scanner_tweetvolumeshours'));
my @moves = (
	[ 'detached', $detach, $again ],
	[ 'detached and attached again', "$detach; $again", '' ],
	[ 'attached again', $again, '' ],
	[ 'attached as another relation',
		qq($detach; CREATE TABLE mine AS SELECT 'mine'::text AS id, @{[$test->epoch(305)]} AS "timestamp", 'BTC'::text AS symbol, 7 AS count; SELECT defidata_attach('ct_scanner_tweetvolumeshours', 'mentions', 'mine')),
		"$detach; DELETE FROM defidata.raw_mentions WHERE id = 'mine'; SELECT defidata_recompute(); $again" ],
	[ 'on a server that has another name', 'ALTER SERVER ct_scanner RENAME TO renamed', q(SELECT defidata_attach_server('renamed'); ALTER SERVER renamed RENAME TO ct_scanner) ],
	[ 'dropped with its server', 'DROP SERVER ct_scanner CASCADE', "SET log_statement = none; $server; $mapping; $again" ]);
foreach my $call ('CALL defidata_run()', sprintf 'CALL defidata_backfill(%s, %s)', $test->hour(400), $test->hour(299))
{
	foreach my $move (@moves)
	{
		my ($name, $sql, $mend) = @$move;
		my ($what) = $call =~ /(run|backfill)/;

		subtest "$name beside a $what" => sub {
			my $database = $test->database;
			my $messages = between($database, $call, $sql);
			my $sqlstate = Defidata::sqlstate_of($messages);

			like($sqlstate, qr/^(55000|42P01|)$/, "the $what ends well, or says why: " . substr $messages, 0, 120);
			$test->sql($database, "SET client_min_messages = warning; $mend") if $mend;
			$test->sql($database, "SET client_min_messages = warning; $call") if $what eq 'backfill';
			$test->refresh($database);
			is($test->lost_hours($database), '', 'the next one loses nothing');
			is($test->sql($database, 'SELECT count(*), count(DISTINCT relation) FROM defidata.source'), '2|2', 'and no table is two sources');
			$test->drop($database);
		};
	}
}

subtest 'who has no rights holds nothing up' => sub {
	my $database = $test->database;
	$test->refresh($database);
	$test->sql($database, q(SET client_min_messages = warning; CREATE ROLE stranger LOGIN; CREATE ROLE reader LOGIN; SELECT defidata_grant('reader', 'reader')));
	my $stranger = $test->session($database);
	$stranger->query('SET SESSION AUTHORIZATION stranger');
	# every key that the names of 1.0's locks could give, and those of whole tables
	$stranger->query(<<'END');
SELECT count(pg_advisory_lock(hashtextextended('defidata.' || n, 0))), count(pg_advisory_lock(hashtext(n))), count(pg_advisory_lock(hashtext('defidata.' || n), 0))
  FROM unnest('{cycle,writer,backfill,setup,drain,publish,lock}'::text[]) n
END
	$stranger->start('BEGIN; LOCK TABLE defidata.lock IN ACCESS SHARE MODE; ROLLBACK');
	like(($stranger->finish)[1], qr/42501/, 'no lock on the table of locks');
	my $reader = $test->session($database);
	$reader->query('SET SESSION AUTHORIZATION reader; BEGIN ISOLATION LEVEL REPEATABLE READ');
	my $seen = $reader->query('SELECT count(*) FROM defidata.trending, defidata.token_stats, defidata.publication');
	foreach my $mode ('SHARE', 'ACCESS EXCLUSIVE')
	{
		$test->fails($database, "SET SESSION AUTHORIZATION reader; BEGIN; LOCK TABLE defidata.token_stats IN $mode MODE", '42501', qr/permission denied/, "no $mode lock for a reader");
	}
	$test->fill(299, 298);
	is($test->sql($database, q(SET lock_timeout = '5s'; SET client_min_messages = warning; SELECT status FROM defidata_refresh())), 'ok', 'a refresh goes on');
	my (undef, $err) = $test->try($database, q(SET lock_timeout = '5s'; SET client_min_messages = warning; CALL defidata_run()));
	is($err, '', 'a run too');
	is($test->sql($database, q(SELECT count(*) FROM defidata.runs WHERE status = 'skipped')), '0', 'none is skipped');
	is($reader->query('SELECT count(*) FROM defidata.trending, defidata.token_stats, defidata.publication'), $seen, 'an old snapshot sees what it saw');
	$_->close foreach ($reader, $stranger);
};
$test->finish_tests;
