# A refresh or a run is killed, terminated, cancelled or timed out in each of its
# stages, while it waits for a lock that another session holds or for the remote.
# Readers keep the boards they had, the record says what happened, and the next
# run ends as if nothing had been.

use strict;
use warnings;

use Defidata;
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $pair = Defidata->new(newest => 8);
my $imported = $pair->database;
$pair->refresh($imported);

# what the next cycle has to deal with: new hours, late and corrected rows
$pair->fill(7, 0);
$pair->remote_sql('UPDATE tweetvolumeshours SET count = 77 WHERE "timestamp" = ' . $pair->epoch(9) . q( AND symbol = 'BTC'));
$pair->remote_sql('INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count) SELECT g, '
	  . $pair->epoch(10) . q(, 'LATE', 12 FROM generate_series(1, 3) g));

# a timeout that no cycle meets unless it is held up, on this machine today
my $trial = $pair->database($imported);
my $begun = time;
$pair->refresh($trial);
my $patience = 0.5 + 3 * (time - $begun);
$pair->drop($trial);

# Where the cycle is held up, and the stage that the record of a run names.  An
# EXCLUSIVE lock lets readers through.
my @points = (
	[ 'survey at the remote', 'import', undef, undef ],
	[ 'survey of the copy', 'import', 'raw_mentions', 'ACCESS EXCLUSIVE' ],
	[ 'copy', 'import', 'raw_mentions', 'EXCLUSIVE' ],
	[ 'facts', 'compute', 'mention_series', 'EXCLUSIVE' ],
	[ 'token_stats', 'publish', 'token_stats', 'EXCLUSIVE' ],
	[ 'a board', 'publish', 'trending', 'EXCLUSIVE' ],
	[ 'the generation', 'publish', 'publication', 'EXCLUSIVE' ]);

# What is done to the session, and the SQLSTATE that it must see.
my %faults = (
	kill => '',
	terminate => '57P01',
	cancel => '57014',
	timeout => '57014');

# seconds that each fault took in each stage
my %slowest;

# boards returns what readers of the boards see.
sub boards
{
	my ($database) = @_;
	return join "\n", grep { !/^(raw|prices|uncopied|hours|mention_series|metrics)/ } split /\n/, $pair->checksums($database);
}

# hold takes the lock of a point and returns the session that holds it.
sub hold
{
	my ($database, $table, $mode) = @_;
	my $holder = $table ? $pair->session($database) : $pair->remote_session;

	$holder->query('BEGIN');
	$holder->query($table ? "LOCK TABLE defidata.$table IN $mode MODE" : 'LOCK TABLE tweetvolumeshours');
	return $holder;
}

# strike does to a waiting session what the fault says; the seconds until it is
# over and the messages come back.
sub strike
{
	my ($session, $fault) = @_;
	my $pid = $session->pid;

	if ($fault eq 'kill')
	{
		$pair->kill_backend($pid);
	}
	elsif ($fault ne 'timeout')
	{
		$pair->sql('postgres', "SELECT pg_${fault}_backend($pid)");
	}
	my $struck = time;
	my ($out, $err) = $session->finish;
	return (time - $struck, $err);
}

# check_record checks what defidata.runs says of a struck run, before and after the next.
sub check_record
{
	my ($database, $stage, $fault) = @_;
	my $last = "SELECT stage, status, sqlstate, starts_with(error, 'canceling statement') FROM defidata.runs"
	  . ' WHERE status IN (%s) ORDER BY id DESC LIMIT 1';

	if ($faults{$fault} eq '57014')
	{
		is($pair->sql($database, sprintf $last, "'failed'"), "$stage|failed|57014|t", 'I4: the record says what failed');
	}
	else
	{
		is($pair->sql($database, sprintf $last, "'running'"), "$stage|running||", 'the record says running');
		$pair->sql($database, 'CALL defidata_run()');
		is($pair->sql($database, sprintf $last, "'interrupted'"), "$stage|interrupted||", 'I4: interrupted after the next run');
	}
	return;
}

foreach my $call ('SELECT * FROM defidata_refresh()', 'CALL defidata_run()')
{
	my $is_run = $call =~ /run/;

	foreach my $point (@points)
	{
		my ($place, $stage, $table, $mode) = @$point;

		foreach my $fault (sort keys %faults)
		{
			my $database = $pair->database($imported);
			my $seen = boards($database);
			my $holder = hold($database, $table, $mode);
			my $session = $pair->session($database,
				client_min_messages => 'error',
				$fault eq 'timeout' ? (statement_timeout => int(1000 * $patience) . 'ms') : ());

			subtest "$fault at $place: $call" => sub {
				my $started = time;
				$session->start($call);
				$pair->wait_for_wait($session->pid, $table ? 'Lock' : 'Extension') unless $fault eq 'timeout';
				my ($seconds, $err) = strike($session, $fault);
				$seconds = time - $started - $patience if $fault eq 'timeout';
				push @{ $slowest{"$fault, $stage"} }, $seconds;

				is(Defidata::sqlstate_of($err), $faults{$fault}, "SQLSTATE") or diag $err;
				cmp_ok($seconds, '<', 1, 'within a second');
				$holder->close;
				is(boards($database), $seen, 'I3: the boards are as they were');
				if ($is_run)
				{
					check_record($database, $stage, $fault);
				}
				else
				{
					is($pair->sql($database, "SELECT count(*) FROM defidata.runs WHERE status <> 'ok'"), '0', 'no trace');
				}
				$pair->check_invariants($database, 'the next run');
			};
			$session->close;
			$pair->drop($database);
		}
	}
}

diag sprintf '%-20s %2d times, %.2f s at most', $_, scalar @{ $slowest{$_} }, max(@{ $slowest{$_} }) foreach sort keys %slowest;
$pair->finish_tests;
