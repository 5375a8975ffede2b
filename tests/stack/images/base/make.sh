#!/bin/sh
# A Debian without what a container does not need, as a tar on standard output: make.sh <folder to work in>
set -e
root=$1/root
debootstrap --variant=minbase bookworm "$root" http://deb.debian.org/debian >&2
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
printf 'path-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\npath-exclude /usr/share/locale/*\n' >"$root/etc/dpkg/dpkg.cfg.d/small"
printf 'APT::Install-Recommends "false";\n' >"$root/etc/apt/apt.conf.d/small"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/*
tar -C "$root" -c .
