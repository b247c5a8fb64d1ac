# A standby: whoever reads is served there, whoever writes is told where to, status and
# check judge only what they can know, and after promotion all goes on.
use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = Defidata->new;
my $primary = $pair->analytics;
$pair->configure(wal_level => 'replica', max_wal_senders => 4, hot_standby => 'on');
my $database = $pair->database;
$pair->refresh($database);
$pair->sql($database, q(SELECT defidata_load_prices('[{"id":"bitcoin","symbol":"btc","current_price":1}]')));

$primary->backup('standby');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'standby', has_streaming => 1);
$standby->start;

# there runs SQL on the standby and returns rows and messages
sub there
{
	my ($sql) = @_;
	my ($status, $out, $err) = $standby->psql($database, $sql, on_error_stop => 0,
		extra_params => [ '--quiet', '--set=VERBOSITY=verbose' ]);
	return ($out, $err);
}

sub catch_up
{
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	return;
}
catch_up();

# every call that reads: what it says is what the primary says
foreach my $sql (
	'SELECT * FROM defidata.trending', 'SELECT * FROM defidata.token_stats ORDER BY token', 'SELECT * FROM defidata.daily_mentions ORDER BY day',
	q(SELECT * FROM defidata.metrics WHERE token = 'BTC' ORDER BY hour), 'SELECT count(*) FROM defidata.rejects',
	q(SELECT defidata_clean('btc'), defidata_explain('$eth')), q(SELECT defidata_board_as_of('trending', now())),
	q(SELECT status, etag, body::text FROM defidata_document('/trending')), q(SELECT status FROM defidata_document('/history/BTC')),
	q(SELECT count(*), sum(mentions) FROM defidata_history('BTC')), q(SELECT length(defidata_report()) > 1000, length(defidata_report('BTC')) > 1000),
	q(SELECT count(*), sum(sma_24h) FROM defidata_metrics('-infinity', 'infinity', 'BTC')),
	q(SELECT count(*) FROM defidata_metrics_as_of(now(), now() - interval '1 day', now())),
	q(SELECT count(*) FROM defidata_metrics_as_published(now() - interval '1 day', now(), 'BTC')),
	q(SELECT defidata_checksum('defidata.raw_mentions')),
	q(SELECT count(*) FROM (SELECT (defidata_unroll(defidata_rolling(hour, mentions, sentiment))).* FROM defidata.metrics WHERE token = 'BTC') u))
{
	my ($out, $err) = there($sql);
	is($err, '', "reads: $sql");
	is($out, $pair->sql($database, $sql), 'as on the primary');
}

# every call that writes
foreach my $sql (
	'SELECT defidata_setup()', q(SELECT defidata_attach_server('ct_scanner')), q(SELECT defidata_detach('ct_scanner_tweetvolumeshours')),
	'SELECT * FROM defidata_refresh()', 'CALL defidata_run()', q(CALL defidata_backfill(now() - interval '2 days', now())),
	'SELECT defidata_import()', 'SELECT defidata_compute()', 'SELECT defidata_publish()', 'SELECT defidata_recompute()', 'SELECT defidata_reconcile()',
	'SELECT defidata_reclean()', 'SELECT defidata_expire()', q(SELECT defidata_load_prices('[]')), q(SELECT defidata_set('overlap', '1 hour')),
	q(SELECT defidata_add_board('x', 'sma_24h')), q(SELECT defidata_set_board('trending')), q(SELECT defidata_drop_board('trending')),
	'SELECT defidata_schedule()', 'SELECT defidata_unschedule()', 'SELECT defidata_mark_hours(now(), now(), true)',
	q(SELECT defidata_grant('postgres', 'reader')), q(SELECT defidata_import_legacy('defidata.token')))
{
	my ($out, $err) = there($sql);
	like($err, qr/ERROR:  25006: .*standby.*\n.*HINT:  .*primary/s, "writes: $sql");
	my $read_only = "SET default_transaction_read_only = on; $sql";
	($out, $err) = $pair->try($database, $read_only);
	like($err, qr/ERROR:  25006: .*read-only.*\n.*HINT:  .*read/si, 'or in a read-only transaction');
}

# status and check
my ($rows, $err) = there('SELECT name, state FROM defidata.status');
is($err, '', 'status answers');
like($rows, qr/^standby\|ok$/m, 'says that it is a standby');
unlike($rows, qr/^(last run|backfill|pg_cron|job )/m, 'and judges nothing that it cannot know');
like($rows, qr/^latest hour\|ok$/m, 'but what readers see');
($rows, $err) = there('SELECT name, state FROM defidata_check()');
is($err, '', 'check answers');
like($rows, qr/^standby\|ok$/m, 'says so as well');
unlike($rows, qr/^source /m, 'and leaves the sources to the primary');

# an edit of the list reaches the sessions there
my $session = Defidata::Session->new($standby, $database);
is($session->query(q(SELECT defidata_clean('NOTATOKEN'))), '', 'not listed');
$pair->sql($database, q(INSERT INTO defidata.token (symbol) VALUES ('NOTATOKEN')));
catch_up();
is($session->query(q(SELECT defidata_clean('NOTATOKEN'))), 'NOTATOKEN', 'listed at the next call');
$session->close;

# what is not set up cannot be read, and says why
$pair->sql('postgres', 'CREATE DATABASE bare');
$pair->sql('bare', 'SET client_min_messages = warning; CREATE EXTENSION defidata CASCADE');
catch_up();
($rows, $err) = (sub { my (undef, $o, $e) = $standby->psql('bare', $_[0], extra_params => ['--set=VERBOSITY=verbose']); return ($o, $e) })
  ->(q(SELECT defidata_document('/trending')));
like($err, qr/ERROR:  55000: nothing is set up.*HINT:  .*primary/s, 'nothing is set up');

# promotion: its remote and all else is there
$primary->stop('fast');
$standby->promote;
$pair->{analytics} = $standby;
my $later = $pair->epoch(2);
$pair->remote_sql(qq{INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count) VALUES ('later', $later, 'ETH', 5)});
$pair->refresh($database);
is($pair->lost_hours($database), '', 'after promotion the refresh goes on, and nothing is lost');
like($pair->sql($database, 'SELECT name, state FROM defidata.status'), qr/^last run\|ok$/m, 'and status is that of a primary');
$pair->finish_tests;
