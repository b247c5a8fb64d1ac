#!/bin/bash
# Runs the tests of defidata, each family with its own counts, on a private copy
# of PostgreSQL and private clusters: what `make test` calls.
#
#     FAMILY="regress tap"        only these of regress, isolation, pgtap, tap, http, bench, fuzz
#     FAMILY=test/t/010_faults.pl only this file; several may be named
#     FUZZ_SECONDS=60             how long each fuzzer runs (10), or
#     FUZZ_RUNS=1000000           how often
#     KEEP=1                      leaves the private directory behind
#     PG_CONFIG, PG_MAJOR         the PostgreSQL version (15)
#
# The last line is `N passed, N failed, N skipped`; the exit status is not 0 when
# anything failed or nothing passed.

set -eu
cd "$(dirname "$0")/.."
. test/environment.sh

# wanted FAMILY FILE... prints the files that exist and that FAMILY asks for.
wanted()
{
	local family=$1 file choice=" ${FAMILY:-} "
	shift

	for file in "$@"; do
		[ -e "$file" ] || continue
		if [ -z "${FAMILY:-}" ] || [[ $choice == *" $family "* || $choice == *" $file "* ]]; then
			echo "$file"
		fi
	done
}

# interruptible COMMAND... runs it so that a signal to this script ends the wait.
interruptible()
{
	"$@" &
	wait $!
}

# regress_tool FAMILY PROGRAM ARGUMENT... runs pg_regress or its sister and counts;
# they print "test x ... ok" up to PostgreSQL 15 and TAP from 16 on.
regress_tool()
{
	local family=$1 program=$2 out=$work/$1 ok not_ok status=0
	shift 2

	# results: a test may name a file there
	mkdir -p "$out" results
	interruptible "$program" --outputdir="$out" --bindir="$bin" --host="$PGHOST" --port="$PGPORT" \
		--user="$PGUSER" "$@" >"$out/output" 2>&1 || status=$?
	cat "$out/output"
	ok=$(grep -cE '\.\.\. ok|^ok ' "$out/output" || true)
	not_ok=$(grep -cE '\.\.\. FAILED|^not ok ' "$out/output" || true)
	[ "$status" -eq 0 ] || [ "$not_ok" -gt 0 ] || not_ok=1
	if [ "$not_ok" -gt 0 ]; then
		[ ! -f "$out/regression.diffs" ] || cat "$out/regression.diffs"
		echo "The end of the server's log:"
		tail -n 40 "$work/analytics/log"
	fi
	add_up "$ok" "$not_ok" 0
}

# run_regress FILE... runs sql/*.sql, installation first.
run_regress()
{
	local file names=() choice=()

	[ ! -f sql/installation.sql ] || names=(installation)
	for file in "$@"; do
		file=${file#sql/} file=${file%.sql}
		[ "$file" = installation ] || names+=("$file")
	done
	choice=("${names[@]}")
	if [ -f test/regress_schedule ] && [[ $# -eq $(find sql -name '*.sql' | wc -l) ]]; then
		choice=(--schedule=test/regress_schedule)
	fi
	regress_tool regress "$test_dir/regress/pg_regress" --inputdir=. --dbname=contrib_regression "${choice[@]}"
}

# run_isolation FILE... runs test/isolation/specs/*.spec.
run_isolation()
{
	local names=("${@##*/}")

	regress_tool isolation "$test_dir/isolation/pg_isolation_regress" --inputdir=test/isolation \
		--dbname=isolation_regression --load-extension=postgres_fdw --load-extension=defidata "${names[@]%.spec}"
}

# count_tap reads verbose TAP and prints the numbers of passed, failed and skipped tests.
count_tap()
{
	awk '
		/^[^ ]+ \.\.+ skipped: / { s++ }
		/^(not )?ok / && /# *([Ss][Kk][Ii][Pp]|TODO)/ { s++; next }
		/^ok / { p++ }
		/^not ok / { f++ }
		END { print p + 0, f + 0, s + 0 }'
}

# prove_file FILE COMMAND... runs one TAP file; its counts go to FILE.count below
# the private directory, for it may run beside others.
prove_file()
{
	local file=$1 log=$work/log/${1//\//_}.log started=${EPOCHREALTIME/./} ok not_ok skip status=0
	shift

	"$@" >"$log" 2>&1 </dev/null || status=$?
	read -r ok not_ok skip < <(count_tap <"$log")
	# a crash or a wrong plan shows in no single line
	[ "$status" -eq 0 ] || [ "$not_ok" -gt 0 ] || not_ok=1
	printf '%s %s %s\n' "$ok" "$not_ok" "$skip" >"$log.count"
	printf '%-48s %4d passed, %d failed, %d skipped %8s s\n' "$file" "$ok" "$not_ok" "$skip" "$(seconds_since "$started")"
	[ "$skip" -eq 0 ] || grep -oiE '# *(skip|todo)\b.*|skipped: .*' "$log" | sort | uniq -c
	grep -oE '^ *# measured: .*' "$log" || true
	[ "$not_ok" -eq 0 ] || tail -n 300 "$log"
}

# collect_counts FILE... adds up what prove_file has left; a file without counts died.
collect_counts()
{
	local file ok not_ok skip

	for file in "$@"; do
		read -r ok not_ok skip <"$work/log/${file//\//_}.log.count" || { ok=0 not_ok=1 skip=0; }
		add_up "$ok" "$not_ok" "$skip"
	done
}

# run_pgtap FILE... runs test/pgtap/*.sql, each in a database of its own that has
# the extensions pgtap and defidata.
run_pgtap()
{
	local file database

	run_psql analytics postgres --command='CREATE DATABASE pgtap_template'
	run_psql analytics pgtap_template --command='SET client_min_messages = warning; CREATE EXTENSION pgtap; CREATE EXTENSION defidata CASCADE'
	for file in "$@"; do
		database=pgtap_$(basename "$file" .sql)
		run_psql analytics postgres --command="CREATE DATABASE \"$database\" TEMPLATE pgtap_template"
		interruptible prove_file "$file" pg_prove --psql-bin "$bin/psql" --verbose --dbname "$database" "$file"
	done
	collect_counts "$@"
}

# prove_two_clusters FILE runs one test/t file, which makes its own clusters.
prove_two_clusters()
{
	local directory=$work/tap/${1##*/}

	mkdir -p "$directory"
	TESTDIR=$directory TESTLOGDIR=$directory/log TESTDATADIR=$directory/data top_builddir=$work \
		PG_REGRESS=$test_dir/regress/pg_regress \
		prove_file "$1" prove --verbose -I "$test_dir/perl" -I test/t/lib "$1"
}

# run_tap FILE... runs test/t/*.pl, two at a time.
run_tap()
{
	local file

	for file in "$@"; do
		while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
			wait -n || true
		done
		prove_two_clusters "$file" &
	done
	wait
	collect_counts "$@"
}

# run_http FILE... runs test/http/*_test.js, where node is here and npm can fetch what they use.
run_http()
{
	local file reason=
	local -x HOME=$work/tmp

	if ! has_node; then
		reason="there is no node with npm that runs such tests (Debian: nodejs, npm)"
	elif ! (cd test/http && npm ci --no-audit --no-fund --cache "$work/npm") >"$work/log/npm" 2>&1; then
		reason="npm cannot fetch its packages: $(grep -m 1 -iE 'err(or|!)' "$work/log/npm" || true)"
	fi
	if [ -n "$reason" ]; then
		skip "$reason" $#
		return
	fi
	for file in "$@"; do
		interruptible prove_file "$file" node --test-reporter=tap "$file"
	done
	collect_counts "$@"
}

# fuzz_file FILE builds one fuzzer with the C files whose headers it includes, and runs it.
fuzz_file()
{
	local directory=$work/fuzz/$1 sources limit=-max_total_time=${FUZZ_SECONDS:-10}
	[ -z "${FUZZ_RUNS:-}" ] || limit=-runs=$FUZZ_RUNS
	mkdir -p "$directory"
	# not every header has a C file
	mapfile -t sources < <(sed -n 's|^#include "\(.*\)\.h"$|extension/\1.c|p' "$1" | xargs ls 2>/dev/null)

	# without a look at every comparison: that took most of the time and reached nothing more
	"$clang" -g -O1 -Wall -Wextra -Werror -fno-wrapv "$fuzzing" \
		-fno-sanitize-coverage=trace-cmp -fno-sanitize-recover=all -Iextension "$1" "${sources[@]}" -lm -o "$directory/run" &&
		"$directory/run" "$limit" -max_len=4096 -artifact_prefix="$directory/"
}

# run_fuzz FILE... gives each test/fuzz/*_fuzz.c a few seconds, where clang has libFuzzer.
run_fuzz()
{
	local file log started

	if ! clang=$(fuzzing_clang); then
		skip "there is no clang with libFuzzer (Debian: clang, libclang-rt-dev)" $#
		return
	fi
	for file in "$@"; do
		started=${EPOCHREALTIME/./}
		log=$work/log/${file//\//_}.log
		if interruptible fuzz_file "$file" >"$log" 2>&1; then
			printf '%-48s ok, %s runs %8s s\n' "$file" \
				"$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log")" "$(seconds_since "$started")"
			add_up 1 0 0
		else
			printf '%-48s FAILED\n' "$file"
			tail -n 60 "$log"
			add_up 0 1 0
		fi
	done
}

# run_bench FILE runs the bench at a small scale: its figures have to agree, its
# times are not judged.
run_bench()
{
	local log=$work/log/bench.log missing

	missing=$("$1" missing | xargs)
	if [ -n "$missing" ]; then
		skip "missing $missing (names of Debian packages)"
		return
	fi
	if PG_CONFIG=$bin_dir/pg_config TOKENS=60 HOURS=360 ROUNDS=1 interruptible "$1" >"$log" 2>&1 </dev/null; then
		grep 'same figures' "$log"
		add_up "$(grep -c 'same figures' "$log")" 0 0
	elif grep '^skipped:' "$log"; then
		add_up 0 0 1
	else
		tail -n 100 "$log"
		add_up 0 1 0
	fi
}

# run_family FUNCTION FILE... runs the wanted ones of the files under a heading.
run_family()
{
	local family=${1#run_} function=$1 files before=("$passed" "$failed" "$skipped") started=${EPOCHREALTIME/./}
	shift

	mapfile -t files < <(wanted "$family" "$@")
	[ ${#files[@]} -gt 0 ] || return 0
	printf '\n== %s: %d files\n' "$family" ${#files[@]}
	"$function" "${files[@]}"
	printf -- '-- %s: %d passed, %d failed, %d skipped, %s s\n' "$family" $((passed - before[0])) \
		$((failed - before[1])) $((skipped - before[2])) "$(seconds_since "$started")"
}

# provide_former DIRECTORY puts the tree of 1.0 there, from the history of this one,
# for the test of the update; that is skipped where the history does not reach back.
provide_former()
{
	local commit=67605d66

	[ -n "$(wanted tap test/t/021_update.pl)" ] || return 0
	git cat-file -e "$commit^{commit}" 2>/dev/null || return 0
	mkdir "$1"
	git archive "$commit" | tar -xf - -C "$1"
}

# build_former builds 1.0 and installs it into a directory of its own.
build_former()
{
	make -s -C "$work/former" -j"$(nproc)" PG_CONFIG="$PG_CONFIG" all
	make -s -C "$work/former" PG_CONFIG="$PG_CONFIG" DESTDIR="$work/former/install" install
}

# finish stops and removes what was started, whatever happened, and prints the total.
finish()
{
	local status=$? pids
	trap - EXIT

	# a script that ends early has failed
	[ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
	mapfile -t pids < <(jobs -p)
	[ ${#pids[@]} -eq 0 ] || kill -- "${pids[@]/#/-}" 2>/dev/null || true
	if [ -n "${KEEP:-}" ]; then
		echo "Kept, with its server running: $work"
	else
		remove_private_copy immediate
	fi
	print_total && [ "$passed" -gt 0 ] || exit 1
	exit 0
}

# real data, where a directory of that name stands beside the tree
export DEFIDATA_DATA=${DEFIDATA_DATA:-$(cd ../shared/data 2>/dev/null && pwd)}

if [ -z "${DEFIDATA_WORK:-}" ]; then
	require_packages test
	directory=$(mktemp -d "${TMPDIR:-/tmp}/defidata-test.XXXXXX")
	provide_former "$directory/former"
	enter_private_copy "$directory" test/run.sh
fi

settle_in
# each job in a process group of its own, so that it can be ended whole
set -m

step "Copying PostgreSQL $pg_major" copy_postgres
# the server's own headers are not ours to judge
warnings=(COPT="-Wall -Wextra -Werror -isystem $("$PG_CONFIG" --includedir-server)")
step "Building defidata, warnings are errors" build_defidata "${warnings[@]}"
! has_hiredis || step "Building defidata_redis, warnings are errors" build_redis "${warnings[@]}"
if [ -d "$work/former" ]; then
	step "Building defidata 1.0, to update from" build_former
	export DEFIDATA_FORMER=$work/former/install
fi
step "Starting a private cluster" start_cluster analytics analytics \
	"shared_preload_libraries = 'pg_cron'" "cron.database_name = 'analytics'" "cron.use_background_workers = on" \
	"fsync = off" "max_prepared_transactions = 10"

export PATH="$bin:$PATH" PG_CONFIG="$bin/pg_config" PGHOST="$work/analytics" PGUSER=postgres
PGPORT=$(cat "$work/analytics/port")
export PGPORT
test_dir=$work/pg$test_dir

run_family run_regress sql/*.sql
run_family run_isolation test/isolation/specs/*.spec
run_family run_pgtap test/pgtap/*.sql
run_family run_tap test/t/*.pl
run_family run_http test/http/*_test.js
run_family run_bench test/bench/run.sh
run_family run_fuzz test/fuzz/*_fuzz.c
