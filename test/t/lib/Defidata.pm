# Two clusters and what must hold after every fault: a remote one with the
# CT-SCANNER's tables, read by a role that may only SELECT, and the analytics one
# with defidata.  check_invariants compares the copy with the remote hour by hour
# and with a run that met no fault.  The faults themselves are in the tests.
package Defidata;

use strict;
use warnings;

use Defidata::Session;
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

# The remote's role and password; the password must not show up in any log.
our $role = 'scanner_reader';
our $password = 'p0und-l0ck_9f2c';

# What must be the same however the data came in.
our @tables = qw(raw_mentions prices uncopied hours mention_series metrics token_stats daily_mentions);

# 30 raw symbols; dirty ones share a token with clean ones, some are none.
my $symbols = <<'END';
ARRAY['BTC', 'ETH', 'SOL', 'ADA', 'XRP', 'DOGE', 'DOT', 'LINK', 'UNI', 'AVAX', 'LTC', 'ATOM', 'XLM', 'ALGO', 'FIL', 'AAVE',
      'stETH', '1INCH', 'USDC.e', 'btc', '$ETH', 'SOL.', E'BTC\U0001F680', ' ada ', 'ETH/USDT', 'NOTATOKEN', '', NULL,
      E'B\u0422C', '''; DROP TABLE defidata.raw_mentions; --']
END

# The CT-SCANNER's own tables.
our $ct_scanner = slurp_file(dirname(__FILE__) . '/../../ct_scanner.sql');

my $remote_schema = $ct_scanner . <<'SQL';
CREATE INDEX ON tweetvolumeshours ("timestamp");

-- a number from 0 to 1 that depends on nothing but the arguments
CREATE FUNCTION chance(symbol text, age integer, seed integer) RETURNS float8 IMMUTABLE LANGUAGE sql
	RETURN (hashtextextended(concat_ws('/', symbol, age, seed), 0) & 1048575) / 1048576.0;

-- an hour of any type in Unix seconds
CREATE FUNCTION seconds(at bigint) RETURNS bigint IMMUTABLE LANGUAGE sql RETURN at;
CREATE FUNCTION seconds(at timestamp) RETURNS bigint IMMUTABLE LANGUAGE sql RETURN floor(EXTRACT(epoch FROM at));
CREATE FUNCTION seconds(at timestamptz) RETURNS bigint IMMUTABLE LANGUAGE sql RETURN floor(EXTRACT(epoch FROM at));

-- the rows of the hours from oldest to newest, as ages in hours before base; the
-- collector was down for five of them
CREATE FUNCTION fill(base integer, oldest integer, newest integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO tweetvolumeshours (id, timezone, "timestamp", date, symbol, count, sentiment)
	SELECT format('%s-%s', base - age * 3600, n), 'UTC', base - age * 3600,
	       to_timestamp(base - age * 3600) AT TIME ZONE 'UTC', symbol,
	       CASE WHEN chance(symbol, age, 1) > 0.002 THEN floor(4 + 60 * chance(symbol, age, 2) + 30 * chance(symbol, age / 24, 3))
	            ELSE ('{NULL,-1,1.5,NaN,Infinity,1000000001}'::float8[])[1 + age % 6] END,
	       CASE WHEN chance(symbol, age, 4) > 0.1 THEN 2 * chance(symbol, age, 5) - 1
	            WHEN chance(symbol, age, 4) < 0.001 THEN 'NaN' END
	  FROM generate_series(newest, oldest) age, unnest(SYMBOLS) WITH ORDINALITY s (symbol, n)
	 WHERE age NOT BETWEEN 200 AND 204;
	INSERT INTO cmc_price (id, symbol, slug, price, percent_change_24h, volume_24h, market_cap, "timestamp")
	SELECT format('%s-%s', slug, base - age * 3600 + 120), symbol, slug,
	       CASE WHEN chance(slug, age, 6) < 0.01 THEN 0 ELSE round((50 + 10 * chance(slug, age, 7))::numeric, 4) END,
	       round((10 * chance(slug, age, 8) - 5)::numeric, 3), CASE WHEN age % 50 = 0 THEN 'n/a' ELSE '1000000' END,
	       '12345678', base - age * 3600 + 120
	  FROM generate_series(newest, oldest) age,
	       (VALUES ('BTC', 'bitcoin'), ('ETH', 'ethereum'), ('SOL', 'solana'), ('ADA', 'cardano')) p (symbol, slug);
END
$$;
SQL

# new makes both clusters; the remote holds the hours from 400 to `newest` hours
# before the present one, and can stream its tables if `streaming` is given.  With
# `install_path` the analytics cluster is of that copy of PostgreSQL.  With `beside`, another pair, only one more analytics cluster is made, which shares
# that pair's remote.
sub new
{
	my ($class, %option) = @_;
	my $beside = $option{beside};
	my $self = bless {
		base => $beside ? $beside->{base} : int(time / 3600) * 3600,
		remote_database => 'ctscanner',
		count => 0,
		kills => 0,
		expected => {}
	}, $class;

	$self->{analytics} = $self->cluster($beside ? 'analytics_beside' : 'analytics',
		install_path => $option{install_path});
	if ($beside)
	{
		$self->{remote} = $beside->{remote};
		return $self;
	}
	$self->{remote} = $self->cluster('remote', allows_streaming => $option{streaming} ? 'logical' : 0);
	$self->{remote}->safe_psql('postgres', "SET log_statement = none; CREATE ROLE $role LOGIN PASSWORD '$password'");
	$self->{remote}->safe_psql('postgres', "CREATE DATABASE $self->{remote_database} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'");
	$self->make_remote_tables($self->{remote_database});
	$self->fill(400, $option{newest} // 0);
	return $self;
}

# cluster starts one cluster on loopback that asks the remote's role for its password.
sub cluster
{
	my ($self, $name, %init) = @_;
	my $path = delete $init{install_path};
	my $node = PostgreSQL::Test::Cluster->new($name, $path ? (install_path => $path) : ());

	$node->init(extra => [ '--encoding=UTF8', '--no-locale' ], %init);
	$node->append_conf(
		'postgresql.conf', join "\n",
		"listen_addresses = '127.0.0.1'",
		'restart_after_crash = on',
		"timezone = 'UTC'",
		"log_line_prefix = '%m [%p] %e %q%a '",
		'max_connections = 50',
		'shared_buffers = 32MB',
		'autovacuum = off', '');
	my $hba = $node->data_dir . '/pg_hba.conf';
	my $rules = slurp_file($hba);
	unlink $hba;
	$node->append_conf('pg_hba.conf', "host all $role 127.0.0.1/32 scram-sha-256\n$rules");
	$node->start;
	return $node;
}

sub remote { return $_[0]->{remote} }
sub analytics { return $_[0]->{analytics} }
sub base { return $_[0]->{base} }

# hour is the time of an hour `age` hours before the present one, as SQL.
sub hour
{
	my ($self, $age) = @_;
	return sprintf 'to_timestamp(%d)', $self->{base} - 3600 * $age;
}

# epoch is the same in Unix seconds.
sub epoch
{
	my ($self, $age) = @_;
	return $self->{base} - 3600 * $age;
}

# make_remote_tables makes the CT-SCANNER's tables in a database of the remote.
sub make_remote_tables
{
	my ($self, $database) = @_;
	my $schema = $remote_schema;

	# not every encoding has the symbols' characters
	my $list = $database eq $self->{remote_database} ? $symbols : "ARRAY['BTC', 'ETH', 'SOL', 'ADA', 'XRP', 'NOTATOKEN']";
	chomp $list;
	$schema =~ s/SYMBOLS/$list/;
	$self->{remote}->safe_psql($database, $schema);
	$self->{remote}->safe_psql($database, "GRANT SELECT ON tweetvolumeshours, cmc_price TO $role");
	return;
}

# fill adds hours, given as ages, to the remote.
sub fill
{
	my ($self, $oldest, $newest) = @_;
	$self->remote_sql("SELECT fill($self->{base}, $oldest, $newest); ANALYZE");
	return;
}

# remote_sql runs SQL at the remote.
sub remote_sql
{
	my ($self, $sql, $database) = @_;
	return $self->{remote}->safe_psql($database // $self->{remote_database}, $sql);
}

# sql runs SQL in a database of the analytics cluster and returns its rows.
sub sql
{
	my ($self, $database, $sql) = @_;
	return $self->{analytics}->safe_psql($database, $sql);
}

# try runs SQL that may fail; it returns the rows and the messages.
sub try
{
	my ($self, $database, $sql) = @_;
	my ($status, $out, $err) = $self->{analytics}->psql(
		$database, $sql,
		on_error_stop => 0,
		extra_params => [ '--quiet', '--set=VERBOSITY=verbose' ]);
	return ($out, $err);
}

# sqlstate_of is the SQLSTATE of the first error in psql's messages, or ''.
sub sqlstate_of
{
	my ($err) = @_;
	return $err =~ /(?:ERROR|FATAL):\s+([0-9A-Z]{5}):/ ? $1 : '';
}

# fails checks that SQL fails with a SQLSTATE and a message.
sub fails
{
	my ($self, $database, $sql, $sqlstate, $pattern, $name) = @_;
	my ($out, $err) = $self->try($database, $sql);

	subtest $name => sub {
		is(sqlstate_of($err), $sqlstate, 'SQLSTATE') or diag $err;
		like($err, $pattern, 'message');
	};
	return;
}

# session opens a session in a database of the analytics cluster.
sub session
{
	my ($self, $database, %options) = @_;
	return Defidata::Session->new($self->{analytics}, $database, %options);
}

# remote_session opens one at the remote, as its owner.
sub remote_session
{
	my ($self) = @_;
	return Defidata::Session->new($self->{remote}, $self->{remote_database});
}

# database makes a database of the analytics cluster: with the remote attached,
# or a copy of another one.
sub database
{
	my ($self, $template) = @_;
	my $name = 'd' . ++$self->{count};

	$template //= $self->attached;
	# the other strategy would let a sequence fall back after a crash
	$self->sql('postgres', "CREATE DATABASE $name TEMPLATE $template STRATEGY file_copy");
	return $name;
}

# drop drops a database that a test is done with.
sub drop
{
	my ($self, $database) = @_;
	$self->sql('postgres', "DROP DATABASE $database WITH (FORCE)");
	return;
}

# attached is a database that has gone the user's path up to the attached server,
# one for each database of the remote.
sub attached
{
	my ($self) = @_;
	my $name = 'attached_' . $self->{remote_database};

	return $name if $self->{attached}{$name}++;
	$self->sql('postgres', "CREATE DATABASE $name");
	$self->sql($name, 'SET client_min_messages = warning; CREATE EXTENSION defidata CASCADE');
	$self->create_server($name, 'ct_scanner', $self->{remote_database});
	$self->sql($name, q(SET client_min_messages = warning; SELECT defidata_attach_server('ct_scanner')));
	return $name;
}

# another_remote makes a copy of the remote's database, changed by SQL, and returns
# its name.  As `local $pair->{remote_database}` it takes the first one's place in
# all that is done and checked.
sub another_remote
{
	my ($self, $name, $sql) = @_;

	$self->{remote}->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE $self->{remote_database}");
	$self->remote_sql($sql, $name);
	return $name;
}

# create_server makes a server with its user mapping.
sub create_server
{
	my ($self, $database, $server, $remote_database) = @_;
	my $port = $self->{remote}->port;

	$self->sql($database, <<"END");
CREATE SERVER $server FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '$port', dbname '$remote_database');
SET log_statement = none;
CREATE USER MAPPING FOR CURRENT_USER SERVER $server OPTIONS (user '$role', password '$password');
END
	return;
}

# refresh runs one cycle that must succeed.
sub refresh
{
	my ($self, $database) = @_;
	my $status = $self->sql($database, 'SET client_min_messages = warning; SELECT status FROM defidata_refresh()');
	die "refresh says $status" unless $status eq 'ok';
	return;
}

# checksums returns the checksum of each table and board, a line each.
sub checksums
{
	my ($self, $database) = @_;
	my $list = join ', ', map { "('$_')" } @tables;
	return $self->sql($database, <<"END");
SELECT t.name || ' ' || defidata_checksum(format('defidata.%I', t.name)::regclass)
  FROM (VALUES $list UNION ALL SELECT b.name FROM defidata.board b) t (name) ORDER BY t.name COLLATE "C"
END
}

# clean_checksums are those of a run without a fault: a fresh database that has
# imported the remote as it is.
sub clean_checksums
{
	my ($self) = @_;
	my $state = $self->{remote_database} . $self->remote_state;

	$self->{expected}{$state} //= do
	{
		my $twin = $self->database;
		$self->refresh($twin);
		$self->checksums($twin);
	};
	return $self->{expected}{$state};
}

# remote_state is a digest of everything the remote holds.
sub remote_state
{
	my ($self) = @_;
	return $self->remote_sql('SELECT (SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM tweetvolumeshours t),'
		  . ' (SELECT md5(string_agg(p::text, chr(10) ORDER BY p::text)) FROM cmc_price p)');
}

# Rows by hour of remote and copy, with a digest of what they say.
my $digest = q(md5(string_agg(concat_ws('|', id, symbol, mentions, sentiment), E'\n' ORDER BY id COLLATE "C")));
my $remote_hours = <<"END";
SELECT hour, count(*), $digest
  FROM (SELECT id, seconds("timestamp") / 3600 AS hour, symbol, count AS mentions,
               CASE WHEN sentiment BETWEEN -1000 AND 1000 THEN sentiment END AS sentiment
          FROM tweetvolumeshours WHERE seconds("timestamp") >= 1136073600) r GROUP BY hour
END
my $copy_hours = <<"END";
SELECT hour, count(id), $digest, max(uncopied)
  FROM (SELECT id, EXTRACT(epoch FROM hour)::bigint / 3600 AS hour, symbol, mentions, sentiment, 0 AS uncopied
          FROM defidata.raw_mentions WHERE isfinite(hour)
        UNION ALL
        SELECT NULL, EXTRACT(epoch FROM hour)::bigint / 3600, NULL, NULL, NULL, sum(rows)
          FROM defidata.uncopied WHERE isfinite(hour) GROUP BY hour) r GROUP BY hour
END

# lost_hours says in which hours the copy and the remote differ: nothing where
# every remote row is copied or counted.  The copy may hold `extra` rows that the
# remote has deleted since.
sub lost_hours
{
	my ($self, $database, $extra) = @_;
	my (%copy, @lost);

	foreach my $line (split /\n/, $self->sql($database, $copy_hours))
	{
		my ($hour, $rows, $digest, $uncopied) = split /\|/, $line;
		$copy{$hour} = [ $rows, $digest, $uncopied ];
	}
	foreach my $line (split /\n/, $self->remote_sql($remote_hours))
	{
		my ($hour, $rows, $digest) = split /\|/, $line;
		my ($copied, $copy_digest, $uncopied) = @{ delete $copy{$hour} // [ 0, '', 0 ] };
		my $more = $copied + $uncopied - $rows;

		push @lost, "hour $hour: $rows rows, copied $copied, uncopied $uncopied"
		  if $more < 0 || $more > ($extra // 0) || $more == 0 && $uncopied == 0 && $digest ne $copy_digest;
	}
	push @lost, "hour $_: not at the remote" foreach $extra ? () : keys %copy;
	return join "\n", @lost;
}

# bad_log_lines are those in either log that must never be there.  A process that
# a test kills shows up once.
sub bad_log_lines
{
	my ($self) = @_;
	my $log = slurp_file($self->{analytics}->logfile) . slurp_file($self->{remote}->logfile);
	my @bad = grep { /PANIC| XX\d{3} |TRAP: |\Q$password\E/ } split /\n/, $log;
	my @signals = grep { /was terminated by signal/ } split /\n/, $log;

	push @bad, grep { !/signal 9/ } @signals;
	push @bad, 'more crashes than kills' if @signals > $self->{kills};
	return join "\n", @bad;
}

# check_invariants runs a cycle and checks I1, I2, I5 and I6 of a database.
# Options: extra, rows an hour may have beyond the remote's; clean => 0 leaves out
# the comparison with a run without the fault, for a copy that keeps deleted rows.
sub check_invariants
{
	my ($self, $database, $name, %option) = @_;

	subtest $name => sub {
		$self->refresh($database) unless $option{refreshed};
		is($self->lost_hours($database, $option{extra}), '', 'I1: nothing is lost');
		my $before = $self->checksums($database);
		is($before, $self->clean_checksums, 'I5: as a run without the fault') if $option{clean} // 1;
		$self->refresh($database);
		is($self->checksums($database), $before, 'I2: running again changes nothing');
		is($self->bad_log_lines, '', 'I6: no crash, no PANIC, no XX000, no password');
	};
	return;
}

# wait_for_wait waits until a server process waits for a lock, or for the remote.
sub wait_for_wait
{
	my ($self, $pid, $type) = @_;
	$type //= 'Lock';
	$self->{analytics}->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = '$type' AND state = 'active'")
	  or die "process $pid does not wait for $type";
	return;
}

# kill_backend kills a server process of the analytics cluster and waits until the
# cluster is up again.
sub kill_backend
{
	my ($self, $pid) = @_;

	$self->{kills}++;
	kill 'KILL', $pid or die "no process $pid";
	# the postmaster notices after a moment; until then it may still accept
	my $log = $self->{analytics}->logfile;
	my $before = $self->{kill_offset} // 0;
	foreach (1 .. 600)
	{
		last if substr(slurp_file($log), $before) =~ /PID $pid\) was terminated by signal 9.*database system is ready to accept connections/s;
		usleep 50_000;
	}
	$self->{kill_offset} = -s $log;
	$self->{analytics}->poll_query_until('postgres', 'SELECT true') or die 'the cluster does not come up again';
	return;
}

# configure sets parameters of the analytics cluster that need a restart.
sub configure
{
	my ($self, %settings) = @_;

	$self->{analytics}->append_conf('postgresql.conf', join '', map { "$_ = '$settings{$_}'\n" } sort keys %settings);
	$self->{analytics}->restart;
	return;
}

# finish_tests stops both clusters; the last look at their logs is theirs.
sub finish_tests
{
	my ($self) = @_;

	$self->{analytics}->stop('fast');
	$self->{remote}->stop('fast');
	is($self->bad_log_lines, '', 'no crash, no PANIC, no XX000, no password in either log');
	done_testing();
	return;
}

1;
