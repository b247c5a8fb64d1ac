# Every process that takes part is killed at each step of a drain, and at random: each entry
# counts once, however that goes.

use strict;
use warnings;

use Defidata::Redis;
use Defidata::Session;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

if (my $reason = Defidata::Redis->missing)
{
	plan skip_all => $reason;
}

my $redis = Defidata::Redis->new('appendonly yes', 'appendfsync always');
my $node = Defidata::Redis->cluster('max_worker_processes = 20', 'fsync = on', "shared_preload_libraries = 'defidata_redis'");
my $database = $redis->database($node, 'killed');
my $log_read = 0;

sub sql
{
	my ($sql) = @_;
	return $node->safe_psql($database, "SET client_min_messages = error; $sql");
}

# come_up waits until the cluster answers after a crash.
sub come_up
{
	usleep 300_000;
	foreach (1 .. 600)
	{
		return if eval { sql('SELECT 1') };
		usleep 50_000;
	}
	die 'the cluster does not come up';
}

# What is killed: the process that drains, Redis, or the whole cluster.
my %kills = (
	process => sub {
		my ($pid) = @_;
		kill 'KILL', $pid;
		come_up();
	},
	redis => sub {
		$redis->stop('KILL');
		usleep 200_000;
		$redis->start;
	},
	cluster => sub {
		my $postmaster = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/ ? $1 : die;
		kill 'KILL', $postmaster;
		# its children notice; their memory is in the way of a new one until then
		usleep 500_000;
		$node->{_pid} = undef;
		unlink $node->data_dir . '/postmaster.pid';
		foreach (1 .. 20)
		{
			last if $node->start(fail_ok => 1);
			usleep 500_000;
		}
		come_up();
	});

# Where a drain is held up: what holds it, and lets it go.
my %steps = (
	'before entries come' => [ sub { $redis->signal('STOP') }, sub { $redis->{pid} and $redis->signal('CONT') } ],
	'before sums are stored' => [ sub { hold('LOCK TABLE defidata.stream_sum IN EXCLUSIVE MODE') }, \&let_go ],
	'before the position is stored' => [ sub { hold('LOCK TABLE defidata.stream_due IN EXCLUSIVE MODE') }, \&let_go ],
	'before the commit' => [ sub { hold('SELECT pg_advisory_xact_lock(4711)') }, \&let_go ]);
my $holder;

sub hold
{
	my ($sql) = @_;
	$holder = Defidata::Session->new($node, $database);
	$holder->query('BEGIN');
	$holder->query($sql);
	return;
}

sub let_go
{
	eval { $holder->close };
	undef $holder;
	return;
}

# check drains what is left and compares the sums with what the stream holds.
sub check
{
	my ($name) = @_;

	sql('SELECT defidata_drain()');
	sql('SELECT defidata_drain()') while sql('SELECT count(*) FROM defidata.stream WHERE lag > 0');
	is(sql('SELECT sum(mentions) FROM defidata.stream_sum'), $redis->command('XLEN', 'tweets'), $name);
	is(sql('SELECT count(*) FROM defidata.stream_loss'), '0', 'and nothing is taken for lost');
	return;
}

sql("SELECT defidata_attach_stream('redis', 'tweets')");
# a deferred trigger waits right before the commit
sql(<<'END');
CREATE FUNCTION defidata.linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER linger AFTER UPDATE ON defidata.stream DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION defidata.linger();
END

foreach my $step (sort keys %steps)
{
	foreach my $victim (sort keys %kills)
	{
		subtest "$victim killed $step" => sub {
			my ($hold, $let_go) = @{ $steps{$step} };
			my $session = Defidata::Session->new($node, $database);

			$redis->add('tweets', map { [ symbol => "S$_" ] } 1 .. 500);
			$hold->();
			$session->start('SELECT defidata_drain()');
			$node->poll_query_until($database, 'SELECT count(*) = 1 FROM pg_stat_activity WHERE state = \'active\''
				  . " AND wait_event_type IN ('Lock', 'Extension') AND pid = " . $session->pid) or die 'nobody waits';
			$kills{$victim}->($session->pid);
			$let_go->();
			$session->finish;
			$session->close;
			check('each entry counts once');
		};
	}
}

subtest 'at random, while the worker follows' => sub {
	srand 4711;
	sql('SELECT defidata_follow()');
	foreach my $round (1 .. $ENV{DEFIDATA_KILLS} // 12)
	{
		my $generator = fork // die $!;
		if ($generator == 0)
		{
			$redis->connect;
			while (eval { $redis->add('tweets', map { [ symbol => 'S' . int rand 100 ] } 1 .. 20); 1 })
			{
				usleep 5_000;
			}
			POSIX::_exit(0);
		}
		usleep 500_000 + rand 1_000_000;
		my $victim = (qw(process redis cluster))[ $round % 3 ];
		my $pid = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'defidata_redis follower'");
		if ($victim eq 'process' && $pid eq '')
		{
			$victim = 'cluster';
		}
		$kills{$victim}->($pid);
		note "round $round: $victim";
		kill 'KILL', $generator;
		waitpid $generator, 0;
	}
	sql('SELECT defidata_unfollow()');
	$node->poll_query_until($database, 'SELECT NOT defidata.is_followed()');
	check('each entry counts once');
	diag 'measured: ' . $redis->command('XLEN', 'tweets') . ' entries over all kills';
};

$node->stop('fast');
is(join("\n", grep { /PANIC| XX\d{3} |TRAP: / } split /\n/, slurp_file($node->logfile)), '', 'no PANIC, no XX000');
done_testing();
