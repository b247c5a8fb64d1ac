# Edits of list and settings count at the next call of every session, whatever brings them:
# a session in which triggers do not fire, replication, a restore that switches them off.
use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = Defidata->new(streaming => 1);
my $database = $pair->database;
$pair->refresh($database);
my $session = $pair->session($database);
my $number = 0;

# sees checks that a session which has cleaned before knows of a listing at its next call.
sub sees
{
	my ($name, $edit) = @_;
	my $symbol = 'EDITED' . ++$number;

	die 'listed already' if $session->query("SELECT defidata_clean('$symbol')") ne '';
	$edit->($symbol);
	is($session->query("SELECT defidata_clean('$symbol')"), $symbol, $name);
	return;
}

# sql makes an edit in another session
sub sql
{
	my ($sql) = @_;
	return sub { my ($symbol) = @_; $pair->sql($database, $sql =~ s/SYMBOL/$symbol/gr); return; };
}
my $insert = q(INSERT INTO defidata.token (symbol) VALUES ('SYMBOL'););

sees('an INSERT', sql($insert));
sees('an UPDATE', sql(q(UPDATE defidata.token SET symbol = 'SYMBOL' WHERE symbol = 'EDITED1')));
sees('COPY', sql(qq(COPY defidata.token (symbol) FROM STDIN;\nSYMBOL\n\\.\n)));
sees('MERGE', sql(q(MERGE INTO defidata.token t USING (SELECT 'SYMBOL' AS s) n ON t.symbol = n.s WHEN NOT MATCHED THEN INSERT (symbol) VALUES (n.s))));
sees('as a replica', sql("SET session_replication_role = replica; $insert"));
$pair->sql($database, 'SET session_replication_role = replica; TRUNCATE defidata.token');
is($session->query("SELECT defidata_clean('EDITED1')"), '', 'TRUNCATE as a replica');
sees('a restore that disables triggers', sql("ALTER TABLE defidata.token DISABLE TRIGGER ALL; $insert ALTER TABLE defidata.token ENABLE TRIGGER ALL;"));
sees('after such a restore too, as a replica', sql("SET session_replication_role = replica; $insert"));
sees('triggers that stay disabled', sql("ALTER TABLE defidata.token DISABLE TRIGGER ALL; $insert"));
sees('with later edits', sql($insert));
sees('no triggers at all', sql("DROP TRIGGER forget_rules ON defidata.token; $insert"));
sees('with later edits', sql($insert));
$pair->refresh($database);
is($pair->sql($database, q(SELECT string_agg(format('%s %s %s', tgrelid::regclass, tgname, tgenabled), ', ' ORDER BY tgrelid::regclass::text, tgname)
  FROM pg_trigger WHERE tgname LIKE 'forget%')),
	join(', ', map { ("defidata.$_ forget_rules A", "defidata.$_ forget_truncated A") } qw(builtin_token setting token)),
	'the next call of an entry point mends the triggers');
sees('and so on', sql("SET session_replication_role = replica; $insert"));
# within one statement a change of one's own is seen too
is($pair->sql($database, q(DO $$ BEGIN
	PERFORM defidata_clean('MINE1'); INSERT INTO defidata.token (symbol) VALUES ('MINE1');
	ASSERT defidata_clean('MINE1') = 'MINE1'; END $$)), '', 'an edit of its own, within the statement');

# logical replication
$pair->remote_sql(<<'END');
CREATE SCHEMA defidata;
CREATE TABLE defidata.token (symbol text PRIMARY KEY, name text, enabled boolean NOT NULL DEFAULT true, asset text);
CREATE TABLE defidata.setting (name text PRIMARY KEY, value text, description text);
INSERT INTO defidata.token (symbol) VALUES ('FIRST1');
CREATE PUBLICATION list FOR TABLE defidata.token, defidata.setting;
END
my $source = $pair->remote->connstr($pair->{remote_database}) =~ s/'/''/gr;
is($session->query(q(SELECT defidata_clean('FIRST1'))), '', 'not listed yet');
$pair->sql($database, "CREATE SUBSCRIPTION list CONNECTION '$source' PUBLICATION list");
# arrived waits for what has been written at the remote, without cleaning anything
sub arrived
{
	$pair->analytics->wait_for_subscription_sync($pair->remote, 'list', $database);
	$pair->remote->wait_for_catchup('list');
	return;
}
arrived();
is($session->query(q(SELECT defidata_clean('FIRST1'))), 'FIRST1', 'the first copy of a subscription');
foreach my $edit ([ q(INSERT INTO defidata.token (symbol) VALUES ('SECOND2')), 'SECOND2' ],
	[ q(UPDATE defidata.token SET enabled = false WHERE symbol = 'SECOND2'), '' ],
	[ q(UPDATE defidata.token SET enabled = true WHERE symbol = 'SECOND2'), 'SECOND2' ],
	[ q(DELETE FROM defidata.token WHERE symbol = 'SECOND2'), '' ])
{
	my ($sql, $token) = @$edit;
	$pair->remote_sql($sql);
	arrived();
	is($session->query(q(SELECT defidata_clean('SECOND2'))), $token, "replicated: $sql");
}
$pair->remote_sql(q(TRUNCATE defidata.token));
arrived();
is($session->query(q(SELECT defidata_clean('FIRST1'))), '', 'replicated: TRUNCATE');
$pair->sql($database, q(DELETE FROM defidata.setting WHERE name = 'symbol_pattern'));
$pair->remote_sql(q(INSERT INTO defidata.setting VALUES ('symbol_pattern', '^FIRST[0-9]$', '')));
arrived();
is($session->query(q(SELECT defidata_clean('FIRST1'))), 'FIRST1', 'and a setting');
$pair->sql($database, 'DROP SUBSCRIPTION list');
$session->close;
$pair->finish_tests;
