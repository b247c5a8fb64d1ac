# The remote fails: it crashes in the middle of an import, stalls, does not answer
# a connect, changes its shape, takes access away, or its server is dropped.
# The error has the right SQLSTATE and next step, what is here stays intact, and
# all goes on once the remote is back.

use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $pair = Defidata->new(newest => 8);
my $imported = $pair->database;
$pair->refresh($imported);
$pair->fill(7, 0);

# remote_pid is the process of the remote that serves a database's refresh.
sub remote_pid
{
	my $pid;
	foreach (1 .. 200)
	{
		$pid = $pair->remote_sql("SELECT pid FROM pg_stat_activity WHERE usename = '$Defidata::role' AND wait_event_type = 'Lock'");
		last if $pid;
		usleep 20_000;
	}
	return $pid;
}

# paused_refresh starts a call that waits for the remote.
sub paused_refresh
{
	my ($session, $call) = @_;
	my $holder = $pair->remote_session;

	$holder->query('BEGIN');
	$holder->query('LOCK TABLE tweetvolumeshours');
	$session->start($call);
	$pair->wait_for_wait($session->pid, 'Extension');
	return $holder;
}

# at_once runs a statement that must fail, in its time.
sub at_once
{
	my ($session, $call) = @_;
	my $started = time;

	$session->start($call);
	my ($out, $err) = $session->finish;
	return ($err, time - $started);
}

foreach my $call ('SELECT * FROM defidata_refresh()', 'CALL defidata_run()')
{
	my $is_run = $call =~ /run/;

	subtest "remote crashes in the middle of an import: $call" => sub {
		my $database = $pair->database;
		$pair->sql($database, "SELECT defidata_set('batch_size', '1000')");
		$pair->sql($database, "ALTER SERVER ct_scanner OPTIONS (SET fetch_size '50')");
		my $session = $pair->session($database, client_min_messages => 'error');
		# the copy is held up, its cursor at the remote is open
		my $holder = $pair->session($database);
		$holder->query(q(CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN PERFORM pg_advisory_xact_lock(1, 2) WHERE new.id LIKE '%-3'; RETURN new; END $$));
		$holder->query('CREATE TRIGGER pause BEFORE INSERT ON defidata.raw_mentions FOR EACH ROW EXECUTE FUNCTION pause()');
		$holder->query('SELECT pg_advisory_lock(1, 2)');
		$session->start($call);
		$pair->wait_for_wait($session->pid);
		$pair->remote->stop('immediate');
		$holder->close;
		my ($out, $err) = $session->finish;

		is(Defidata::sqlstate_of($err), '08006', 'SQLSTATE') or diag $err;
		$pair->sql($database, 'DROP TRIGGER pause ON defidata.raw_mentions');
		is($pair->sql($database, 'SELECT count(*) FROM defidata.raw_mentions'), '0', 'nothing half-kept');
		is($pair->sql($database, "SELECT stage, sqlstate FROM defidata.runs WHERE status = 'failed'"), $is_run ? 'import|08006' : '', 'I4');
		($err) = at_once($session, $call);
		like(Defidata::sqlstate_of($err), qr/^080(01|06)$/, 'as long as it is down') or diag $err;
		$pair->remote->start;
		($err) = at_once($session, $call);
		is($err, '', 'the same session works once it is back');
		$session->close;
		$pair->check_invariants($database, 'afterwards');
	};
}

subtest 'remote backend stalls' => sub {
	my $database = $pair->database($imported);
	my $session = $pair->session($database, client_min_messages => 'error', statement_timeout => '1500ms');
	my $holder = paused_refresh($session, 'SELECT * FROM defidata_refresh()');
	my $pid = remote_pid();
	my $started = time;
	kill 'STOP', $pid or die;
	my ($out, $err) = $session->finish;
	my $seconds = time - $started;
	kill 'CONT', $pid;
	$holder->close;

	is(Defidata::sqlstate_of($err), '57014', 'SQLSTATE') or diag $err;
	cmp_ok($seconds, '<', 1.5 + 35, 'ends by statement_timeout and the abort');
	$session->query('RESET statement_timeout');
	is($session->query('SELECT status FROM defidata_refresh()'), 'ok', 'the same session works next time');
	$session->close;
	$pair->check_invariants($database, 'afterwards');
};

subtest 'remote does not answer a connect' => sub {
	my $database = $pair->database($imported);
	$pair->sql($database, "ALTER SERVER ct_scanner OPTIONS (SET connect_timeout '2')");
	my $postmaster = (split /\n/, slurp_file($pair->remote->data_dir . '/postmaster.pid'))[0];
	# from 16 on postgres_fdw waits for the answer whatever connect_timeout says
	my ($limit, $sqlstate) = $pair->analytics->pg_version < 16 ? ('connect_timeout', '08001') : ('statement_timeout', '57014');
	my $session = $pair->session($database, client_min_messages => 'error', $limit eq 'statement_timeout' ? (statement_timeout => '2s') : ());
	kill 'STOP', $postmaster or die;
	my ($err, $seconds) = at_once($session, 'CALL defidata_run()');
	kill 'CONT', $postmaster;

	is(Defidata::sqlstate_of($err), $sqlstate, 'SQLSTATE') or diag $err;
	cmp_ok($seconds, '<', 10, "ends by $limit");
	is($pair->sql($database, "SELECT stage, sqlstate FROM defidata.runs WHERE status = 'failed'"), "import|$sqlstate", 'I4');
	$session->query('RESET statement_timeout');
	is($session->query('SELECT status FROM defidata_refresh()'), 'ok', 'the same session works next time');
	$session->close;
	$pair->check_invariants($database, 'afterwards');
};

# Drifts of the remote's shape: what is done, what it is called, and how to undo it.
my $table = 'ALTER TABLE tweetvolumeshours';
my @drifts = (
	[ "$table RENAME count TO tweets", '42703', qr/tweetvolumeshours has no column "count"/, "$table RENAME tweets TO count" ],
	[ "$table RENAME sentiment TO mood", '42703', qr/has no column "sentiment"/, "$table RENAME mood TO sentiment" ],
	[ "$table ALTER \"timestamp\" TYPE numeric", '42804', qr/column "timestamp" of remote table .* has type numeric, expected integer/,
		"$table ALTER \"timestamp\" TYPE integer" ],
	[ "$table ALTER \"timestamp\" TYPE bigint", '42804', qr/column "timestamp" .* has type bigint, expected integer/,
		"$table ALTER \"timestamp\" TYPE integer" ],
	[ "$table ALTER \"timestamp\" TYPE timestamptz USING to_timestamp(\"timestamp\")", '42804', qr/has type timestamp with time zone, expected integer/,
		"$table ALTER \"timestamp\" TYPE integer USING EXTRACT(epoch FROM \"timestamp\")::integer" ],
	[ "$table RENAME TO volumes", '42P01', qr/tweetvolumeshours/, 'ALTER TABLE volumes RENAME TO tweetvolumeshours' ],
	[ 'ALTER TABLE cmc_price RENAME price TO quote', '42703', qr/cmc_price has no column "price"/, 'ALTER TABLE cmc_price RENAME quote TO price' ]);

foreach my $drift (@drifts)
{
	my ($change, $sqlstate, $message, $undo) = @$drift;

	subtest "drift: $change" => sub {
		my $database = $pair->database($imported);
		my $before = $pair->checksums($database);
		$pair->remote_sql($change);
		$pair->fails($database, 'SELECT * FROM defidata_refresh()', $sqlstate, $message, 'named error');
		$pair->fails($database, 'SELECT * FROM defidata_check()', $sqlstate, $message, 'defidata_check says so too');
		is($pair->checksums($database), $before, 'before any row');
		$pair->remote_sql($undo);
		$pair->check_invariants($database, 'afterwards');
		$pair->drop($database);
	};
}

# hours as timestamptz, then as timestamp: the instant must not shift silently
subtest 'drift: timestamptz to timestamp' => sub {
	local $pair->{remote_database} =
	  $pair->another_remote('moments', "$table ALTER \"timestamp\" TYPE timestamptz USING to_timestamp(\"timestamp\")");
	my $database = $pair->database;
	my $to_zone = q(USING "timestamp" AT TIME ZONE 'Asia/Kolkata');
	$pair->refresh($database);
	my $before = $pair->checksums($database);
	$pair->remote_sql("$table ALTER \"timestamp\" TYPE timestamp $to_zone");
	$pair->fails($database, 'SELECT * FROM defidata_refresh()', '42804', qr/has type timestamp without time zone, expected timestamp with time zone/, 'named error');
	is($pair->checksums($database), $before, 'before any row');
	$pair->remote_sql("$table ALTER \"timestamp\" TYPE timestamptz $to_zone");
	$pair->check_invariants($database, 'once it is back');
	is($pair->checksums($database), $before, 'the same as before');
};

subtest 'drift: bigint to numeric' => sub {
	local $pair->{remote_database} = $pair->another_remote('whole',
		"DELETE FROM tweetvolumeshours WHERE count >= 1e9; $table ALTER count TYPE bigint USING floor(count)");
	my $database = $pair->database;
	$pair->refresh($database);
	my $before = $pair->checksums($database);
	$pair->remote_sql("$table ALTER count TYPE numeric");
	$pair->fails($database, 'SELECT * FROM defidata_refresh()', '42804', qr/column "count" .* has type numeric, expected bigint/, 'named error');
	is($pair->checksums($database), $before, 'before any row');
	my $again = $pair->database($database);
	$pair->sql($again, "SELECT defidata_attach_server('ct_scanner')");
	$pair->refresh($again);
	is($pair->checksums($again), $before, 'attached again it goes on');
	$pair->remote_sql("$table ALTER count TYPE bigint");
	$pair->check_invariants($database, 'once it is back');
};

subtest 'access revoked' => sub {
	my $database = $pair->database($imported);
	my $before = $pair->checksums($database);
	$pair->remote_sql("REVOKE SELECT ON tweetvolumeshours FROM $Defidata::role");
	$pair->fails($database, 'SELECT * FROM defidata_refresh()', '42501', qr/permission denied for table tweetvolumeshours/, 'refresh');
	$pair->fails($database, 'CALL defidata_run()', '42501', qr/permission denied for table tweetvolumeshours/, 'run');
	is($pair->sql($database, "SELECT stage, sqlstate FROM defidata.runs WHERE status = 'failed'"), 'import|42501', 'I4');
	is($pair->checksums($database), $before, 'local data intact');
	$pair->remote_sql("GRANT SELECT ON tweetvolumeshours TO $Defidata::role");
	$pair->check_invariants($database, 'afterwards');
};

subtest 'access revoked before attach' => sub {
	my $database = $pair->database($imported);
	my $before = $pair->checksums($database);
	my $hint = qr/DETAIL:.*permission denied for table tweetvolumeshours.*HINT:.*GRANT SELECT/s;
	my $made = q(SELECT (SELECT string_agg(name, ' ' ORDER BY name) FROM defidata.source),
		(SELECT count(*) FROM pg_foreign_table t JOIN pg_class c ON c.oid = t.ftrelid WHERE c.relname ~ '^(ct_scanner|late)_(tweet|cmc)'));
	$pair->create_server($database, 'late', 'ctscanner');
	$pair->remote_sql("REVOKE SELECT ON tweetvolumeshours FROM $Defidata::role");
	foreach my $server ('late', 'ct_scanner')
	{
		$pair->fails($database, "SELECT defidata_attach_server('$server')", '42501', qr/tweetvolumeshours is not readable.*$hint/s, $server);
	}
	$pair->remote_sql("CREATE SCHEMA closed CREATE TABLE tweetvolumeshours (id text); GRANT SELECT ON closed.tweetvolumeshours TO $Defidata::role");
	$pair->fails($database, "SELECT defidata_attach_server('late', 'closed')", '42501', qr/permission denied for schema closed.*HINT:.*USAGE/s, 'its schema');
	$pair->remote_sql('DROP SCHEMA closed CASCADE');
	$pair->fails($database, "SELECT defidata_attach_server('late', mentions => 'nowhere')", '42P01', qr/public\.nowhere does not exist$/m, 'what does not exist is told from it');
	is($pair->sql($database, $made), 'ct_scanner_cmc_price ct_scanner_tweetvolumeshours|2', 'nothing is left or lost');
	is($pair->checksums($database), $before, 'local data intact');

	$pair->remote_sql("GRANT SELECT ON tweetvolumeshours TO $Defidata::role; REVOKE SELECT ON cmc_price FROM $Defidata::role");
	my ($out, $err) = $pair->try($database, "SELECT defidata_attach_server('late')");
	like($err, qr/NOTICE:.*cmc_price does not exist or is not readable; going on without prices/, 'prices: a NOTICE');
	is(Defidata::sqlstate_of($err), '', 'once it is granted');
	$pair->sql($database, q(SELECT defidata_detach('late_tweetvolumeshours')));
	$pair->remote_sql("GRANT SELECT ON cmc_price TO $Defidata::role");
	$pair->check_invariants($database, 'afterwards');
};

subtest 'password changed' => sub {
	my $database = $pair->database($imported);
	my $before = $pair->checksums($database);
	$pair->remote_sql("SET log_statement = none; ALTER ROLE $Defidata::role PASSWORD 'another'");
	$pair->fails($database, 'SELECT * FROM defidata_refresh()', '08001', qr/password authentication failed/, 'refresh');
	$pair->fails($database, 'CALL defidata_run()', '08001', qr/password authentication failed/, 'run');
	is($pair->sql($database, "SELECT stage, sqlstate FROM defidata.runs WHERE status = 'failed'"), 'import|08001', 'I4');
	is($pair->checksums($database), $before, 'local data intact');
	$pair->remote_sql("SET log_statement = none; ALTER ROLE $Defidata::role PASSWORD '$Defidata::password'");
	$pair->check_invariants($database, 'afterwards');
};

subtest 'server dropped' => sub {
	my $database = $pair->database($imported);
	my $before = $pair->checksums($database);
	$pair->sql($database, 'SET client_min_messages = warning; DROP SERVER ct_scanner CASCADE');
	$pair->fails($database, 'SELECT * FROM defidata_refresh()', '42P01', qr/does not exist.*HINT:  Attach the source again/s, 'refresh');
	$pair->fails($database, 'CALL defidata_run()', '42P01', qr/HINT:  Attach the source again/s, 'run');
	$pair->fails($database, 'SELECT * FROM defidata_reconcile()', '42P01', qr/HINT:  Attach the source again/s, 'reconcile');
	$pair->fails($database, 'SELECT * FROM defidata_check()', '42P01', qr/does not exist/, 'check');
	is($pair->checksums($database), $before, 'local data intact');
	$pair->create_server($database, 'ct_scanner', 'ctscanner');
	$pair->sql($database, "SELECT defidata_attach_server('ct_scanner')");
	$pair->check_invariants($database, 'attached again');
};

$pair->finish_tests;
