# shellcheck shell=bash
# What test/matrix.sh and test/fresh.sh share: a Debian system of its own with a
# copy of the tree, in a chroot.  To be sourced after test/environment.sh.
#
# The packages come from the mirror that this machine uses.

# chroot_obstacle prints what stands in the way of such a system, if anything does.
chroot_obstacle()
{
	if ! can_install; then
		echo "this needs root on Debian"
	elif ! runs debootstrap && ! install_packages debootstrap >/dev/null 2>&1; then
		echo "debootstrap cannot be installed"
	elif ! unshare --mount --pid --fork mount -t tmpfs tmpfs /mnt 2>/dev/null; then
		echo "no file system can be mounted here"
	fi
}

# mirror prints the address that apt has Debian's main archive from; without an
# answer debootstrap has its own.
mirror()
{
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1
}

# fill_chroot SUITE makes a minimal system of a Debian suite in $root, with a copy of
# the tree and of the real data, where they are here.
fill_chroot()
{
	local script=/usr/share/debootstrap/scripts/$1 address

	# a suite younger than this debootstrap is made as all the latest ones are
	[ -e "$script" ] || script=${script%/*}/sid
	address=$(mirror)
	chmod 755 "$root"
	debootstrap --variant=minbase --include=ca-certificates,make,mount "$1" "$root" ${address:+"$address"} "$script"
	cp -R /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d"
	cp /etc/resolv.conf /etc/hosts "$root/etc"
	# what is thrown away need not survive a crash, and no service is to start by itself
	echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/defidata"
	printf '%s\n' '#!/bin/sh' 'exit 101' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	# npm reads registries through TLS: whom this machine trusts, the chroot does too
	[ ! -d /usr/local/share/ca-certificates ] ||
		cp -R /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates"
	chroot "$root" update-ca-certificates
	mkdir "$root/srv/defidata"
	tar --exclude=./.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' -cf - . | tar -C "$root/srv/defidata" -xf -
	# where test/run.sh looks for real data
	[ ! -d ../shared/data ] || { mkdir "$root/srv/shared" && cp -R ../shared/data "$root/srv/shared"; }
}

# make_chroot SUITE makes a system of that suite in a new directory, root, which
# goes with this script or with remove_chroot.
make_chroot()
{
	root=$(mktemp -d "${TMPDIR:-/var/tmp}/defidata-chroot.XXXXXX")
	trap remove_chroot EXIT
	step "Making a $1 system" fill_chroot "$1"
}

# remove_chroot ends what runs in it and removes it.
remove_chroot()
{
	# unshare is deaf to what ends a script
	[ ! -f "$root/unshare.pid" ] || kill -KILL "$(cat "$root/unshare.pid")" 2>/dev/null || true
	rm -rf --one-file-system "$root" || { sleep 1 && rm -rf --one-file-system "$root"; }
}

# in_chroot COMMAND... runs a command in its copy of the tree, with processes and
# mounts of its own that end with it.  The system becomes the root of all mounts:
# in a mere chroot the kernel makes no user namespace, which the test of a full
# disk needs.
in_chroot()
{
	local status=0

	# shellcheck disable=SC2016
	unshare --mount --pid --fork --kill-child bash -c '
		mount --bind "$1" "$1" && cd "$1" && mount -t proc proc proc && mount --rbind /dev dev &&
		pivot_root . . && umount --lazy . && cd /srv/defidata && shift &&
		exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"' bash "$root" "$@" &
	echo $! >"$root/unshare.pid"
	wait $! || status=$?
	rm "$root/unshare.pid"
	return "$status"
}

# read_total FILE prints the three numbers of its last line, `N passed, N failed, N
# skipped`; a run without that line has failed.
read_total()
{
	tail -n 1 "$1" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' | grep . || echo 0 1 0
}
