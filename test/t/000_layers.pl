# The SQL is in layers: the install script is put together in the order of the Makefile's
# PARTS, and a file calls functions of those before it and its own, so there is no circle.
# Files are short, lines narrow, and no test has the name of a source.  Needs no server.
use strict;
use warnings;

use File::Basename qw(fileparse);
use PostgreSQL::Test::Utils;
use Test::More;

# variable gives the words of a variable of a Makefile
sub variable
{
	my ($makefile, $name) = @_;
	slurp_file($makefile) =~ /^\Q$name\E = ((?:.*\\\n)*.*)$/m or return;
	return grep { $_ ne '\\' } split ' ', $1;
}

# parts gives the files that an extension's install script is made of, in their order
sub parts
{
	my ($makefile, $directory) = @_;
	return map { "$directory/$_.sql" } variable($makefile, 'PARTS');
}

# code gives the text of a file without its comments
sub code { return slurp_file(shift) =~ s/--.*$//mgr; }

# found tells what breaks a rule, if anything does
sub found
{
	my ($rule, @broken) = @_;
	is(join("\n", @broken), '', $rule);
	return;
}

# what stands in no commit: lists are as long as they are
my %generated = map { $_ => 1 } 'redis/sql/tables.sql',
  map { /(\w+\.sql)/ ? "extension/sql/$1" : () } variable('Makefile', 'GENERATED');
system_or_bail('make', '-s', '-C', 'redis', 'sql/tables.sql') if -e 'redis/Makefile';

my @files = (parts('Makefile', 'extension/sql'),
	-e 'redis/Makefile' ? parts('redis/Makefile', 'redis/sql') : ());
my %part = map { $_ => 1 } @files;
found('every file of SQL is a part', grep { !$part{$_} } glob '{extension,redis}/sql/*.sql');

# the first file that defines a function
my %home;
foreach my $i (0 .. $#files)
{
	my $code = code($files[$i]);
	$home{$1} //= $i
	  while $code =~ /^CREATE (?:FUNCTION|PROCEDURE|AGGREGATE) ((?:defidata|\@extschema\@)\.\w+)/mg;
}
cmp_ok(scalar keys %home, '>', 200, 'functions are found');

# the one place where the base asks whether the other extension is there, and calls it
my $hooks = 'extension/sql/stream.sql';
my (%upwards, %nowhere);
foreach my $i (0 .. $#files)
{
	my $code = code($files[$i]);
	# a text that begins so is a name
	while ($code =~ /(?<!['\w])((?:defidata|\@extschema\@)\.\w+)\(/g)
	{
		if (!defined $home{$1})
		{
			$nowhere{"$files[$i] calls $1(), which is defined nowhere"} = 1;
		}
		elsif ($home{$1} > $i && !($files[$i] eq $hooks && $files[ $home{$1} ] =~ /^redis/))
		{
			$upwards{"$files[$i] calls $1() of $files[$home{$1}]"} = 1;
		}
	}
}
found('a file calls downwards only', sort keys %upwards);
found('what is called is there', sort keys %nowhere);

my @written = grep { !$generated{$_} && !/--/ }
  glob('{extension,redis}/sql/*.sql {extension,redis}/*.sql extension/*.{awk,c,h}');
my (@long, @wide);
foreach my $file (@written)
{
	my @lines = split /\n/, slurp_file($file);
	push @long, "$file: " . @lines if @lines > 400;
	utf8::decode($_) foreach @lines;
	push @wide, map { "$file:$_" } grep { length $lines[ $_ - 1 ] > 100 } 1 .. @lines;
}
found('files have at most 400 lines', @long);
found('lines have at most 100 columns', @wide);

my %source = map { (fileparse($_, qr/\.\w+$/))[0] => $_ } glob '{extension,redis}/{sql/*.sql,*.c}';
found('no test has the name of a source',
	map { my ($name) = fileparse($_, qr/\.\w+$/); $source{$name} ? "$_ and $source{$name}" : () }
	  glob 'sql/*.sql test/pgtap/*.sql test/t/*.pl test/isolation/specs/*.spec');

done_testing();
