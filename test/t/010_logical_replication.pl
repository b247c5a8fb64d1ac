# Nearer to real time: the remote's tables arrive by logical replication, their
# local copies are attached in place of the foreign tables, and the cycle runs
# each minute.  The time from an INSERT over there to defidata.metrics is measured
# and told, not judged.  What is judged: the copy goes on where it was, an
# unfinished hour reaches no reader, and a minute costs what changed in it.

use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $settle_after = '65 minutes';
my $pair = Defidata->new(newest => 1, streaming => 1);
my $database = $pair->database;
my $has_cron = system('sh', '-c', 'test -e "$(pg_config --pkglibdir)/pg_cron.so"') == 0;
my $session;

# arrived waits until a query on the local tables says t.
sub arrived
{
	my ($query) = @_;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;

	until ($session->query($query) eq 't')
	{
		die "in vain waited for: $query" if time > $deadline;
		usleep 2_000;
	}
	return;
}

# refresh runs the cycle and returns its counts by name.
sub refresh
{
	my @names = qw(status fetched inserted updated computed);
	my %counts;

	@counts{@names} = split /\|/, $session->query('SELECT ' . join(', ', @names) . ' FROM defidata_refresh()');
	return \%counts;
}

# live goes on with the present hour at the remote: a row for a symbol new to it, and the
# count of the first such row grown.
sub live
{
	my ($id, $symbol) = @_;

	$pair->remote_sql(sprintf q(UPDATE tweetvolumeshours SET count = count + 1 WHERE id = 'live-1';
		INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count, sentiment) VALUES ('live-%s', %d, '%s', 10, 0.5)),
		$id, $pair->epoch(0), $symbol);
	return;
}

# published is the generation with its hour.
sub published
{
	return $session->query('SELECT generation, latest_hour FROM defidata.publication');
}

# early says where the readers see an hour that was not finished when it was published.
sub early
{
	my @tables = ('token_stats', split /\n/, $session->query('SELECT name FROM defidata.board'));
	my $shown = join ' UNION ALL ', map { "SELECT '$_' AS name, hour FROM defidata.$_" } @tables;

	return $session->query(<<"END");
SELECT DISTINCT s.name, s.hour FROM ($shown) s CROSS JOIN defidata.publication p WHERE s.hour <> p.latest_hour
UNION ALL
SELECT 'generation ' || generation, latest_hour FROM defidata.publication_history WHERE latest_hour + interval '$settle_after' > published_at
END
}

# what was imported by postgres_fdw goes on by replication under the same name;
# no generation is older than the setting by which all are judged
$pair->sql($database, "SELECT defidata_set('settle_after', '$settle_after')");
$pair->refresh($database);
my $before = $pair->checksums($database);
$pair->configure(
	shared_preload_libraries => 'pg_cron',
	'cron.database_name' => $database,
	'cron.use_background_workers' => 'on') if $has_cron;
$session = $pair->session($database, client_min_messages => 'error');

subtest 'from postgres_fdw to logical replication' => sub {
	$pair->remote_sql("ALTER ROLE $Defidata::role REPLICATION");
	$pair->remote_sql('CREATE PUBLICATION ct_scanner FOR TABLE tweetvolumeshours, cmc_price');
	$pair->sql($database, $Defidata::ct_scanner . 'CREATE INDEX ON tweetvolumeshours ("timestamp"); CREATE INDEX ON cmc_price ("timestamp")');
	my $connection = sprintf 'host=127.0.0.1 port=%d dbname=%s user=%s password=%s',
	  $pair->remote->port, $pair->{remote_database}, $Defidata::role, $Defidata::password;
	$pair->sql($database, "SET log_statement = none; CREATE SUBSCRIPTION ct_scanner CONNECTION '$connection' PUBLICATION ct_scanner");
	arrived("SELECT count(*) FILTER (WHERE srsubstate = 'r') = 2 FROM pg_subscription_rel");

	foreach my $source ([ 'mentions', 'tweetvolumeshours' ], [ 'prices', 'cmc_price' ])
	{
		my ($kind, $table) = @$source;
		my ($out, $err) = $pair->try($database, "SELECT defidata_detach('ct_scanner_$table'); SELECT defidata_attach('ct_scanner_$table', '$kind', '$table')");
		is($err, '', "$table is attached in place of its foreign table");
	}
	is(refresh()->{inserted}, 0, 'no row is taken for a new one');
	is($pair->checksums($database), $before, 'and nothing has changed');
};

subtest 'minutes of an unfinished hour' => sub {
	my $hour = $pair->hour(0);
	my @symbols = qw(NEO DASH ZEC ICP VET);
	my ($idle, $rows, $tokens);
	my (@streamed, @measured);

	# rows enough for a whole hour: its age alone keeps it from the boards
	$pair->fill(0, 0);
	arrived(sprintf q(SELECT count(*) = 4 FROM cmc_price WHERE "timestamp" >= %d), $pair->epoch(0));
	arrived(sprintf q(SELECT count(*) >= 30 FROM tweetvolumeshours WHERE "timestamp" = %d), $pair->epoch(0));
	$rows = refresh()->{inserted} - 4;
	$tokens = $session->query("SELECT tokens FROM defidata.hours WHERE hour = $hour");
	$idle = refresh();
	is_deeply($idle, { status => 'ok', fetched => $idle->{fetched}, inserted => 0, updated => 0, computed => 0 }, 'an idle minute')
	  or diag explain $idle;

	foreach my $minute (1 .. @symbols)
	{
		my ($generation, $latest) = split /\|/, published();
		my $started = time;
		live($minute, $symbols[ $minute - 1 ]);
		arrived("SELECT EXISTS (SELECT FROM tweetvolumeshours WHERE id = 'live-$minute')");
		push @streamed, time - $started;
		my $counts = refresh();
		push @measured, time - $started;

		# the first row grows in each minute but its own
		is($session->query("SELECT token, mentions FROM defidata.metrics WHERE hour = $hour AND token = ANY ('{@{[join ',', @symbols]}}') ORDER BY token"),
			join("\n", sort 'NEO|' . (9 + $minute), map { "$_|10" } @symbols[ 1 .. $minute - 1 ]), "minute $minute is in metrics");
		is_deeply($counts, { status => 'ok', fetched => $idle->{fetched} + $rows + $minute, inserted => 1,
				updated => $minute > 1 ? 1 : 0, computed => $tokens + $minute }, 'and has cost the rows of its hour and their sums')
		  or diag explain $counts;
		my ($generation_now, $latest_now) = split /\|/, published();
		is($generation_now - $generation, $latest_now eq $latest ? 0 : 1, 'readers hear nothing of it');
	}
	is(early(), '', 'no reader has seen it');
	is_deeply(refresh(), $idle, 'the next minute is idle again');

	my $middle = int(@symbols / 2);
	diag sprintf 'measured: from INSERT to defidata.metrics: median %.0f ms, %.0f ms of them until the row is here',
	  1000 * (sort { $a <=> $b } @measured)[$middle], 1000 * (sort { $a <=> $b } @streamed)[$middle];
};

subtest 'the remote is away for a while' => sub {
	$pair->remote->stop('fast');
	is(refresh()->{status}, 'ok', 'the cycle goes on with what is here');
	$pair->remote->start;
	live('late', 'BAT');
	arrived(q(SELECT EXISTS (SELECT FROM tweetvolumeshours WHERE id = 'live-late')));
	is(refresh()->{inserted}, 1, 'and then with what comes again');
};

SKIP:
{
	skip 'pg_cron is not installed', 1 unless $has_cron;

	subtest 'pg_cron each minute' => sub {
		$session->query("CREATE EXTENSION pg_cron; SELECT defidata_schedule('* * * * *')");
		my $started = time;
		live('cron', 'GRT');
		arrived(sprintf q(SELECT EXISTS (SELECT FROM defidata.metrics WHERE token = 'GRT' AND hour = %s)), $pair->hour(0));
		diag sprintf 'measured: from INSERT to defidata.metrics with pg_cron each minute: %.0f s', time - $started;
		arrived(q(SELECT status = 'ok' FROM defidata.runs WHERE trigger = 'run' AND stage = 'publish' ORDER BY id DESC LIMIT 1));
		is($session->query(q(SELECT counts ->> 'inserted', counts ->> 'updated' FROM defidata.runs
				WHERE trigger = 'run' AND stage = 'import' AND counts ->> 'inserted' <> '0')), '1|1', 'the minute has cost what changed');
		is(early(), '', 'no reader has seen the unfinished hour');
		is($session->query('SELECT defidata_unschedule()'), '3', 'unscheduled');
		arrived(q(SELECT count(*) = 0 FROM defidata.runs WHERE status = 'running'));
	};
}

subtest 'without settle_after' => sub {
	$session->query("SELECT defidata_set('settle_after', '0')");
	refresh();
	is($session->query('SELECT latest_hour = ' . $pair->hour(0) . ' FROM defidata.publication'), 't', 'it was this alone that held the hour back');
	$session->close;
	$pair->check_invariants($database, 'all is as if postgres_fdw had brought it');
};

$pair->finish_tests;
