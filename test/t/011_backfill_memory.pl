# The memory of a backfill does not grow with the history: DEFIDATA_ROWS rows,
# 1,000 tokens an hour, come through one backend, whose private memory stays
# within a bound.  The default is small; 10000000 takes some minutes.

use strict;
use warnings;

BEGIN
{
	# a session may last as long as the backfill
	$ENV{PG_TEST_TIMEOUT_DEFAULT} = 7200 if $ENV{DEFIDATA_ROWS};
}
use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

plan skip_all => 'there is no /proc to read the memory of a process from' unless -r "/proc/$$/status";

my $bound_mb = 100;
my $rows = $ENV{DEFIDATA_ROWS} // 200_000;
my $hours = int($rows / 1000);
my $pair = Defidata->new;
my $database = $pair->database;

$pair->remote_sql(<<"END");
TRUNCATE tweetvolumeshours, cmc_price;
CREATE INDEX ON tweetvolumeshours ("timestamp");
INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count, sentiment)
SELECT i, @{[$pair->base]} - 3600 * (i / 1000), translate(lpad((i % 1000)::text, 4, '0'), '0123456789', 'QWXYZJKVUH'), i % 97, i % 11 / 10.0
  FROM generate_series(0, 1000 * $hours - 1) i;
ANALYZE tweetvolumeshours
END

# private_kb is the private memory of a process, in kB.
sub private_kb
{
	my ($pid) = @_;
	return slurp_file("/proc/$pid/status") =~ /RssAnon:\s+(\d+) kB/ ? $1 : 0;
}

my $session = $pair->session($database, client_min_messages => 'warning');
my $pid = $session->pid;
my ($peak, $started) = (private_kb($pid), time);

my $active = "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $pid";
$session->start('CALL defidata_backfill(' . $pair->hour($hours) . ', ' . $pair->hour(-1) . ')');
$pair->analytics->poll_query_until('postgres', $active) or die 'the backfill does not begin';
do
{
	my $now = private_kb($pid);
	$peak = $now if $now > $peak;
	usleep 50_000;
} while ($pair->sql('postgres', $active) eq 't');
my ($out, $err) = $session->finish;
my $seconds = time - $started;

is($err, '', 'the backfill ends well');
is($pair->lost_hours($database), '', 'I1: nothing is lost');
cmp_ok($peak / 1024, '<=', $bound_mb, "no more than $bound_mb MB of private memory");
diag sprintf '%d rows in %.0f s, %.0f MB at most', 1000 * $hours, $seconds, $peak / 1024;
$session->close;
$pair->finish_tests;
