#!/usr/bin/env bash
# The first hour of deploy/TUTORIAL.md, typed into a clean Debian 12 that boots systemd and has no
# network: commands work, and show what the document says that they show. With --write as the third
# word the document gets what they show. Wants root, debootstrap, systemd-nspawn and a mirror.
set -eEu
trap 'echo "FAILED: line $LINENO: $BASH_COMMAND: exit status $?" >&2' ERR
root=$1 build=$2
if [ "$(id -u)" -ne 0 ] || ! command -v systemd-nspawn >/dev/null; then
    echo "skipped: a Debian of its own wants root, debootstrap and systemd-nspawn"
    exit 77
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/homeward-walk-test.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
inside() { "$root/tests/support/clean_root" enter "$work/root" env DEBIAN_FRONTEND=noninteractive "$@"; }

HOMEWARD_PACKAGE_BUILD_DIR=$build/package "$root/deploy/package/build" "$work/debs" \
    >"$work/build.log" 2>&1 || { tail -n 30 "$work/build.log" >&2; exit 1; }
"$root/tests/support/clean_root" make bookworm "$build/base/bookworm"
cp -a "$build/base/bookworm" "$work/root"
cp "$work"/debs/*.deb "$work/root/root/"
{
    inside apt-get update
    # What a Debian machine has, and a bootstrapped root has not.
    inside apt-get install -qy --no-install-recommends systemd systemd-sysv dbus
    inside sh -c 'apt-get install -qy --download-only /root/homeward-consumer_*.deb \
        /root/homeward-publisher_*.deb postgresql nats-server curl python3'
} >"$work/apt.log" 2>&1 || { tail -n 20 "$work/apt.log" >&2; exit 1; }
"$root/tests/deploy/walk" "$work/root" ${3:+"$3"}
