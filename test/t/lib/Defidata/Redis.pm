# A private Redis server on loopback and an analytics cluster beside it, for tests of
# defidata_redis.  What was sent is counted here, so that sums can be compared.
package Defidata::Redis;

use strict;
use warnings;

use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

# missing says what keeps these tests from running, or ''.
sub missing
{
	my $share = `pg_config --sharedir`;
	chomp $share;

	return 'there is no redis-server (Debian: redis-server)' if system('redis-server --version >/dev/null 2>&1') != 0;
	return 'defidata_redis is not built (Debian: libhiredis-dev)' unless -f "$share/extension/defidata_redis.control";
	return '';
}

# new starts a server; settings are lines of its configuration.
sub new
{
	my ($class, @settings) = @_;
	my $self = bless {
		port => PostgreSQL::Test::Cluster::get_free_port(),
		directory => PostgreSQL::Test::Utils::tempdir(),
		settings => \@settings
	}, $class;

	$self->start;
	return $self;
}

# start starts the server again, with other settings where they are given.
sub start
{
	my ($self, @settings) = @_;
	my $file = "$self->{directory}/redis.conf";

	$self->{settings} = \@settings if @settings;
	open my $config, '>', $file or die $!;
	print $config join("\n", "port $self->{port}", 'bind 127.0.0.1', "dir $self->{directory}", 'save ""',
		"logfile $self->{directory}/log", @{ $self->{settings} }), "\n";
	close $config;
	$self->{pid} = fork // die $!;
	if ($self->{pid} == 0)
	{
		exec 'redis-server', $file or POSIX::_exit(1);
	}
	foreach (1 .. 200)
	{
		return if eval { $self->connect; 1 };
		usleep 50_000;
	}
	die 'redis-server does not start';
}

# signal sends the server a signal.
sub signal
{
	my ($self, $signal) = @_;
	kill $signal, $self->{pid} or die "no redis-server: $!";
	return;
}

# stop ends the server, by KILL where that is said.
sub stop
{
	my ($self, $signal) = @_;

	return unless $self->{pid};
	kill 'CONT', $self->{pid};
	kill $signal // 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
	delete @$self{qw(pid socket)};
	return;
}

sub DESTROY
{
	my ($self) = @_;
	local $?;
	$self->stop('KILL');
	return;
}

sub port { return $_[0]->{port} }

# connect opens the test's own connection.
sub connect
{
	my ($self) = @_;

	$self->{socket} = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}) or die "no connection: $@";
	binmode $self->{socket};
	return;
}

# encode gives a command as the protocol has it.
sub encode
{
	return join '', '*', scalar @_, "\r\n", map { ('$', length $_, "\r\n", $_, "\r\n") } @_;
}

# receive reads one reply; an error dies.
sub receive
{
	my ($self) = @_;
	my $socket = $self->{socket};
	my $line = readline $socket;

	die 'redis-server has closed the connection' unless defined $line;
	$line =~ s/\r\n$//;
	my $kind = substr $line, 0, 1, '';
	return $line if $kind eq '+' || $kind eq ':';
	die "$line\n" if $kind eq '-';
	return undef if $line == -1;
	return [ map { $self->receive } 1 .. $line ] if $kind eq '*';
	my $bytes = '';
	while (length $bytes < $line + 2)
	{
		read $socket, $bytes, $line + 2 - length $bytes, length $bytes or die 'redis-server has closed the connection';
	}
	return substr $bytes, 0, $line;
}

# command sends a command and returns its reply.
sub command
{
	my ($self, @words) = @_;
	my $socket = $self->{socket};

	print $socket encode(@words);
	$socket->flush;
	return $self->receive;
}

# add adds entries, each a list of fields and values, at once, and returns their ids.
sub add
{
	my ($self, $key, @entries) = @_;
	my $socket = $self->{socket};
	my @ids;

	while (my @some = splice @entries, 0, 1000)
	{
		print $socket map { encode('XADD', $key, @$_ % 2 ? @$_ : ('*', @$_)) } @some;
		$socket->flush;
		push @ids, map { $self->receive } @some;
	}
	return @ids;
}

# cluster starts an analytics cluster, with lines of configuration.
sub cluster
{
	my ($class, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new('analytics');

	$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
	$node->append_conf('postgresql.conf', join "\n", "timezone = 'UTC'", "log_line_prefix = '%m [%p] %e %q%a '",
		'restart_after_crash = on', 'shared_buffers = 32MB', @settings, '');
	$node->start;
	return $node;
}

# database makes a database in which the server is attached as `redis`, with options.
sub database
{
	my ($self, $node, $name, $options, $mapping) = @_;

	$options //= '';
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, <<"END");
SET client_min_messages = warning;
CREATE EXTENSION defidata_redis CASCADE;
CREATE SERVER redis FOREIGN DATA WRAPPER defidata_redis OPTIONS (host '127.0.0.1', port '$self->{port}', read_timeout '10' $options);
SET log_statement = none;
CREATE USER MAPPING FOR CURRENT_USER SERVER redis @{[ $mapping // '' ]};
END
	return $name;
}

1;
