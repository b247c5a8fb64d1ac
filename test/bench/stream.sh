#!/bin/bash
# Measures how fast defidata_drain() reads a stream of events, beside a bare loop with
# hiredis that reads and parses the same entries (stream.c), by turns.  The figures have
# to agree.
#
#     ENTRIES=1000000 ROUNDS=5 test/bench/stream.sh

set -eu
cd "$(dirname "$0")/../.."
. test/environment.sh

# missing_redis prints the packages that this takes beyond the demo's.
missing_redis()
{
	has_hiredis || echo libhiredis-dev
	runs redis-server || echo redis-server
	runs redis-cli || echo redis-tools
}

# finish stops both servers and removes everything.
finish()
{
	local status=$?
	trap - EXIT

	[ ! -f "$work/redis/pid" ] || kill "$(cat "$work/redis/pid")" || true
	remove_private_copy immediate
	exit "$status"
}

# start_redis starts a server and fills its stream with events of 1,000 symbols.
start_redis()
{
	mkdir "$work/redis"
	free_port >"$work/redis/port"
	redis-server --port "$(cat "$work/redis/port")" --bind 127.0.0.1 --dir "$work/redis" --save '' --daemonize yes \
		--pidfile "$work/redis/pid" --logfile "$work/redis/log"
	until redis-cli -p "$(cat "$work/redis/port")" ping >/dev/null 2>&1; do sleep 0.1; done
	awk -v entries="${ENTRIES:-1000000}" 'BEGIN {
		srand(1)
		for (i = 0; i < entries; i++)
			printf "XADD tweets * symbol $SYM%d sentiment %.3f count 1\r\n", 1000 * rand() ^ 3, 2 * rand() - 1
	}' | redis-cli -p "$(cat "$work/redis/port")" --pipe
}

# set_up makes the database that reads it.
set_up()
{
	run_psql analytics analytics <<-SQL
		CREATE EXTENSION defidata_redis CASCADE;
		CREATE SERVER redis FOREIGN DATA WRAPPER defidata_redis OPTIONS (host '127.0.0.1', port '$(cat "$work/redis/port")');
		SELECT defidata_attach_stream('redis', 'tweets');
	SQL
}

# drain reads the whole stream and undoes it; it prints seconds, entries and sums.
drain()
{
	run_psql analytics analytics --tuples-only --no-align --field-separator=' ' <<-'SQL'
		BEGIN;
		SELECT clock_timestamp() AS begun \gset
		SELECT read AS entries FROM defidata_drain() \gset
		SELECT round(EXTRACT(epoch FROM clock_timestamp() - :'begun'), 3), :entries, sum(mentions),
			round(sum(sentiment) / 1e9, 3) FROM defidata.stream_sum;
		ROLLBACK;
	SQL
}

if [ -z "${DEFIDATA_WORK:-}" ]; then
	find_postgres
	require missing_redis
	enter_private_copy "$(mktemp -d "${TMPDIR:-/tmp}/defidata-bench.XXXXXX")" test/bench/stream.sh
fi
settle_in
step "Copying PostgreSQL $pg_major" copy_postgres
step "Building defidata" build_defidata
step "Building defidata_redis" build_redis
# shellcheck disable=SC2086
step "Building the bare loop" $compiler -O2 -o "$work/stream" test/bench/stream.c -lhiredis
step "Starting a private cluster" start_cluster analytics analytics
step "Starting Redis, ${ENTRIES:-1000000} entries" start_redis
step "Attaching the stream" set_up
echo 'seconds, entries, mentions, sentiment'
for _ in $(seq "${ROUNDS:-5}"); do
	printf 'bare loop, COUNT 1000:  %s\n' "$("$work/stream" "$(cat "$work/redis/port")" tweets 1000)"
	printf 'bare loop, COUNT 10000: %s\n' "$("$work/stream" "$(cat "$work/redis/port")" tweets 10000)"
	printf 'defidata_drain():       %s\n' "$(drain)"
done
