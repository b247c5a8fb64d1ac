#!/bin/bash
# Runs the whole test suite on other versions of PostgreSQL, each in a Debian
# suite that has it, in a chroot that is removed afterwards: what
# `make test-matrix` calls.  Needs root on Debian.
#
#     SUITES="trixie:17 forky:18"   Debian suite and PostgreSQL version
#     FAMILY="regress tap"          as for `make test`
#
# The last line is `N passed, N failed, N skipped`, the versions added up.

set -eu
cd "$(dirname "$0")/.."
. test/environment.sh
. test/chroot.sh

obstacle=$(chroot_obstacle)
[ -z "$obstacle" ] || die "No chroot can be made: $obstacle."

for entry in ${SUITES:-trixie:17 forky:18}; do
	suite=${entry%:*} version=${entry#*:}
	printf '\n== PostgreSQL %s on Debian %s\n' "$version" "$suite"
	if make_chroot "$suite"; then
		in_chroot env PG_MAJOR="$version" FAMILY="${FAMILY:-}" test/run.sh | tee "$root/output" || true
		# shellcheck disable=SC2046
		add_up $(read_total "$root/output")
	else
		add_up 0 1 0
	fi
	remove_chroot
done
print_total && [ "$passed" -gt 0 ]
