# Extension, schemas, functions and tables have one owner.  Where somebody else restores,
# nothing of his runs with another one's rights, and one call mends it.
use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;

my $test = Defidata->new(newest => 300);
my $analytics = $test->analytics;
my $port = $test->remote->port;

# as runs SQL in the name of a role and returns what try returns
sub as
{
	my ($role, $database, $sql) = @_;
	return $test->try($database, "SET SESSION AUTHORIZATION $role; SET client_min_messages = warning; $sql");
}

# refused checks that a call of a role fails with 42501 and a message
sub refused
{
	my ($role, $database, $sql, $pattern, $name) = @_;
	my (undef, $err) = as($role, $database, $sql);
	is(Defidata::sqlstate_of($err), '42501', "$name: refused") or diag $err;
	like($err, $pattern, "$name: with a reason");
	return;
}

sub is_superuser
{
	return $test->sql('postgres', "SELECT rolsuper FROM pg_roles WHERE rolname = '$_[0]'");
}

# user mappings hold the password
local $ENV{PGOPTIONS} = '-c log_statement=none';

# The recommended owner: a superuser while the extension is created, and no longer.
$test->sql('postgres', <<'END');
CREATE ROLE keeper LOGIN SUPERUSER;
CREATE ROLE analyst LOGIN;
CREATE DATABASE kept OWNER keeper;
END
as('keeper', 'kept', <<"END");
CREATE EXTENSION defidata CASCADE;
CREATE SERVER ct_scanner FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '$port', dbname 'ctscanner');
CREATE USER MAPPING FOR keeper SERVER ct_scanner OPTIONS (user '$Defidata::role', password '$Defidata::password');
SELECT defidata_attach_server('ct_scanner');
GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO keeper;
GRANT CREATE ON SCHEMA public TO keeper, analyst;
SELECT defidata_grant('analyst', 'analyst');
END
$test->sql('postgres', 'ALTER ROLE keeper NOSUPERUSER');
my ($out, $err) = as('keeper', 'kept', 'SELECT status FROM defidata_refresh()');
is($out, 'ok', 'an owner who is no superuser refreshes') or diag $err;

# The documented restore, for this owner.
my $dump = $analytics->basedir . '/dump';
$analytics->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $analytics->connstr('kept') ], 'the database is dumped');
$test->sql('postgres', 'CREATE DATABASE documented OWNER keeper; ALTER ROLE keeper SUPERUSER');
$analytics->command_ok([ 'pg_restore', '--exit-on-error', '--role=keeper', '-d', $analytics->connstr('documented'), $dump ],
	'and restored as documented');
$test->sql('postgres', 'ALTER ROLE keeper NOSUPERUSER');
($out, $err) = as('keeper', 'documented', 'SELECT status FROM defidata_refresh()');
is($out, 'ok', 'where its owner refreshes') or diag $err;

# Somebody else restores: the tables are the former owner's, the functions are not.
$test->sql('postgres', 'CREATE DATABASE restored');
$analytics->command_ok([ 'pg_restore', '--exit-on-error', '-d', $analytics->connstr('restored'), $dump ], 'a superuser restores');
refused('postgres', 'restored', "SELECT $_", qr/belongs to role keeper, extension defidata to role postgres.*HINT:.*defidata_setup/s, $_)
  foreach ('* FROM defidata_refresh()', q(defidata_document('/trending')), q(* FROM defidata_history('BTC')), 'defidata_expire()',
	q(defidata_set('overlap', '1 hour')), q(* FROM defidata_check()));
is((as('postgres', 'restored', 'SELECT name, state, hint FROM defidata.status'))[0],
	'owners|fail|SELECT defidata_setup(); as role postgres takes over what belongs to others.', 'status says so');
(undef, $err) = as('postgres', 'restored', 'CALL defidata_run()');
like($err, qr/42501/, 'a run too');

# What the former owner hangs on the tables does not run as the superuser.
# An operator's USAGE lets the former owner act on the tables, which are still his.
$test->sql('restored', 'GRANT CREATE ON SCHEMA public TO keeper; GRANT USAGE, CREATE ON SCHEMA defidata TO keeper');
as('keeper', 'restored', <<'END');
CREATE FUNCTION public.evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF current_user = 'postgres' THEN ALTER ROLE keeper SUPERUSER; END IF; RETURN new; END $$;
CREATE FUNCTION public.evil_value() RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN IF current_user = 'postgres' THEN ALTER ROLE keeper SUPERUSER; END IF; RETURN 'x'; END $$;
CREATE FUNCTION public.evil_text(x text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN IF current_user = 'postgres' THEN ALTER ROLE keeper SUPERUSER; END IF; RETURN x; END $$;
CREATE FUNCTION public.evil_test(x text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN IF current_user = 'postgres' THEN ALTER ROLE keeper SUPERUSER; END IF; RETURN true; END $$;
END
my @hooks = (
	[ 'trigger', 'CREATE TRIGGER evil BEFORE INSERT ON defidata.runs FOR EACH ROW EXECUTE FUNCTION public.evil()', 'DROP TRIGGER evil ON defidata.runs' ],
	[ 'rule', 'CREATE RULE evil AS ON INSERT TO defidata.runs DO ALSO SELECT public.evil_value()', 'DROP RULE evil ON defidata.runs' ],
	[ 'default', 'ALTER TABLE defidata.runs ADD COLUMN note text DEFAULT public.evil_value()', 'ALTER TABLE defidata.runs DROP COLUMN note' ],
	[ 'index expression', 'CREATE INDEX evil ON defidata.runs ((public.evil_text(stage))) WHERE false', 'DROP INDEX defidata.evil' ],
	[ 'check', 'ALTER TABLE defidata.runs ADD CONSTRAINT evil CHECK (public.evil_test(stage)) NOT VALID', 'ALTER TABLE defidata.runs DROP CONSTRAINT evil' ],
	[ 'policy', 'CREATE POLICY evil ON defidata.runs USING (public.evil_test(stage)); ALTER TABLE defidata.runs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
		'DROP POLICY evil ON defidata.runs; ALTER TABLE defidata.runs DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY' ],
	[ 'domain', 'CREATE DOMAIN public.evil_domain AS text CHECK (public.evil_test(value)); ALTER TABLE defidata.runs ADD COLUMN note public.evil_domain',
		'ALTER TABLE defidata.runs DROP COLUMN note' ]);
foreach my $hook (@hooks)
{
	my ($kind, $add, $drop) = @$hook;
	(undef, $err) = as('keeper', 'restored', $add);
	is($err, '', "the former owner adds a $kind");
	refused('postgres', 'restored', 'SELECT * FROM defidata_refresh()', qr/defidata_setup/, "$kind, a refresh");
	refused('postgres', 'restored', 'SELECT defidata_setup()', qr/belongs to role keeper, whose code would run as role postgres/, "$kind, a take-over");
	is(is_superuser('keeper'), 'f', "the $kind has run for nobody else");
	as('keeper', 'restored', $drop);
}
($out, $err) = as('postgres', 'restored', 'SELECT defidata_setup()');
is($err, '', 'with nothing on them the tables are taken over');
is($test->sql('restored', q(SELECT string_agg(DISTINCT c.relowner::regrole::text, ' ') FROM pg_class c WHERE relnamespace IN ('defidata'::regnamespace, 'defidata_remote'::regnamespace))),
	'postgres', 'all of them');
refused('keeper', 'restored', $_, qr/permission denied|must be owner/, "the former owner: $_")
  foreach ('SELECT * FROM defidata.runs', 'SELECT * FROM defidata_refresh()',
	'CREATE TRIGGER evil BEFORE INSERT ON defidata.runs FOR EACH ROW EXECUTE FUNCTION public.evil()');
$test->sql('restored', "CREATE USER MAPPING FOR postgres SERVER ct_scanner OPTIONS (user '$Defidata::role', password '$Defidata::password')");
($out, $err) = as('postgres', 'restored', 'SELECT status FROM defidata_refresh()');
is($out, 'ok', 'and the cycle goes on') or diag $err;

# A right to put triggers on a table is not one to act as its owner.
$test->sql('restored', 'GRANT TRIGGER ON defidata.runs, defidata.trending TO analyst; GRANT USAGE ON SCHEMA defidata TO analyst; GRANT CREATE ON SCHEMA public TO analyst');
as('analyst', 'restored', <<'END');
CREATE FUNCTION public.climb() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE analyst SUPERUSER; RETURN new; END $$;
CREATE TRIGGER climb BEFORE INSERT ON defidata.runs FOR EACH ROW EXECUTE FUNCTION public.climb();
END
refused('postgres', 'restored', 'SELECT * FROM defidata_refresh()', qr/trigger climb on defidata\.runs belongs to role analyst/, 'a trigger of an analyst');
is(is_superuser('analyst'), 'f', 'has not run');
$test->sql('restored', 'DROP TRIGGER climb ON defidata.runs');

# A view is read by running it.
as('analyst', 'restored', <<'END');
CREATE TABLE public.facts (id text, "timestamp" integer, symbol text, count float8);
CREATE FUNCTION public.peek(x text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN IF current_user = 'postgres' THEN ALTER ROLE analyst SUPERUSER; END IF; RETURN x; END $$;
CREATE VIEW public.trap AS SELECT peek(id) AS id, "timestamp", symbol, count FROM public.facts;
GRANT SELECT ON public.trap, public.facts TO PUBLIC;
END
refused('postgres', 'restored', q(SELECT defidata_attach('trap', 'mentions', 'public.trap')), qr/belongs to role analyst/, 'a view of an analyst');
$test->sql('restored', 'CREATE VIEW public.over AS SELECT * FROM public.trap');
refused('postgres', 'restored', q(SELECT defidata_attach('over', 'mentions', 'public.over')), qr/belongs to role analyst/, 'a view over one');
$test->sql('restored', 'CREATE VIEW public.calling AS SELECT peek(id) AS id, "timestamp", symbol, count FROM public.facts');
refused('postgres', 'restored', q(SELECT defidata_attach('calling', 'mentions', 'public.calling')), qr/function .*peek.* belongs to role analyst/, 'a view that calls a function of an analyst');
$test->sql('restored', q(SET client_min_messages = warning; CREATE VIEW public.fine AS SELECT * FROM public.facts; SELECT defidata_attach('fine', 'mentions', 'public.fine')));
is($test->sql('restored', 'SELECT status FROM defidata_refresh()'), 'ok', 'a view of the owner is read');
$test->sql('restored', 'ALTER VIEW public.fine OWNER TO analyst');
refused('postgres', 'restored', 'SELECT * FROM defidata_refresh()', qr/belongs to role analyst/, 'and no more when it has become another one\'s');
is(is_superuser('analyst'), 'f', 'nothing of theirs has run');
$test->finish_tests;
