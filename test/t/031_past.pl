# The past of real mentions of 2018: their rows come in a random order, hours late or twice,
# some are corrected and some go again.  What a reader sees after each step is kept, and each
# step is then asked for again, of all tokens and metrics; so is each hour as it was published,
# after a dump and restore too.  PAST_SEED repeats a run.
use strict;
use warnings;

BEGIN { $ENV{PG_TEST_TIMEOUT_DEFAULT} = 1200 }

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mentions = ($ENV{DEFIDATA_DATA} // '') . '/mentions_2018_with_outage.csv.xz';
plan skip_all => 'the real data are not here: set DEFIDATA_DATA to their directory' unless -r $mentions;

my $seed = $ENV{PAST_SEED} // time % 100000;
srand $seed;
diag "PAST_SEED=$seed";

my $node = PostgreSQL::Test::Cluster->new('past');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', "timezone = 'UTC'\nfsync = off");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE analytics');
my $database = 'analytics';

sub sql
{
	my ($statement) = @_;
	return $node->safe_psql($database, "SET client_min_messages = warning;\n$statement");
}

# forty days, the outage among them; rank says in which step a row is there
sql(<<"END");
CREATE EXTENSION defidata CASCADE;
CREATE TABLE loaded (hour_utc timestamp, symbol text, tweets float8, users_sum float8, sentiment float8);
COPY loaded FROM PROGRAM 'xzcat $mentions' (FORMAT csv, HEADER);
CREATE TABLE delivery AS
SELECT row_number() OVER () AS id, hour_utc AS "timestamp", symbol, tweets AS count, sentiment
  FROM loaded WHERE hour_utc >= '2018-06-20' AND hour_utc < '2018-07-30'
   AND symbol IN (SELECT symbol FROM loaded GROUP BY symbol ORDER BY sum(tweets) DESC LIMIT 25);
CREATE TABLE remote (LIKE delivery, PRIMARY KEY (id));
SELECT defidata_attach('past', 'mentions', 'remote');
CREATE TABLE seen AS SELECT 0 AS step, clock_timestamp() AS at, m.* FROM defidata.metrics m;
CREATE TABLE told AS SELECT s.* FROM defidata.token_stats s;
CREATE PROCEDURE look(step int) LANGUAGE sql AS \$\$
    INSERT INTO seen SELECT look.step, clock_timestamp(), m.* FROM defidata.metrics m;
    INSERT INTO told SELECT s.* FROM defidata.token_stats s WHERE s.hour NOT IN (SELECT t.hour FROM told t);
\$\$;
END

# what a step does to the source
my $until = "'2018-07-05'::timestamp";
my @changes = (
	sub { "INSERT INTO remote SELECT * FROM delivery d WHERE random() < 0.3 AND d.\"timestamp\" < $until AND id NOT IN (SELECT id FROM remote)" },
	sub { 'UPDATE remote SET count = count + 1 + floor(random() * 9) WHERE random() < 0.01' },
	sub { 'UPDATE remote SET sentiment = -sentiment WHERE random() < 0.01' },
	sub { 'DELETE FROM remote WHERE random() < 0.01' },
	sub { "DELETE FROM remote WHERE \"timestamp\" = (SELECT \"timestamp\" FROM remote ORDER BY random() LIMIT 1)" });
my @calls = (
	'SELECT status FROM defidata_refresh()',
	"SELECT count(*) FROM defidata_reconcile('100 years', true)",
	"SELECT defidata_import('2018-01-01'), defidata_compute(), defidata_publish()",
	'SELECT defidata_recompute(), defidata_publish()',
	"SELECT defidata_mark_hours(h, h + interval '3 hours', false), defidata_compute() FROM (SELECT hour FROM defidata.hours ORDER BY random() LIMIT 1) q (h)",
	"SELECT defidata_mark_hours('-infinity', 'infinity', NULL), defidata_compute()");

sql("SELECT setseed(($seed % 1000) / 1000.0);\n" . $changes[0]->() . ";\n$calls[0]");
sql('CALL look(1)');
foreach my $step (2 .. 14)
{
	my @chosen = map { $changes[ rand @changes ]->() } 1 .. 1 + rand 3;
	$until = "'2018-07-05'::timestamp + interval '" . $step * 40 . " hours'";
	unshift @chosen, $changes[0]->() if $step % 2;
	my $call = $step % 3 ? $calls[ rand @calls ] : $calls[1];
	note "$step: ", join('; ', @chosen), '; ', $call;
	sql(join(";\n", "SELECT setseed(($seed % 1000 + $step) / 2000.0)", @chosen));
	sql($call);
	sql("CALL look($step)");
}

# compare asks for every step again
sub compare
{
	my ($what) = @_;

	is(sql(<<'END'), 'f|0|0', "every step as it was seen $what");
CREATE TEMP TABLE recalled AS
SELECT s.step, m.* FROM (SELECT step, max(at) AS at FROM seen GROUP BY step) s, defidata_metrics_as_of(s.at, '-infinity', 'infinity') m;
SELECT count(*) < 10000, (SELECT count(*) FROM (SELECT to_jsonb(s) - 'at' FROM seen s EXCEPT ALL SELECT to_jsonb(r) FROM recalled r) q),
       (SELECT count(*) FROM (SELECT to_jsonb(r) FROM recalled r EXCEPT ALL SELECT to_jsonb(s) - 'at' FROM seen s) q) FROM seen;
END
	is(sql(<<'END'), 't|0', "every hour as it was published $what");
CREATE TEMP TABLE published AS SELECT * FROM defidata_metrics_as_published('-infinity', 'infinity');
SELECT count(*) > 10, count(*) FILTER (WHERE p IS NULL OR NOT to_jsonb(t) @> to_jsonb(p))
  FROM told t LEFT JOIN published p ON p.token = t.token AND p.hour = t.hour WHERE t.mentions > 0;
END
	return;
}

compare('');
cmp_ok(sql('SELECT count(*) FROM defidata.fact_revision'), '>', 1000, 'much has changed');
my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr($database) ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('restored'), $dump ], 'and restored');
$database = 'restored';
compare('after dump and restore');
$node->stop;
done_testing();
