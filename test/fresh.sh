#!/bin/bash
# Does what a newcomer does, on new Debian systems that have nothing or only a part
# of PostgreSQL: what `make test-fresh` calls.  Each trial has a system of its own,
# in a chroot that is removed afterwards.  Needs root on Debian.
#
#     TRIALS="bookworm:postgresql-15:demo"   only these, each SUITE:PACKAGE:demo|test, the
#                                            package that is there beforehand or nothing
#     FAMILY="regress tap"                   as for `make test`
#
# The last line is `N passed, N failed, N skipped`; the exit status is not 0 when
# anything failed.

set -eu
cd "$(dirname "$0")/.."
. test/environment.sh
. test/chroot.sh

# prepare PACKAGE installs what is there beforehand; where that is nothing, there
# are no package lists either, as in a container's image.
prepare()
{
	if [ -n "$1" ]; then
		in_chroot apt-get install -y --no-install-recommends "$1"
	else
		rm -rf "$root"/var/lib/apt/lists/*
	fi
}

# refuses PATTERN COMMAND... says whether a command fails and says why.
refuses()
{
	local pattern=$1
	shift

	if in_chroot "$@" >"$root/output" 2>&1; then
		echo "It did not fail."
		return 1
	fi
	cat "$root/output"
	grep -qE "$pattern" "$root/output"
}

# system_clusters prints the files of the clusters that Debian manages.
system_clusters()
{
	find "$root/etc/postgresql" "$root/var/lib/postgresql" -mindepth 2 2>/dev/null || true
}

# demonstrate runs the demo, which leaves nothing behind and makes no cluster of the
# system's.
demonstrate()
{
	local before

	before=$(system_clusters)
	in_chroot sh -ec 'make demo; make demo-stop; ! ls -d /tmp/defidata-* 2>/dev/null'
	[ "$before" = "$(system_clusters)" ]
}

# try_demo is the newcomer's first look, as somebody without rights and as root.
try_demo()
{
	check "make says that the headers are missing" refuses '^There are no server headers of PostgreSQL' make
	check "make demo says what is missing to who cannot install it" \
		refuses '^Missing: .*postgresql-server-dev-' setpriv --reuid=65534 --regid=65534 --clear-groups make demo
	check "make demo, make demo-stop" demonstrate
	check "make, make install" in_chroot sh -ec 'make && make install'
}

# try_test runs the tests, whose own total is shown and tells whether all is well.
try_test()
{
	local not_ok

	in_chroot env FAMILY="${FAMILY:-}" make test </dev/null | tee "$root/output" || true
	read -r _ not_ok _ < <(read_total "$root/output")
	check "make test" [ "$not_ok" -eq 0 ]
}

# try SUITE PACKAGE demo|test makes one trial.
try()
{
	printf '\n== make %s on Debian %s with %s\n' "$3" "$1" "${2:-nothing}"
	if ! make_chroot "$1"; then
		skip "no system of $1 can be made here"
	elif ! step "Preparing it" prepare "$2"; then
		skip "$2 cannot be installed there"
	else
		"try_$3"
	fi
	remove_chroot
}

obstacle=$(chroot_obstacle)
for trial in ${TRIALS:-bookworm::demo bookworm:postgresql-15:demo bookworm:postgresql-15:test \
	bookworm:postgresql-client-15:demo trixie:postgresql-client-17:demo}; do
	if [ -n "$obstacle" ]; then
		skip "$trial: $obstacle"
	else
		IFS=: read -r suite package command <<<"$trial"
		try "$suite" "$package" "$command"
	fi
done
print_total
