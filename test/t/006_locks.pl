# Locks, snapshots and time zones: cycles beside each other, beside a backfill and
# a reconcile, readers across a publish, sessions in other zones.  The result is
# that of one after the other.

use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $pair = Defidata->new(newest => 8);
my $imported = $pair->database;
$pair->refresh($imported);
$pair->fill(7, 0);

# holder opens a session that holds a lock on a table.
sub holder
{
	my ($database, $table, $mode) = @_;
	my $holder = $pair->session($database);
	$holder->query("BEGIN; LOCK TABLE defidata.$table IN $mode MODE");
	return $holder;
}

subtest 'lock_timeout' => sub {
	my $database = $pair->database($imported);
	my $holder = holder($database, 'trending', 'ACCESS EXCLUSIVE');
	$pair->fails($database, "SET lock_timeout = '300ms'; SELECT defidata_refresh()", '55P03', qr/lock timeout/, 'refresh');
	$pair->fails($database, "SET lock_timeout = '300ms'; CALL defidata_run()", '55P03', qr/lock timeout.*Stage publish of run/s, 'run');
	is($pair->sql($database, "SELECT stage, sqlstate FROM defidata.runs WHERE status = 'failed'"), 'publish|55P03', 'I4');
	$holder->close;
	$pair->check_invariants($database, 'afterwards');
};

# a run commits between its steps, and is not overtaken in any of them
foreach my $case ([ 'SELECT * FROM defidata_refresh()', 'mention_series' ], map { [ 'CALL defidata_run()', $_ ] } qw(raw_mentions mention_series trending))
{
	my ($call, $table) = @$case;

	subtest "skipped beside $call, which waits for $table" => sub {
		my $database = $pair->database($imported);
		my $holder = holder($database, $table, 'EXCLUSIVE');
		my $first = $pair->session($database, client_min_messages => 'error');
		$first->start($call);
		$pair->wait_for_wait($first->pid);
		my $started = time;
		# one that waits in its stead must not hold the test
		my $timeout = q(SET statement_timeout = '5s');
		my ($out, $err) = $pair->try($database, "$timeout; SELECT status, latest_hour = " . $pair->hour(8) . ' FROM defidata_refresh()');
		is($out, 'skipped|t', 'refresh') or diag $err;
		($out, $err) = $pair->try($database, "$timeout; CALL defidata_run()");
		like($err, qr/NOTICE:.*another refresh or run is under way/, 'run');
		cmp_ok(time - $started, '<', 1, 'both at once');
		is($pair->sql($database, "SELECT count(*) FROM defidata.runs WHERE status = 'skipped'"), '1', 'the skipped run is on record');
		$holder->close;
		($out, $err) = $first->finish;
		is($err, '', 'the first one is not disturbed');
		$first->close;
		$pair->check_invariants($database, 'afterwards', refreshed => 1);
	};
}

foreach my $call ('CALL defidata_backfill(' . $pair->hour(400) . ', ' . $pair->hour(200) . ", '2 days')", "SELECT count(*) FROM defidata_reconcile('20 days')")
{
	subtest "refresh beside $call" => sub {
		my $database = $pair->database($imported);
		$pair->sql($database, 'DELETE FROM defidata.raw_mentions WHERE hour < ' . $pair->hour(300));
		my $holder = holder($database, 'raw_mentions', 'EXCLUSIVE');
		my $first = $pair->session($database, client_min_messages => 'error');
		my $refresh = $pair->session($database, client_min_messages => 'error');
		$first->start($call);
		$pair->wait_for_wait($first->pid);
		$refresh->start('SELECT status FROM defidata_refresh()');
		$pair->wait_for_wait($refresh->pid);
		is($pair->sql($database, 'SELECT wait_event_type FROM pg_stat_activity WHERE pid = ' . $refresh->pid), 'Lock', 'it waits for its turn');
		$holder->close;
		my ($out, $err) = $refresh->finish;
		is("$out$err", 'ok', 'and then runs');
		($out, $err) = $first->finish;
		is($err, '', 'both succeed');
		$_->close foreach ($first, $refresh);
		$pair->check_invariants($database, 'as one after the other', refreshed => 1);
	};
}

subtest 'refresh first, then the others' => sub {
	my $database = $pair->database($imported);
	my $holder = holder($database, 'raw_mentions', 'EXCLUSIVE');
	my @sessions = map { $pair->session($database, client_min_messages => 'error') } 1 .. 3;
	my @calls = ('SELECT status FROM defidata_refresh()', 'SELECT count(*) FROM defidata_reconcile()',
		'CALL defidata_backfill(' . $pair->hour(50) . ', ' . $pair->hour(-1) . ", '1 day')");
	foreach my $i (0 .. 2)
	{
		$sessions[$i]->start($calls[$i]);
		$pair->wait_for_wait($sessions[$i]->pid);
	}
	$holder->close;
	foreach my $session (@sessions)
	{
		my ($out, $err) = $session->finish;
		is($err, '', 'succeeds');
	}
	$_->close foreach @sessions;
	$pair->check_invariants($database, 'as one after the other', refreshed => 1);
};

# What a board shows, and what the history says that readers of its generation saw.
my $mixed = <<'SQL';
SELECT count(*) FROM (
	(SELECT t.rank, t.token, t.value FROM defidata.trending t EXCEPT ALL
	 SELECT h.rank, h.token, h.value FROM defidata.board_history h JOIN defidata.publication p USING (generation) WHERE h.board = 'trending')
	UNION ALL
	(SELECT h.rank, h.token, h.value FROM defidata.board_history h JOIN defidata.publication p USING (generation) WHERE h.board = 'trending' EXCEPT ALL
	 SELECT t.rank, t.token, t.value FROM defidata.trending t)) d
SQL

subtest 'readers across a publish' => sub {
	my $database = $pair->database($imported);
	my $old = $pair->session($database);
	my $board = q(SELECT generation, (SELECT string_agg(t::text, ';' ORDER BY rank) FROM defidata.trending t) FROM defidata.publication);
	$old->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
	my $seen = $old->query($board);
	my $reader = $pair->session($database);
	$reader->start(<<"SQL");
DO \$\$
DECLARE
	wrong bigint := 0;
	empty bigint := 0;
	seen  bigint[] := '{}';
	until timestamptz := clock_timestamp() + interval '4 s';
BEGIN
	WHILE clock_timestamp() < until LOOP
		wrong := wrong + ($mixed);
		empty := empty + (SELECT (count(*) <> 10)::integer FROM defidata.trending);
		seen := seen || (SELECT generation FROM defidata.publication);
	END LOOP;
	RAISE NOTICE '% wrong, % empty, % generations', wrong, empty, (SELECT count(DISTINCT g) FROM unnest(seen) g);
END
\$\$
SQL
	foreach my $i (1 .. 5)
	{
		$pair->refresh($database);
		$pair->remote_sql('UPDATE tweetvolumeshours SET count = count + 100 WHERE "timestamp" = ' . $pair->epoch(0) . " AND symbol IN ('BTC', 'ADA')");
	}
	is($old->query($board), $seen, 'REPEATABLE READ: its own generation, whole');
	$old->query('COMMIT');
	isnt($old->query($board), $seen, 'then the new one');
	my ($out, $err) = $reader->finish;
	like($err, qr/ 0 wrong, 0 empty, [3-9] generations/, 'READ COMMITTED: each statement sees one');
	$pair->check_invariants($database, 'afterwards');
};

subtest 'time zones' => sub {
	foreach my $zone ('Asia/Kolkata', 'America/New_York')
	{
		my $database = $pair->database;
		$pair->sql('postgres', "ALTER DATABASE $database SET timezone = '$zone'");
		$pair->check_invariants($database, $zone);
	}
	# both hours of the change of clocks in New York, as instants and as local times of UTC
	my $moments = $pair->another_remote('moments', <<'END');
TRUNCATE tweetvolumeshours;
ALTER TABLE tweetvolumeshours ALTER "timestamp" TYPE timestamptz USING NULL;
INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count, sentiment)
SELECT format('%s-%s', symbol, hour), hour, symbol, 1 + abs(hashtext(symbol || EXTRACT(epoch FROM hour))) % 90, 0.25
  FROM (SELECT generate_series(timestamptz '2026-03-07 00:00:00+00', '2026-03-10 00:00:00+00', '30 min')
        UNION ALL SELECT generate_series(timestamptz '2025-11-01 00:00:00+00', '2025-11-04 00:00:00+00', '30 min')) h (hour), unnest('{BTC,ETH,SOL}'::text[]) symbol;
END
	local $pair->{remote_database} = $moments;
	my $local = $pair->another_remote('local_moments', q(ALTER TABLE tweetvolumeshours ALTER "timestamp" TYPE timestamp USING "timestamp" AT TIME ZONE 'UTC'));
	my $expected;
	foreach my $remote ($moments, $local)
	{
		$pair->{remote_database} = $remote;
		foreach my $zone ('UTC', 'Asia/Kolkata', 'America/New_York')
		{
			my $history = $pair->database;
			$pair->sql('postgres', "ALTER DATABASE $history SET timezone = '$zone'");
			$pair->sql($history, "SET client_min_messages = error; CALL defidata_backfill('2025-11-01 00:00:00+00', '2026-03-10 01:00:00+00', '3 days')");
			is($pair->sql($history, 'SELECT count(*) FROM defidata.hours'), 146, "$zone, $remote: every hour is there");
			is($pair->lost_hours($history), '', "$zone, $remote: I1");
			my $checksums = $pair->checksums($history);
			is($checksums, $expected //= $checksums, "$zone, $remote: same checksum over the changes of clocks");
		}
	}
};

$pair->finish_tests;
