# Rows come late, are corrected or deleted, inside the overlap and before it; rows
# that cannot be copied; hours that are incomplete or in the future; cycles that
# were missed.  What is right is told by a comparison with the remote.

use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = Defidata->new(newest => 5);
my $imported = $pair->database;
$pair->refresh($imported);

# reconcile runs defidata_reconcile and returns its actions with their counts.
sub reconcile
{
	my ($database, $arguments) = @_;
	return $pair->sql($database, 'SET client_min_messages = error;'
		  . " SELECT source, action, count(*), sum(remote_rows - local_rows) FROM defidata_reconcile($arguments) GROUP BY 1, 2 ORDER BY 1, 2");
}

# current makes a database whose copy equals the remote.
sub current
{
	my $database = $pair->database;
	$pair->refresh($database);
	return $database;
}

my $at = sub { '"timestamp" = ' . $pair->epoch(shift) };

subtest 'missed schedule' => sub {
	my $database = $pair->database($imported);
	$pair->analytics->stop;
	$pair->fill(4, 0);
	$pair->analytics->start;
	$pair->refresh($database);
	is($pair->sql($database, 'SELECT latest_hour = ' . $pair->hour(0) . ' FROM defidata.publication'), 't', 'the next run brings all missed hours');
	$pair->check_invariants($database, 'all hours are there', refreshed => 1);
};

subtest 'late and corrected inside the overlap' => sub {
	my $database = current();
	my $late = $pair->epoch(5);
	$pair->remote_sql(<<"END");
INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count, sentiment) VALUES ('late-1', $late, 'BTC', 500, 0.5), ('late-2', $late, 'NEW', 50, NULL);
UPDATE tweetvolumeshours SET count = 99 WHERE @{[$at->(4)]} AND symbol = 'ETH';
UPDATE tweetvolumeshours SET sentiment = NULL WHERE @{[$at->(3)]} AND symbol = 'SOL';
UPDATE tweetvolumeshours SET symbol = 'AVAX' WHERE @{[$at->(3)]} AND symbol = 'LINK';
UPDATE cmc_price SET price = price * 2 WHERE "timestamp" > @{[$pair->epoch(3)]} AND symbol = 'BTC';
END
	my ($counts) = $pair->sql($database, 'SELECT fetched > 0, inserted, updated FROM defidata_refresh()');
	# one quote in each hour from 3 hours ago to now
	is($counts, 't|2|7', 'inserted and updated');
	$pair->check_invariants($database, 'the next run equals the remote', refreshed => 1);
};

subtest 'moved to another hour' => sub {
	my $database = current();
	$pair->remote_sql('UPDATE tweetvolumeshours SET "timestamp" = "timestamp" + 7200 WHERE ' . $at->(5) . q( AND symbol = 'BTC'));
	$pair->check_invariants($database, 'forward');
	$pair->remote_sql('UPDATE tweetvolumeshours SET "timestamp" = "timestamp" - 7200 WHERE id = ' . "'" . $pair->epoch(5) . "-1'");
	$pair->check_invariants($database, 'backward');
};

subtest 'late and corrected before the overlap' => sub {
	my $database = current();
	my $late = $pair->epoch(100);
	$pair->remote_sql(<<"END");
INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count, sentiment) VALUES ('late-3', $late, 'BTC', 500, 0.5);
UPDATE tweetvolumeshours SET count = 98 WHERE @{[$at->(90)]} AND symbol = 'ETH';
UPDATE tweetvolumeshours SET "timestamp" = "timestamp" + 7200 WHERE @{[$at->(80)]} AND symbol = 'SOL';
END
	$pair->refresh($database);
	isnt($pair->lost_hours($database), '', 'a refresh does not look there');
	is(reconcile($database, ''), 'ct_scanner_tweetvolumeshours|read again|4|1', 'reconcile reads only the hours that differ')
	  or diag $pair->sql($database, 'SELECT * FROM defidata.runs');
	$pair->check_invariants($database, 'equals the remote', refreshed => 1);
	is(reconcile($database, ''), '', 'then nothing differs');
};

subtest 'deleted rows' => sub {
	my $database = current();
	$pair->remote_sql('DELETE FROM tweetvolumeshours WHERE ' . $at->(70) . " AND symbol IN ('BTC', 'ETH')");
	$pair->remote_sql('DELETE FROM tweetvolumeshours WHERE ' . $at->(2) . " AND symbol = 'DOGE'");
	$pair->refresh($database);
	is($pair->sql($database, 'SELECT count(*), min(symbol) FROM defidata.superseded'), '1|DOGE', 'followed by a refresh, inside the overlap');
	is(reconcile($database, "'14 days'"), 'ct_scanner_tweetvolumeshours|read again|1|-2', 'and by a reconcile');
	is($pair->sql($database, 'SELECT count(*) FROM defidata.superseded'), '3', 'what has gone is kept apart');
	$pair->check_invariants($database, 'equals the remote', refreshed => 1);
};

subtest 'emptied and shrunken hours' => sub {
	my $database = current();
	my $before = $pair->checksums($database);
	$pair->remote_sql('CREATE TABLE gone AS SELECT * FROM tweetvolumeshours WHERE ' . $at->(60) . ' OR ' . $at->(3) . " AND id !~ '-[1-9]\$'");
	$pair->remote_sql('DELETE FROM tweetvolumeshours USING gone WHERE gone.id = tweetvolumeshours.id');
	$pair->refresh($database);
	is(reconcile($database, "'14 days'"), 'ct_scanner_tweetvolumeshours|kept|2|-51', 'reported and kept');
	is($pair->checksums($database), $before, 'nothing has changed');
	is($pair->sql($database, "SELECT state, value FROM defidata.status WHERE name = 'hours left as they are'"), 'warn|1 emptied, 1 shrunken', 'status says so');
	is($pair->lost_hours($database, 30), '', 'I1');
	is(reconcile($database, "'14 days', true"), 'ct_scanner_tweetvolumeshours|deleted|2|-51', 'gone with apply_deletes');
	# the row of an emptied hour stays in hours
	$pair->check_invariants($database, 'equals the remote', refreshed => 1, clean => 0);
	my $figures = sub { join "\n", grep { !/^hours / } split /\n/, shift };
	is($figures->($pair->checksums($database)), $figures->($pair->clean_checksums), 'and a copy made of it');
	$pair->remote_sql('INSERT INTO tweetvolumeshours SELECT * FROM gone; DROP TABLE gone');
	is(reconcile($database, "'14 days'"), 'ct_scanner_tweetvolumeshours|read again|2|51', 'what comes back is read');
	$pair->check_invariants($database, 'equals the remote again', refreshed => 1);
};

subtest 'a truncated remote erases nothing' => sub {
	my $database = current();
	my $before = $pair->checksums($database);
	$pair->remote_sql('CREATE TABLE kept AS SELECT * FROM tweetvolumeshours; CREATE TABLE kept_price AS SELECT * FROM cmc_price; TRUNCATE tweetvolumeshours, cmc_price');
	$pair->refresh($database);
	is($pair->checksums($database), $before, 'by a refresh');
	$pair->sql($database, 'CALL defidata_run()');
	is($pair->checksums($database), $before, 'by a run');
	like(reconcile($database, "'30 days'"), qr/^ct_scanner_tweetvolumeshours\|kept\|\d+\|-\d+$/, 'reconcile reports');
	is($pair->checksums($database), $before, 'and keeps');
	$pair->remote_sql('INSERT INTO tweetvolumeshours SELECT * FROM kept; INSERT INTO cmc_price SELECT * FROM kept_price; DROP TABLE kept, kept_price');
	$pair->check_invariants($database, 'afterwards');
};

subtest 'garbage hour' => sub {
	# the newest hour comes with 1 of 30 rows
	$pair->remote_sql("CREATE TABLE later AS SELECT * FROM tweetvolumeshours WHERE @{[$at->(0)]}");
	my $fresh = $pair->database;
	$pair->remote_sql("DELETE FROM tweetvolumeshours WHERE @{[$at->(0)]} AND symbol IS DISTINCT FROM 'BTC'");
	my $future = $pair->epoch(-30);
	$pair->remote_sql("INSERT INTO tweetvolumeshours (id, \"timestamp\", symbol, count) VALUES ('future', $future, 'BTC', 100)");
	$pair->refresh($fresh);
	is($pair->sql($fresh, 'SELECT settled FROM defidata.hours WHERE hour = ' . $pair->hour(0)), 'f', 'not settled');
	is($pair->sql($fresh, 'SELECT latest_hour = ' . $pair->hour(1) . ' FROM defidata.publication'), 't', 'not published');
	is($pair->sql($fresh, "SELECT reason FROM defidata.raw_mentions WHERE id = 'future'"), 'hour', 'the future one is rejected');
	is($pair->sql($fresh, "SELECT count(*) FROM defidata.hours WHERE hour > now()"), '0', 'and no observed hour');
	my $judged = q(SELECT name, state, value FROM defidata.status WHERE name IN ('thin hours', 'unsettled hours') ORDER BY name);
	is($pair->sql($fresh, $judged), "thin hours|warn|1\nunsettled hours|warn|1", 'status warns of the thin one and of the future one');
	$pair->remote_sql("INSERT INTO tweetvolumeshours SELECT * FROM later ON CONFLICT DO NOTHING; DROP TABLE later");
	$pair->remote_sql("DELETE FROM tweetvolumeshours WHERE id = 'future'");
	$pair->refresh($fresh);
	is($pair->sql($fresh, 'SELECT latest_hour = ' . $pair->hour(0) . ' FROM defidata.publication'), 't', 'a later complete one mends it');
	is($pair->sql($fresh, $judged), "thin hours|ok|0\nunsettled hours|ok|0", 'status is well again');
	$pair->check_invariants($fresh, 'afterwards', refreshed => 1);
};

subtest 'rows that cannot be copied' => sub {
	my $poisoned = 'poisoned';
	$pair->remote->safe_psql('postgres', "CREATE DATABASE $poisoned TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'");
	$pair->make_remote_tables($poisoned);
	local $pair->{remote_database} = $poisoned;
	$pair->fill(100, 0);
	my ($three, $four) = ($pair->epoch(3), $pair->epoch(4));
	# invalid UTF-8 in id and symbol, in two hours; ids too long and NULL
	$pair->remote_sql(<<"END");
INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count) VALUES
	(E'bad-\\xff', $three, 'BTC', 11), ('bad-symbol', $three, E'B\\xc3\\x28TC', 12), ('bad-2', $four, E'\\xfe', 13),
	(repeat('x', 3000), $three, 'BTC', 14), (repeat('y', 513), $four, 'BTC', 15), (repeat('z', 512), $four, 'BTC', 16);
ALTER TABLE tweetvolumeshours DROP CONSTRAINT tweetvolumeshours_pkey;
ALTER TABLE tweetvolumeshours ALTER id DROP NOT NULL;
INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count) VALUES (NULL, $three, 'BTC', 17), (NULL, $three, 'BTC', 18), (NULL, $four, 'BTC', 19);
-- the same id in one hour, and in two
INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count) VALUES ('twice', $four, 'BTC', 20), ('twice', $four, 'BTC', 21),
	('across', $four, 'BTC', 22), ('across', $three, 'BTC', 23);
END
	my $database = $pair->database;
	$pair->refresh($database);

	my $good = q(SELECT count(*), defidata_checksum('defidata.metrics') <> '' FROM defidata.raw_mentions);
	is($pair->sql($database, $good), 101 * 6 + 4 . '|t', 'the neighbours arrive');
	my $uncopied = 'SELECT (' . $pair->base . ' - EXTRACT(epoch FROM hour))::integer / 3600, cause, rows FROM defidata.uncopied ORDER BY 1, 2';
	my $expected = join "\n", '3|encoding|2', '3|long id|1', '3|null id|2', '4|duplicate id|1', '4|encoding|1', '4|long id|1', '4|null id|1';
	is($pair->sql($database, $uncopied), $expected, 'the others are counted by hour and cause');
	is($pair->sql($database, "SELECT id, mentions FROM defidata.raw_mentions WHERE id IN ('twice', 'across') ORDER BY id, hour"), "across|22\nacross|23\ntwice|20",
		'of rows with one id in one hour one is taken');
	$pair->check_invariants($database, 'every row is copied or counted', refreshed => 1);
	my $before = $pair->checksums($database);
	$pair->sql($database, 'SELECT count(*) FROM defidata_reconcile()');
	is($pair->checksums($database), $before, 'a reconcile changes nothing') or diag $pair->sql($database, $uncopied);

	$pair->remote_sql("DELETE FROM tweetvolumeshours WHERE id IS NULL OR length(id) > 512 OR count BETWEEN 11 AND 13 AND id LIKE 'bad%'"
		  . " OR id = 'across' AND count = 22 OR id = 'twice' AND count = 21");
	$pair->check_invariants($database, 'once the source is mended');
	is($pair->sql($database, $uncopied), '', 'the counts are gone');
};

subtest 'duplicate ids in a view' => sub {
	local $pair->{remote_database} = $pair->another_remote('doubled', <<"END");
ALTER TABLE tweetvolumeshours RENAME TO volumes;
CREATE VIEW tweetvolumeshours AS SELECT id, "timestamp", symbol, count, sentiment FROM volumes
	UNION ALL SELECT id, "timestamp", symbol, count + 1, sentiment FROM volumes WHERE @{[$at->(3)]};
GRANT SELECT ON tweetvolumeshours TO $Defidata::role
END
	my $database = $pair->database;
	$pair->refresh($database);
	my $rows = $pair->remote_sql('SELECT count(*) FROM volumes WHERE ' . $at->(3));
	is($pair->sql($database, 'SELECT cause, rows FROM defidata.uncopied'), "duplicate id|$rows", 'counted');
	is($pair->sql($database, 'SELECT count(*) FROM defidata.raw_mentions'), $pair->remote_sql('SELECT count(*) FROM volumes'), 'the neighbours arrive');
	$pair->check_invariants($database, 'every row is copied or counted', refreshed => 1);
};

$pair->finish_tests;
