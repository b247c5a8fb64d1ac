#!/bin/bash
# Runs the whole test suite on other versions of PostgreSQL, each in a Debian
# suite that has it, in a chroot that is removed afterwards: what
# `make test-matrix` calls.  Needs root on Debian; the packages come from the
# mirror that this machine uses.
#
#     SUITES="trixie:17 forky:18"   Debian suite and PostgreSQL version
#     FAMILY="regress tap"          as for `make test`
#
# The last line is `N passed, N failed, N skipped`, the versions added up.

set -eu
cd "$(dirname "$0")/.."
. test/environment.sh

[ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || die "This needs root on Debian."
command -v debootstrap >/dev/null || step "Installing debootstrap" install_packages debootstrap

# mirror prints the address that apt has Debian's main archive from.
mirror()
{
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1
}

# make_chroot SUITE makes a minimal system of a Debian suite with a copy of the tree
# and of the real data, where they are here.
make_chroot()
{
	local script=/usr/share/debootstrap/scripts/$1

	# a suite younger than this debootstrap is made as all the latest ones are
	[ -e "$script" ] || script=${script%/*}/sid
	chmod 755 "$root"
	debootstrap --variant=minbase --include=ca-certificates,make,mount "$1" "$root" "$(mirror)" "$script"
	cp -R /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d"
	cp /etc/resolv.conf /etc/hosts "$root/etc"
	# npm reads registries through TLS: whom this machine trusts, the chroot does too
	[ ! -d /usr/local/share/ca-certificates ] ||
		cp -R /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates"
	chroot "$root" update-ca-certificates
	mkdir "$root/srv/defidata"
	tar --exclude=./.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' -cf - . | tar -C "$root/srv/defidata" -xf -
	# where test/run.sh looks for real data
	[ ! -d ../shared/data ] || { mkdir "$root/srv/shared" && cp -R ../shared/data "$root/srv/shared"; }
}

# run_tests VERSION runs the suite inside, with processes and mounts of its own
# that end with it.  The system becomes the root of all mounts: in a mere chroot
# the kernel makes no user namespace, which the test of a full disk needs.
run_tests()
{
	# shellcheck disable=SC2016
	unshare --mount --pid --fork --kill-child bash -c '
		mount --bind "$1" "$1" && cd "$1" && mount -t proc proc proc && mount --rbind /dev dev &&
		pivot_root . . && umount --lazy . && cd / &&
		exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin PG_MAJOR="$2" FAMILY="$3" \
			/srv/defidata/test/run.sh' bash "$root" "$1" "${FAMILY:-}"
}

passed=0 failed=0 skipped=0
for entry in ${SUITES:-trixie:17 forky:18}; do
	suite=${entry%:*} version=${entry#*:}
	root=$(mktemp -d "${TMPDIR:-/var/tmp}/defidata-matrix.XXXXXX")
	trap 'rm -rf --one-file-system "$root"' EXIT
	printf '\n== PostgreSQL %s on Debian %s\n' "$version" "$suite"
	if step "Making a $suite system" make_chroot "$suite"; then
		run_tests "$version" | tee "$root/output" || true
		read -r p f s < <(tail -n 1 "$root/output" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p') || { p=0 f=1 s=0; }
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	else
		failed=$((failed + 1))
	fi
	rm -rf --one-file-system "$root"
done
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
