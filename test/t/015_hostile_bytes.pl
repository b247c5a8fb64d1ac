# Some thousands of mutations of valid series, the same ones each time, at every
# door through which bytes or text come in: the type's receive function (COPY
# BINARY), its input function, and the aggregate's deserialize.  Each answer is an
# error of the right SQLSTATE or a series that has just these bytes.
#
# A deserialize function takes internal, so SQL cannot call it.  An aggregate of
# the test's own can: its first half, done by a worker, are string_agg's functions,
# which hand over bytes as they came; its second half is that of defidata_rolling.

use strict;
use warnings;

use Defidata;
use PostgreSQL::Test::Utils;
use Test::More;

my $pair = Defidata->new;
my $database = $pair->database;
my $file = "$PostgreSQL::Test::Utils::tmp_check/bytes";

$pair->sql($database, <<'END' =~ s/FILE/$file/gr);
CREATE FUNCTION bytes_as_they_came(internal) RETURNS bytea LANGUAGE internal STRICT PARALLEL SAFE AS 'bytea_string_agg_finalfn';
CREATE AGGREGATE from_bytes(bytea, bytea) (
	SFUNC = bytea_string_agg_transfn, STYPE = internal, SERIALFUNC = bytes_as_they_came,
	DESERIALFUNC = defidata.rolling_deserialize, COMBINEFUNC = defidata.rolling_combine, FINALFUNC = defidata.rolling_finish,
	PARALLEL = SAFE);
-- one row that counts, and enough others for a parallel plan
CREATE TABLE bulk AS SELECT NULLIF(i, 1) IS NULL AS counts FROM generate_series(1, 2000) i;
ANALYZE bulk;

CREATE TABLE valid AS SELECT series, defidata.series_send(series) AS bytes, length(defidata.series_send(series)) AS size
  FROM (SELECT unnest('{"{}", "{2026-01-05T13Z:42:12500000000:40 2026-01-05T14Z:7}",
	"{0001-01-01T00Z:1 9999-12-31T23Z:1000000000000000:-1000000000000000000000000000000000:1000000000000000}"}'::defidata.series[]) AS series
	UNION ALL SELECT defidata_rolling(timestamptz '2026-01-05 00:00Z' + i * i * interval '1 hour', i * 1000, sin(i)) FROM generate_series(1::bigint, 12) i) s;
CREATE TABLE mutation AS
SELECT DISTINCT m.bytes FROM valid v, LATERAL (
	-- cut, a byte lost, a byte more, flipped bits, other bytes, a second one behind it
	SELECT substr(v.bytes, 1, i) FROM generate_series(0, size) i
	UNION ALL SELECT substr(v.bytes, 1, i) || substr(v.bytes, i + 2) FROM generate_series(0, size) i
	UNION ALL SELECT substr(v.bytes, 1, i) || x || substr(v.bytes, i + 1) FROM generate_series(0, size) i, unnest('{"\\x00","\\x01","\\x80","\\xff"}'::bytea[]) x
	UNION ALL SELECT set_bit(v.bytes, i, 1 - get_bit(v.bytes, i)) FROM generate_series(0::bigint, size * 8 - 1) i
	UNION ALL SELECT set_byte(v.bytes, i, x) FROM generate_series(0, size - 1) i, unnest('{0,127,128,255}'::integer[]) x
	UNION ALL SELECT v.bytes || w.bytes FROM valid w
	-- another count: 0, 127, 128, 10,000,000 entries, one more, 2^63 - 1
	UNION ALL SELECT '\x03' || x || substr(v.bytes, 3) FROM unnest('{"\\x00","\\x7f","\\x8001","\\x80ade204","\\x81ade204","\\xffffffffffffffff7f"}'::bytea[]) x) m (bytes);

-- what becomes of bytes: a series' own bytes, or an SQLSTATE
CREATE TABLE received (series defidata.series);
CREATE FUNCTION receive(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM received;
	EXECUTE format('COPY (SELECT %L::bytea) TO ''FILE'' (FORMAT binary)', bytes);
	COPY received FROM 'FILE' (FORMAT binary);
	RETURN (SELECT defidata.series_send(series) FROM received);
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
CREATE FUNCTION deserialize(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE $q$SELECT defidata.series_send(from_bytes(CASE WHEN counts THEN $1 END, '')) FROM bulk$q$ INTO answer USING bytes;
	RETURN answer;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
CREATE FUNCTION parse(input text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	-- what is accepted means the same when printed
	RETURN CASE WHEN input::defidata.series::text::defidata.series::text = input::defidata.series::text THEN 'a series' ELSE 'another one' END;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
END
my $mutations = $pair->sql($database, 'SELECT count(*) FROM mutation');
cmp_ok($mutations, '>', 2000, "$mutations mutations");

$pair->sql($database, "ALTER DATABASE $database SET $_") foreach ('max_parallel_workers_per_gather = 1', 'parallel_setup_cost = 0', 'parallel_tuple_cost = 0', 'min_parallel_table_scan_size = 0');
like($pair->sql($database, q(EXPLAIN SELECT from_bytes('', '') FROM bulk)), qr/Finalize Aggregate.*Gather.*Partial Aggregate/s, 'a worker hands the bytes over');
is($pair->sql($database, <<'END'), "22P03|22P03|t\nthe bytes|the bytes|t", 'receive and deserialize: refused by both, or kept as they are');
SELECT CASE received WHEN bytes::text THEN 'the bytes' ELSE received END, CASE deserialized WHEN bytes::text THEN 'the bytes' ELSE deserialized END, count(*) > 10
  FROM (SELECT bytes, receive(bytes) AS received, deserialize(bytes) AS deserialized FROM mutation) m GROUP BY 1, 2 ORDER BY 1
END

# the same for text: characters lost, doubled, replaced, and numbers that grow
is($pair->sql($database, <<'END'), "22003\n22008\n22P02\na series", 'input: refused, or the same when printed');
SELECT DISTINCT parse(m.text) FROM (SELECT series::text AS t, length(series::text) AS size FROM valid) v, LATERAL (
	SELECT left(t, i) FROM generate_series(0, size) i
	UNION ALL SELECT overlay(t PLACING x FROM i) FROM generate_series(1, size) i, unnest('{0,9,-,+,:," ","{","}",T,Z,.,e,é,"\t"}'::text[]) x
	UNION ALL SELECT overlay(t PLACING repeat(substr(t, i, 1), n) FROM i FOR 1) FROM generate_series(1, size) i, unnest('{0,2,40}'::integer[]) n
	UNION ALL SELECT t || w.series::text FROM valid w) m (text) ORDER BY 1
END

$pair->check_invariants($database, 'the server is as well as before');
$pair->finish_tests;
