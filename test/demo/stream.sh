#!/bin/bash
# Shows the running hour: starts the demo where it does not run, a Redis server beside it,
# and sends events, while the board of the last 60 minutes is printed.
#
#     test/demo/stream.sh
#
# test/demo/demo.sh stop ends and removes all of it.

set -eu
cd "$(dirname "$0")/../.."
. test/environment.sh

directory=$(realpath -m "${DEFIDATA_DEMO_DIR:-${TMPDIR:-/tmp}/defidata-demo-$(id -u)}")

# missing_redis prints the packages that the stream takes beyond the demo's.
missing_redis()
{
	has_hiredis || echo libhiredis-dev
	runs redis-server || echo redis-server
	runs redis-cli || echo redis-tools
}

# in_redis runs redis-cli on the demo's server.
in_redis()
{
	redis-cli -p "$(cat "$work/redis/port")" "$@"
}

# start_redis starts the server, unless it runs, in a directory of the demo's.
start_redis()
{
	mkdir -p "$work/redis"
	[ -f "$work/redis/port" ] && in_redis ping >/dev/null 2>&1 && return
	free_port >"$work/redis/port"
	redis-server --port "$(cat "$work/redis/port")" --bind 127.0.0.1 --dir "$work/redis" --pidfile "$work/redis/pid" \
		--logfile "$work/redis/log" --save '' --appendonly yes --daemonize yes
	until in_redis ping >/dev/null 2>&1; do sleep 0.1; done
}

# events FROM UNTIL SURGE prints the commands that add the events of these seconds since
# 1970; the token of each minute is drawn by how often it is mentioned, SURGE more so.
events()
{
	awk -v from="$1" -v until="$2" -v surge="$3" 'BEGIN {
		srand(from)
		n = split("BTC 30 ETH 20 SOL 12 XRP 8 DOGE 6 ADA 5 LINK 4 AVAX 3 DOT 3 INJ 2", word, " ")
		for (at = from; at < until; at += 60)
			for (i = 1; i < n; i += 2) {
				rate = word[i + 1] / 10 * (word[i] == surge ? 25 : 1)
				for (k = rate * (0.5 + rand()); k > rand(); k--)
					printf "XADD tweets * symbol %s at %d sentiment %.2f\r\n", word[i], at + 60 * rand(), 2 * rand() - 1
			}
	}'
}

# attach makes the extension and the stream, once.
attach()
{
	run_psql analytics analytics <<-SQL
		SET client_min_messages = warning;
		CREATE EXTENSION IF NOT EXISTS defidata_redis;
		DROP SERVER IF EXISTS demo_stream CASCADE;
		CREATE SERVER demo_stream FOREIGN DATA WRAPPER defidata_redis
			OPTIONS (host '127.0.0.1', port '$(cat "$work/redis/port")');
		SELECT defidata_attach_stream('demo_stream', 'tweets');
	SQL
}

# send_history sends 40 hours of events, but for what is there already.
send_history()
{
	local now
	now=$(date +%s)

	[ "$(in_redis exists tweets)" = 0 ] || return 0
	events $((now - 40 * 3600)) $((now - 60)) - | in_redis --pipe
}

# send_live sends a minute's events every two seconds, one token more and more often.
send_live()
{
	local round now

	for round in $(seq 1 16); do
		now=$(date +%s)
		events $((now - 60)) "$now" "$([ "$round" -lt 3 ] || echo INJ)" | sed 's/ at [0-9]*//' | in_redis --pipe >/dev/null
		sleep 2
	done
}

# show_live prints the board every four seconds.
show_live()
{
	local round

	for round in 1 2 3 4 5 6 7 8; do
		run_psql analytics analytics --pset=footer=off --pset=title="The last 60 minutes, $(date +%T)" <<-'SQL'
			SELECT rank, token, mentions_60m, round(sma_14d::numeric, 1) AS "mean of an hour",
				round(zscore_60m::numeric, 1) AS zscore_60m, round(sentiment_60m::numeric, 2) AS sentiment_60m
			FROM defidata_live(5);
		SQL
		sleep 4
	done
}

# run does the work, in the demo's directory and not as root.
run()
{
	use_private_copy "$DEFIDATA_WORK"
	find_postgres
	forget_user_environment
	step "Building defidata_redis" build_redis
	step "Starting Redis" start_redis
	step "Attaching the stream" attach
	step "Sending 40 hours of events" send_history
	run_psql analytics analytics --tuples-only --no-align --field-separator=' of ' \
		--command="SELECT 'Drained: ' || read || ' entries, ' || lag || ' left' FROM defidata_drain()"
	step "A cycle: the hours that are over become facts" run_psql analytics analytics --command='SELECT defidata_refresh()'
	step "Following: a background worker from now on" run_psql analytics analytics --command='SELECT defidata_follow()'
	send_live &
	show_live
	wait
	run_psql analytics analytics --expanded --command="SELECT * FROM defidata.status WHERE name LIKE 'stream%' OR name = 'follower'"
	echo "Add events of your own: redis-cli -p $(cat "$work/redis/port") XADD tweets '*' symbol BTC"
}

case ${1:-start} in
	start)
		[ -f "$directory/connect.txt" ] || (test/demo/demo.sh start)
		find_postgres
		require missing_redis
		as_server_user env DEFIDATA_WORK="$directory" "$directory/src/test/demo/stream.sh" run
		;;
	run) run ;;
	*) die "Usage: $0" ;;
esac
