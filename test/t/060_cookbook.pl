# The pages for analysts: each query of doc/cookbook.md and doc/studies.md runs, by an
# analyst, on the demo's sample data, and answers with the columns that the page shows
# below it, and in each of them with what the page shows there: numbers, times or text.
# A LIMIT is reached.
use strict;
use warnings;

use File::Basename qw(dirname);
use IPC::Run qw(run);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = dirname(__FILE__) . '/../..';
my %kinds = (
	number => qr/^-?\d+(\.\d+)?(e[-+]?\d+)?$/,
	time => qr/^\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d+)?\+\d\d)?$/);

# recipes returns a page's queries, each with its heading and the answer shown.
sub recipes
{
	my ($page) = @_;
	my $heading = '';
	my @recipes;

	while ($page =~ /^## (?<heading>[^\n]*)$|^```(?<sql>sql)?\n(?<block>.*?)^```$/msg)
	{
		if (defined $+{heading}) { $heading = $+{heading} }
		elsif ($+{sql}) { push @recipes, { heading => $heading, query => $+{block} } }
		else { $recipes[-1]{answer} = $+{block} }
	}
	return @recipes;
}

# cells splits a line of psql's aligned output or of CSV.
sub cells
{
	my ($line, $separator) = @_;
	return map { s/^\s+|\s+$//gr } split $separator, $line, -1;
}

# table reads an answer, aligned or CSV, into a list of names and a list of rows.
sub table
{
	my ($answer) = @_;
	my ($first, @lines) = split /\n/, $answer;
	my $aligned = @lines && $lines[0] =~ /^-[-+]*$/;
	my $separator = $aligned ? qr/\|/ : qr/,/;

	shift @lines if $aligned;
	return ([ cells($first, $separator) ], [ map { [ cells($_, $separator) ] } @lines ]);
}

# kind is what all values of a column are.
sub kind
{
	my ($column, @rows) = @_;
	my @values = grep { $_ ne '' } map { $_->[$column] } @rows;

	foreach my $kind (sort keys %kinds)
	{
		return $kind unless grep { $_ !~ $kinds{$kind} } @values;
	}
	return 'text';
}

my $node = PostgreSQL::Test::Cluster->new('cookbook');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', "timezone = 'UTC'");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE analytics');
$node->command_ok([ 'psql', '-Xq', '-d', $node->connstr('analytics'), '-f', "$root/test/demo/sample.sql" ], 'sample data');

# published once three days ago, as the schedule would have, and now
$node->safe_psql('analytics', <<'END');
SET client_min_messages = warning;
CREATE EXTENSION defidata CASCADE;
SELECT defidata_attach('scanner', 'mentions', 'tweetvolumeshours'), defidata_attach('quotes', 'prices', 'cmc_price');
SELECT defidata_set('settle_after', '3 days');
SELECT defidata_refresh();
UPDATE defidata.publication_history SET published_at = latest_hour + interval '65 minutes';
SELECT defidata_set('settle_after', '0');
SELECT defidata_refresh();
CREATE ROLE ana LOGIN;
SELECT defidata_grant('ana', 'analyst');
END

my @recipes = map { recipes(slurp_file("$root/doc/$_.md")) } qw(cookbook studies);
cmp_ok(scalar @recipes, '>=', 12, 'a dozen questions');
foreach my $recipe (@recipes)
{
	subtest "$recipe->{heading} " . substr($recipe->{query}, 0, 30) => sub {
		my ($out, $err) = ('', '');
		my $status = run(
			[ 'psql', '-Xq', '--csv', '--set=ON_ERROR_STOP=1', '-d', $node->connstr('analytics') . ' user=ana' ],
			\$recipe->{query}, \$out, \$err);
		ok($status && $err eq '', 'runs') or diag $err;
		print "$out\n" if $ENV{COOKBOOK_ANSWERS};
		my ($names, $rows) = table($out);
		my ($shown_names, $shown_rows) = table($recipe->{answer} // '');
		is_deeply($names, $shown_names, 'columns');
		cmp_ok(scalar @$rows, '>=', 1, 'rows');
		is(scalar @$rows, $1, 'as many as asked for') if $recipe->{query} =~ /LIMIT (\d+)/;
		is(kind($_, @$rows), kind($_, @$shown_rows), "what is in $names->[$_]") foreach 0 .. $#$names;
	};
}
unlike(slurp_file($node->logfile), qr/PANIC| XX\d{3} /, 'nothing bad in the log');
$node->stop;
done_testing();
