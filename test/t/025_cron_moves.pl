# pg_cron where the database or the server has changed: jobs keep the name of their database and
# the port of their server.  Status tells, defidata_schedule() leaves jobs that run here and now,
# and the dump of such a database can be restored beside it.
use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

plan skip_all => 'pg_cron is not installed'
  if system('sh', '-c', 'test -e "$(pg_config --pkglibdir)/pg_cron.so"') != 0;

my $pair = Defidata->new(newest => 1);
my $home = $pair->database;
my $cycle = q(SELECT state, value, hint FROM defidata.status WHERE name = 'job defidata cycle');
my $jobs = 'SELECT jobname, database, nodeport FROM cron.job ORDER BY jobname';
my $port = $pair->analytics->port;

# jobs_of are those that ought to be there
sub jobs_of
{
	my ($database) = @_;
	return join "\n", map { "defidata $_|$database|$port" } qw(cycle expire reconcile);
}

$pair->configure(shared_preload_libraries => 'pg_cron', 'cron.database_name' => $home, 'cron.host' => '127.0.0.1');
$pair->sql($home, 'CREATE EXTENSION pg_cron');
$pair->sql($home, 'SELECT defidata_schedule()');
is($pair->sql($home, $jobs), jobs_of($home), 'jobs');

# the dump as doc/operations.md has it
my $dump = $pair->analytics->basedir . '/dump';
$pair->sql('postgres', 'CREATE DATABASE beside');
{
	local $ENV{PGOPTIONS} = '-c log_statement=none';
	$pair->analytics->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $pair->analytics->connstr($home) ], 'dumped');
	$pair->analytics->command_ok([ 'sh', '-c',
		'pg_restore -l "$1" | grep -vE " (pg_cron|cron) " | grep -v "EXTENSION pg_cron" >"$1.list" && pg_restore --exit-on-error -L "$1.list" -d "$2" "$1"',
		'sh', $dump, $pair->analytics->connstr('beside') ], 'and restored beside it, with status 0');
}
is($pair->sql('beside', 'SELECT count(*) FROM defidata.source'), '2', 'with its sources');

# renamed
$pair->configure('cron.database_name' => 'renamed');
$pair->sql('postgres', "ALTER DATABASE $home RENAME TO renamed");
$pair->configure('cron.database_name' => $home);
$pair->fails('renamed', 'SELECT defidata_schedule()', '55000', qr/pg_cron runs in database "$home".*HINT:  Set cron\.database_name = 'renamed' and restart the server; then SELECT defidata_schedule\(\);/s,
	'what is to be done');
$pair->configure('cron.database_name' => 'renamed');
is($pair->sql('renamed', $cycle), qq(warn|of database "$home", which is not there|SELECT defidata_schedule();), 'status tells of the renamed database');
$pair->sql('renamed', q(SELECT defidata_schedule('* * * * *')));
is($pair->sql('renamed', $jobs), jobs_of('renamed'), 'the jobs are those of this database, and no others');
like($pair->sql('renamed', $cycle), qr/^ok\|/, 'status is well');

# carried from another server by a restore
$pair->sql('renamed', 'UPDATE cron.job SET nodeport = nodeport + 1');
is($pair->sql('renamed', $cycle), 'warn|of the server at port ' . ($port + 1) . ', which is not this one|SELECT defidata_schedule();', 'status tells of another server');
$pair->sql('renamed', q(SELECT defidata_schedule('* * * * *')));
is($pair->sql('renamed', $jobs), jobs_of('renamed'), 'the jobs are those of this server, and no others');

# a job of the same name for a database that is there is another's
$pair->sql('renamed', q(SELECT defidata_unschedule()));
$pair->sql('renamed', q(SELECT cron.schedule_in_database('defidata cycle', '5 * * * *', 'CALL public.defidata_run()', 'beside')));
$pair->fails('renamed', 'SELECT defidata_schedule()', '55000', qr/has a job "defidata cycle" in database "beside".*HINT:.*cron\.unschedule/s, 'and is not taken over');
$pair->sql('renamed', q(SELECT cron.unschedule('defidata cycle')));
$pair->sql('renamed', q(SELECT defidata_schedule('* * * * *')));

# and they run
my $done = q(SELECT count(*) > 0 FROM defidata.runs WHERE stage = 'publish' AND status = 'ok');
foreach (1 .. 400) { last if $pair->sql('renamed', $done) eq 't'; usleep 200_000; }
is($pair->sql('renamed', $done), 't', 'the cycle runs');
$pair->sql('renamed', 'SELECT defidata_unschedule()');
$pair->finish_tests;
