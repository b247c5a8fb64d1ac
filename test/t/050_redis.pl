# Streams of a Redis server: what is read, how it becomes facts, and what every server
# that does not behave is answered with.  The worker is in 051, kills are in 052.

use strict;
use warnings;

use Defidata::Redis;
use Defidata::Session;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

if (my $reason = Defidata::Redis->missing)
{
	plan skip_all => $reason;
}

my $password = 's3sam-0pen_7d1';
my $redis = Defidata::Redis->new;
my $node = Defidata::Redis->cluster;
my $base = int(time / 3600) * 3600;

# sql runs SQL that must succeed.
sub sql
{
	my ($database, $sql) = @_;
	return $node->safe_psql($database, "SET client_min_messages = error; $sql");
}

# fails checks that SQL fails with a SQLSTATE and a message.
sub fails
{
	my ($database, $sql, $sqlstate, $pattern, $name) = @_;
	my ($status, $out, $err) = $node->psql($database, $sql, on_error_stop => 0, extra_params => [ '--quiet', '--set=VERBOSITY=verbose' ]);

	subtest $name => sub {
		is($err =~ /ERROR:\s+([0-9A-Z]{5}):/ ? $1 : '', $sqlstate, 'SQLSTATE') or diag $err;
		like($err, $pattern, 'message');
		unlike($err, qr/\Q$password\E/, 'no password');
	};
	return;
}

# id is an entry's id, some seconds before the present hour.
sub id
{
	my ($seconds, $number) = @_;
	return sprintf '%d000-%d', $base - $seconds, $number // 0;
}

# imposter starts a process that answers whatever comes with the same bytes; its pid and port.
sub imposter
{
	my ($answer) = @_;
	my $socket = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die $!;
	my $port = $socket->sockport;
	my $pid = fork // die $!;

	return ($pid, $port) if $pid;
	$SIG{ALRM} = sub { POSIX::_exit(0) };
	alarm 120;
	while (my $client = $socket->accept)
	{
		while (sysread $client, my $bytes, 65536)
		{
			syswrite $client, $answer;
		}
	}
	POSIX::_exit(0);
}

subtest 'events' => sub {
	my $database = $redis->database($node, 'events');

	sql($database, "SELECT defidata_attach_stream('redis', 'tweets')");
	is(sql($database, 'SELECT * FROM defidata_drain()'), 'redis_tweets|0|0|', 'a stream that does not exist yet');
	like(sql($database, "SELECT state FROM defidata.status WHERE name = 'stream redis_tweets'"), qr/warn/, 'is a warning');
	$redis->add('tweets',
		[ id(7200), symbol => 'BTC', sentiment => '0.25' ],
		[ id(7199), symbol => '$btc', count => 3, sentiment => '-0.1' ],
		[ id(7198), symbol => 'BTC', at => $base - 3600 * 50, count => 2 ],
		[ id(7197), at => '2020-01-02T03:04:05Z', symbol => 'ETH', sentiment => 'nan' ],
		[ id(10), symbol => 'NOTATOKEN' ],
		[ symbol => 'SOL', sentiment => '1001' ]);
	is(sql($database, 'SELECT * FROM defidata_drain()'), 'redis_tweets|6|0|0', 'read once');
	is(sql($database, 'SELECT * FROM defidata_drain()'), 'redis_tweets|0|0|0', 'and never again');
	is(sql($database, 'SELECT state FROM defidata.status WHERE name LIKE \'stream%\''), 'ok', 'status');
	is(sql($database, <<'END'), "\$btc|3|3|-300000000\nBTC|1|1|250000000\nETH|1|0|0\nNOTATOKEN|1|0|0\nSOL|1|0|0\nBTC|2|0|0", 'sums by minute');
SELECT symbol, mentions, weight, sentiment FROM defidata.stream_sum ORDER BY mentions = 2, symbol
END
	is(sql($database, 'SELECT status FROM defidata_refresh()'), 'ok', 'a cycle without another source');
	is(sql($database, <<'END'), "ETH|1|\nBTC|2|\nBTC|4|-0.0125\n|1|", 'facts of the hours that are over');
SELECT r.token, sum(r.mentions),
       round((sum(r.mentions * r.sentiment) / sum(r.mentions) FILTER (WHERE r.sentiment IS NOT NULL))::numeric, 12)::float8
  FROM defidata.raw_mentions r GROUP BY r.token, r.hour ORDER BY r.hour, r.token
END
	is(sql($database, 'SELECT count(*) FROM defidata.hours'), '4', 'hours');
	is(sql($database, "SELECT reason FROM defidata.rejects WHERE symbol = 'NOTATOKEN'"), 'symbol', 'a symbol that is no token');
	is(sql($database, "SELECT defidata_checksum('defidata.raw_mentions') = (SELECT defidata_checksum('defidata.raw_mentions') FROM defidata_refresh())"),
		't', 'a second cycle changes nothing');
	# late by an hour and by two days
	$redis->add('tweets', [ symbol => 'BTC', at => $base - 7200 ], [ symbol => 'BTC', at => $base - 3600 * 50 ]);
	sql($database, 'SELECT defidata_refresh()');
	is(sql($database, <<'END'), "3\n5", 'late events');
SELECT sum(r.mentions) FROM defidata.raw_mentions r WHERE r.token = 'BTC' GROUP BY r.hour ORDER BY r.hour
END
};

# The same events as rows of a table, one each, must give the same facts to the bit.
subtest 'the same bits' => sub {
	my $database = $redis->database($node, 'bits');
	my @entries;
	my @rows;

	srand 20260;
	foreach my $n (1 .. 20000)
	{
		my $symbol = (qw(BTC $btc ETH eth SOL ADA XRP), 'DOGE!', 'nothing at all')[ rand 9 ];
		my $at = $base - 3600 * 70 + int(rand 3600 * 69);
		my $count = rand() < 0.01 ? 1_000_000_000 : int rand 5;
		my $sentiment = rand() < 0.2 ? '' : sprintf '%.*f', rand 12, 2 * rand() - 1;

		push @entries, [ symbol => $symbol, at => $at, count => $count, $sentiment eq '' ? () : (sentiment => $sentiment) ];
		push @rows, "($n, $at, '$symbol', $count, " . ($sentiment eq '' ? 'NULL' : $sentiment) . ')';
	}
	$redis->add('bits', @entries);
	sql($database, "SELECT defidata_attach_stream('redis', 'bits')");
	is(sql($database, 'SELECT * FROM defidata_drain()'), 'redis_bits|20000|0|0', 'read');
	sql($database, 'SELECT defidata_refresh()');
	sql('postgres', 'CREATE DATABASE rows');
	sql('rows', "CREATE EXTENSION defidata CASCADE; CREATE TABLE event (id bigint, \"timestamp\" integer, symbol text, count float8, sentiment float8)");
	while (my @some = splice @rows, 0, 5000)
	{
		sql('rows', 'INSERT INTO event VALUES ' . join ', ', @some);
	}
	sql('rows', "SELECT defidata_attach('event', 'mentions', 'event'); SELECT defidata_refresh()");
	is(sql($database, "SELECT defidata_checksum('defidata.mention_series')"), sql('rows', "SELECT defidata_checksum('defidata.mention_series')"),
		'facts');
	is(sql($database, "SELECT defidata_checksum('defidata.metrics')"), sql('rows', "SELECT defidata_checksum('defidata.metrics')"), 'metrics');
	is(sql($database, 'SELECT count(DISTINCT date_bin(\'1 hour\', at, \'2001-01-01\')) = count(DISTINCT at) FROM defidata.stream_sum'
			. " WHERE at < date_bin('1 hour', now(), '2001-01-01') - interval '48 hours'"),
		't', 'sums of minutes are kept for 48 hours');
};

subtest 'rows' => sub {
	my $database = $redis->database($node, 'hourly');
	my $hour = $base - 7200;

	sql($database, "SELECT defidata_attach_stream('redis', 'hourly', 'rows', '{\"count\": \"n\", \"sentiment\": {\"column\": \"mood\", \"values\": {\"Bullish\": 1, \"Bearish\": -1}}}')");
	$redis->add('hourly',
		[ id => 1, hour => $hour, symbol => 'BTC', n => 7, mood => 'Bearish' ],
		[ id => 2, hour => $hour, symbol => 'ETH', n => 8, mood => 'Bullish' ],
		[ id => 1, hour => $hour, symbol => 'BTC', n => 9, mood => 'Bullish' ],
		[ id => 1, hour => $hour + 3600, symbol => 'BTC', n => 1 ],
		[ id => 3, hour => $hour, symbol => 'SOL', n => 'many' ],
		[ hour => $hour, symbol => 'SOL', n => 1 ],
		[ id => 4, hour => 'yesterday', symbol => 'SOL', n => 1 ],
		[ id => 'x' x 513, hour => $hour, symbol => 'SOL', n => 1 ]);
	is(sql($database, 'SELECT * FROM defidata_drain()'), 'redis_hourly|8|3|0', 'read');
	is(sql($database, 'SELECT reason FROM defidata.stream_reject ORDER BY reason'), "hour\nlong id\nnull id", 'rejected, with the reason');
	sql($database, 'SELECT defidata_refresh()');
	$redis->add('hourly', [ id => 2, hour => $hour, symbol => 'ETH', n => 80, mood => 'sideways' ]);
	sql($database, 'SELECT defidata_refresh()');
	is(sql($database, 'SELECT id, mentions, sentiment, reason FROM defidata.raw_mentions WHERE hour = to_timestamp(' . $hour . ') ORDER BY id'),
		"1|9|1|\n2|80||\n3|||mentions", 'the later entry replaces the earlier');
	is(sql($database, "SELECT mentions FROM defidata.raw_mentions WHERE hour = to_timestamp($hour + 3600)"), '1', 'of its hour alone');
	fails($database, "SELECT * FROM defidata_load_mentions('redis_hourly', '[]')", '22023', qr/not one of documents/, 'a document under its name');
	fails($database, "CREATE TABLE t (id text, \"timestamp\" integer, symbol text, count float8); SELECT defidata_attach('redis_hourly', 'mentions', 't')",
		'22023', qr/is a stream/, 'a relation under its name');
};

subtest 'mappings' => sub {
	my $database = $redis->database($node, 'mappings');

	sql($database, "SELECT defidata_attach_stream('redis', 'mapped', fields => '{\"symbol\": \"coin\", \"at\": {\"column\": \"ts\", \"unit\": \"milliseconds\"},"
		. " \"sentiment\": {\"column\": \"score\", \"from\": [0, 100], \"to\": [-1, 1]}}')");
	$redis->add('mapped', [ coin => 'BTC', ts => ($base - 60) . '999', score => 75 ], [ symbol => 'BTC' ]);
	is(sql($database, 'SELECT * FROM defidata_drain()'), 'redis_mapped|2|1|0', 'read');
	is(sql($database, 'SELECT EXTRACT(epoch FROM at)::bigint, sentiment FROM defidata.stream_sum'), ($base - 60) . '|500000000', 'mapped');
	fails($database, "SELECT defidata_attach_stream('redis', 'mapped', fields => '{\"coin\": \"symbol\"}')", '22023', qr/no field "coin"/, 'an unknown field');
	fails($database, "SELECT defidata_attach_stream('redis', 'mapped', fields => '{\"at\": {\"unit\": \"days\"}}')", '22023', qr/cannot be read/, 'an unknown unit');
	fails($database, "SELECT defidata_attach_stream('redis', 'mapped', 'rows')", '22023', qr/is attached in mode events/, 'another mode');
	fails($database, "SELECT defidata_attach_stream('redis', 'mapped', 'lines')", '22023', qr/must be events or rows/, 'no mode');
};

subtest 'bad entries do not block their neighbours' => sub {
	my $database = $redis->database($node, 'bad');

	sql($database, "SELECT defidata_attach_stream('redis', 'bad')");
	my @ids = $redis->add('bad',
		[ symbol => 'BTC' ], [ text => 'no symbol here' ], [ symbol => "\xff\xfe\x00\x01" ], [ symbol => 'ETH', count => '1.5' ],
		[ symbol => 'ETH', count => -1 ], [ symbol => 'ETH', at => '99999999999' ], [ symbol => 'ETH', at => 'soon' ],
		[ symbol => 'S' x 600 ], [ symbol => "a\0b" ], [ "\0\xff" => "\0\xff", symbol => 'ETH' ], [ symbol => 'SOL', sentiment => "\xff" ]);
	is(sql($database, 'SELECT * FROM defidata_drain()'), 'redis_bad|11|8|0', 'read');
	is(sql($database, 'SELECT entry, reason FROM defidata.stream_reject ORDER BY ordinal'),
		join("\n", map { "$ids[$_->[0]]|$_->[1]" } [ 1, 'symbol' ], [ 2, 'encoding' ], [ 3, 'mentions' ], [ 4, 'mentions' ], [ 5, 'hour' ],
			[ 6, 'hour' ], [ 7, 'long symbol' ], [ 8, 'encoding' ]),
		'with id and reason');
	is(sql($database, 'SELECT string_agg(symbol, \' \' ORDER BY symbol) FROM defidata.stream_sum'), 'BTC ETH SOL', 'the others count');
};

subtest 'a field of 100 MB, 10^6 entries' => sub {
	my $database = $redis->database($node, 'large');
	my $huge = 'x' x 100_000_000;

	sql($database, "SELECT defidata_attach_stream('redis', 'large')");
	$redis->add('large', [ text => $huge, symbol => 'BTC' ]);
	$redis->add('large', [ text => $huge, symbol => $huge ]);
	foreach my $part (1 .. 100)
	{
		$redis->add('large', map { [ symbol => "S$_", sentiment => '0.1' ] } 1 .. 10_000);
	}
	my $session = Defidata::Session->new($node, $database);
	my $before = slurp_file("/proc/" . $session->pid . "/status") =~ /VmHWM:\s+(\d+)/ ? $1 : die;
	is($session->query('SELECT * FROM defidata_drain()'), 'redis_large|1000002|1|0', 'read');
	my $after = slurp_file("/proc/" . $session->pid . "/status") =~ /VmHWM:\s+(\d+)/ ? $1 : die;
	cmp_ok($after - $before, '<', 150_000, 'bounded memory');
	diag sprintf 'measured: %d MB more at most', ($after - $before) / 1000;
	is($session->query('SELECT sum(mentions) FROM defidata.stream_sum'), '1000001', 'all counted');
	$session->close;
	$redis->command('DEL', 'large');
};

subtest 'servers that do not behave' => sub {
	my $database = $redis->database($node, 'refused', '', "OPTIONS (username 'nobody', password '$password')");
	my $attach = "SELECT defidata_attach_stream('redis', 'tweets')";

	fails($database, 'CREATE SERVER s FOREIGN DATA WRAPPER defidata_redis OPTIONS (hots \'x\')', 'HV00D', qr/invalid option "hots"/, 'an unknown option');
	fails($database, 'CREATE SERVER s FOREIGN DATA WRAPPER defidata_redis OPTIONS (port \'70000\')', '22023', qr/"port" must be/, 'an unfit value');
	fails($database, "SELECT defidata_attach_stream('elsewhere', 'tweets')", '42704', qr/does not exist/, 'no such server');
	fails($database, "SELECT defidata_reset_stream('x', '0')", '42704', qr/not attached/, 'no such stream');
	fails($database, 'SELECT defidata_follow()', '55000', qr/no stream is attached/, 'nothing to follow');
	fails($database, $attach, '08004', qr/refused user name or password/, 'user and password refused');
	$redis->command('CONFIG', 'SET', 'requirepass', $password);
	sql($database, 'ALTER USER MAPPING FOR CURRENT_USER SERVER redis OPTIONS (DROP username, DROP password)');
	fails($database, $attach, '08004', qr/requires a password/, 'no password given');
	sql($database, "SET log_statement = none; ALTER USER MAPPING FOR CURRENT_USER SERVER redis OPTIONS (ADD password '$password')");
	sql($database, $attach);
	is(sql($database, 'SELECT rejected FROM defidata_drain()'), '0', 'the right password');
	$redis->command('CONFIG', 'SET', 'requirepass', '');
	$redis->command('ACL', 'SETUSER', 'weak', 'on', ">$password", '~*', '+xinfo');
	sql($database, 'ALTER USER MAPPING FOR CURRENT_USER SERVER redis OPTIONS (ADD username \'weak\')');
	fails($database, 'SELECT * FROM defidata_drain()', '42501', qr/does not permit a command/, 'a command that is not permitted');
	sql($database, 'ALTER USER MAPPING FOR CURRENT_USER SERVER redis OPTIONS (DROP username, DROP password)');
	$redis->command('SET', 'text', 'x');
	fails($database, "SELECT defidata_attach_stream('redis', 'text')", '42809', qr/not a stream/, 'another type');

	foreach my $case (
		[ "-MOVED 3999 127.0.0.1:6381\r\n", '0A000', qr/part of a cluster/, 'a cluster' ],
		[ "HTTP/1.1 400 Bad Request\r\n\r\n", '08P01', qr/does not answer as Redis does/, 'a web server' ],
		[ "*1\r\n:1\r\n", '08P01', qr/does not answer XINFO STREAM/, 'an answer to something else' ],
		[ "-LOADING Redis is loading the dataset in memory\r\n", '08006', qr/not ready/, 'a server that is loading' ],
		[ "-ERR unknown command, with args beginning with: '$password'\r\n", '08004', qr/refused/, 'a server that repeats what it is told', 1 ])
	{
		my ($answer, $sqlstate, $pattern, $name, $with_password) = @$case;
		my ($pid, $port) = imposter($answer);

		sql($database, "ALTER SERVER redis OPTIONS (SET port '$port')");
		sql($database, "SET log_statement = none; ALTER USER MAPPING FOR CURRENT_USER SERVER redis OPTIONS (ADD password '$password')") if $with_password;
		fails($database, $attach, $sqlstate, $pattern, $name);
		kill 'KILL', $pid;
		waitpid $pid, 0;
		fails($database, $attach, '08001', qr/could not connect/, 'and then nobody') if $with_password;
	}
};

subtest 'a server that stalls' => sub {
	my $database = $redis->database($node, 'stalled');

	sql($database, "SELECT defidata_attach_stream('redis', 'tweets'); ALTER SERVER redis OPTIONS (SET read_timeout '2')");
	$redis->signal('STOP');
	my $begun = time;
	fails($database, 'SELECT * FROM defidata_drain()', '08006', qr/did not answer within 2 s/, 'within its timeout');
	cmp_ok(time - $begun, '<', 4, 'in time');
	sql($database, "ALTER SERVER redis OPTIONS (SET read_timeout '60')");
	my $session = Defidata::Session->new($node, $database);
	$session->start('SELECT * FROM defidata_drain()');
	$node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = \'Extension\' AND pid = ' . $session->pid);
	$begun = time;
	sql('postgres', 'SELECT pg_cancel_backend(' . $session->pid . ')');
	like(($session->finish)[1], qr/57014/, 'interruptible');
	cmp_ok(time - $begun, '<', 1, 'at once');
	$redis->signal('CONT');
	is($session->query('SELECT stream FROM defidata_drain()'), 'redis_tweets', 'the session goes on');
	my $files = () = glob '/proc/' . $session->pid . '/fd/*';
	$session->start('SELECT 1/0 FROM defidata_drain()'), $session->finish foreach 1 .. 20;
	my $later = () = glob '/proc/' . $session->pid . '/fd/*';
	cmp_ok($later, '<=', $files + 1, 'no connection is left behind');
	$session->close;
};

# losses says what was noted as lost, in hours from the present one.
sub losses
{
	my ($database) = @_;
	return sql($database, "SELECT string_agg(format('%s to %s', (EXTRACT(epoch FROM from_hour)::bigint - $base) / 3600,"
		. " (EXTRACT(epoch FROM until_hour)::bigint - $base) / 3600), ', ' ORDER BY ordinal) FROM defidata.stream_loss");
}

subtest 'entries that are gone' => sub {
	my $database = $redis->database($node, 'gone');

	sql($database, "SELECT defidata_attach_stream('redis', 'gone')");
	$redis->add('gone', map { [ id(3600 * 20 - $_), symbol => 'BTC' ] } 1 .. 100);
	sql($database, 'SELECT defidata_drain()');
	$redis->add('gone', map { [ id(3600 * 15 - $_), symbol => 'BTC' ] } 1 .. 100);
	$redis->command('XTRIM', 'gone', 'MAXLEN', 100);
	is(sql($database, 'SELECT * FROM defidata_drain()'), 'redis_gone|100|0|0', 'trimmed just up to the position');
	is(losses($database), '', 'nothing is lost');

	$redis->add('gone', map { [ id(3600 * 10 - $_), symbol => 'BTC' ] } 1 .. 100);
	$redis->command('XTRIM', 'gone', 'MAXLEN', 50);
	is(sql($database, 'SELECT * FROM defidata_drain()'), 'redis_gone|50|0|0', 'trimmed past the position');
	is(losses($database), '-15 to -10', 'the hours that lack entries');
	sql($database, 'SELECT defidata_refresh()');
	is(sql($database, "SELECT string_agg(((EXTRACT(epoch FROM hour)::bigint - $base) / 3600)::text, ' ' ORDER BY hour) FROM defidata.hours WHERE incomplete"),
		'-15 -10', 'are incomplete');
	is(sql($database, "SELECT string_agg(((EXTRACT(epoch FROM hour)::bigint - $base) / 3600)::text, ' ' ORDER BY hour) FROM defidata.metrics"), '-20', 'and not observed');
	like(sql($database, "SELECT state || hint FROM defidata.status WHERE name LIKE 'stream%'"), qr/^warn.*missing/, 'status warns');

	$redis->command('XDEL', 'gone', id(3600 * 10 - 100));
	$redis->add('gone', [ id(3600 * 9), symbol => 'BTC' ]);
	is(sql($database, 'SELECT * FROM defidata_drain()'), 'redis_gone|1|0|0', 'the entry of the position deleted');
	is(losses($database), '-15 to -10', 'nothing more is lost');

	$redis->command('XDEL', 'gone', id(3600 * 9));
	$redis->add('gone', [ id(3600 * 8), symbol => 'BTC' ], [ id(3600 * 8 - 1), symbol => 'BTC' ]);
	$redis->command('XDEL', 'gone', id(3600 * 8));
	sql($database, 'SELECT * FROM defidata_drain()');
	is(losses($database), '-15 to -10, -9 to -8', 'one deleted behind the position too');

	$redis->add('gone', map { [ id(3600 * 7 - $_), symbol => 'BTC' ] } 1 .. 10);
	$redis->command('XTRIM', 'gone', 'MAXLEN', 0);
	is(sql($database, 'SELECT * FROM defidata_drain()'), 'redis_gone|0|0|0', 'all trimmed');
	is(losses($database), '-15 to -10, -9 to -8, -8 to -7', 'all lost');
	sql($database, 'SELECT * FROM defidata_drain()');
	is(losses($database), '-15 to -10, -9 to -8, -8 to -7', 'once');

	$redis->add('gone', [ id(3600 * 6), symbol => 'BTC' ]);
	sql($database, 'SELECT * FROM defidata_drain()');
	is(losses($database), '-15 to -10, -9 to -8, -8 to -7', 'and then goes on');

	$redis->command('DEL', 'gone');
	is(sql($database, 'SELECT * FROM defidata_drain()'), 'redis_gone|0|0|', 'the stream is gone');
	$redis->add('gone', [ id(3600 * 5), symbol => 'BTC' ]);
	is(sql($database, 'SELECT * FROM defidata_drain()'), 'redis_gone|1|0|0', 'and another one comes');
	is(losses($database), '-15 to -10, -9 to -8, -8 to -7, -6 to -5', 'which may lack entries');

	$redis->add('begun', map { [ id(3600 * 4 - $_), symbol => 'BTC' ] } 1 .. 10);
	$redis->command('XTRIM', 'begun', 'MAXLEN', 5);
	sql($database, "SELECT defidata_attach_stream('redis', 'begun'); SELECT defidata_drain()");
	like(losses($database), qr/, -4 to -4$/, 'a stream whose begin is gone');
};

subtest 'a stream that ends before the position' => sub {
	my $database = $redis->database($node, 'behind');
	my $sums = 'SELECT EXTRACT(hour FROM age(to_timestamp(' . $base . '), date_bin(\'1 hour\', at, \'2001-01-01\'))) AS h, sum(mentions)'
		. ' FROM defidata.stream_sum GROUP BY 1 ORDER BY 1 DESC';

	sql($database, "SELECT defidata_attach_stream('redis', 'behind')");
	$redis->add('behind', (map { [ id(3600 * 9 - $_), symbol => 'BTC' ] } 1 .. 90), map { [ id(3600 * 8 - $_), symbol => 'BTC' ] } 1 .. 80);
	sql($database, 'SELECT defidata_drain()');
	is(sql($database, $sums), "9|90\n8|80", 'read');
	# the newest entries are lost, some of them were read
	$redis->command('DEL', 'behind');
	$redis->add('behind', (map { [ id(3600 * 9 - $_), symbol => 'BTC' ] } 1 .. 90), map { [ id(3600 * 8 - $_), symbol => 'BTC' ] } 1 .. 70);
	fails($database, 'SELECT defidata_drain()', '55000', qr/ends at @{[ id(3600 * 8 - 70) ]}, before @{[ id(3600 * 8 - 80) ]}/, 'an error');
	$node->psql($database, 'SELECT defidata_refresh()', stderr => \my $warning);
	like($warning, qr/WARNING.*ends at/, 'a warning of the cycle');
	is(sql($database, "SELECT state FROM defidata.status WHERE name LIKE 'stream%'"), 'warn', 'status');
	is(sql($database, $sums), "9|90\n8|80", 'nothing is read');
	sql($database, "SELECT defidata_reset_stream('redis_behind', '@{[ id(3600 * 8 - 65) ]}')");
	is(sql($database, $sums), "9|90\n8|59", 'sums from that minute on are dropped');
	sql($database, 'SELECT defidata_drain()');
	is(sql($database, $sums), "9|90\n8|70", 'and read again');
	sql($database, "SELECT defidata_reset_stream('redis_behind', '0'); SELECT defidata_drain()");
	is(sql($database, $sums), "9|90\n8|70", 'all once more');
	# entries before the minute, of which one counts in it
	$redis->add('behind', [ id(3600 * 7), symbol => 'BTC', at => $base - 3600 * 9 ], [ id(3600 * 7 - 1), symbol => 'BTC' ]);
	sql($database, 'SELECT defidata_drain()');
	is(sql($database, $sums), "9|91\n8|70\n7|1", 'one of an hour before');
	sql($database, "SELECT defidata_reset_stream('redis_behind', '@{[ id(3600 * 7) ]}'); SELECT defidata_drain()");
	is(sql($database, $sums), "9|91\n8|70\n7|1", 'does not count twice');
	sql($database, 'SELECT defidata_refresh()');
	is(sql($database, 'SELECT sum(mentions) FROM defidata.raw_mentions'), '162', 'facts follow');
	$redis->add('behind', [ id(3600 * 6), symbol => 'BTC' ], [ id(3600 * 5), symbol => 'BTC' ]);
	sql($database, "SELECT defidata_reset_stream('redis_behind', '\$'); SELECT defidata_drain()");
	is(sql($database, $sums), "9|91\n8|70\n7|1\n5|1", 'forwards to the newest');
	is(losses($database), '-7 to -5', 'what was passed over');
	fails($database, "SELECT defidata_reset_stream('redis_behind', 'now')", '22023', qr/invalid id/, 'no id');
};

subtest 'the running hour' => sub {
	my $database = $redis->database($node, 'live');
	my $minute = int(time / 60) * 60;
	my @entries;

	# 40 hours of history, of which the last may overlap with the last 60 minutes
	foreach my $hour (2 .. 41)
	{
		push @entries, [ symbol => 'BTC', at => $base - 3600 * $hour, count => 10 + $hour % 5 ],
		  [ symbol => '$btc', at => $base - 3600 * $hour + 1800, count => 1 ],
		  [ symbol => 'ETH', at => $base - 3600 * $hour, count => $hour % 2 ],
		  [ symbol => 'SOL', at => $base - 3600 * $hour, count => 7 ];
	}
	$redis->add('live', @entries,
		[ symbol => 'BTC', at => $minute - 50 * 60, count => 20, sentiment => 1 ], [ symbol => 'btc', at => $minute, count => 5, sentiment => -1 ],
		[ symbol => 'ETH', at => $minute - 600, count => 30 ], [ symbol => 'SOL', at => $minute, count => 50 ],
		[ symbol => 'ADA', at => $minute, count => 50 ], [ symbol => 'XRP', at => $minute - 3600 * 2, count => 50 ]);
	sql($database, "SELECT defidata_attach_stream('redis', 'live'); SELECT defidata_drain()");
	is(sql($database, 'SELECT * FROM defidata_live()'), '', 'nothing to compare with yet');
	sql($database, 'SELECT defidata_refresh()');
	my $expected = sql($database, <<"END");
WITH o AS (SELECT hour FROM defidata.hours WHERE observed AND hour < date_bin('1 hour', to_timestamp($minute - 59 * 60), '2001-01-01')),
f AS (SELECT r.token, o.hour, sum(r.mentions) AS n FROM defidata.raw_mentions r JOIN o USING (hour) GROUP BY 1, 2),
a AS (SELECT t.token, o.hour, COALESCE(f.n, 0) AS n FROM (VALUES ('BTC'), ('ETH')) t (token) CROSS JOIN o LEFT JOIN f USING (token, hour))
SELECT row_number() OVER (ORDER BY z DESC), token, m, round(avg::numeric, 9), round(z::numeric, 9)
  FROM (SELECT token, avg(n), CASE token WHEN 'BTC' THEN 25 ELSE 30 END AS m, (CASE token WHEN 'BTC' THEN 25 ELSE 30 END - avg(n)) / stddev_samp(n) AS z
          FROM a GROUP BY token) q ORDER BY 1
END
	my $live = 'SELECT rank, token, mentions_60m, round(sma_14d::numeric, 9), round(zscore_60m::numeric, 9) FROM defidata_live() ORDER BY rank';
	is(sql($database, $live), $expected, 'as defined, from what the cycle has kept');
	sql($database, 'DELETE FROM defidata.stream_baseline');
	is(sql($database, $live), $expected, 'and without');
	is(sql($database, 'SELECT sentiment_60m FROM defidata_live() WHERE token = \'BTC\''), '0.6', 'sentiment');
	is(sql($database, 'SELECT token FROM defidata_live(1, 26)'), 'ETH', 'size and min_mentions');
	sql($database, "SELECT defidata_add_alert('burst', 'zscore_60m', 4, min_mentions => 0); UPDATE defidata.alert SET judged_hour = judged_hour - interval '3 minutes'");
	sql($database, 'SELECT defidata_refresh()');
	is(sql($database, 'SELECT alert, token, value >= 4, date_trunc(\'minute\', hour) = hour FROM defidata.alerts ORDER BY token'), "burst|BTC|t|t\nburst|ETH|t|t",
		'alerts on zscore_60m');
	sql($database, 'UPDATE defidata.alert SET judged_hour = judged_hour - interval \'3 minutes\'; SELECT defidata.judge_minutes()');
	is(sql($database, 'SELECT count(*) FROM defidata.alert_event'), '2', 'raised once');
	fails($database, "SELECT * FROM defidata_try_alert(now() - interval '1 day', now(), 'zscore_60m', 4)", '22023', qr/is not a metric/, 'which cannot be tried on the past');
	is(sql($database, "SELECT status, body -> 0 ->> 'rank', json_array_length(body), etag IS NOT NULL, published_at > now() - interval '1 minute'"
				. " FROM defidata_document('/LIVE/')"), '200|1|2|t|t', '/live');
	is(sql($database, "SELECT d.status FROM defidata_document('/live') l, defidata_document('/live', l.etag) d"), '304', 'which the client has');
};

subtest 'trimming' => sub {
	my $database = $redis->database($node, 'trimmed');

	sql($database, "SELECT defidata_attach_stream('redis', 'trimmed', \"trim\" => true)");
	$redis->add('trimmed', map { [ symbol => 'BTC' ] } 1 .. 1000);
	sql($database, 'SELECT defidata_drain()');
	is($redis->command('XLEN', 'trimmed'), 1000, 'not before the commit');
	sql($database, 'SELECT defidata_drain()');
	is($redis->command('XLEN', 'trimmed'), 1, 'but for the entry of the position');
	$redis->add('trimmed', map { [ symbol => 'BTC' ] } 1 .. 10);
	sql($database, 'BEGIN; SELECT defidata_drain(); SELECT defidata_drain(); ROLLBACK');
	is($redis->command('XLEN', 'trimmed'), 11, 'nor within the transaction that has read them');
	is(sql($database, 'SELECT read FROM defidata_drain()'), '10', 'which is rolled back');
	is(sql($database, 'SELECT sum(mentions) FROM defidata.stream_sum'), '1010', 'all counted once');
	is(losses($database), '', 'nothing is lost');
};

subtest 'beside a cycle' => sub {
	my $database = $redis->database($node, 'beside');
	my $cycle = Defidata::Session->new($node, $database);
	my $drain = Defidata::Session->new($node, $database, lock_timeout => '500ms');

	sql($database, "SELECT defidata_attach_stream('redis', 'beside')");
	$redis->add('beside', [ id(3600), symbol => 'BTC' ]);
	sql($database, 'SELECT defidata_drain()');
	$cycle->query('BEGIN');
	$cycle->query('SELECT defidata_refresh()');
	$redis->add('beside', [ id(3599), symbol => 'BTC' ]);
	like($drain->query('SELECT * FROM defidata_drain()'), qr/^redis_beside\|\|/, 'a stream that a cycle has drained is left to it');
	$cycle->query('COMMIT');
	is($drain->query('SELECT * FROM defidata_drain()'), 'redis_beside|1|0|0', 'and then drained');
	$cycle->query('BEGIN');
	$cycle->query("SELECT defidata.lock('writer'), defidata.fold_streams()");
	$redis->add('beside', [ id(3598), symbol => 'BTC' ]);
	is($drain->query('SELECT * FROM defidata_drain()'), 'redis_beside|1|0|0', 'folding does not hold it up');
	$cycle->query('COMMIT');
	$cycle->query('SELECT defidata_refresh()');
	is($cycle->query('SELECT sum(mentions) FROM defidata.raw_mentions'), '3', 'and nothing is forgotten');
	$_->close foreach $cycle, $drain;
};

subtest 'who may what' => sub {
	my $database = $redis->database($node, 'rights');

	sql($database, 'CREATE ROLE reader LOGIN; CREATE ROLE operator LOGIN; CREATE ROLE nobody LOGIN; SELECT defidata_setup();'
		. " SELECT defidata_grant('reader', 'reader')");
	sql($database, "SELECT defidata_attach_stream('redis', 'tweets'); SELECT defidata_grant('operator', 'operator')");
	fails($database, 'SET ROLE nobody; SELECT * FROM defidata_live()', '42501', qr/permission denied/, 'nobody');
	is(sql($database, 'SET ROLE reader; SELECT count(*) FROM defidata_live()'), '0', 'a reader reads, whose right is older than the streams');
	fails($database, 'SET ROLE reader; SELECT * FROM defidata_drain()', '42501', qr/permission denied/, 'and does not drain');
	is(sql($database, 'SET ROLE operator; SELECT count(*) FROM defidata_drain()'), '1', 'an operator drains');
	like(sql($database, 'SET ROLE operator; SELECT status FROM defidata_refresh()'), qr/ok/, 'and refreshes');
	fails($database, 'SET ROLE operator; SELECT defidata_follow()', '42501', qr/permission denied/, 'but does not configure');
	fails($database, "SET ROLE operator; SELECT * FROM defidata.drain_stream('redis_tweets', 1)", '42501', qr/permission denied/, 'nor call what is inside');
	is(sql($database, "SELECT string_agg(p.oid::regprocedure::text, ' ') FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass"
				. " JOIN pg_extension e ON e.oid = d.refobjid AND d.deptype = 'e' AND e.extname = 'defidata_redis', aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0"),
		'', 'nothing is for everybody');
};

subtest 'dump and restore' => sub {
	my $database = 'behind';
	my $file = $node->basedir . '/dump';

	command_ok([ 'pg_dump', '--file', $file, '--no-owner', $node->connstr($database) ], 'pg_dump');
	sql('postgres', 'CREATE DATABASE restored');
	command_ok([ 'psql', '--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--file', $file, $node->connstr('restored') ], 'psql');
	is(sql('restored', 'SELECT * FROM defidata_drain()'), 'redis_behind|0|0|0', 'goes on from its position');
	is(sql('restored', 'SELECT sum(mentions) FROM defidata.stream_sum'), sql($database, 'SELECT sum(mentions) FROM defidata.stream_sum'), 'with its sums');
	$redis->command('XDEL', 'behind', id(3600 * 9 - 1));
};

$node->stop('fast');
unlike(slurp_file($node->logfile), qr/\Q$password\E/, 'no password in the log');
is(join("\n", grep { /PANIC| XX\d{3} |TRAP: |was terminated by signal/ } split /\n/, slurp_file($node->logfile)), '', 'no crash, no XX000');
done_testing();
