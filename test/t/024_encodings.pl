# Databases of other encodings, identifiers quoted everywhere, a schema of its own: the
# extension installs, attaches, publishes, and shows no broken characters.
use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = Defidata->new;
$pair->remote_sql("DELETE FROM tweetvolumeshours WHERE symbol ~ '[^ -~]'");
my $number = 0;

# user goes the user's path in a database made with OPTIONS and checks what it shows
sub user
{
	my ($name, $options, $schema, @settings) = @_;
	my $database = 'encoded_' . ++$number;
	my $prefix = $schema ? "\"$schema\"." : '';

	subtest $name => sub {
		$pair->sql('postgres', "CREATE DATABASE $database TEMPLATE template0 $options");
		$pair->sql($database, "ALTER DATABASE $database SET $_") foreach @settings;
		$pair->sql($database, "SET client_min_messages = warning; CREATE SCHEMA \"$schema\"") if $schema;
		$pair->sql($database, 'SET client_min_messages = warning; CREATE EXTENSION defidata ' . ($schema ? "SCHEMA \"$schema\" " : '') . 'CASCADE');
		$pair->create_server($database, 'ct_scanner', $pair->{remote_database});
		$pair->sql($database, "SET client_min_messages = warning; SELECT ${prefix}defidata_attach_server('ct_scanner')");
		is($pair->sql($database, "SET client_min_messages = warning; SELECT status FROM ${prefix}defidata_refresh()"), 'ok', 'refreshes');
		is($pair->sql($database, 'SELECT count(*) FROM defidata.trending'), '10', 'publishes');
		is($pair->lost_hours($database), '', 'nothing is lost');
		is($pair->sql($database, "SELECT count(*) FROM ${prefix}defidata_check() WHERE state = 'fail'"), '0', 'and is well');
		my $page = $pair->sql($database, "SELECT ${prefix}defidata_report() || ${prefix}defidata_report('BTC')");
		like($page, qr{<title>BTC}, 'the report is there');
		unlike($page, qr/\xc3[\x80-\xbf]\xc2|\xef\xbf\xbd|\?\?/, 'without broken characters');
		$pair->sql($database, "CREATE ROLE reader_$number; SELECT ${prefix}defidata_grant('reader_$number', 'reader')");
		is($pair->sql($database, "SET ROLE reader_$number; SELECT count(*) FROM defidata.trending; SELECT status FROM ${prefix}defidata_document('/trending')"),
			"10\n200", 'readers read');
		is($pair->sql($database, "SELECT ${prefix}defidata_set_board('trending', size => 3); SELECT count(*) FROM defidata.trending"), "\n3", 'boards can be set');
		is($pair->sql($database, "SELECT count(*) > 0 FROM ${prefix}defidata_reconcile() RIGHT JOIN (SELECT) x ON true"), 't', 'reconcile goes on');
		$pair->sql($database, "SET client_min_messages = warning; CALL ${prefix}defidata_run()");
		$pair->sql($database, "SELECT ${prefix}defidata_legacy_views('old')");
		unlike($pair->sql($database, q(SELECT string_agg(d.description, '') FROM pg_description d)), qr/[^\n -~]/, 'comments are in ASCII');
	};
	return;
}

user('UTF-8', "ENCODING 'UTF8' LOCALE 'C'");
user('EUC_JP', "ENCODING 'EUC_JP' LOCALE 'C'");
user('LATIN1', "ENCODING 'LATIN1' LOCALE 'C'");
user('SQL_ASCII', "ENCODING 'SQL_ASCII' LOCALE 'C'");
user('quoted identifiers', "ENCODING 'UTF8' LOCALE 'C'", undef, 'quote_all_identifiers = on');
user('a schema of its own', "ENCODING 'UTF8' LOCALE 'C'", 'Odd Schema');
user('all of it', "ENCODING 'EUC_JP' LOCALE 'C'", 'Odd "" Schema' =~ s/"" //r, 'quote_all_identifiers = on');

# and identifiers quoted at the remote
$pair->remote_sql("ALTER DATABASE $pair->{remote_database} SET quote_all_identifiers = on");
user('quoted identifiers at the remote', "ENCODING 'UTF8' LOCALE 'C'");
$pair->finish_tests;
