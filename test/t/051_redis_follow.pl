# The worker that follows streams: how fast, how cheap, and that it comes back after
# whatever ends it, or goes where it has to go.

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
my $node = Defidata::Redis->cluster('max_worker_processes = 20', 'fsync = on');
my $base = int(time / 3600) * 3600;
my $database = $redis->database($node, 'followed');
my $kills = 0;
my $sent = 0;

sub sql
{
	my ($sql, $other) = @_;
	return $node->safe_psql($other // $database, "SET client_min_messages = error; $sql");
}

# follower is the worker's pid, or ''.
sub follower
{
	my ($other) = @_;
	return sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'defidata_redis follower' AND datname = '@{[ $other // $database ]}'", 'postgres');
}

# wait_for waits until a query gives a value; the seconds that it took.
sub wait_for
{
	my ($query, $value, $name, $limit) = @_;
	my $begun = time;
	my $found = '';

	while (time - $begun < ($limit // 30))
	{
		$found = eval { sql($query) } // '';
		last if $found eq $value;
		usleep 20_000;
	}
	is($found, $value, $name);
	return time - $begun;
}

# arrive sends events and waits until the worker has them.
sub arrive
{
	my ($name, $count, $limit) = @_;

	$redis->add('tweets', map { [ symbol => 'BTC' ] } 1 .. $count // 1);
	$sent += $count // 1;
	return wait_for("SELECT sum(mentions) FROM defidata.stream_sum WHERE stream = 'redis_tweets' AND symbol = 'BTC' AND at > to_timestamp($base - 3600)",
		$sent, $name, $limit);
}

# file_of is a file of a process, read.
sub file_of
{
	my ($pid, $file) = @_;
	return slurp_file("/proc/$pid/$file");
}

$redis->add('tweets', map { [ symbol => 'BTC', at => $base - 3600 * $_, count => 10 + $_ % 7 ] } 2 .. 40);
sql("SELECT defidata_attach_stream('redis', 'tweets'); SELECT defidata_refresh(); SELECT defidata_follow()");
arrive('the worker reads');

subtest 'how fast' => sub {
	my $generator = fork // die $!;
	if ($generator == 0)
	{
		# 1000 events a second
		$redis->connect;
		foreach (1 .. 600)
		{
			$redis->add('tweets', map { [ symbol => "S$_" ] } 1 .. 10);
			usleep 9_000;
		}
		POSIX::_exit(0);
	}
	my $session = Defidata::Session->new($node, $database);
	my @seconds;
	foreach (1 .. 40)
	{
		my $begun = time;
		$redis->add('tweets', [ symbol => 'BTC' ]);
		$sent++;
		until ($session->query("SELECT mentions_60m FROM defidata_live(1000, 1) WHERE token = 'BTC'") == $sent)
		{
			last if time - $begun > 5;
			usleep 1000;
		}
		push @seconds, time - $begun;
		usleep rand 100_000;
	}
	kill 'TERM', $generator;
	waitpid $generator, 0;
	$session->close;
	@seconds = sort { $a <=> $b } @seconds;
	diag sprintf 'measured: from XADD to defidata_live with 1000 events/s: p50 %.0f ms, p99 %.0f ms', 1000 * $seconds[20], 1000 * $seconds[39];
	cmp_ok($seconds[20], '<', 0.3, 'p50');
	cmp_ok($seconds[39], '<', 2, 'p99');
};

subtest 'how cheap' => sub {
	my $pid = follower();

	sleep 2;
	my ($before) = split / /, file_of($pid, 'schedstat');
	sleep 10;
	my ($after) = split / /, file_of($pid, 'schedstat');
	my $share = ($after - $before) / 1e10;
	diag sprintf 'measured: an idle worker takes %.3f %% of a core', 100 * $share;
	cmp_ok($share, '<', 0.003, 'idle');
};

subtest 'one of them, for several streams' => sub {
	my $pid = follower();

	sql('SELECT defidata_follow()') foreach 1 .. 3;
	sql('SELECT defidata.start_follower()') foreach 1 .. 3;
	$redis->add('others', [ symbol => 'ETH' ]);
	sql("SELECT defidata_attach_stream('redis', 'others')");
	wait_for('SELECT string_agg(lag::text, \' \' ORDER BY name) FROM defidata.stream', '0 0', 'a stream attached meanwhile');
	$redis->add('others', [ symbol => 'ETH' ]);
	wait_for('SELECT entries FROM defidata.stream WHERE name = \'redis_others\'', '2', 'is followed too');
	is(follower(), $pid, 'by the same worker, and no other');
	is(sql('SELECT value FROM defidata.status WHERE name = \'follower\''), 'running', 'status');
	is(sql("SELECT count(*) FROM defidata.status WHERE name LIKE 'stream %' AND value ~ 'lag 0 entries, [0-9]+ s'"), '2', 'with the lag');
};

subtest 'it comes back' => sub {
	my $pid = follower();

	$kills++;
	kill 'KILL', $pid;
	arrive('after a crash', 3);
	isnt(follower(), $pid, 'as another process');
	$pid = follower();
	sql("SELECT pg_terminate_backend($pid)");
	arrive('after it was terminated', 3);

	$redis->stop('KILL');
	wait_for("SELECT sqlstate IN ('08001', '08006') FROM defidata.stream WHERE name = 'redis_tweets'", 't', 'Redis is down');
	is(sql("SELECT state FROM defidata.status WHERE name = 'stream redis_tweets'"), 'warn', 'status warns');
	$redis->start;
	arrive('after Redis is up again', 3);
	is(sql('SELECT sqlstate FROM defidata.stream WHERE name = \'redis_tweets\''), '', 'the error is gone');

	$redis->signal('STOP');
	wait_for("SELECT sqlstate FROM defidata.stream WHERE name = 'redis_tweets'", '08006', 'Redis stalls');
	$redis->signal('CONT');
	arrive('after it goes on', 3);

	sql("ALTER SERVER redis OPTIONS (SET port '1')");
	$redis->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
	wait_for("SELECT sqlstate FROM defidata.stream WHERE name = 'redis_tweets'", '08001', 'another address');
	sql("ALTER SERVER redis OPTIONS (SET port '@{[ $redis->port ]}')");
	arrive('and back', 3);

	$redis->command('SET', 'text', 'x');
	sql("INSERT INTO defidata.stream (name, server, key, mode, fields, \"trim\") VALUES ('redis_text', 'redis', 'text', 'events', '{}', false)");
	wait_for("SELECT sqlstate FROM defidata.stream WHERE name = 'redis_text'", '42809', 'a stream that cannot be read');
	arrive('holds up no other', 3);
	sql("SELECT defidata_detach_stream('redis_text'); SELECT defidata_detach_stream('redis_others')");

	$node->restart('fast');
	is(follower(), '', 'not after a restart');
	sql('SELECT defidata_refresh()');
	arrive('but with the next cycle', 3);
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'defidata_redis'\n");
	$node->restart('fast');
	arrive('after a restart, where the library is preloaded', 3);
	is(sql('SELECT defidata_follow()'), '', 'no word about it');
	sql('CREATE DATABASE empty', 'postgres');
	$node->restart('immediate');
	arrive('after a crash of the server', 3);
	is(sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'defidata_redis%'", 'postgres'), '1', 'in the one database that wants it');
};

subtest 'it goes where it has to' => sub {
	my $begun;

	sql('SELECT defidata_unfollow()');
	wait_for("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'defidata_redis follower'", '0', 'after defidata_unfollow');
	is(sql('SELECT value FROM defidata.status WHERE name = \'follower\''), 'not wanted', 'status');
	sql('SELECT defidata_refresh()');
	is(follower(), '', 'no cycle brings it back');
	sql('SELECT defidata_follow()');
	arrive('and follows again', 3);

	$begun = time;
	sql("CREATE DATABASE copy TEMPLATE $database", 'postgres');
	diag sprintf 'measured: CREATE DATABASE from one that is followed: %.2f s', time - $begun;
	arrive('it makes way for a copy and comes back', 3);

	sql('SELECT defidata_refresh()', 'copy');
	wait_for("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'defidata_redis follower'", '2', 'the copy is followed too');
	$begun = time;
	sql('DROP DATABASE copy', 'postgres');
	diag sprintf 'measured: DROP DATABASE of one that is followed: %.2f s', time - $begun;
	cmp_ok(time - $begun, '<', 2, 'DROP DATABASE does not wait for it');
	sleep 7;
	is(sql('SELECT count(*) FROM pg_stat_activity WHERE backend_type = \'defidata_redis follower\'', 'postgres'), '1', 'nor does it try to come back');

	my $session = Defidata::Session->new($node, $database);
	$session->query('BEGIN');
	$session->query('SELECT defidata_unfollow()');
	$session->query('SELECT defidata_follow()');
	$session->query('ROLLBACK');
	arrive('what is rolled back changes nothing', 3);
	$session->close;

	sql('DROP EXTENSION defidata_redis CASCADE');
	wait_for("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'defidata_redis follower'", '0', 'after DROP EXTENSION');
	is(sql('SELECT count(*) FROM defidata.stream_sum WHERE symbol = \'BTC\'') > 0, 1, 'which leaves the sums');
};

$node->stop('fast');
my @signals = grep { /was terminated by signal/ } split /\n/, slurp_file($node->logfile);
is(scalar(grep { !/signal 9/ } @signals), 0, 'no crash');
cmp_ok(scalar @signals, '<=', $kills + 1, 'but those of this test');
is(join("\n", grep { /PANIC| XX\d{3} |TRAP: / } split /\n/, slurp_file($node->logfile)), '', 'no PANIC, no XX000');
done_testing();
