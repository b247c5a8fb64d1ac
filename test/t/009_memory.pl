# A thousand cycles in one backend: nothing that outlives a statement may grow.
use strict;
use warnings;

use Defidata;
use Test::More;

my $test = Defidata->new;
my $database = $test->database;
my $session = $test->session($database, client_min_messages => 'error', log_statement => 'none');

# cycles refreshes in the session; each brings an hour's correction, so that every
# stage has work to do
sub cycles
{
	my ($count) = @_;

	foreach my $cycle (1 .. $count)
	{
		$test->remote_sql(qq(UPDATE tweetvolumeshours SET count = 10 + $cycle WHERE symbol = 'BTC' AND "timestamp" = ) . $test->epoch(3))
		  if $cycle % 10 == 0;
		$session->query('SELECT status FROM defidata_refresh()');
	}
	return;
}

# memory is what the backend holds in contexts that live as long as it does
sub memory
{
	return split /\|/, $session->query(q{SELECT sum(total_bytes) FILTER (WHERE name = 'TopMemoryContext'), sum(total_bytes) FILTER
		(WHERE name IN ('TopMemoryContext', 'CacheMemoryContext') OR name LIKE 'defidata%') FROM pg_backend_memory_contexts});
}

cycles(50);
my ($top, $kept) = memory();
cycles(1000);
my ($top_after, $kept_after) = memory();
cmp_ok($top_after - $top, '<=', 65536, 'TopMemoryContext grows by no more than 64 kB');
cmp_ok($kept_after - $kept, '<=', 1048576, 'nor do the caches');
diag "TopMemoryContext: $top bytes after 50 cycles, $top_after after 1050; with the caches $kept and $kept_after";
$session->close;
$test->check_invariants($database, 'after all of them');
$test->finish_tests;
