# The user's path, and what an import does with every shape and state of a source:
# what the remote is asked, types of hours, tables and views, late, corrected,
# moved and repeated rows, batches, the watermark.

use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = Defidata->new;
my $mentions = 'ct_scanner_tweetvolumeshours';

subtest 'the path of a user' => sub {
	my $database = 'path';
	$pair->sql('postgres', "CREATE DATABASE $database");
	my ($out, $err) = $pair->try($database, 'CREATE EXTENSION defidata CASCADE');
	like($err, qr/^\S*\s*NOTICE:.*installing required extension "postgres_fdw"/, 'CREATE EXTENSION');
	$pair->fails($database, 'SELECT * FROM defidata_refresh()', '55000', qr/no source is attached.*HINT:.*defidata_attach_server/s, 'a refresh without a source');
	$pair->create_server($database, 'ct_scanner', 'ctscanner');
	($out, $err) = $pair->try($database, "SELECT defidata_attach_server('ct_scanner')");
	like($err, qr/NOTICE:.*added option $_ /, "says that it adds $_") foreach qw(connect_timeout fetch_size keepalives_idle keepalives_interval keepalives_count);
	($out, $err) = $pair->try($database, "SELECT defidata_attach_server('ct_scanner')");
	is($err, '', 'only what was lacking, and twice does no harm');
	is($pair->sql($database, "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'defidata_remote'::regnamespace AND relname !~ 'information_schema|pg_catalog'"),
		"ct_scanner_cmc_price $mentions", 'foreign tables are named SERVER_TABLE');
	is($pair->sql($database, q(SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
			WHERE c.relnamespace = 'defidata_remote'::regnamespace AND (obj_description(c.oid, 'pg_class') IS NULL OR col_description(c.oid, a.attnum) IS NULL))),
		'', 'and say what they are, column by column');
	is($pair->sql($database, 'SELECT status, latest_hour = ' . $pair->hour(0) . ', fetched = inserted, updated, rejected > 0, computed > 0, published > 0 FROM defidata_refresh()'),
		'ok|t|t|0|t|t|t', 'defidata_refresh');
	is($pair->sql($database, 'SELECT count(*) FROM defidata.trending'), '10', 'boards are filled');
	# a short row may find room on an earlier page
	is($pair->sql($database, 'SELECT count(*) FILTER (WHERE hour <> former) < 2 * count(DISTINCT hour) FROM (SELECT hour, lag(hour) OVER (ORDER BY ctid) AS former FROM defidata.raw_mentions) r'),
		't', 'rows of an hour lie together');
	$pair->check_invariants($database, 'the copy', refreshed => 1);
	is($pair->sql($database, 'SELECT inserted, updated, computed, published FROM defidata_refresh()'), '0|0|0|0', 'nothing to do next time');
};

subtest 'options that the server has stay' => sub {
	my $database = $pair->database;
	$pair->sql($database, "ALTER SERVER ct_scanner OPTIONS (SET fetch_size '77', SET connect_timeout '3')");
	$pair->sql($database, "SELECT defidata_attach_server('ct_scanner')");
	is($pair->sql($database, "SELECT string_agg(o.option_value, ' ' ORDER BY o.option_name) FROM pg_foreign_server s, pg_options_to_table(s.srvoptions) o WHERE o.option_name IN ('fetch_size', 'connect_timeout')"),
		'3 77', 'fetch_size and connect_timeout');
};

subtest 'what the remote is asked' => sub {
	my $database = $pair->database;
	# a second import, so that everything is asked from a watermark on
	$pair->refresh($database);
	for my $case (['an hour', 2], ['hours with a gap', 2, 4]) {
		my ($what, @late) = ($case->[0], map { $pair->epoch($_) } @$case[1 .. $#$case]);
		my $late = join ', ', @late;
		my ($first, $end) = ($late[-1], $late[0] + 3600);
		$pair->remote_sql("UPDATE tweetvolumeshours SET count = count + 1 WHERE \"timestamp\" IN ($late)");
		my $offset = -s $pair->remote->logfile;
		$pair->refresh($database);
		my $log = substr(slurp_file($pair->remote->logfile), $offset);
		my @asked = grep { /tweetvolumeshours/ && /SELECT/i && !/information_schema|pg_catalog\.pg_|INSERT/ } split /LOG:  /, $log;
		my ($survey) = grep { /GROUP BY/ } @asked;
		my ($copy) = grep { !/GROUP BY|sum\(|max\(/ } @asked;

		ok(defined $survey, "$what: the survey is aggregated there") or diag join "\n", @asked;
		like($survey // '', qr/count\(\*\)/, 'it counts there');
		like($survey // '', qr/sum\(.*hashtextextended\(id, .*hashfloat8extended\(count, /s, 'it computes checksums there');
		like($survey // '', qr/WHERE .*"timestamp" >= \$?\S+.*"timestamp" < /s, 'its condition on the hour goes there') or diag $survey;
		ok(defined $copy, 'the copy reads rows') or diag join "\n", @asked;
		like($copy // '', qr/SELECT count, id, sentiment, symbol, "timestamp" FROM public\.tweetvolumeshours WHERE/, 'only the columns that are needed') or diag $copy;
		like($copy // '', qr/"timestamp" >= $first\D.*"timestamp" < $end\D/s, 'only from the first hour to the last that differs');
		my $list = qr/"timestamp" \/ 3600\) = ANY \(/;
		@late > 1 ? like($copy // '', $list, 'only of the hours that differ') : unlike($copy // '', $list, 'no row is asked for its hour');
		is($pair->sql($database, "SELECT counts ->> 'fetched' FROM defidata.runs WHERE stage = 'import' ORDER BY id DESC LIMIT 1")
			- $pair->remote_sql("SELECT count(*) FROM cmc_price WHERE \"timestamp\" >= " . $pair->epoch(6)),
			$pair->remote_sql("SELECT count(*) FROM tweetvolumeshours WHERE \"timestamp\" IN ($late)"), 'no other hour is read');
		is(scalar(grep { /DELETE|UPDATE|TRUNCATE/i } grep { /$Defidata::role/ } split /\n/, $log), 0, 'nothing but reads');
	}
};

# local_source makes a local table or view and attaches it as the source of mentions.
sub local_source
{
	my ($name, $definition, $columns) = @_;
	my $database = $pair->database;

	$pair->sql($database, "SELECT defidata_detach('$mentions'); SELECT defidata_detach('ct_scanner_cmc_price')");
	$pair->sql($database, $definition);
	$pair->sql($database, "SELECT defidata_attach('$mentions', 'mentions', '$name', '$columns')");
	return $database;
}

subtest 'hours as integer, timestamp and timestamptz' => sub {
	my %types = (
		bigint => '"timestamp"::bigint',
		timestamp => q(to_timestamp("timestamp") AT TIME ZONE 'UTC'),
		timestamptz => 'to_timestamp("timestamp")');
	my $integer = $pair->database;
	$pair->sql($integer, "SELECT defidata_detach('ct_scanner_cmc_price')");
	$pair->refresh($integer);
	my $expected = $pair->checksums($integer);

	foreach my $type (sort keys %types)
	{
		my $columns = "id, $types{$type} AS moment, symbol, count, sentiment";
		my $local = local_source('local', "CREATE TABLE local AS SELECT $columns FROM defidata_remote.$mentions", '{"hour": "moment"}');
		$pair->refresh($local);
		is($pair->checksums($local), $expected, "$type in a local table");
		my $view = local_source('local', "CREATE VIEW local AS SELECT $columns FROM defidata_remote.$mentions", '{"hour": "moment"}');
		$pair->sql('postgres', "ALTER DATABASE $view SET timezone = 'Asia/Kolkata'");
		$pair->refresh($view);
		is($pair->checksums($view), $expected, "$type in a view, in another time zone");

		$pair->remote_sql("CREATE TABLE remote_$type AS SELECT id, $types{$type} AS \"timestamp\", symbol, count, sentiment FROM tweetvolumeshours");
		$pair->remote_sql("GRANT SELECT ON remote_$type TO $Defidata::role");
		my $remote = $pair->database;
		$pair->sql($remote, "SELECT defidata_attach_server('ct_scanner', mentions => 'remote_$type', prices => NULL)");
		$pair->sql($remote, "SELECT defidata_detach('$mentions'); SELECT defidata_detach('ct_scanner_cmc_price')");
		$pair->refresh($remote);
		is($pair->sql($remote, q(SELECT defidata_checksum('defidata.metrics'), defidata_checksum('defidata.hours'))),
			$pair->sql($integer, q(SELECT defidata_checksum('defidata.metrics'), defidata_checksum('defidata.hours'))), "$type at the remote");
		my $offset = -s $pair->remote->logfile;
		$pair->refresh($remote);
		like(substr(slurp_file($pair->remote->logfile), $offset), qr/count\(\*\), sum\(.*FROM public\.remote_$type WHERE.*GROUP BY 1/, "$type: the survey is aggregated there");
	}
};

subtest 'types of figures' => sub {
	my $table = 'CREATE TABLE local AS SELECT id, "timestamp", symbol, %s AS count, %s AS sentiment FROM defidata_remote.ct_scanner_tweetvolumeshours WHERE count BETWEEN 0 AND 1e9';
	my ($expected, $database);
	foreach my $type ('float8', 'bigint', 'numeric', 'text')
	{
		$database = local_source('local', sprintf($table, "floor(count)::$type", $type eq 'bigint' ? 'sentiment' : $type eq 'numeric' ? 'sentiment::text::numeric' : "sentiment::$type"), '{}');
		$pair->refresh($database);
		my $checksums = $pair->checksums($database);
		is($checksums, $expected //= $checksums, $type);
		$pair->refresh($database);
		is($pair->checksums($database), $expected, "$type: again");
	}
};

subtest 'late, corrected, moved and repeated rows' => sub {
	my $database = local_source('local', "CREATE TABLE local AS SELECT * FROM defidata_remote.$mentions", '{}');
	my $at = sub { $pair->epoch(shift) };
	# same checks the copy against a database that has read the same rows at once
	my $same = sub {
		my ($name) = @_;
		$pair->refresh($database);
		my $rows = $pair->sql($database, q(SELECT string_agg(quote_nullable(l::text), ',') FROM local l));
		my $twin = local_source('local', "CREATE TABLE local AS SELECT * FROM defidata_remote.$mentions LIMIT 0; INSERT INTO local SELECT (t::local).* FROM unnest(ARRAY[$rows]) t", '{}');
		$pair->refresh($twin);
		is($pair->checksums($database), $pair->checksums($twin), $name);
		$pair->refresh($database);
		is($pair->checksums($database), $pair->checksums($twin), "$name: again");
		$pair->drop($twin);
	};

	$pair->refresh($database);
	$pair->sql($database, "INSERT INTO local (id, \"timestamp\", symbol, count) VALUES ('late', @{[$at->(3)]}, 'BTC', 1000)");
	$same->('late');
	$pair->sql($database, "UPDATE local SET count = 5, sentiment = -0.5 WHERE id = 'late'");
	$same->('corrected');
	$pair->sql($database, "UPDATE local SET \"timestamp\" = @{[$at->(1)]} WHERE id = 'late'");
	$same->('moved forward');
	$pair->sql($database, "UPDATE local SET \"timestamp\" = @{[$at->(4)]} WHERE id = 'late'");
	$same->('moved backward');
	$pair->sql($database, "UPDATE local SET symbol = 'NOTATOKEN' WHERE id = 'late'");
	$same->('corrected to a rejected one');
	$pair->sql($database, "UPDATE local SET \"timestamp\" = NULL, symbol = 'BTC' WHERE id = 'late'");
	$same->('moved to no hour');
	$pair->sql($database, "UPDATE local SET \"timestamp\" = @{[$at->(2)]} WHERE id = 'late'");
	$same->('and back');
	$pair->sql($database, "INSERT INTO local (id, \"timestamp\", symbol, count) VALUES ('late', @{[$at->(2)]}, 'BTC', 6), ('late', @{[$at->(1)]}, 'BTC', 7), ('late', @{[$at->(5)]}, 'BTC', 8)");
	$same->('repeated');
	is($pair->sql($database, "SELECT string_agg(mentions::text, ' ' ORDER BY hour) FROM defidata.raw_mentions WHERE id = 'late'"), '8 5 7', 'each hour has its own');
	is($pair->sql($database, "SELECT sum(rows) FROM defidata.uncopied WHERE cause = 'duplicate id'"), '1', 'the other of one hour is counted');
	$pair->sql($database, "DELETE FROM local WHERE id = 'late' AND count <> 8");
	$same->('one is left');
};

subtest 'the future' => sub {
	my $database = local_source('local', "CREATE TABLE local AS SELECT * FROM defidata_remote.$mentions", '{}');
	my $watermark = 'SELECT watermark = ' . $pair->hour(0) . ' FROM defidata.source';
	$pair->sql($database, "INSERT INTO local (id, \"timestamp\", symbol, count) SELECT 'f' || i, @{[$pair->epoch(-20)]} + 3600 * i, 'BTC', 50 FROM generate_series(1, 5) i");
	$pair->refresh($database);
	is($pair->sql($database, $watermark), 't', 'the watermark does not pass now()');
	is($pair->sql($database, "SELECT count(*) FROM defidata.raw_mentions WHERE reason = 'hour' AND token IS NULL"), '5', 'the rows are rejected');
	is($pair->sql($database, 'SELECT latest_hour <= now() FROM defidata.publication'), 't', 'nor published');
	# their hour comes: here by another hour, since the clock cannot be turned
	$pair->sql($database, 'UPDATE local SET "timestamp" = ' . $pair->epoch(1) . " WHERE id ~ '^f'");
	$pair->refresh($database);
	is($pair->sql($database, "SELECT count(*) FROM defidata.raw_mentions WHERE id ~ '^f' AND reason IS NULL AND token = 'BTC'"), '5', 'judged again once it has come');
	is($pair->sql($database, $watermark), 't', 'the watermark stands');
	# a row copied as a future one, whose hour has come since
	$pair->sql($database, "UPDATE defidata.raw_mentions SET reason = 'hour', token = NULL WHERE id = 'f1'");
	$pair->refresh($database);
	is($pair->sql($database, "SELECT reason, token FROM defidata.raw_mentions WHERE id = 'f1'"), '|BTC', 'unchanged at the source, and judged again');
};

subtest 'batches' => sub {
	foreach my $size (1, 7, 100)
	{
		my $database = $pair->database;
		$pair->sql($database, "SELECT defidata_set('batch_size', '$size')");
		if ($size == 1)
		{
			$pair->sql($database, 'CALL defidata_run()');
		}
		$pair->check_invariants($database, "batches of $size rows equal one batch");
	}
};

subtest 'initial_span' => sub {
	my $database = $pair->database;
	$pair->sql($database, "SELECT defidata_set('initial_span', '3 days')");
	my ($out, $err) = $pair->try($database, 'SELECT status FROM defidata_refresh()');
	like($err, qr/NOTICE:.*source "$mentions" has rows since .*, older than the first import's 3 days.*HINT:.*defidata_backfill\(/s, 'older rows are named');
	is($pair->sql($database, 'SELECT count(*), min(hour) = ' . $pair->hour(71) . ', max(hour) = ' . $pair->hour(0) . ' FROM defidata.hours'), '72|t|t', 'the span is imported');
	($out, $err) = $pair->try($database, 'SELECT status FROM defidata_refresh()');
	is($err, '', 'once');
};

subtest 'what the remote lacks' => sub {
	$pair->remote->safe_psql('postgres', 'CREATE DATABASE bare TEMPLATE ctscanner');
	$pair->remote_sql('DROP TABLE cmc_price', 'bare');
	my $database = $pair->database;
	$pair->create_server($database, 'bare', 'bare');
	my ($out, $err) = $pair->try($database, "SELECT defidata_attach_server('bare')");
	like($err, qr/NOTICE:.*remote table public\.cmc_price does not exist/, 'no prices: a NOTICE');
	is($pair->sql($database, "SELECT name FROM defidata.source WHERE name ~ '^bare'"), 'bare_tweetvolumeshours', 'mentions are attached');
	$pair->remote_sql('DROP TABLE tweetvolumeshours', 'bare');
	$pair->fails($database, "SELECT defidata_attach_server('bare')", '42P01', qr/tweetvolumeshours does not exist$/m, 'no mentions: an error');
	$pair->fails($database, "SELECT defidata_attach_server('nowhere')", '42704', qr/server 'nowhere' does not exist/, 'no server');
	$pair->remote_sql('CREATE TABLE tweetvolumeshours (id text, "timestamp" text, symbol text, count float8)', 'bare');
	$pair->remote_sql("GRANT SELECT ON tweetvolumeshours TO $Defidata::role", 'bare');
	$pair->fails($database, "SELECT defidata_attach_server('bare')", '42804', qr/column "timestamp" .* has type text, expected integer or timestamp/, 'wrong type of hour');
	$pair->remote_sql('ALTER TABLE tweetvolumeshours ALTER "timestamp" TYPE integer USING 0, DROP count', 'bare');
	$pair->fails($database, "SELECT defidata_attach_server('bare')", '42703', qr/no column "count" for mentions/, 'no mentions column');
	$pair->remote_sql('ALTER TABLE tweetvolumeshours ADD count float8', 'bare');
	is($pair->sql($database, "SELECT defidata_attach_server('bare')"), '', 'no sentiment is fine');
};

$pair->finish_tests;
