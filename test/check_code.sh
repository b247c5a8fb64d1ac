#!/bin/bash
# Looks for faults in the C code, statically and while the regression tests run:
# what `make check-code` calls.  It takes some 20 minutes, most of them valgrind's.
#
#     CHECKS="warnings cppcheck analyzer sanitizer valgrind"   only these
#     TESTS="clean series"   only these of sql/*.sql, setup apart
#     KEEP=1   leaves the private directory behind
#
# The last line is `N passed, N failed, N skipped`.

set -eu
cd "$(dirname "$0")/.."
. test/environment.sh

# missing_tools prints the Debian package of each tool that only these checks need.
missing_tools()
{
	runs cppcheck || echo cppcheck
	valgrind --quiet true 2>/dev/null || echo valgrind
	compiles_with gcc || echo gcc libc6-dev
	compiles_with clang || echo clang libc6-dev
	scan-build --help >/dev/null 2>&1 || echo clang-tools
}

# run_check NAME runs the function check_NAME, if it is wanted.
run_check()
{
	[[ " ${CHECKS:-$1} " != *" $1 "* ]] || check "$1" "check_$1"
}

headers=()

# compile COMPILER FLAG... compiles every C file, ours with every warning an error.
compile()
{
	local file compiler=$1
	shift

	local files=(extension/*.c)
	! has_hiredis || files+=(redis/*.c)
	for file in "${files[@]}"; do
		"$compiler" -std=gnu99 -O2 -Wall -Wextra -Werror "${headers[@]}" -D_GNU_SOURCE -DDEFIDATA_VERSION='"0"' "$@" \
			-c "$file" -o "$work/tmp/object.o"
	done
}

check_warnings()
{
	compile gcc -Wshadow -Wpointer-arith -Wdeclaration-after-statement
	compile gcc -DUSE_ASSERT_CHECKING
	compile clang
}

check_cppcheck()
{
	cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr \
		--suppress='*:/usr/include/*' -D__GNUC__=12 -D__x86_64__ -DPG_VERSION_NUM="${pg_major}0000" \
		--library=posix -Iextension extension/*.c redis/*.c
}

check_analyzer()
{
	make -s clean
	scan-build --status-bugs -o "$work/tmp/scan" make -s with_llvm=no PG_CONFIG="$PG_CONFIG"
}

# regress runs the regression tests against the running cluster.
regress()
{
	local names=()

	read -ra names < <(echo "${TESTS:-$(basename -s .sql sql/*.sql | grep -vx setup | xargs)}")
	"$test_dir/regress/pg_regress" --inputdir=. --outputdir=. --bindir="$bin" --host="$work/analytics" \
		--port="$(cat "$work/analytics/port")" --user=postgres --dbname=contrib_regression setup "${names[@]}" ||
		{ cat regression.diffs; return 1; }
}

# restart PROGRAM [OPTION...] starts the cluster again, by a program in the server's stead.
restart()
{
	local program=$1
	shift

	"$bin/pg_ctl" --pgdata="$work/analytics/data" --wait --silent --timeout=120 stop
	"$bin/pg_ctl" --pgdata="$work/analytics/data" --log="$work/analytics/log" -p "$program" --options="$*" \
		--wait --silent --timeout=300 start
}

# Undefined behaviour, signed overflow included, is a trap, and a trap a crash
# that no test passes; so are the assertions.
check_sanitizer()
{
	make -s clean
	build_defidata with_llvm=no \
		COPT="-fno-wrapv -fsanitize=undefined -fsanitize-undefined-trap-on-error -DUSE_ASSERT_CHECKING"
	restart "$bin/postgres"
	regress
}

# valgrind sees the server's own buffers as undefined here and there; only a
# report with a frame of ours counts.
check_valgrind()
{
	local log ours

	ours=$(basename -s .c extension/*.c | paste -sd '|')
	make -s clean
	build_defidata with_llvm=no
	cat >"$work/tmp/postgres" <<-END
		#!/bin/sh
		exec valgrind --quiet --trace-children=yes --leak-check=no --error-limit=no --num-callers=40 --vgdb=no \\
			--log-file=$work/log/valgrind.%p "$bin/postgres" "\$@"
	END
	chmod +x "$work/tmp/postgres"
	# to compile a query would take valgrind minutes, and none of it is ours
	restart "$work/tmp/postgres" -c jit=off -c autovacuum=off
	regress
	restart "$bin/postgres"
	for log in "$work"/log/valgrind.*; do
		if grep -qE "in [^ ]*/defidata\.so|\(($ours)\.c:" "$log"; then
			cat "$log"
			return 1
		fi
	done
}

# finish stops and removes what was started, whatever happened, and prints the total.
finish()
{
	local status=$?
	trap - EXIT

	[ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
	if [ -n "${KEEP:-}" ]; then
		echo "Kept: $work"
	else
		remove_private_copy immediate
	fi
	print_total && [ "$passed" -gt 0 ] || exit 1
	exit 0
}

if [ -z "${DEFIDATA_WORK:-}" ]; then
	require_packages test
	require missing_tools
	enter_private_copy "$(mktemp -d "${TMPDIR:-/tmp}/defidata-check.XXXXXX")" test/check_code.sh
fi

settle_in
headers=(-isystem "$("$PG_CONFIG" --includedir-server)")

run_check warnings
run_check cppcheck
step "Copying PostgreSQL $pg_major" copy_postgres
run_check analyzer
step "Building defidata" build_defidata with_llvm=no
test_dir=$work/pg$test_dir
step "Starting a private cluster" start_cluster analytics analytics \
	"shared_preload_libraries = 'pg_cron'" "cron.database_name = 'analytics'" "cron.use_background_workers = on" "fsync = off"
export PATH="$bin:$PATH"
run_check sanitizer
run_check valgrind
