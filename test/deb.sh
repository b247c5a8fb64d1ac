#!/bin/bash
# Debian packages of this tree: what `make deb` and `make test-deb` call.
#
#     test/deb.sh build          builds them into the directory deb, one for each
#                                version of PostgreSQL that this Debian supports
#         DEB_BUILD_OPTIONS=     with their tests (nocheck, without, where it is not set)
#     test/deb.sh test           builds, checks and installs them on new Debian systems
#                                of their own, in chroots.  Needs root on Debian
#         SUITES="bookworm:15"   Debian suite and PostgreSQL version, as in
#                                "bookworm:15 trixie:17 forky:18"
#
# The last line of a test is `N passed, N failed, N skipped`.

set -eu
cd "$(dirname "$0")/.."
. test/environment.sh
. test/chroot.sh

# the 1.0 that an installation may come from, as commit of this repository's history
first_release=67605d6

export DEB_BUILD_OPTIONS=${DEB_BUILD_OPTIONS-nocheck}
profiles=()
[[ $DEB_BUILD_OPTIONS != *nocheck* ]] || profiles=(--build-profiles=nocheck)

# missing_tools prints the packages without which nothing is known of the others.
missing_tools()
{
	runs dpkg-buildpackage || echo build-essential
}

# missing_for_build prints the packages that debian/control asks for and that are not here.
missing_for_build()
{
	dpkg-checkbuilddeps "${profiles[@]/#--build-profiles=/-P}" 2>&1 |
		sed -n 's/([^)]*)//g; s/:native//g; s/.*[Uu]nmet build dependencies: //p' | xargs -r -n 1
}

# build_packages DIRECTORY builds in a copy of the tree below the directory, as
# dpkg-source wants it: beside an archive of what is not Debian's.
build_packages()
{
	local version copy

	version=$(dpkg-parsechangelog --show-field Version) version=${version%-*} copy=$1/defidata-$version
	mkdir "$copy"
	tar --exclude=./.git --exclude=./deb --exclude='*.o' --exclude='*.so' --exclude='*.bc' --exclude=node_modules \
		--exclude=./results -cf - . | tar -C "$copy" -xf -
	tar -C "$1" --exclude="defidata-$version/debian" -cJf "$1/defidata_$version.orig.tar.xz" "defidata-$version"
	cd "$copy"
	# the versions of PostgreSQL are this Debian's
	pg_buildext updatecontrol
	dpkg-buildpackage "${profiles[@]}" --unsigned-source --unsigned-changes
}

# build makes the directory deb with the packages.
build()
{
	local directory

	require missing_tools
	require missing_for_build
	directory=$(mktemp -d "${TMPDIR:-/var/tmp}/defidata-deb.XXXXXX")
	# shellcheck disable=SC2064
	trap "rm -rf '$directory'" EXIT
	# the server that runs the tests has another user
	chmod 755 "$directory"
	step "Building the packages" build_packages "$directory"
	rm -rf deb
	mkdir deb
	find "$directory" -maxdepth 1 -type f -exec cp -t deb {} +
	ls deb/*.deb
}

# package MAJOR [SUFFIX] prints the file of the package for that version of PostgreSQL.
package()
{
	ls "./deb/postgresql-$1-defidata${2:-}_"*.deb
}

# versions_agree says whether all that states a version states the same.
versions_agree()
{
	local debian meta

	debian=$(dpkg-parsechangelog --show-field Version)
	meta=$(sed -n 's/^\t"version": "\(.*\)",$/\1/p' META.json)
	echo "debian/changelog: $debian, META.json: $meta, defidata.control: $(control_version)"
	[ "${debian%-*}" = "$meta" ] && [ "${meta%.*}" = "$(control_version)" ]
}

# install_package MAJOR installs the package as a user does, with what it depends on.
install_package()
{
	local file

	file=$(package "$1")
	apt-get update
	# the cluster that the server's package makes takes its encoding from there
	LC_ALL=C.UTF-8 apt_install "$file"
}

# as_postgres COMMAND... runs a command as the superuser of the cluster PGCLUSTER.
as_postgres()
{
	runuser -u postgres -- "$@"
}

# sql DATABASE runs SQL on its input and prints nothing but rows.
sql()
{
	as_postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname="$1"
}

# says DATABASE EXPECTED QUERY compares the answer to a query.
says()
{
	local answer

	answer=$(sql "$1" <<<"$3")
	echo "$3: $answer"
	[ "$answer" = "$2" ]
}

# make_remote makes a database in the CT-SCANNER's stead, with a role that may only read.
make_remote()
{
	as_postgres createdb ct_scanner
	as_postgres psql -Xq --dbname=ct_scanner --file=test/demo/sample.sql
	sql ct_scanner <<-'SQL'
		CREATE ROLE scanner_reader LOGIN PASSWORD 'secret';
		GRANT SELECT ON tweetvolumeshours, cmc_price TO scanner_reader;
	SQL
}

# attach DATABASE VERSION goes the user's path up to the first refresh.
attach()
{
	as_postgres createdb "$1"
	sql "$1" <<-SQL
		SET client_min_messages = warning;
		CREATE EXTENSION defidata VERSION '$2' CASCADE;
		CREATE SERVER ct_scanner FOREIGN DATA WRAPPER postgres_fdw
			OPTIONS (host '127.0.0.1', port '$(as_postgres psql -XAtc 'SHOW port')', dbname 'ct_scanner');
		CREATE USER MAPPING FOR CURRENT_USER SERVER ct_scanner OPTIONS (user 'scanner_reader', password 'secret');
		SELECT defidata_attach_server('ct_scanner');
		SELECT * FROM defidata_refresh();
	SQL
}

# control_version prints the version that this tree makes.
control_version()
{
	sed -n "s/^default_version = '\(.*\)'$/\1/p" defidata.control
}

# cron_runs MAJOR has the installed pg_cron run a cycle, set up as the README says.
cron_runs()
{
	apt_install "postgresql-$1-cron"
	sed -n "/pg_cron.conf <<'END'/,/^END/{//!p}" README.md >"/etc/postgresql/$1/main/conf.d/pg_cron.conf"
	pg_ctlcluster "$1" main restart
	sql analytics <<<"CREATE EXTENSION pg_cron; SELECT defidata_schedule('* * * * *')"
	for _ in {1..90}; do
		[ "$(sql analytics <<<"SELECT count(*) FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')")" -eq 0 ] || break
		sleep 1
	done
	says analytics 'succeeded: CALL' "SELECT status || ': ' || return_message FROM cron.job_run_details LIMIT 1"
	says analytics ok "SELECT state FROM defidata.status WHERE name = 'job defidata cycle'"
	sql analytics <<<'SELECT defidata_unschedule()'
}

# streams_arrive MAJOR installs the package for Redis, and reads an entry of a stream.
streams_arrive()
{
	local file port

	file=$(package "$1" -redis)
	apt_install "$file" redis-server
	port=$(free_port)
	redis-server --port "$port" --bind 127.0.0.1 --daemonize yes --dir /tmp --save ''
	redis-cli -p "$port" --no-auth-warning XADD tweets '*' symbol BTC
	sql analytics <<-SQL
		CREATE EXTENSION defidata_redis;
		CREATE SERVER stream FOREIGN DATA WRAPPER defidata_redis OPTIONS (host '127.0.0.1', port '$port');
		CREATE USER MAPPING FOR CURRENT_USER SERVER stream;
		SELECT defidata_attach_stream('stream', 'tweets');
	SQL
	says analytics 1 'SELECT read FROM defidata_drain()'
	redis-cli -p "$port" SHUTDOWN NOSAVE || true
}

# remove_packages MAJOR drops the extensions and removes the packages; nothing stays.
remove_packages()
{
	sql analytics <<<'SET client_min_messages = warning; DROP EXTENSION defidata CASCADE'
	apt-get purge -y "postgresql-$1-defidata" "postgresql-$1-defidata-redis"
	[ -z "$(find /usr /var/lib/postgresql -path '*defidata*' -print)" ]
	says analytics 0 "SELECT count(*) FROM pg_available_extensions WHERE name LIKE 'defidata%'"
}

# try_installed MAJOR, on a system that has nothing: install, use, remove.
try_installed()
{
	export PGCLUSTER=$1/main
	check "apt-get install" install_package "$1"
	check "The cluster that its dependency made starts" pg_ctlcluster "$1" main start
	check "A remote server with sample data" make_remote
	check "CREATE EXTENSION, attach, refresh" attach analytics "$(control_version)"
	check "A board is published" says analytics 10 'SELECT count(*) FROM defidata.trending'
	check "A document is served" says analytics 200 "SELECT status FROM defidata_document('/trending')"
	check "Nothing fails" says analytics 0 "SELECT count(*) FROM defidata_check() WHERE state = 'fail'"
	check "pg_cron runs the cycle" cron_runs "$1"
	check "The package for Redis" streams_arrive "$1"
	check "apt-get purge" remove_packages "$1"
	pg_dropcluster --stop "$1" main
	print_total
}

# update_first_release MAJOR installs the package over the files of the 1.0 that
# make has installed, and updates a database with data.
update_first_release()
{
	local before

	install_packages "postgresql-$1"
	make -C ../defidata-1.0 -s PG_CONFIG="$(command -v "/usr/lib/postgresql/$1/bin/pg_config")" install
	pg_createcluster "$1" trial --locale=C.UTF-8 --start
	make_remote
	attach analytics 1.0
	before=$(sql analytics <<<"SELECT defidata_checksum('defidata.raw_mentions')")
	install_package "$1"
	says analytics 10 'SELECT count(*) FROM defidata.trending'
	sql analytics <<<'ALTER EXTENSION defidata UPDATE; SELECT defidata_setup(); SELECT * FROM defidata_refresh()'
	says analytics "$(control_version)" "SELECT extversion FROM pg_extension WHERE extname = 'defidata'"
	says analytics "$before" "SELECT defidata_checksum('defidata.raw_mentions')"
	says analytics 10 'SELECT count(*) FROM defidata.trending'
}

# try_update MAJOR tries that where there is something to update to.
try_update()
{
	if [ ! -d ../defidata-1.0 ]; then
		skip "the history here does not reach back to 1.0"
	else
		check "An update of the 1.0 that make installed" update_first_release "$1"
		pg_dropcluster --stop "$1" trial || true
	fi
}

# try_built MAJOR, on a system that may get what it needs: build, check, update, test.
try_built()
{
	export PGCLUSTER=$1/trial
	check "make deb" make deb
	check "Versions agree" versions_agree
	check "Installing lintian and autopkgtest" install_packages lintian autopkgtest
	check "lintian finds no error" lintian --allow-root --fail-on error deb/*.changes
	try_update "$1"
	check "autopkgtest" env -u PGCLUSTER autopkgtest deb/*.deb deb/*.dsc -- null
	print_total
}

# trial SUITE COMMAND... makes a system, runs this script in its copy of the tree and
# adds up what that counts; the packages that it builds replace those here.
trial()
{
	local suite=$1
	shift

	if ! make_chroot "$suite"; then
		add_up 0 1 0
		return
	fi
	if git cat-file -e "$first_release" 2>/dev/null; then
		mkdir "$root/srv/defidata-1.0"
		git archive "$first_release" | tar -C "$root/srv/defidata-1.0" -xf -
	fi
	in_chroot env LC_ALL=C.UTF-8 test/deb.sh "$@" </dev/null | tee "$root/output" || true
	# shellcheck disable=SC2046
	add_up $(read_total "$root/output")
	rm -rf deb
	[ ! -d "$root/srv/defidata/deb" ] || cp -R "$root/srv/defidata/deb" .
	remove_chroot
}

# test_packages makes both trials for each suite; the packages of the last one stay.
test_packages()
{
	local entry obstacle

	obstacle=$(chroot_obstacle)
	[ -z "$obstacle" ] || die "No chroot can be made: $obstacle."
	for entry in ${SUITES:-bookworm:15}; do
		printf '\n== Packages for PostgreSQL %s on Debian %s\n' "${entry#*:}" "${entry%:*}"
		trial "${entry%:*}" try-built "${entry#*:}"
		printf '\n== The same on a system that has nothing\n'
		trial "${entry%:*}" try-installed "${entry#*:}"
	done
	print_total && [ "$passed" -gt 0 ]
}

# those with try- are called by the test, in its chroots
case ${1:-} in
	build) build ;;
	test) test_packages ;;
	try-built) try_built "$2" ;;
	try-installed) try_installed "$2" ;;
	*) die "Usage: $0 build|test" ;;
esac
