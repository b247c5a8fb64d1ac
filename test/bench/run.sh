#!/bin/bash
# Measures defidata beside plain SQL, DuckDB and the old pipeline in pandas, on a
# private copy of PostgreSQL and private clusters: what `make bench` calls.
#
#     TOKENS=10000 HOURS=360 ROUNDS=3   the scale, and how often each thing is measured
#     KEEP=1                            leaves the private directory behind
#     PG_CONFIG, PG_MAJOR               the PostgreSQL version (15)
#
# Needs Python with pandas and psycopg2, and node with npm; see README.md.

set -eu
cd "$(dirname "$0")/../.."
. test/environment.sh

# find_python prints the first Python that has pandas and psycopg2.
find_python()
{
	local program

	for program in python3 /usr/bin/python3; do
		if "$program" -c 'import pandas, psycopg2' 2>/dev/null; then
			command -v "$program"
			return
		fi
	done
	return 1
}

# missing_programs prints the Debian package of each thing that only the bench needs.
missing_programs()
{
	find_python >/dev/null || echo python3-pandas python3-psycopg2
	has_node || echo nodejs npm
}

# prepare brings DuckDB and the dirty symbols, where there are some, into the
# private directory: what needs the network or the user's own rights.
prepare()
{
	local dirty=../shared/data/dirty_symbols_2017_2021.csv.gz

	mkdir "$1/node"
	cp test/bench/package.json "$1/node"
	# npm wants to keep what it fetches
	[ -w "${HOME:-}" ] || export npm_config_cache="$1/npm"
	if ! step "Installing DuckDB" npm install --prefix "$1/node" --no-audit --no-fund --no-package-lock; then
		rm -rf "$1"
		die "skipped: npm could not install DuckDB"
	fi
	[ ! -r "$dirty" ] || cp "$dirty" "$1/dirty.csv.gz"
}

# start_server NAME starts a cluster with room for the whole data set and as safe
# as one that is used.
start_server()
{
	start_cluster "$1" "$1" "shared_buffers = 2GB" "max_wal_size = 16GB" "checkpoint_timeout = 30min" \
		"max_connections = 20" "maintenance_work_mem = 256MB"
}

# finish removes what was started, whatever happened.
finish()
{
	local status=$?
	trap - EXIT

	if [ -n "${KEEP:-}" ]; then
		echo "Kept, with its servers running: $work"
	else
		remove_private_copy immediate
	fi
	exit "$status"
}

if [ "${1:-}" = missing ]; then
	missing_programs
	exit
fi
if [ -z "${DEFIDATA_WORK:-}" ]; then
	require_packages demo
	require missing_programs
	directory=$(mktemp -d "${TMPDIR:-/tmp}/defidata-bench.XXXXXX")
	prepare "$directory"
	enter_private_copy "$directory" test/bench/run.sh
fi

settle_in

step "Copying PostgreSQL $pg_major" copy_postgres
step "Building defidata" build_defidata
step "Starting the remote server" start_server remote
step "Starting the analytics server" start_server analytics
mv "$work/node/node_modules" test/bench/
[ ! -f "$work/dirty.csv.gz" ] || export DIRTY="$work/dirty.csv.gz"
export BENCH_WORK="$work" TOKENS="${TOKENS:-10000}" HOURS="${HOURS:-360}" ROUNDS="${ROUNDS:-3}"
PYTHONDONTWRITEBYTECODE=1 "$(find_python)" test/bench/bench.py
