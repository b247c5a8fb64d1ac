# Real mentions of 2017 to 2021, as dirty as they came, are backfilled beside
# refreshes, in chunks of a week (DEFIDATA_STEP='1 day' takes some minutes):
# nothing is lost, and the metrics equal those rebuilt from scratch.  The figures
# for the record are printed as diagnostics.
use strict;
use warnings;

# many chunks take their time on a busy machine
BEGIN { $ENV{PG_TEST_TIMEOUT_DEFAULT} = 1200 }

use Defidata;
use Test::More;

my $data = $ENV{DEFIDATA_DATA} // '';
my $mentions = "$data/mentions_2018_with_outage.csv.xz";
my $dirty = "$data/dirty_symbols_2017_2021.csv.gz";
plan skip_all => 'the real data are not here: set DEFIDATA_DATA to their directory' unless -r $mentions && -r $dirty;

my $test = Defidata->new(newest => 400, analytics_conf => 'autovacuum = on');

# load puts a file into the remote's table; ids are numbers in the file's order
sub load
{
	my ($prefix, $columns, $unpack) = @_;
	my $numeric = join ', ', map { "$_ " . ($_ =~ /tweets|users|sentiment/ ? 'float8' : 'text') } split /,/, $columns;
	my $symbol = $columns =~ /raw_symbol/ ? 'raw_symbol' : 'symbol';

	$test->remote_sql(<<"END");
CREATE TEMP TABLE loaded (n bigint GENERATED ALWAYS AS IDENTITY, $numeric);
COPY loaded ($columns) FROM PROGRAM '$unpack' (FORMAT csv, HEADER);
INSERT INTO tweetvolumeshours (id, timezone, "timestamp", date, symbol, count, sentiment)
SELECT '$prefix' || n, 'UTC', EXTRACT(epoch FROM hour_utc::timestamp AT TIME ZONE 'UTC'), hour_utc::timestamp, $symbol, tweets, sentiment
  FROM loaded;
ANALYZE tweetvolumeshours;
END
	return;
}

$test->remote_sql('TRUNCATE tweetvolumeshours, cmc_price');
load('m', 'hour_utc,symbol,tweets,users_sum,sentiment', "xzcat $mentions");
load('d', 'hour_utc,raw_symbol,tweets,sentiment', "zcat $dirty");
is($test->remote_sql('SELECT count(*) FROM tweetvolumeshours'), 173388 + 379803, 'both files are loaded');

my $database = $test->database;
my $judged = $test->database;
$test->refresh($database);
my ($from, $to) = split /\|/, $test->remote_sql('SELECT min(date), max(date) FROM tweetvolumeshours');
my $step = $ENV{DEFIDATA_STEP} // '7 days';
my $session = $test->session($database);
$session->start("CALL defidata_backfill('$from+00', timestamptz '$to+00' + interval '1 hour', '$step')");
my $refreshes = 0;
do
{
	$test->refresh($database);
	$refreshes++;
	# the backfill's messages must be read, or it waits
	foreach (1 .. 25)
	{
		$session->{run}->pump_nb;
		select undef, undef, undef, 0.2;
	}
} while ($test->sql($database, q(SELECT status FROM defidata.runs WHERE trigger = 'backfill')) eq 'running');
my (undef, $messages) = $session->finish;
$session->close;
like($messages, qr/(\d+) of \1 chunks done/, 'the backfill has told its progress to the end');
cmp_ok($refreshes, '>', 1, 'refreshes ran beside the backfill');

is($test->sql($database, 'SELECT count(*) FROM defidata.raw_mentions'), 173388 + 379803, 'every row is in the copy');
is($test->lost_hours($database), '', 'hour by hour');
is($test->sql($database, 'SELECT count(*) FROM defidata.raw_mentions WHERE (token IS NULL) <> (reason IS NOT NULL)'),
	0, 'each with a token or a reason');
my $incremental = $test->checksums($database);
$test->sql($database, 'SELECT defidata_recompute()');
$test->sql($database, 'SELECT defidata_publish()');
is($test->checksums($database), $incremental, 'incremental and rebuilt metrics are identical');

# thin is what judge_hours finds among the hours of one of the files
sub thin
{
	my ($prefix) = @_;
	return $test->sql($judged, <<"END");
TRUNCATE defidata.hours;
INSERT INTO defidata.hours (hour, rows)
SELECT to_timestamp("timestamp"), count(*) FROM defidata_remote.ct_scanner_tweetvolumeshours WHERE id LIKE '$prefix%' GROUP BY 1;
SELECT defidata.judge_hours('-infinity', 'infinity') IS NULL;
SELECT count(*) || ' of ' || (SELECT count(*) FROM defidata.hours), min(rows), max(rows) FROM defidata.hours WHERE thin
END
}
is(thin('d'), "f\n8 of 28947|1|13", 'a small feed has its hours');
is(thin('m'), "f\n1 of 1454|6|6", 'the real outage has a thin one');

diag "refreshes beside the backfill: $refreshes";
diag "rows by reason:\n",
  $test->sql($database, q(SELECT COALESCE(reason, 'accepted'), count(*), sum(mentions) FROM defidata.raw_mentions GROUP BY 1 ORDER BY 2 DESC));
diag "rejected most often:\n",
  $test->sql($database, 'SELECT symbol, rows, mentions FROM defidata.rejects ORDER BY rows DESC, symbol LIMIT 10');
foreach my $hour ('2018-06-20 12:00', '2018-07-24 12:00', '2018-08-14 12:00')
{
	my $board = $test->sql($database, <<"END");
SELECT token, round(trend_24h::numeric, 2), round(24 * sma_24h) FROM defidata.metrics
 WHERE hour = '$hour+00' AND trend_24h IS NOT NULL AND 24 * sma_24h >= 240 ORDER BY trend_24h DESC LIMIT 5
END
	is(scalar(split /\n/, $board), 5, "a trending board at $hour");
	diag "trending at $hour:\n$board";
}
$test->finish_tests;
