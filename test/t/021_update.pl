# An installation of 1.0, with data and with all that a user may have built on it, is
# brought up to date: the real 1.0, made of the history of this repository.  Its files
# give way to the present ones in a copy of PostgreSQL that only this test uses.
use strict;
use warnings;

use Defidata;
use File::Copy qw(copy);
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => '1.0 is not at hand: this tree has no history that reaches back to it'
  unless $ENV{DEFIDATA_FORMER};

# a copy of PostgreSQL: programs find their files relative to themselves
my $place = "$ENV{TESTDIR}/pg";
my $bin = readlink "$ENV{top_builddir}/bin";
$bin =~ s{^pg/}{} or die "bin is $bin";
system_or_bail('cp', '-R', "$ENV{top_builddir}/pg", $place);
my $library = "$place/$bin/../lib/defidata.so";
my ($extensions) = glob "$place/usr/share/postgresql/*/extension";
my %present = map { $_ => slurp_file($_) } $library, glob "$extensions/defidata*";

# replace puts a file there as an installation does: who has the former one open keeps it
sub replace
{
	my ($file, $content) = @_;
	unlink $file;
	append_to_file($file, $content);
	return;
}

# install_former and install_present put the files of 1.0, or of this tree, in place
sub install_former
{
	unlink $_ foreach keys %present;
	my $from = $ENV{DEFIDATA_FORMER};
	replace($library, slurp_file((glob "$from/usr/lib/postgresql/*/lib/defidata.so")[0]));
	replace("$extensions/$_", slurp_file((glob "$from/usr/share/postgresql/*/extension/$_")[0]))
	  foreach qw(defidata.control defidata--1.0.sql);
	return;
}

sub install_present
{
	replace($_, $present{$_}) foreach keys %present;
	return;
}

install_former();
my $test = Defidata->new(install_path => "$place/" . ($bin =~ s{/bin$}{}r));
my $old = $test->database;
is($test->sql($old, q(SELECT extversion FROM pg_extension WHERE extname = 'defidata')), '1.0', 'it is 1.0');

# Since 1.1 a sentiment that is none costs no mentions: one row shows that, and adds nothing
# to the figures, which would differ otherwise.
$test->remote_sql(q(UPDATE tweetvolumeshours SET sentiment = NULL WHERE sentiment = 'NaN'));
$test->remote_sql(sprintf q(INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count, sentiment) VALUES ('nan', %d, 'BTC', 0, 'NaN')), $test->epoch(3));

# What a user may have built on it.
$test->refresh($old);
is($test->sql($old, q(SELECT reason FROM defidata.raw_mentions WHERE id = 'nan')), 'sentiment', 'where a sentiment is none 1.0 rejects the row');
$test->sql($old, <<'END');
SET client_min_messages = warning;
CREATE ROLE api; CREATE ROLE analyst; CREATE ROLE operator;
SELECT defidata_grant('api', 'reader'), defidata_grant('analyst', 'analyst'), defidata_grant('operator', 'operator');
INSERT INTO defidata.token (symbol, name) VALUES ('NOTATOKEN', 'Now it is one');
SELECT defidata_set('overlap', '12 hours');
SELECT defidata_add_board('mine', 'sma_7d', 'desc', 0, 5);
SELECT defidata_reclean();
CREATE SCHEMA kept;
CREATE VIEW kept.metrics AS SELECT * FROM defidata.metrics;
CREATE VIEW kept.token_stats AS SELECT * FROM defidata.token_stats;
CREATE VIEW kept.trending AS SELECT * FROM defidata.trending;
CREATE VIEW kept.mine AS SELECT * FROM defidata.mine;
CREATE VIEW kept.daily_mentions AS SELECT * FROM defidata.daily_mentions;
CREATE VIEW kept.hours AS SELECT * FROM defidata.hours;
CREATE VIEW kept.raw_mentions AS SELECT * FROM defidata.raw_mentions;
CREATE VIEW kept.prices AS SELECT * FROM defidata.prices;
CREATE VIEW kept.mention_series AS SELECT * FROM defidata.mention_series;
CREATE VIEW kept.week_series AS SELECT * FROM defidata.week_series;
CREATE VIEW kept.day_series AS SELECT * FROM defidata.day_series;
CREATE VIEW kept.uncopied AS SELECT * FROM defidata.uncopied;
CREATE VIEW kept.rejects AS SELECT * FROM defidata.rejects;
CREATE VIEW kept.status AS SELECT * FROM defidata.status;
CREATE VIEW kept.runs AS SELECT * FROM defidata.runs;
CREATE VIEW kept.board_history AS SELECT * FROM defidata.board_history;
CREATE VIEW kept.publication AS SELECT * FROM defidata.publication, defidata.publication_history h (g, l, p);
CREATE VIEW kept.document AS SELECT * FROM defidata.document;
CREATE VIEW kept.some_metrics AS SELECT * FROM defidata_metrics('2020-01-01', '2040-01-01', 'BTC');
CREATE VIEW kept.history AS SELECT * FROM defidata_history('BTC', '14 days');
CREATE VIEW kept.cleaned AS SELECT defidata_clean(symbol), e.rule FROM defidata.raw_mentions, defidata_explain(symbol) e;
CREATE MATERIALIZED VIEW kept.rolled AS
SELECT token, defidata_rolling(hour, mentions, sentiment) AS series FROM defidata.metrics GROUP BY token;
CREATE VIEW kept.unrolled AS SELECT r.token, u.* FROM kept.rolled r, defidata_unroll(r.series) u;
CREATE TABLE kept.series AS SELECT token, start, series FROM defidata.week_series;
SELECT defidata_legacy_views('legacy');
GRANT USAGE ON SCHEMA kept TO api;
GRANT SELECT ON kept.trending TO api;
END

$test->refresh($old);

# columns_of lists the columns that a table or view has, in their order
sub columns_of
{
	my ($relation) = @_;
	return $test->sql($old, <<"END");
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
 WHERE attrelid = '$relation'::regclass AND attnum > 0 AND NOT attisdropped
END
}

# the figures that must not change, asked for by the columns that 1.0 has
my @figures = qw(metrics token_stats daily_mentions trending decreasing volatile surging most_mentioned
  most_positive most_negative mine);
my %columns = map { $_ => columns_of("defidata.$_") } @figures;
# prices are chosen and compared anew
$columns{token_stats} =~ s/, (price\w*|market_cap)//g;

sub figures
{
	return join "\n", map {
		"$_ " . $test->sql($old, "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM (SELECT $columns{$_} FROM defidata.$_) t")
	} @figures;
}

# everything that a user has built still answers
sub answers
{
	my ($name) = @_;
	my $views = $test->sql($old, <<'END');
SELECT string_agg(format('SELECT count(*) FROM %I.%I;', n.nspname, c.relname), ' ' ORDER BY n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname IN ('kept', 'legacy') AND c.relkind IN ('v', 'm', 'r')
END
	my ($out, $err) = $test->try($old, $views);
	is($err, '', "what a user has built answers $name");
	cmp_ok((split ' ', $out)[2], '>', 0, 'with rows');
	return;
}
my $figures = figures();
my $generation = $test->sql($old, 'SELECT generation FROM defidata.publication');
my $counts = 'SELECT (SELECT count(*) FROM defidata.raw_mentions),'
  . " (SELECT md5(string_agg(h::text, chr(10) ORDER BY h::text)) FROM defidata.board_history h WHERE generation <= $generation),"
  . ' (SELECT md5(string_agg(series::text, chr(10) ORDER BY token, start)) FROM kept.series)';
my $before = $test->sql($old, $counts);
answers('before');

# a session of before, whose library stays that of 1.0, and copies for the ways things can go
my $session = $test->session($old);
$session->query(q(SELECT defidata_clean('btc'), count(*) FROM defidata.metrics WHERE token = 'BTC'));
install_present();

is($test->sql($old, 'SELECT status FROM defidata_refresh()'), 'ok', 'before the update 1.0 works with the library of this version');
is(figures(), $figures, 'to the same figures');

# An object that really stands in the way is named, and all stays as it was.
$test->sql($old, 'CREATE VIEW kept.in_the_way AS SELECT defidata.metric_columns()');
$test->fails($old, 'ALTER EXTENSION defidata UPDATE', '2BP01', qr/cannot drop.*\n.*kept\.in_the_way/s, 'what stands in the way is named');
is($test->sql($old, q(SELECT extversion FROM pg_extension WHERE extname = 'defidata')), '1.0', 'and nothing is updated');
$test->sql($old, 'DROP VIEW kept.in_the_way');

# An update that is interrupted leaves 1.0.
my $reader = $test->session($old);
$reader->query('BEGIN; LOCK TABLE defidata.builtin_token IN ACCESS SHARE MODE');
my $update = $test->session($old, lock_timeout => '300ms');
$update->start('ALTER EXTENSION defidata UPDATE; LOCK TABLE defidata.builtin_token');
$update->finish;
$update->close;
$update = $test->session($old);
$update->start("BEGIN; ALTER EXTENSION defidata UPDATE; SELECT pg_sleep(100)");
$test->analytics->poll_query_until('postgres', "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = " . $update->pid);
$test->sql('postgres', 'SELECT pg_terminate_backend(' . $update->pid . ')');
$update->finish;
$reader->query('COMMIT');
$reader->close;
my $version = $test->sql($old, q(SELECT extversion FROM pg_extension WHERE extname = 'defidata'));
is($test->sql($old, 'SELECT status FROM defidata_refresh()'), 'ok', "an interrupted update leaves one that works ($version)");

$test->sql($old, 'ALTER EXTENSION defidata UPDATE');
is($test->sql($old, q(SELECT extversion = (SELECT default_version FROM pg_available_extensions WHERE name = 'defidata') FROM pg_extension WHERE extname = 'defidata')),
	't', 'the extension is updated');
answers('before the first call of an entry point');

# The old session has the old library: it works, or gets an error that helps.
foreach my $sql (
	q(SELECT defidata_clean('eth')),
	q(SELECT defidata_explain('eth')),
	q(SELECT count(*) FROM defidata.metrics WHERE token = 'BTC'),
	q(SELECT count(*) FROM kept.unrolled),
	q(SELECT count(*) FROM (SELECT defidata_rolling(now(), 1, 1)) r),
	q(SELECT status FROM defidata_refresh()),
	q(SELECT defidata_setup()))
{
	$session->start($sql);
	my ($out, $err) = $session->finish;
	ok($err eq '' || $err =~ /ERROR:\s+(?!XX000)[0-9A-Z]{5}: /, "an old session: $sql") or diag $err;
}
$session->close;

$test->sql($old, 'SET client_min_messages = warning; SELECT defidata_setup()');
answers('after it');
is(figures(), $figures, 'metrics, boards and days are as before');
is($test->sql($old, $counts), $before, 'raw rows, history and stored series too');
is($test->sql($old, q(SELECT reason, token, sentiment FROM defidata.raw_mentions WHERE id = 'nan')), '|BTC|', 'the row that was rejected for its sentiment is judged again');
is($test->sql($old, q(SELECT enabled FROM defidata.token WHERE symbol = 'NOTATOKEN')), 't', 'the list');
is($test->sql($old, q(SELECT value FROM defidata.setting WHERE name = 'overlap')), '12 hours', 'the settings');

# The rights of each level are those that a fresh installation gives.
my $fresh_place = 'fresh';
$test->sql('postgres', "CREATE DATABASE $fresh_place");
$test->sql($fresh_place, <<'END');
SET client_min_messages = warning;
CREATE EXTENSION defidata CASCADE;
SELECT defidata_grant('api', 'reader'), defidata_grant('analyst', 'analyst'), defidata_grant('operator', 'operator');
SELECT defidata_add_board('mine', 'sma_7d', 'desc', 0, 5);
END

# schema_of is what a schema consists of, as far as the catalogs tell
sub schema_of
{
	my ($name) = @_;
	return $test->sql($name, <<'END');
SELECT format('%s.%s %s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
              pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum))
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relnamespace = 'defidata'::regnamespace AND c.relkind IN ('r', 'v', 'c') ORDER BY 1;
SELECT format('%s %s %s %s', c.relname, c.relkind, c.reloptions, obj_description(c.oid, 'pg_class')) FROM pg_class c
 WHERE c.relnamespace = 'defidata'::regnamespace ORDER BY 1;
SELECT format('%s %s', c.relname, pg_get_viewdef(c.oid)) FROM pg_class c
 WHERE c.relnamespace = 'defidata'::regnamespace AND c.relkind = 'v' ORDER BY 1;
SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
 WHERE c.relnamespace = 'defidata'::regnamespace ORDER BY 1;
SELECT format('%s %s %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid)) FROM pg_constraint c
 WHERE c.connamespace = 'defidata'::regnamespace ORDER BY 1;
SELECT format('%s %s', t.tgrelid::regclass, pg_get_triggerdef(t.oid)) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE c.relnamespace = 'defidata'::regnamespace ORDER BY 1;
SELECT format('%s %s %s %s %s %s %s', p.oid::regprocedure, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
              md5(CASE p.prokind WHEN 'a' THEN '' ELSE pg_get_functiondef(p.oid) END), obj_description(p.oid, 'pg_proc'),
              (SELECT string_agg(x, ' ' ORDER BY x) FROM unnest(p.proacl::text[]) x), p.proowner::regrole)
  FROM pg_proc p
  JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'defidata' ORDER BY 1;
SELECT format('%s %s', c.relname, (SELECT string_agg(x, ' ' ORDER BY x) FROM unnest(c.relacl::text[]) x)) FROM pg_class c
 WHERE c.relnamespace = 'defidata'::regnamespace AND c.relkind IN ('r', 'v') ORDER BY 1;
SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
   AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'defidata' ORDER BY 1;
END
}
# a column of 1.0 that was kept for a view's sake may go when the view does
$test->sql($old, 'DROP VIEW kept.raw_mentions; ALTER TABLE defidata.raw_mentions DROP COLUMN former_hour');
my %schema = map { $_ => schema_of($_) } $old, $fresh_place;
if (!is($schema{$old}, $schema{$fresh_place}, 'and has the schema and the rights of a fresh one'))
{
	my %count;
	$count{$_}++ foreach split /\n/, $schema{$old};
	$count{$_}-- foreach split /\n/, $schema{$fresh_place};
	diag(($count{$_} > 0 ? 'only updated: ' : 'only fresh: ') . substr $_, 0, 300) foreach grep { $count{$_} } sort keys %count;
}

# and goes on
my $later = $test->epoch(2);
$test->remote_sql(qq{INSERT INTO tweetvolumeshours (id, "timestamp", symbol, count) VALUES ('later', $later, 'ETH', 5)});
$test->refresh($old);
is($test->lost_hours($old), '', 'the refresh goes on, and nothing is lost');
is($test->sql($old, 'SET ROLE operator; SET client_min_messages = warning; SELECT status FROM defidata_refresh()'), 'ok', 'an operator of 1.0 is one still');
is($test->sql($old, 'SET ROLE api; SELECT count(*) FROM kept.trending'), '10', 'and a reader reads');
$test->finish_tests;
