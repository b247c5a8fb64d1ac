# shellcheck shell=bash
# What test/run.sh and test/demo/demo.sh share: the packages they need, a
# private copy of PostgreSQL with this build of defidata in it, and private
# clusters.  To be sourced by bash under set -eu.
#
# Only missing packages are installed, and only by root on Debian.  The system's
# own PostgreSQL, the user's clusters and the working tree stay as they are.
#
# PG_CONFIG or PG_MAJOR chooses the PostgreSQL version.

export LC_ALL=C

# die MESSAGE ends the script with a message.
die()
{
	printf '%s\n' "$*" >&2
	exit 1
}

# seconds_since MICROSECONDS prints the time that has passed since then.
seconds_since()
{
	local passed=$((${EPOCHREALTIME/./} - $1))

	printf '%d.%d' $((passed / 1000000)) $((passed / 100000 % 10))
}

# step LABEL COMMAND... runs a command quietly and prints how long it took; what
# it wrote is shown only when it fails.
step()
{
	local label=$1 started=${EPOCHREALTIME/./} log status=0
	shift
	log=$(mktemp)
	printf '%-60s' "$label"

	# in a process substitution set -e holds even where a caller of step asks for its
	# status; elsewhere bash would go on behind a command that failed
	: < <(set -e; "$@" >"$log" 2>&1 </dev/null)
	wait $! || status=$?

	if [ "$status" -ne 0 ]; then
		printf ' failed\n'
		tail -n 200 "$log" >&2
	else
		printf '%6s s\n' "$(seconds_since "$started")"
	fi
	rm -f "$log"
	return "$status"
}

# what a script of tests counts
passed=0 failed=0 skipped=0

# check LABEL COMMAND... runs a command as a step and counts.
check()
{
	if step "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
}

# skip REASON [NUMBER] says why something, or that many, cannot be tried.
skip()
{
	echo "skipped: $1"
	skipped=$((skipped + ${2:-1}))
}

# add_up PASSED FAILED SKIPPED adds to the counts.
add_up()
{
	passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# print_total prints the last line of such a script; the status is not 0 when
# anything failed.
print_total()
{
	printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	[ "$failed" -eq 0 ]
}

# forget_user_environment drops the settings that would lead a client to a
# cluster of the user's, or an inner make to options of the outer one.
forget_user_environment()
{
	local name

	for name in "${!PG@}"; do
		case $name in
			PG_CONFIG | PG_MAJOR) ;;
			*) unset "$name" ;;
		esac
	done
	unset MAKEFLAGS MFLAGS MAKELEVEL
}

# runs PROGRAM says whether a program is here and starts.
runs()
{
	"$1" --version >/dev/null 2>&1 </dev/null
}

# locate_postgres PG_CONFIG sets pg_major and the directories of the PostgreSQL
# that this pg_config belongs to; of one that is not here yet, where Debian puts it.
locate_postgres()
{
	if runs "$1"; then
		{ read -r bin_dir && read -r lib_dir && read -r share_dir && read -r include_dir && read -r pgxs &&
			read -r compiler && read -r pg_major; } < <(
			"$1" --bindir --pkglibdir --sharedir --includedir-server --pgxs --cc --version)
		pg_major=${pg_major#PostgreSQL } pg_major=${pg_major%%[!0-9]*}
	else
		[[ $1 =~ ^/usr/lib/postgresql/([0-9]+)/bin/pg_config$ ]] ||
			die "$1 does not run: name the pg_config of a PostgreSQL, with its server and headers, by PG_CONFIG."
		pg_major=${BASH_REMATCH[1]}
		bin_dir=/usr/lib/postgresql/$pg_major/bin
		lib_dir=/usr/lib/postgresql/$pg_major/lib
		share_dir=/usr/share/postgresql/$pg_major
		include_dir=/usr/include/postgresql/$pg_major/server
		pgxs=$lib_dir/pgxs/src/makefiles/pgxs.mk
		compiler=gcc
	fi
	test_dir=$(dirname "$pgxs")/../test
}

# debian_pg_config MAJOR prints where Debian has the pg_config of a version.
debian_pg_config()
{
	echo "/usr/lib/postgresql/$1/bin/pg_config"
}

# choose_postgres sets PG_CONFIG to that of the version that lacks the least here,
# of those that apt can complete; of equals it is the oldest.  Where apt can
# complete none, the status is 1.
choose_postgres()
{
	local major pg_config missing candidates candidate

	mapfile -t candidates < <(for major in 15 16 17 18; do
		pg_config=$(debian_pg_config "$major")
		locate_postgres "$pg_config"
		missing=$(missing_postgres demo | xargs)
		echo "$(wc -w <<<"$missing") $pg_config $missing"
	done | sort -s -n -k1,1)
	for candidate in "${candidates[@]}"; do
		read -r _ PG_CONFIG missing <<<"$candidate"
		[ -n "$missing" ] || return 0
		# shellcheck disable=SC2086
		! apt_install --simulate $missing >/dev/null 2>&1 || return 0
	done
	read -r _ PG_CONFIG _ <<<"${candidates[0]}"
	return 1
}

# find_postgres sets PG_CONFIG, pg_major and the directories of the version that
# is asked for: by PG_CONFIG, else by PG_MAJOR, else the one that is chosen here.
find_postgres()
{
	if [ -z "${PG_CONFIG:-}" ]; then
		if [ -n "${PG_MAJOR:-}" ]; then
			PG_CONFIG=$(debian_pg_config "$PG_MAJOR")
		elif [ ! -e /etc/debian_version ]; then
			PG_CONFIG=pg_config
		elif ! choose_postgres && can_install; then
			# a new system has no package lists
			step "Reading the package lists" apt-get update || true
			choose_postgres || true
		fi
	fi
	PG_CONFIG=$(command -v "$PG_CONFIG" || echo "$PG_CONFIG")
	export PG_CONFIG
	locate_postgres "$PG_CONFIG"
	[ "$pg_major" -ge 15 ] || die "defidata needs PostgreSQL 15 or newer, $PG_CONFIG is $pg_major: set PG_CONFIG."
}

# can_install says whether packages may be installed here.
can_install()
{
	[ "$(id -u)" -eq 0 ] && runs apt-get
}

# links COMPILER OPTION... says whether it makes a program of the C on its input.
links()
{
	local program status=0

	program=$(mktemp)
	"$@" -x c - -o "$program" 2>/dev/null || status=1
	rm -f "$program"
	return "$status"
}

# compiles_with COMPILER OPTION... says whether it makes a program that uses the
# C library.
compiles_with()
{
	printf '%s\n' '#include <stdio.h>' 'int main(void) { return puts("") < 0; }' | links "$@"
}

# what a fuzzer is built with
fuzzing=-fsanitize=fuzzer,address,undefined

# fuzzing_clang prints the first clang that can build a fuzzer.
fuzzing_clang()
{
	local clang

	for clang in clang /usr/bin/clang-[0-9]*; do
		if echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | links "$clang" "$fuzzing"; then
			echo "$clang"
			return
		fi
	done
	return 1
}

# has_extension NAME says whether an extension with a library is in this PostgreSQL.
has_extension()
{
	[ -f "$lib_dir/$1.so" ] && [ -f "$share_dir/extension/$1.control" ]
}

# has_make says whether make is here, and GNU's.
has_make()
{
	[[ $(make --version 2>/dev/null) == *GNU* ]]
}

# has_node says whether there is a Node.js that runs our tests, with its npm.
has_node()
{
	node --test-reporter=tap --eval 0 >/dev/null 2>&1 && runs npm
}

# missing_postgres demo|test prints the Debian package of each part of PostgreSQL
# that is not here.  Each is looked for itself: pgxs.mk and pg_regress, say, stand
# in the client's package and tell nothing of the headers.
missing_postgres()
{
	runs "$bin_dir/psql" && runs "$bin_dir/pg_config" || echo "postgresql-client-$pg_major"
	runs "$bin_dir/postgres" && has_extension postgres_fdw || echo "postgresql-$pg_major"
	[ -f "$include_dir/postgres.h" ] && [ -f "$pgxs" ] || echo "postgresql-server-dev-$pg_major"
	has_extension pg_cron || echo "postgresql-$pg_major-cron"
	[ "$1" = test ] || return 0

	[ -f "$share_dir/extension/pgtap.control" ] || echo "postgresql-$pg_major-pgtap"
	runs "$test_dir/regress/pg_regress" && runs "$test_dir/isolation/pg_isolation_regress" &&
		[ -f "$test_dir/perl/PostgreSQL/Test/Cluster.pm" ] || echo "postgresql-client-$pg_major"
}

# missing_packages demo|test prints the Debian package of each thing that is not here.
missing_packages()
{
	missing_postgres "$1"
	has_make || echo make
	# an option may be part of its name
	# shellcheck disable=SC2086
	compiles_with $compiler || echo gcc libc6-dev
	[ "$(id -u)" -ne 0 ] || setpriv --reuid=0 --regid=0 --init-groups true 2>/dev/null || echo util-linux
	perl -MIO::Socket::INET -e1 2>/dev/null || echo perl
	[ "$1" = test ] || return 0

	runs pg_prove || echo libtap-parser-sourcehandler-pgtap-perl
	perl -MIPC::Run -e1 2>/dev/null || echo libipc-run-perl
	runs prove && perl -MTest::More -MTime::HiRes -e1 2>/dev/null || echo perl
	runs xz || echo xz-utils
}

# has_hiredis says whether defidata_redis can be built here.
has_hiredis()
{
	# shellcheck disable=SC2086
	printf '%s\n' '#include <hiredis/hiredis.h>' 'int main(void) { redisFree(NULL); return 0; }' |
		links $compiler -Wl,--no-as-needed -lhiredis
}

# missing_extras prints the packages of what FAMILY can do without: its tests are
# skipped where these cannot be had.
missing_extras()
{
	if [[ ${FAMILY:-fuzz} == *fuzz* ]]; then
		fuzzing_clang >/dev/null || echo clang libclang-rt-dev
	fi
	if [[ ${FAMILY:-http} == *http* ]]; then
		has_node || echo nodejs npm
		runs chromium || runs chromium-browser || runs google-chrome || echo chromium
		runs prometheus && runs promtool || echo prometheus
		runs prometheus-postgres-exporter || echo prometheus-postgres-exporter
	fi
	[[ ${FAMILY:-bench} != *bench* ]] || test/bench/run.sh missing
	if [[ ${FAMILY:-tap} =~ tap|redis ]]; then
		has_hiredis || echo libhiredis-dev
		runs redis-server || echo redis-server
	fi
}

# apt_install ARGUMENT... is apt-get install as all here call it.
apt_install()
{
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# install_packages PACKAGE... installs them.  In a subshell, for the trap's sake.
install_packages()
(
	directory=/etc/postgresql-common/createcluster.d
	file=$directory/defidata.conf

	# the server's package would create and start a cluster "main" of the user's
	if [ ! -e "$file" ]; then
		trap 'rm -f "$file"; rmdir --ignore-fail-on-non-empty "$directory"' EXIT
		mkdir -p "$directory"
		echo 'create_main_cluster = false' >"$file"
	fi

	# package lists may be absent or too old
	apt_install "$@" || { apt-get update && apt_install "$@"; }
)

# require COMMAND... installs what the command, which prints the Debian package of
# each thing that is not here, misses; afterwards it has to miss nothing.
require()
{
	local missing

	mapfile -t missing < <("$@" | tr ' ' '\n' | sort -u)
	[ ${#missing[@]} -gt 0 ] || return 0

	if ! can_install; then
		die "Missing: ${missing[*]} (names of Debian packages).
Install them, on Debian as root with
    apt-get install --no-install-recommends ${missing[*]}
or name another PostgreSQL by PG_CONFIG=/path/to/pg_config, and try again."
	fi
	step "Installing ${#missing[@]} packages" install_packages "${missing[@]}" ||
		die "Packages could not be installed. Where another PostgreSQL is at hand, name its version: PG_MAJOR=17, say."
	mapfile -t missing < <("$@" | tr ' ' '\n' | sort -u)
	[ ${#missing[@]} -eq 0 ] ||
		die "These Debian packages are installed, and what is needed of them is still not here: ${missing[*]}."
}

# require_packages demo|test sees to it that everything needed is here.
require_packages()
{
	local extras=()

	find_postgres
	if [ "$1" = test ] && can_install; then
		mapfile -t extras < <(missing_extras | tr ' ' '\n' | sort -u)
		[ ${#extras[@]} -eq 0 ] || step "Installing ${extras[*]}" install_packages "${extras[@]}" ||
			echo "Going on without them."
	fi
	require missing_packages "$1"
	find_postgres
}

# as_server_user COMMAND... replaces this process by the command, run by a user
# who may run a server: postgres in root's stead.
as_server_user()
{
	if [ "$(id -u)" -eq 0 ]; then
		id postgres >/dev/null 2>&1 || die "A server does not run as root: call this as another user, or create the user postgres."
		exec setpriv --reuid=postgres --regid="$(id -g postgres)" --init-groups env HOME=/nonexistent "$@"
	fi
	exec "$@"
}

# enter_private_copy DIRECTORY SCRIPT ARGUMENT... goes on with SCRIPT, a path in
# the tree, in a copy of the tree that the server's user can read and write.
enter_private_copy()
{
	local directory=$1 script=$2
	shift 2

	# the socket's path has to fit into 107 bytes
	[ ${#directory} -le 70 ] || die "The path $directory is too long for a socket: set TMPDIR to a shorter one."
	mkdir "$directory/src"
	tar --exclude=./.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' -cf - . | tar -C "$directory/src" -xf -
	[ "$(id -u)" -ne 0 ] || chown -R postgres: "$directory"
	if ! (as_server_user test -x "$directory/src/$script") 2>/dev/null; then
		rm -rf "$directory"
		die "The server's user cannot reach $directory, or not run programs there: choose another place by TMPDIR."
	fi
	cd "$directory/src"
	as_server_user env DEFIDATA_WORK="$directory" "$directory/src/$script" "$@"
}

# use_private_copy sets work, the private directory, and bin, the programs in it.
use_private_copy()
{
	work=$1
	bin=$work/bin
}

# settle_in begins the work in the private copy, not as root any more: whatever
# happens, the caller's function finish ends it.
settle_in()
{
	use_private_copy "$DEFIDATA_WORK"
	find_postgres
	unset DEFIDATA_WORK
	trap finish EXIT
	trap 'exit 130' INT TERM HUP
	forget_user_environment
	mkdir "$work/log" "$work/tmp"
	export TMPDIR="$work/tmp"
}

# copy_postgres makes a copy of the installed PostgreSQL below $work/pg: its
# programs look for their files relative to themselves.
copy_postgres()
{
	local directory program

	for directory in "$bin_dir" "$lib_dir" "$share_dir"; do
		mkdir -p "$work/pg$directory"
	done
	for program in "$bin_dir"/{postgres,initdb,psql,pgbench,createdb,dropdb,createuser,dropuser,vacuumdb,reindexdb} "$bin_dir"/pg_*; do
		[ ! -x "$program" ] || cp "$program" "$work/pg$bin_dir/"
	done
	cp -R "$lib_dir/." "$work/pg$lib_dir"
	cp -R "$share_dir/." "$work/pg$share_dir"
	# programs find themselves through a symbolic link too
	ln -s "pg$bin_dir" "$bin"
	"$bin/postgres" --version
}

# build_defidata MAKE-ARGUMENT... builds the copy of the tree and installs it into
# the copy of PostgreSQL.
build_defidata()
{
	make -s -C "$work/src" -j"$(nproc)" PG_CONFIG="$PG_CONFIG" "$@" all
	make -s -C "$work/src" PG_CONFIG="$PG_CONFIG" DESTDIR="$work/pg" "$@" install
}

# build_redis MAKE-ARGUMENT... does the same with the extension defidata_redis.
build_redis()
{
	make -s -C "$work/src/redis" -j"$(nproc)" PG_CONFIG="$PG_CONFIG" "$@" all
	make -s -C "$work/src/redis" PG_CONFIG="$PG_CONFIG" DESTDIR="$work/pg" "$@" install
}

# new_password prints a password that nobody can guess.
new_password()
{
	od -An -N12 -tx1 /dev/urandom | tr -d ' \n'
}

# free_port prints a port of 127.0.0.1 that nobody listens on: one of the kernel's
# choice, or the first from DEFIDATA_PORT on.
free_port()
{
	perl -MIO::Socket::INET -e '
		for my $port ($ENV{DEFIDATA_PORT} ? $ENV{DEFIDATA_PORT} .. 65535 : 0) {
			my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1", LocalPort => $port) or next;
			print $socket->sockport;
			exit;
		}
		exit 1'
}

# start_cluster NAME DATABASE makes and starts a private cluster with one database
# in $work/NAME, where also its socket, port and password are; settings come as
# further arguments.
start_cluster()
{
	local home=$work/$1 database=$2 attempt
	shift 2

	mkdir "$home"
	(umask 077 && new_password >"$home/password")
	"$bin/initdb" --pgdata="$home/data" --username=postgres --pwfile="$home/password" \
		--auth-host=scram-sha-256 --auth-local=trust --encoding=UTF8 --no-locale --no-sync
	printf '%s\n' "listen_addresses = '127.0.0.1'" "unix_socket_directories = '$home'" \
		"timezone = 'UTC'" "log_timezone = 'UTC'" "logging_collector = off" "log_destination = 'stderr'" \
		"log_line_prefix = '%m [%p] %q%d '" "$@" >>"$home/data/postgresql.conf"

	# before the start, for the sake of libraries that expect their database
	echo "CREATE DATABASE $database" |
		"$bin/postgres" --single -D "$home/data" -c shared_preload_libraries= postgres

	# another process may take the port in the meantime
	for attempt in 1 2 3; do
		free_port >"$home/port"
		echo "port = $(cat "$home/port")" >>"$home/data/postgresql.conf"
		! "$bin/pg_ctl" --pgdata="$home/data" --log="$home/log" --wait --silent start || return 0
	done
	cat "$home/log"
	die "The private cluster $home did not start in $attempt attempts."
}

# remove_private_copy MODE stops every server whose data is below $work, then
# removes $work.
remove_private_copy()
{
	local file

	cd /
	find "$work" -name postmaster.pid | while read -r file; do
		(as_server_user "$bin/pg_ctl" --pgdata="${file%/*}" --mode="$1" --wait --silent stop) || true
	done
	rm -rf "$work"
}

# run_psql CLUSTER DATABASE ARGUMENT... is psql as that cluster's superuser.
run_psql()
{
	local cluster=$1 database=$2
	shift 2

	"$bin/psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --host="$work/$cluster" \
		--port="$(cat "$work/$cluster/port")" --username=postgres --dbname="$database" "$@"
}
