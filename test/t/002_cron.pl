# A real pg_cron, with background workers and with connections: cron itself runs
# the cycle, a run that fails or dies is on record here and there, and status
# tells when the launcher is gone.

use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

if (system('sh', '-c', 'test -e "$(pg_config --pkglibdir)/pg_cron.so"') != 0)
{
	plan skip_all => 'pg_cron is not installed';
}

my $home = 'cron_home';
my $workers = Defidata->new(newest => 1);
my $connections = Defidata->new(beside => $workers);

# configure_cron prepares a cluster whose jobs run in the database home.
sub configure_cron
{
	my ($pair, $use_workers) = @_;
	my $attached = $pair->attached;

	$pair->sql('postgres', "CREATE DATABASE $home TEMPLATE $attached STRATEGY file_copy");
	$pair->fails($home, 'SELECT defidata_schedule()', '55000', qr/pg_cron is not loaded.*HINT:.*shared_preload_libraries.*cron\.database_name = '$home'/s, 'not preloaded');
	is($pair->sql($home, "SELECT state, hint ~ 'shared_preload_libraries' FROM defidata.status WHERE name = 'pg_cron'"), 'warn|t', 'status warns');
	$pair->configure(
		shared_preload_libraries => 'pg_cron',
		'cron.database_name' => $home,
		'cron.use_background_workers' => $use_workers,
		'cron.host' => '127.0.0.1');
	$pair->fails($home, 'SELECT defidata_schedule()', '55000', qr/pg_cron is not created in this database.*HINT:.*CREATE EXTENSION pg_cron/s, 'not created');
	$pair->sql($home, 'CREATE EXTENSION pg_cron');
	return;
}

# jobs lists the jobs of pg_cron.
sub jobs
{
	my ($pair) = @_;
	return $pair->sql($home, 'SELECT jobname, schedule, command FROM cron.job ORDER BY 1');
}

# within polls until a query says t, for the seconds that cron may take.
sub within
{
	my ($pair, $seconds, $query, $name) = @_;

	foreach (1 .. $seconds * 5)
	{
		my $answer = $pair->sql($home, $query);
		return ok(1, $name) if $answer eq 't';
		usleep 200_000;
	}
	fail($name);
	diag $pair->sql($home, 'SELECT * FROM cron.job_run_details; SELECT * FROM defidata.runs');
	return;
}

# state is what status says of one thing.
sub state
{
	my ($pair, $name) = @_;
	return $pair->sql($home, "SELECT state FROM defidata.status WHERE name = '$name'");
}

configure_cron($workers, 'on');
configure_cron($connections, 'off');

subtest 'schedule' => sub {
	my ($out, $err) = $workers->try($home, 'SELECT defidata_schedule()');
	like($out, qr/^\d+$/, 'returns a job id');
	is($err, '', 'with workers pg_hba.conf does not matter');
	my ($twice) = $workers->try($home, "SELECT defidata_schedule('* * * * *')");
	is($twice, $out, 'the same job when called again');
	is(jobs($workers), join("\n",
			'defidata cycle|* * * * *|CALL public.defidata_run()',
			'defidata expire|50 3 * * *|SELECT count(*) FROM public.defidata_expire()',
			'defidata reconcile|35 3 * * *|SELECT count(*) FROM public.defidata_reconcile()'),
		'three jobs, none doubled');
	$workers->fails($home, 'SELECT defidata_schedule(NULL)', '22023', qr/schedule/, 'no schedule');
	$workers->fails($home, "SELECT defidata_schedule('every hour')", '22023', qr/schedule/, 'a bad one');
	$workers->sql('postgres', 'CREATE DATABASE elsewhere TEMPLATE ' . $workers->attached . ' STRATEGY file_copy');
	$workers->fails('elsewhere', 'SELECT defidata_schedule()', '55000', qr/pg_cron runs in database "$home", not in "elsewhere".*HINT:/s, 'another database');
	$workers->fails('elsewhere', 'SELECT defidata_unschedule()', '55000', qr/HINT:.*cron\.unschedule\('defidata cycle'\)/s, 'and how its job there ends');
};

subtest 'what pg_hba.conf would do' => sub {
	my $hba = $connections->analytics->data_dir . '/pg_hba.conf';
	my $rules = slurp_file($hba);
	my %expected = (
		reject => qr/WARNING:.* pg_hba\.conf would refuse the connections of pg_cron as role .*HINT:.*use_background_workers/s,
		'scram-sha-256' => qr/WARNING:.* need a password \(method scram-sha-256\).*HINT:.*\.pgpass/s,
		trust => qr/^$/);

	foreach my $method (sort keys %expected)
	{
		unlink $hba;
		append_to_file($hba, "local all all trust\nhost all all 127.0.0.1/32 $method\n");
		my ($out, $err) = $connections->try($home, "SELECT defidata_schedule('* * * * *')");
		like($err, $expected{$method}, "method $method");
	}
	unlink $hba;
	append_to_file($hba, $rules);
	$connections->analytics->reload;
};

subtest 'cron runs the cycle' => sub {
	foreach my $pair ($workers, $connections)
	{
		my $mode = $pair == $workers ? 'with workers' : 'with connections';
		within($pair, 80, "SELECT count(*) = 10 FROM defidata.trending", "boards are filled $mode");
		within($pair, 5, "SELECT count(*) > 0 FROM cron.job_run_details WHERE status = 'succeeded' AND command ~ 'defidata_run'", "the job's own record $mode");
		is($pair->sql($home, "SELECT string_agg(stage || ' ' || status, ', ' ORDER BY id) FROM (SELECT * FROM defidata.runs ORDER BY id LIMIT 3) r"),
			'import ok, compute ok, publish ok', "each stage is on record $mode");
		is(state($pair, $_), 'ok', "status of $_ $mode") foreach ('pg_cron', 'job defidata cycle', 'last run');
		is($pair->lost_hours($home), '', "I1 $mode");
	}
};

# the next minute brings a run that fails, and one whose process dies
$workers->fill(0, 0);
$workers->sql($home, q(ALTER SERVER ct_scanner OPTIONS (SET dbname 'nowhere')));
my $holder = $connections->session($home);
$holder->query('BEGIN; LOCK TABLE defidata.mention_series IN EXCLUSIVE MODE');

subtest 'a run that fails' => sub {
	within($workers, 80, "SELECT EXISTS (SELECT FROM cron.job_run_details WHERE status = 'failed' AND command ~ 'defidata_run')", "the job's own record says failed");
	is($workers->sql($home, "SELECT stage, sqlstate, error ~ 'nowhere' FROM defidata.runs WHERE status = 'failed' LIMIT 1"), 'import|08001|t', 'I4: stage, SQLSTATE and message');
	is(state($workers, 'job defidata cycle'), 'fail', 'status of the job');
	is(state($workers, 'last run'), 'warn', 'status of the last run');
	$workers->fails($home, 'SELECT * FROM defidata_check()', '08001', qr/defidata is not well: .*job defidata cycle/, 'defidata_check');
	$workers->sql($home, q(ALTER SERVER ct_scanner OPTIONS (SET dbname 'ctscanner')));
};

subtest 'a run whose process is terminated' => sub {
	my $waiting = q(pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'defidata_run' AND pid <> pg_backend_pid());
	within($connections, 80, "SELECT EXISTS (SELECT $waiting)", 'cron has begun a run');
	my $pid = $connections->sql($home, "SELECT $waiting LIMIT 1");
	$connections->sql($home, "SELECT pg_terminate_backend($pid, 5000)");
	$holder->close;
	is(state($connections, 'last run'), 'warn', 'status warns of the interrupted run');
	within($connections, 5, "SELECT state = 'fail' FROM defidata.status WHERE name = 'job defidata cycle'", 'status of the job');
	$connections->refresh($home);
	is($connections->sql($home, "SELECT stage, status FROM defidata.runs WHERE status = 'interrupted'"), 'compute|interrupted', 'I4');
	$connections->check_invariants($home, 'afterwards');
};

subtest 'a worker that is killed' => sub {
	my $waiting = q(pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'defidata_run' AND pid <> pg_backend_pid());
	my $holder = $workers->session($home);
	$holder->query('BEGIN; LOCK TABLE defidata.raw_mentions IN EXCLUSIVE MODE');
	$workers->remote_sql(q(UPDATE tweetvolumeshours SET count = 99 WHERE symbol = 'BTC' AND "timestamp" = ) . $workers->epoch(1));
	within($workers, 80, "SELECT EXISTS (SELECT $waiting)", 'cron has begun a run');
	# the next run must not come before status was asked
	my $pid = $workers->sql($home, "SELECT $waiting LIMIT 1");
	$workers->sql($home, q(SELECT cron.schedule('defidata cycle', '0 0 1 1 *', 'CALL public.defidata_run()')));
	$workers->kill_backend($pid);
	$holder->close;
	within($workers, 20, "SELECT state = 'fail' FROM defidata.status WHERE name = 'job defidata cycle'", 'status of the job');
	within($workers, 20, "SELECT state = 'ok' FROM defidata.status WHERE name = 'pg_cron'", 'the launcher is there again');
	is(state($workers, 'last run'), 'warn', 'status of the last run');
	$workers->refresh($home);
	is($workers->sql($home, q(SELECT stage, status FROM defidata.runs WHERE status = 'interrupted')), 'import|interrupted', 'I4');
	$workers->check_invariants($home, 'afterwards');
};

subtest 'a job that is switched off' => sub {
	my $job = q(SELECT cron.alter_job(jobid, active := %s) FROM cron.job WHERE jobname = 'defidata expire');
	$workers->sql($home, sprintf $job, 'false');
	is(state($workers, 'job defidata expire'), 'warn', 'status warns');
	$workers->sql($home, sprintf $job, 'true');
	is(state($workers, 'job defidata expire'), 'ok', 'and is well again');
};

# a process that dies by a signal takes the whole server down with it, so that
# there is no time in which it runs without its launcher and could say so
subtest 'launcher killed' => sub {
	my $launcher = q(pid FROM pg_stat_activity WHERE backend_type = 'pg_cron launcher');
	my $before = $workers->sql($home, "SELECT $launcher");
	my $begun = $workers->sql($home, 'SELECT now()');
	$workers->remote_sql(q(UPDATE tweetvolumeshours SET count = 98 WHERE symbol = 'BTC' AND "timestamp" = ) . $workers->epoch(1));
	$workers->sql($home, q(SELECT defidata_schedule('* * * * *')));
	$workers->kill_backend($before);
	within($workers, 20, "SELECT state = 'ok' FROM defidata.status WHERE name = 'pg_cron'", 'status is well once the server is up again');
	isnt($workers->sql($home, "SELECT $launcher"), $before, 'it is another process');
	within($workers, 140, "SELECT EXISTS (SELECT FROM cron.job_run_details WHERE status = 'succeeded' AND command ~ 'defidata_run' AND start_time > '$begun')", 'cron runs the cycle');
	within($workers, 20, "SELECT state = 'ok' FROM defidata.status WHERE name = 'job defidata cycle'", 'status of the job');
	is($workers->lost_hours($home), '', 'I1: the run has brought the correction');
	$workers->sql($home, q(SELECT cron.schedule('defidata cycle', '0 0 1 1 *', 'CALL public.defidata_run()')));
	$workers->check_invariants($home, 'afterwards');
};

subtest 'launcher terminated' => sub {
	my $launcher = q(FROM pg_stat_activity WHERE backend_type = 'pg_cron launcher');
	my $before = $workers->sql($home, "SELECT pid $launcher");
	$workers->sql($home, "SELECT pg_terminate_backend($before, 5000)");
	my $state = state($workers, 'pg_cron');
	# some versions of pg_cron start again
	is($state, $workers->sql($home, "SELECT CASE WHEN count(*) = 0 THEN 'fail' ELSE 'ok' END $launcher"), 'status tells at once');
	$workers->fails($home, 'SELECT * FROM defidata_check()', '55000', qr/pg_cron: launcher not running/, 'and so does defidata_check') if $state eq 'fail';
	$workers->analytics->restart;
	within($workers, 10, "SELECT state = 'ok' FROM defidata.status WHERE name = 'pg_cron'", 'status is well after a restart');
};

subtest 'unschedule' => sub {
	$workers->sql($home, "SELECT cron.schedule('mine', '0 0 1 1 *', 'SELECT 1')");
	is($workers->sql($home, 'SELECT defidata_unschedule()'), '3', 'removes the jobs');
	is(jobs($workers), 'mine|0 0 1 1 *|SELECT 1', 'and no other');
	is(state($workers, 'job defidata cycle'), 'warn', 'status warns');
	is($workers->sql($home, 'SELECT defidata_unschedule()'), '0', 'twice does no harm');
	$workers->refresh($home);
	$workers->check_invariants($home, 'the clusters have the same');
};

$connections->analytics->stop;
is($connections->bad_log_lines, '', 'no crash, no PANIC, no XX000, no password');
$workers->finish_tests;
