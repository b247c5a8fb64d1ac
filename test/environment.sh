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

# find_postgres sets PG_CONFIG, pg_major and the directories of the version that
# is asked for: PG_CONFIG, else PG_MAJOR, else the first of 15 to 18 that is here.
find_postgres()
{
	local major

	if [ -z "${PG_CONFIG:-}" ]; then
		for major in ${PG_MAJOR:-15 16 17 18}; do
			PG_CONFIG=/usr/lib/postgresql/$major/bin/pg_config
			[ ! -x "$PG_CONFIG" ] || break
		done
		if [ ! -x "$PG_CONFIG" ]; then
			PG_CONFIG=/usr/lib/postgresql/${PG_MAJOR:-15}/bin/pg_config
			[ -e /etc/debian_version ] || PG_CONFIG=pg_config
		fi
	fi
	PG_CONFIG=$(command -v "$PG_CONFIG" || echo "$PG_CONFIG")
	export PG_CONFIG

	if [ -x "$PG_CONFIG" ]; then
		{ read -r bin_dir && read -r lib_dir && read -r share_dir && read -r pgxs && read -r pg_major; } < <(
			"$PG_CONFIG" --bindir --pkglibdir --sharedir --pgxs --version)
		pg_major=${pg_major#PostgreSQL } pg_major=${pg_major%%[!0-9]*}
	else
		# where Debian will put it
		pg_major=${PG_MAJOR:-15}
		bin_dir=/usr/lib/postgresql/$pg_major/bin
		lib_dir=/usr/lib/postgresql/$pg_major/lib
		share_dir=/usr/share/postgresql/$pg_major
		pgxs=$lib_dir/pgxs/src/makefiles/pgxs.mk
	fi
	[ "$pg_major" -ge 15 ] || die "defidata needs PostgreSQL 15 or newer, $PG_CONFIG is $pg_major: set PG_CONFIG."
}

# can_install says whether packages may be installed here.
can_install()
{
	[ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null
}

# missing_packages demo|test prints the Debian package of each thing that is not here.
missing_packages()
{
	[ -x "$bin_dir/postgres" ] || echo "postgresql-$pg_major"
	[ -f "$pgxs" ] || echo "postgresql-server-dev-$pg_major"
	[ -f "$lib_dir/pg_cron.so" ] || echo "postgresql-$pg_major-cron"
	command -v make >/dev/null || echo make
	command -v gcc >/dev/null || echo gcc
	[ -f /usr/include/stdio.h ] || echo libc6-dev
	command -v setpriv >/dev/null || echo util-linux
	command -v perl >/dev/null || echo perl
	[ "$1" = test ] || return 0

	[ -f "$share_dir/extension/pgtap.control" ] || echo "postgresql-$pg_major-pgtap"
	command -v pg_prove >/dev/null || echo libtap-parser-sourcehandler-pgtap-perl
	perl -MIPC::Run -e1 2>/dev/null || echo libipc-run-perl
	command -v prove >/dev/null || echo perl
	command -v xz >/dev/null || echo xz-utils
}

# missing_extras prints the packages of what FAMILY can do without: its tests are
# skipped where these cannot be had.
missing_extras()
{
	if [[ ${FAMILY:-fuzz} == *fuzz* ]]; then
		compgen -G '/usr/lib/llvm-*/lib/clang/*/lib/*/libclang_rt.fuzzer*.a' >/dev/null || echo clang libclang-rt-dev
	fi
	if [[ ${FAMILY:-http} == *http* ]]; then
		command -v node >/dev/null || echo nodejs
		command -v npm >/dev/null || echo npm
		command -v chromium >/dev/null || echo chromium
	fi
	[[ ${FAMILY:-bench} != *bench* ]] || test/bench/run.sh missing
}

# install_packages PACKAGE... installs them.  In a subshell, for the trap's sake.
install_packages()
(
	directory=/etc/postgresql-common/createcluster.d
	file=$directory/defidata.conf
	install=(apt-get install -y --no-install-recommends "$@")
	export DEBIAN_FRONTEND=noninteractive

	# the server's package would create and start a cluster "main" of the user's
	if [ ! -e "$file" ]; then
		trap 'rm -f "$file"; rmdir --ignore-fail-on-non-empty "$directory"' EXIT
		mkdir -p "$directory"
		echo 'create_main_cluster = false' >"$file"
	fi

	# package lists may be absent or too old
	"${install[@]}" || { apt-get update && "${install[@]}"; }
)

# require_packages demo|test sees to it that everything needed is here.
require_packages()
{
	local missing extras=()

	find_postgres
	if [ "$1" = test ] && can_install; then
		mapfile -t extras < <(missing_extras | tr ' ' '\n' | sort -u)
		[ ${#extras[@]} -eq 0 ] || step "Installing ${extras[*]}" install_packages "${extras[@]}" ||
			echo "Going on without them."
	fi
	mapfile -t missing < <(missing_packages "$1" | tr ' ' '\n' | sort -u)
	[ ${#missing[@]} -gt 0 ] || return 0

	if ! can_install; then
		die "Missing: ${missing[*]} (names of Debian packages).
Install them, on Debian as root with
    apt-get install --no-install-recommends ${missing[*]}
or name another PostgreSQL by PG_CONFIG=/path/to/pg_config, and try again."
	fi
	step "Installing ${#missing[@]} packages" install_packages "${missing[@]}" ||
		die "Packages could not be installed. Where another PostgreSQL is at hand, name its version: PG_MAJOR=17, say."
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
