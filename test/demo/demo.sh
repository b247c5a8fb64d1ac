#!/bin/bash
# A demonstration of defidata from nothing: two private clusters, one in the
# CT-SCANNER's stead with sample data, one for the analytics.
#
#     test/demo/demo.sh start|stop
#
# Everything lives in one directory, DEFIDATA_DEMO_DIR, and goes with it.  For a
# real installation see README.md instead.

set -eu
cd "$(dirname "$0")/../.."
. test/environment.sh

directory=$(realpath -m "${DEFIDATA_DEMO_DIR:-${TMPDIR:-/tmp}/defidata-demo-$(id -u)}")

# check_owner refuses a directory that somebody else has put there, programs and all.
check_owner()
{
	local owner
	owner=$(stat -c %U "$directory")
	[ "$owner" = "$(id -un)" ] || [[ $(id -u) -eq 0 && $owner = postgres ]] ||
		die "$directory belongs to $owner: set DEFIDATA_DEMO_DIR to another place."
}

# is_running says whether the demo's analytics server answers.
is_running()
{
	[ -f "$directory/connect.txt" ] &&
		(as_server_user "$directory/bin/pg_isready" --quiet --username=postgres \
			--host="$directory/analytics" --port="$(cat "$directory/analytics/port")")
}

# start makes the demo's directory and goes on there.
start()
{
	[ ! -e "$directory" ] || check_owner
	if is_running; then
		echo "The demo is running already."
		cat "$directory/connect.txt"
		return
	fi
	[ ! -e "$directory" ] || die "$directory is left over from another run: call make demo-stop first."
	require_packages demo
	(umask 077 && mkdir "$directory")
	: >"$directory/.defidata-demo"
	enter_private_copy "$directory" test/demo/demo.sh build-up
}

# stop stops both servers and removes everything.
stop()
{
	[ -e "$directory" ] || { echo "No demo is running."; return; }
	check_owner
	[ -f "$directory/.defidata-demo" ] || die "$directory is not a demo's directory, nothing was removed."
	use_private_copy "$directory"
	[ ! -f "$directory/redis/pid" ] || kill "$(cat "$directory/redis/pid")" 2>/dev/null || true
	remove_private_copy fast
	echo "The demo is stopped, and its directory $directory removed."
}

# make_remote fills a database in the CT-SCANNER's stead, with a role that may only read.
make_remote()
{
	start_cluster remote ct_scanner
	run_psql remote ct_scanner --file=test/demo/sample.sql
	run_psql remote ct_scanner <<-SQL
		CREATE ROLE scanner_reader LOGIN PASSWORD '$(cat "$work/remote/password")';
		GRANT SELECT ON tweetvolumeshours, cmc_price TO scanner_reader;
	SQL
}

# make_analytics starts the server that defidata runs in.
make_analytics()
{
	start_cluster analytics analytics "shared_preload_libraries = 'pg_cron'" \
		"cron.database_name = 'analytics'" "cron.use_background_workers = on"
}

# attach connects the two, as the README does.
attach()
{
	run_psql analytics analytics <<-SQL
		CREATE EXTENSION pg_cron;
		CREATE EXTENSION defidata CASCADE;
		CREATE SERVER ct_scanner FOREIGN DATA WRAPPER postgres_fdw
			OPTIONS (host '127.0.0.1', port '$(cat "$work/remote/port")', dbname 'ct_scanner');
		CREATE USER MAPPING FOR CURRENT_USER SERVER ct_scanner
			OPTIONS (user 'scanner_reader', password '$(cat "$work/remote/password")');
		SELECT defidata_attach_server('ct_scanner');
	SQL
}

# refresh runs a cycle and keeps its result for the summary.
refresh()
{
	run_psql analytics analytics --command='SELECT * FROM defidata_refresh()' >"$work/$1.txt"
}

# show_board prints one board; the value is a percentage but for that scale.
show_board()
{
	run_psql analytics analytics --set=board="$1" --pset=footer=off --pset=null=- --pset=title="$2" <<-'SQL'
		SELECT rank, token,
			to_char(100 * value, 'FM9999990.0') || ' %' AS value,
			mentions,
			to_char(100 * change_24h, 'FMSG9999990.0') || ' %' AS change_24h,
			round(sentiment_24h::numeric, 3) AS sentiment_24h,
			price::float4 AS price
		FROM defidata.:"board" ORDER BY rank;
	SQL
}

# write_connect_file keeps what a second call prints as well.
write_connect_file()
{
	local port password
	port=$(cat "$work/analytics/port")
	password=$(cat "$work/analytics/password")
	cat >"$work/connect.txt" <<-TEXT

		Connect (a throw-away server on 127.0.0.1, with sample data):

		    psql "host=127.0.0.1 port=$port dbname=analytics user=postgres password=$password"

		Look around:

		    SELECT * FROM defidata.status;
		    SELECT * FROM defidata_history('BTC', '2 days');
		    SELECT * FROM defidata.rejects ORDER BY rows DESC LIMIT 10;
		    SELECT token, mentions, zscore_14d, price FROM defidata.token_stats ORDER BY zscore_14d DESC NULLS LAST LIMIT 10;
		    SELECT raw, e.* FROM unnest(ARRAY['\$btc', 'ETH🚀', '100k']) AS raw, defidata_explain(raw) AS e;
		    CALL defidata_backfill(now() - interval '36 days', now() - interval '28 days');

		The report, a page for the browser: $work/report.html

		Stop it and remove everything: make demo-stop
	TEXT
}

# build_up does the work.
build_up()
{
	local started=${EPOCHREALTIME/./}

	use_private_copy "$DEFIDATA_WORK"
	find_postgres
	trap 'remove_private_copy immediate' EXIT
	trap 'exit 130' INT TERM HUP
	forget_user_environment

	step "Copying PostgreSQL $pg_major" copy_postgres
	step "Building defidata" build_defidata
	step "Starting the remote server and making 35 days of sample data" make_remote
	step "Starting the analytics server" make_analytics
	step "Creating the extension and attaching the remote server" attach
	step "Refreshing: import, compute, publish" refresh first
	step "Delivering late rows at the remote server" run_psql remote ct_scanner --command='SELECT sample.deliver_late()'
	step "Refreshing again" refresh second
	step "Scheduling the hourly refresh" run_psql analytics analytics --command='SELECT defidata_schedule()'
	run_psql analytics analytics --tuples-only --no-align --command='SELECT defidata_report()' >"$work/report.html"

	printf '\nThe first refresh:\n'
	cat "$work/first.txt"
	printf 'The second one, after the late rows:\n'
	cat "$work/second.txt"
	show_board trending "Trending: mentions of the last day against the token's own fortnight"
	show_board decreasing "Decreasing: the other end"
	show_board volatile "Volatile: spread of the hourly mentions over a week"
	write_connect_file
	cat "$work/connect.txt"
	printf '\nReady after %s s.\n' "$(seconds_since "$started")"
	trap - EXIT
}

# the last one is called by the first, in the private copy and not as root
case ${1:-} in
	start) start ;;
	stop) stop ;;
	build-up) build_up ;;
	*) die "Usage: $0 start|stop" ;;
esac
