# A psql session that stays open, so that a test can act while a statement runs,
# and see whether the same session goes on after an error.  For single statements
# that nobody disturbs Defidata.pm has sql and error.
package Defidata::Session;

use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Utils ();

# new opens a session; options are set with SET first.
sub new
{
	my ($class, $node, $database, %options) = @_;
	my $self = bless { in => '', out => '', err => '', count => 0 }, $class;

	$self->{timeout} = IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default);
	$self->{run} = IPC::Run::start(
		[
			'psql', '--no-psqlrc', '--no-align', '--tuples-only', '--quiet',
			'--set=VERBOSITY=verbose', '--dbname', $node->connstr($database)
		],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err}, $self->{timeout});
	$self->query("SET $_ = '$options{$_}'") foreach (sort keys %options);
	$self->{pid} = $self->query('SELECT pg_backend_pid()');
	return $self;
}

# pid is the server process of the session.
sub pid
{
	my ($self) = @_;
	return $self->{pid};
}

# start sends a statement and does not wait for its end.
sub start
{
	my ($self, $sql) = @_;

	# each statement has its own time
	$self->{timeout}->start;
	$self->{out} = $self->{err} = '';
	$self->{mark} = 'end of statement ' . ++$self->{count};
	$self->{in} .= "$sql;\n\\echo $self->{mark}\n\\warn $self->{mark}\n";
	$self->{run}->pump_nb;
	return;
}

# finish waits for the end of what start sent, or of the session, and returns
# standard output and standard error.
sub finish
{
	my ($self) = @_;
	my $mark = $self->{mark};

	while ($self->{out} !~ /$mark\n/ || $self->{err} !~ /$mark\n/)
	{
		last unless $self->{run}->pumpable;
		# a session that ends is what some tests want
		eval { $self->{run}->pump; 1 } or $@ =~ /ended prematurely/ or die $@;
	}
	s/\n?$mark\n// foreach ($self->{out}, $self->{err});
	return ($self->{out}, $self->{err});
}

# query runs a statement that must succeed and returns its rows.
sub query
{
	my ($self, $sql) = @_;

	$self->start($sql);
	my ($out, $err) = $self->finish;
	die "$sql\nfailed: $err" if $err =~ /ERROR|FATAL|connection to server/;
	return $out;
}

# close ends the session.
sub close
{
	my ($self) = @_;

	$self->{in} .= "\\q\n";
	eval { $self->{run}->finish };
	return;
}

1;
