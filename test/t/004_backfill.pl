# History in chunks: progress that another session sees, a stop at any moment,
# work beside refreshes, each hour's metrics computed once, and the same result
# as one import of everything.

use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = Defidata->new;
my ($from, $to) = ($pair->hour(400), $pair->hour(-1));
my $backfill = "CALL defidata_backfill($from, $to, '2 days')";
my $recent = $pair->database;
my $late_hours = 'SELECT count(*) FROM defidata.hours WHERE hour < ' . $pair->hour(47);

# a first refresh that leaves a history to backfill
$pair->sql($recent, "SELECT defidata_set('initial_span', '2 days')");
my ($out, $err) = $pair->try($recent, 'SELECT status FROM defidata_refresh()');
like($err, qr/NOTICE:.*has rows since .*HINT:  CALL defidata_backfill\('[^']+', '[^']+'\)/s, 'the first refresh names defidata_backfill');
my ($hint) = $err =~ /HINT:  (CALL .*\)) imports/;
is($pair->sql($recent, $late_hours), '0', 'and imports the initial span');
$pair->sql($recent, "SELECT defidata_set('initial_span', '28 days')");

# same checks the result of a backfill; hours outside of any source are not settled
# by a refresh, so that all is published before.
sub same
{
	my ($database, $name) = @_;
	$pair->check_invariants($database, $name, refreshed => 1);
	my $before = $pair->checksums($database);
	$pair->sql($database, 'SELECT defidata_recompute(); SELECT defidata_publish()');
	is($pair->checksums($database), $before, "$name: recompute changes no checksum");
	return;
}

# count_hours notes how often the facts of each hour are summed.
sub count_hours
{
	my ($database) = @_;
	$pair->sql($database, <<'SQL');
CREATE TABLE summed (hour timestamptz);
CREATE FUNCTION note_summed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.summed VALUES (new.hour); RETURN NULL; END $$;
CREATE TRIGGER note_summed AFTER UPDATE ON defidata.hours FOR EACH ROW WHEN (new.summed AND NOT old.summed) EXECUTE FUNCTION note_summed();
SQL
	return;
}

subtest 'the hint of the first refresh, as typed' => sub {
	my $database = $pair->database($recent);
	my ($out, $err) = $pair->try($database, $hint);
	is(Defidata::sqlstate_of($err), '', 'runs');
	# prices have a hint of their own
	$pair->try($database, "CALL defidata_backfill($from, $to)");
	same($database, 'the whole history');
};

subtest 'each hour once' => sub {
	my $database = $pair->database;
	count_hours($database);
	my ($out, $err) = $pair->try($database, $backfill);
	my @progress = $err =~ /NOTICE:.* backfill: (\d+) of 9 chunks done, up to \S+ \S+ UTC; \d+ rows, \d+ rows\/s, about \S+ left/g;
	is("@progress", '1 2 3 4 5 6 7 8 9', 'a NOTICE for each chunk') or diag $err;
	is($pair->sql($database, 'SELECT count(*), count(DISTINCT hour) FROM summed'),
		$pair->sql($database, 'SELECT count(*), count(*) FROM defidata.hours'), 'each hour is summed once');
	is($pair->sql($database, "SELECT counts ->> 'done', counts ->> 'computed' = (SELECT count(*)::text FROM defidata.metrics), status FROM defidata.runs WHERE trigger = 'backfill'"),
		'9|t|ok', 'the record of the run');
	$pair->sql($database, 'DROP TABLE summed; DROP FUNCTION note_summed() CASCADE');
	same($database, 'equals one refresh of everything');
};

# stop_at starts a backfill that is held up before its nth chunk is done; the
# session and the one that holds it come back.
sub stop_at
{
	my ($database, $age) = @_;
	my $holder = $pair->session($database);
	my $session = $pair->session($database);
	$holder->query(<<"SQL");
CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS \$\$
	BEGIN PERFORM pg_advisory_xact_lock(1, 2) WHERE new.hour = @{[$pair->hour($age)]}; RETURN new; END \$\$;
CREATE TRIGGER pause BEFORE UPDATE ON defidata.hours FOR EACH ROW WHEN (new.summed AND NOT old.summed) EXECUTE FUNCTION pause();
SELECT pg_advisory_lock(1, 2);
SQL
	$session->start($backfill);
	$pair->wait_for_wait($session->pid);
	return ($session, $holder);
}

foreach my $stop ('cancel', 'terminate', 'kill')
{
	subtest "stopped by $stop and called again" => sub {
		my $database = $pair->database($recent);
		my ($session, $holder) = stop_at($database, 250);
		is($pair->sql($database, "SELECT status, counts ->> 'done', counts ->> 'chunks' FROM defidata.runs WHERE trigger = 'backfill'"), 'running|3|9',
			'progress is visible in another session');
		like($pair->sql($database, "SELECT state, value FROM defidata.status WHERE name = 'backfill'"), qr/^ok\|/, 'status shows it');
		$pair->fails($database, $backfill, '55006', qr/another backfill is under way/, 'a second one is refused');
		$stop eq 'kill' ? $pair->kill_backend($session->pid) : $pair->sql('postgres', "SELECT pg_${stop}_backend(" . $session->pid . ')');
		$session->finish;
		$_->close foreach ($session, $holder);
		$pair->sql($database, 'DROP TRIGGER pause ON defidata.hours');
		my $metrics = q(SELECT defidata_checksum('defidata.metrics'));
		is($pair->sql($database, 'SELECT count(*) > 0 FROM defidata.metrics WHERE hour < ' . $pair->hour(260)), 't', 'what was done stays');
		like($pair->sql($database, "SELECT state, value FROM defidata.status WHERE name = 'backfill'"), qr/^warn\|/, 'status warns of it');
		$pair->refresh($database);
		is($pair->sql($database, "SELECT status, sqlstate FROM defidata.runs WHERE trigger = 'backfill'"),
			$stop eq 'cancel' ? 'failed|57014' : 'interrupted|', 'the record');
		$pair->sql($database, "SET client_min_messages = warning; $backfill");
		same($database, 'resumed');
		like($pair->sql($database, "SELECT state, value FROM defidata.status WHERE name = 'backfill'"), qr/^ok\|/, 'status is well again');
	};
}

subtest 'beside refreshes' => sub {
	my $database = $pair->database($recent);
	my ($session, $holder) = stop_at($database, 300);
	my $refresh = $pair->session($database, client_min_messages => 'error');
	$refresh->start('SELECT status FROM defidata_refresh()');
	$pair->wait_for_wait($refresh->pid);
	$holder->query('SELECT pg_advisory_unlock(1, 2)');
	my ($out, $err) = $refresh->finish;
	is("$out$err", 'ok', 'a refresh waits for the chunk, then runs');
	is($refresh->query('SELECT status FROM defidata_refresh()'), 'ok', 'and another') foreach (1 .. 3);
	($out, $err) = $session->finish;
	unlike($err, qr/ERROR/, 'the backfill ends well');
	$_->close foreach ($session, $holder, $refresh);
	same($database, 'the same result');
};

subtest 'bad arguments' => sub {
	$pair->fails($recent, "CALL defidata_backfill($to, $from)", '22023', qr/before to_hour/, 'end before start');
	$pair->fails($recent, "CALL defidata_backfill($from, $to, '0')", '22023', qr/step/, 'no step');
	$pair->fails($recent, "CALL defidata_backfill(NULL, $to)", '22023', qr/from_hour and to_hour/, 'NULL');
	$pair->fails($recent, "CALL defidata_backfill('-infinity', $to)", '22023', qr/from_hour and to_hour/, 'infinite');
};

$pair->finish_tests;
