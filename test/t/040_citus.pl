# The same data on a Citus cluster and on a plain PostgreSQL: a coordinator whose
# large tables stand on two workers, later three, beside a cluster without Citus
# that is fed the same rows.  After every step each table has the same checksum.
use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;

chomp(my $library = qx($ENV{PG_CONFIG} --pkglibdir));
plan skip_all => "there is no Citus in $library" unless -e "$library/citus.so";

my $shards = 6;
my $plain = Defidata->new(newest => 6);
my $citus = Defidata->new(beside => $plain);
my %configuration = (
	'shared_preload_libraries' => 'citus',
	'max_connections' => 200,
	'max_prepared_transactions' => 200,
	'citus.shard_count' => $shards);
$citus->configure(%configuration);
my @workers = map { $citus->cluster("worker$_") } 1 .. 3;
foreach my $worker (@workers)
{
	$worker->append_conf('postgresql.conf', join '', map { "$_ = '$configuration{$_}'\n" } sort keys %configuration);
	$worker->restart;
}

# both have a life before Citus comes in
my $expected = $plain->database;
my $database = $citus->database;
$_->[0]->refresh($_->[1]) foreach ([ $plain, $expected ], [ $citus, $database ]);

# same checks that both hold the same
sub same
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($citus->checksums($database), $plain->checksums($expected), $name);
	return;
}

# both runs SQL on either and checks that it answers the same
sub both
{
	my ($sql, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$sql = "SET client_min_messages = warning; $sql";
	is($citus->sql($database, $sql), $plain->sql($expected, $sql), "$name: the same answer");
	same("$name: the same tables");
	return;
}

my $refresh = 'SELECT status, latest_hour, fetched, inserted, updated, rejected, computed, published FROM defidata_refresh()';

# add_worker makes a worker known to the coordinator
sub add_worker
{
	my ($worker) = @_;
	$worker->safe_psql('postgres', "CREATE DATABASE $database");
	$worker->safe_psql($database, 'CREATE EXTENSION citus');
	$citus->sql($database, sprintf q(SELECT citus_add_node('127.0.0.1', %d)), $worker->port);
	return;
}

# placements tells how many shards of each table each node holds
sub placements
{
	return $citus->sql($database, <<'END');
SELECT table_name, nodeport, count(*) FROM citus_shards GROUP BY 1, 2 ORDER BY 1, 2
END
}

subtest 'without Citus' => sub {
	foreach my $call ('defidata_distribute()', 'defidata_undistribute()')
	{
		$plain->fails($expected, "SELECT $call", '55000', qr/Citus is not installed in this database.*HINT/s, $call);
	}
};

subtest 'distribute' => sub {
	$citus->sql($database, 'CREATE EXTENSION citus');
	$citus->sql($database, sprintf q(SELECT citus_set_coordinator_host('127.0.0.1', %d)), $citus->analytics->port);
	add_worker($_) foreach @workers[0, 1];
	# Citus makes it on the workers too
	$citus->sql($database, q(CREATE ROLE reader LOGIN; SELECT defidata_grant('reader', 'analyst')));
	my $distribution = "defidata.raw_mentions|id|$shards\ndefidata.prices|id|$shards\ndefidata.week_series|token|$shards\ndefidata.day_series|token|$shards";
	is($citus->sql($database, 'SELECT * FROM defidata_distribute()'), $distribution, 'four tables');
	same('rows are kept');
	my $before = placements();
	is(scalar(split /\n/, $before), 8, 'on both workers');
	is($citus->sql($database, 'SELECT * FROM defidata_distribute()'), $distribution, 'a second call says the same');
	is(placements(), $before, 'and changes nothing');
	is($citus->sql($database, 'SET ROLE reader; SELECT count(*) > 0 FROM defidata.metrics'), 't', 'an analyst reads the shards');
	is($citus->sql($database, q(SELECT count(*) FROM pg_class c, defidata.shard_keys() k WHERE c.oid = k.relation::regclass AND pg_relation_size(c.oid) > 0)),
		0, 'no copy is left on the coordinator');
};

subtest 'where the work is done' => sub {
	my $plan = $citus->sql($database, 'EXPLAIN (COSTS OFF) SELECT count(*), sum(sma_24h) FROM defidata.metrics');
	like($plan, qr/Task Count: $shards\n.*->  Task\n.*Function Scan on metrics_over/s, 'metrics are computed on the shards');
	is(scalar(() = $plan =~ /Task Count: $shards\n/g), 1, 'and neither facts nor their metrics are fetched for it');

	# the statement of a publish itself, with values for its variables
	my $hour = $citus->sql($database, 'SELECT max(hour) FROM defidata.hours');
	my ($statement) = $citus->sql($database, q(SELECT prosrc FROM pg_proc WHERE oid = 'defidata.metrics_of'::regproc)) =~ /RETURN QUERY(.*?);/s;
	my %value = (observed => "'{$hour}'::timestamptz[]", at => "'$hour'::timestamptz", coverage => '0.75::float8');
	$statement =~ s/\b(observed|at|coverage)\b/$value{$1}/g;
	$plan = $citus->sql($database, "EXPLAIN (COSTS OFF) $statement");
	like($plan, qr/Task Count: $shards\n.*->  Task\n.*Aggregate\n\s+Group Key: (?:\w+\.)?token\n.*week_series_\d+ w/s, 'token_stats are aggregated on the shards');
	$plan =~ s/Task Count: $shards\n.*//s;
	unlike($plan, qr/_series|remote_scan/, 'and nothing is left to the coordinator');
};

subtest 'import' => sub {
	$plain->fill(5, 4);
	both($refresh, 'new hours');
	both($refresh, 'nothing new');
	my ($recent, $older) = map { $plain->epoch($_) } 5, 90;
	$plain->remote_sql(<<"END");
INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count) VALUES ('late', $recent, 'BTC', 5), ('much later', $older, 'LATE', 7);
UPDATE tweetvolumeshours SET count = 77, sentiment = -0.25 WHERE id IN ('$recent-2', '$older-3');
UPDATE tweetvolumeshours SET "timestamp" = $recent - 3600 WHERE id = '$recent-4';
UPDATE tweetvolumeshours SET symbol = NULL WHERE id = '$recent-6';
DELETE FROM tweetvolumeshours WHERE id = '$older-5';
UPDATE cmc_price SET price = 61 WHERE id = 'bitcoin-' || ($recent + 120);
END
	both($refresh, 'late, corrected and moved rows');
	both(q(SELECT * FROM defidata_reconcile('20 days')), 'reconcile');
	both(q(SELECT * FROM defidata_reconcile('20 days', true)), 'reconcile with deletes');
	$plain->fill(700, 600);
	both(sprintf('CALL defidata_backfill(%s, %s)', $plain->hour(700), $plain->hour(550)), 'backfill');
	both(q(SELECT defidata_load_prices('[{"id": "solana", "symbol": "sol", "last_updated": "2026-01-01T00:00:00Z", "current_price": "7"}]')), 'a document of prices');
	both('CALL defidata_run()', 'run');
};

subtest 'maintenance' => sub {
	both(q(INSERT INTO defidata.token (symbol, enabled) VALUES ('NOTATOKEN', true), ('ADA', false); SELECT defidata_reclean()), 'reclean');
	both($refresh, 'refresh with another list');
	both('SELECT defidata_recompute(), defidata_publish()', 'recompute');
	both(q(CREATE TABLE old AS SELECT 'o' || i AS id, 1700000000 + 3600 * i AS timestamp, 'BTC' AS symbol, i::float8 AS count, NULL::float8 AS sentiment FROM generate_series(1, 9) i;
		SELECT defidata_import_legacy('old'), defidata_compute(); DROP TABLE old), 'history of the old scripts');
	both(q(SELECT defidata_set('raw_retention', '15 days'), defidata_set('metrics_retention', '15 days'); SELECT * FROM defidata_expire();
		SELECT defidata_set('raw_retention', '0'), defidata_set('metrics_retention', '0')), 'expire');
	both(q(SELECT defidata_add_board('mine', 'sma_7d', 'desc', 0, 5)), 'a board');
	both(q(SET timezone = 'Asia/Kolkata'; ) . $refresh, 'refresh in another time zone');
};

subtest 'what readers ask' => sub {
	both(q(SELECT * FROM defidata_history('BTC', '20 days')), 'history');
	both(q(SELECT * FROM defidata_metrics('2006-01-01', 'infinity', 'ETH') ORDER BY hour), 'defidata_metrics');
	both(q(SELECT * FROM defidata.metrics WHERE token = 'SOL' ORDER BY hour), 'metrics of a token');
	both(q(SELECT * FROM defidata.rejects ORDER BY symbol, reason), 'rejects');
	both(q(SELECT name, state FROM defidata.status), 'status');
	both(q(SELECT defidata_report('BTC')::text), 'report');
	both(q(SELECT status, body, etag FROM defidata_document('/history/BTC')), 'document');
};

subtest 'another worker' => sub {
	add_worker($workers[2]);
	$citus->sql($database, q(SELECT defidata_distribute(); SELECT rebalance_table_shards(shard_transfer_mode => 'block_writes')));
	is(scalar(split /\n/, placements()), 12, 'shards of every table are on all three');
	same('moved as they are');
	$plain->fill(3, 3);
	# its id is there, in an hour that is not read again
	$plain->remote_sql(sprintf q(UPDATE tweetvolumeshours SET "timestamp" = %d WHERE id = '%d-7'), $plain->epoch(3), $plain->epoch(20));
	both($refresh, 'the next refresh');
	is($citus->sql($database, 'SET ROLE reader; SELECT count(*) > 0 FROM defidata.metrics'), 't', 'an analyst reads there too');
};

subtest 'a worker down' => sub {
	my $before = $citus->checksums($database);
	my $runs = $citus->sql($database, 'SELECT count(*) FROM defidata.runs');
	$plain->fill(2, 1);
	$workers[1]->stop('immediate');
	$citus->fails($database, 'SELECT * FROM defidata_refresh()', '08006', qr/connection to the remote node .*failed/, 'a refresh says so');
	is($citus->sql($database, 'SELECT count(*) FROM defidata.runs'), $runs, 'and leaves nothing behind');
	$citus->fails($database, 'CALL defidata_run()', '08006', qr/connection to the remote node .*failed/, 'a run too');
	like($citus->sql($database, 'SELECT status, sqlstate, error FROM defidata.runs ORDER BY id DESC LIMIT 1'), qr/^failed\|08006\|connection to the remote node/, 'which is on record');
	$workers[1]->start;
	is($citus->checksums($database), $before, 'nothing is half-written');
	$plain->refresh($expected);
	$citus->refresh($database);
	same('the next refresh recovers');
};

subtest 'dump of the coordinator' => sub {
	my $dump = $citus->analytics->basedir . '/dump';
	local $ENV{PGOPTIONS} = '-c log_statement=none';
	$citus->analytics->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $citus->analytics->connstr($database) ], 'it can be dumped');
	# all but Citus itself
	my ($list) = run_command([ 'pg_restore', '-l', $dump ]);
	append_to_file("$dump.list", join "\n", grep { !/ citus/ } split /\n/, $list);
	$plain->sql('postgres', 'CREATE ROLE reader');
	$plain->sql('postgres', 'CREATE DATABASE restored');
	$plain->analytics->command_ok([ 'pg_restore', '--exit-on-error', '-L', "$dump.list", '-d', $plain->analytics->connstr('restored'), $dump ], 'and restored without Citus');
	is($plain->checksums('restored'), $citus->checksums($database), 'with all rows of the shards');
	$plain->fill(0, 0);
	$plain->refresh('restored');
	both($refresh, 'the last hour');
	is($plain->checksums('restored'), $citus->checksums($database), 'and the refresh goes on there');
};

subtest 'undistribute' => sub {
	is($citus->sql($database, 'SELECT defidata_undistribute()'), 4, 'four tables come back');
	same('with their rows');
	is($citus->sql($database, 'SELECT defidata_undistribute()'), 0, 'a second call changes nothing');
	my $comments = q(SELECT c.relname, obj_description(c.oid, 'pg_class'), string_agg(concat_ws(' ', a.attname, a.attnotnull, col_description(c.oid, a.attnum)), ', ' ORDER BY a.attnum),
		(SELECT string_agg(pg_get_indexdef(i.indexrelid), ', ' ORDER BY i.indexrelid::regclass::text) FROM pg_index i WHERE i.indrelid = c.oid)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.oid IN ('defidata.raw_mentions'::regclass, 'defidata.prices'::regclass, 'defidata.week_series'::regclass, 'defidata.day_series'::regclass,
			'defidata.mention_series'::regclass, 'defidata.metrics'::regclass)
		GROUP BY c.oid, c.relname ORDER BY 1);
	is($citus->sql($database, $comments), $plain->sql($expected, $comments), 'columns, indexes and comments are as they were');
	is($citus->sql($database, 'SET ROLE reader; SELECT count(*) > 0 FROM defidata.metrics'), 't', 'an analyst may still read');
	my $recent = $plain->epoch(0);
	$plain->remote_sql(qq{INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count) VALUES ('last', $recent, 'BTC', 5)});
	both($refresh, 'refresh goes on');
	is($citus->sql($database, 'SELECT count(*) FROM defidata_distribute()'), 4, 'and it can be distributed again');
	same('with the same rows');
};

$_->stop('fast') foreach @workers;
$citus->analytics->stop('fast');
# that a worker has gone is a WARNING of XX000 to Citus
my @bad = grep { !/ XX000 (?:WARNING:  .*(?:EOF|terminat|closed|reset)|CONTEXT:  while executing command on 127)/ } split /\n/, $citus->bad_log_lines;
is(join("\n", @bad), '', 'no crash, no PANIC, no error of XX000 in the coordinator\'s log either');
$plain->finish_tests;
