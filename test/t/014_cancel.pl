# Cancel, statement_timeout and terminate inside every loop in C that a large
# input can keep busy: each ends within a second, with its own SQLSTATE.  What
# waits, for a lock or for the remote, is ended in 003_signals.

use strict;
use warnings;

use Defidata;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $pair = Defidata->new;
my $database = $pair->database;
$pair->refresh($database);

# inputs as large as a test can afford; what is not compressed is read at once
$pair->sql($database, <<'END');
CREATE TABLE list AS SELECT format('LISTED%s.%s', i % 1000, i) AS symbol FROM generate_series(1, 300000) i;
CREATE TABLE input (series defidata.series, odd defidata.series, hours timestamptz[], text text, white text, digits text);
ALTER TABLE input ALTER hours SET STORAGE external, ALTER text SET STORAGE external, ALTER white SET STORAGE external, ALTER digits SET STORAGE external;
INSERT INTO input
SELECT s, o, h || h || h || h || h || h || h || h, s::text, repeat(' ', 300000000) || 'BTC', '{' || repeat('1', 300000000) || '}'
  FROM (SELECT defidata_rolling(timestamptz '2000-01-01 00:00Z' + i * interval '1 hour', i % 1000, 0.5) FILTER (WHERE i % 2 = 0) AS s,
               defidata_rolling(timestamptz '2000-01-01 00:00Z' + i * interval '1 hour', i % 1000, 0.5) FILTER (WHERE i % 2 = 1) AS o,
               array_agg(timestamptz '2000-01-01 00:00Z' + i * 7919 % 2000003 * interval '1 hour') AS h
          FROM generate_series(1::bigint, 2000000) i) i;
CREATE TABLE pieces (parts defidata.series[]);
ALTER TABLE pieces ALTER parts SET STORAGE external;
INSERT INTO pieces
SELECT array_agg(format('{%s:1}', to_char(timestamp '2000-01-01' + i * 7919 % 9900003 * interval '1 hour', 'YYYY-MM-DD"T"HH24"Z"'))::defidata.series)
  FROM generate_series(1::bigint, 6000000) i;
END

# patterns that are let in and take long to compile, found by hill climbing over
# many thousands; the regex engine does not look at interrupts in each of its phases
my @patterns = (
	q(((q3q3}((?!y)x{0,2})?([A?-z]?(?!y)[[-z]?[C.-[C.-z]?[D-z]{0,43}[.*E[?BBz]?[BBB-[BBB-z]?[C.-z]?[D-z]{0,42}aE-z)]c-dy))xx),
	q(([[b+[a-z]\Y]?[D-Y]?[D-[DBxz]?[[C-z]?[D-z[D]?[C-z]?[D\Dz]?[-z[-z]?b?[D-z]?[D-z]?a{0,40}q{0,55}[Ez])y,q}));

# each keeps at it for many seconds
my $again = 'generate_series(1, 10000) i';
my %loops = (
	'reading the list' => q(DO $$ BEGIN FOR i IN 1 .. 10000 LOOP UPDATE defidata.setting SET value = value; PERFORM defidata_clean('x'); END LOOP; END $$),
	'compiling a pattern' => "DO \$\$ BEGIN FOR i IN 1 .. 10000 LOOP PERFORM defidata_set('symbol_pattern', '$patterns[0]'); END LOOP; END \$\$",
	'stripping a symbol' => "SELECT count(defidata_clean(white)) FROM input, $again",
	'rolling up rows' => "SELECT defidata_rolling(hour, 1, 0.5) FROM input, unnest(hours) hour, $again",
	'sorting hours' => "SELECT defidata.merge(s) FROM input, unnest(ARRAY[series, odd]) s, $again GROUP BY i",
	'series from text' => "SELECT count(text::defidata.series) FROM input, $again",
	# refused each time, and tried again
	'series from hostile text' => q(DO $$ BEGIN FOR i IN 1 .. 10000 LOOP
		BEGIN PERFORM digits::defidata.series FROM input; EXCEPTION WHEN invalid_text_representation THEN NULL; END; END LOOP; END $$),
	'series to text' => "SELECT count(series::text) FROM input, $again",
	'entries of a series' => "SELECT count(e) FROM input, $again, defidata.entries(series) e",
	'replacing hours' => "SELECT count(defidata.replace_hours(series, odd, hours)) FROM input, $again",
	'unrolling' => "SELECT count(sma) FROM input, $again, defidata_unroll(series)",
	'unrolling over given hours' => "SELECT count(sma) FROM input, $again, defidata_unroll(series, '30 days', hours)",
	'metrics of a long series' => "SELECT count(sma_14d) FROM input, $again, defidata.metrics_over(ARRAY[series], hours, '-infinity', 'infinity', 0.75)",
	'sorting the parts of a series' => "SELECT count(t) FROM pieces, $again, defidata.metrics_over(parts, '{2000-01-01 00:00Z}', '2000-01-01 00:00Z', '2000-01-01 00:00Z', 0.75) t",
	'metrics at an hour' => "SELECT (defidata.metrics_at(series, hours, '2100-01-01 00:00Z', 0.75)).sma_14d FROM input, $again GROUP BY i",
	'metrics' => "SELECT sum(m.sum) FROM $again, LATERAL (SELECT sum(sma_14d) FROM defidata.metrics WHERE hour < to_timestamp(1e9 * i)) m",
	'recompute' => 'DO $$ BEGIN FOR i IN 1 .. 10000 LOOP PERFORM defidata_recompute(); END LOOP; END $$');
$pair->sql($database, 'INSERT INTO defidata.token (symbol) SELECT symbol FROM list');

# strike ends a statement that has run for some seconds; the seconds until the
# session knows, and the SQLSTATE.
sub strike
{
	my ($statement, $fault, $patience) = @_;
	# the server compiles expressions without a look at interrupts
	my $session = $pair->session($database, jit => 'off', $fault eq 'timeout' ? (statement_timeout => "${patience}s") : ());
	my $pid = $session->pid;

	my $struck = time + $patience;
	$session->start($statement);
	if ($fault ne 'timeout')
	{
		$pair->analytics->poll_query_until($database,
			"SELECT clock_timestamp() - query_start > '$patience s' FROM pg_stat_activity WHERE pid = $pid AND state = 'active'")
		  or die "$statement does not run";
		$struck = time;
		kill $fault eq 'cancel' ? 'INT' : 'TERM', $pid;
	}
	my ($out, $err) = $session->finish;
	my $seconds = time - $struck;
	$session->close;
	return ($seconds, Defidata::sqlstate_of($err));
}

foreach my $loop (sort keys %loops)
{
	subtest $loop => sub {
		my @seconds;
		foreach my $fault (['cancel', '57014'], ['timeout', '57014'], ['terminate', '57P01'])
		{
			# parts are opened before they are sorted
			my ($seconds, $sqlstate) = strike($loops{$loop}, $fault->[0], $loop =~ /parts/ ? 1.2 : 0.5);
			is($sqlstate, $fault->[1], "$fault->[0]: SQLSTATE");
			cmp_ok($seconds, '<=', 1, "$fault->[0]: within a second");
			push @seconds, sprintf '%s %.2f s', $fault->[0], $seconds;
		}
		diag sprintf '%-28s %s', $loop, join ', ', @seconds;
	};
}

# cpu is what a process has used of a processor, in seconds
sub cpu
{
	my ($pid) = @_;
	my @fields = split ' ', slurp_file("/proc/$pid/stat") =~ s/.*\) //sr;
	return ($fields[11] + $fields[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

subtest 'a pattern that is let in compiles fast' => sub {
	plan skip_all => 'no /proc' unless -e '/proc/self/stat';
	my $session = $pair->session($database);
	foreach my $pattern (@patterns)
	{
		my $before = cpu($session->pid);
		$session->query("SELECT defidata.check_pattern('$pattern')");
		cmp_ok(cpu($session->pid) - $before, '<', 0.5, 'far below a second') or diag $pattern;
	}
	$session->close;
};

$pair->check_invariants($database, 'afterwards', clean => 0);
$pair->finish_tests;
