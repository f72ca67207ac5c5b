#!/usr/bin/env bash
# Builds the .debs and looks at them; in a clean Debian root (HOMEWARD_FULL=1, as root, with a
# mirror) installs them, runs the consumer's check as its own user, upgrades, and
# removes all of it again.
set -u
root=$1
work=$(mktemp -d "${TMPDIR:-/tmp}/homeward-package-test.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
failed=0
complain() {
    echo "FAILED: $*" >&2
    failed=1
}
# What nothing that follows could do without.
give_up() {
    complain "$@"
    exit 1
}

HOMEWARD_PACKAGE_BUILD_DIR=$2/package "$root/deploy/package/build" "$work/debs" \
    >"$work/build.log" 2>&1 ||
    give_up "deploy/package/build ends with $?: $(tail -n 30 "$work/build.log")"
debs=("$work"/debs/*.deb)
[ ${#debs[@]} -eq 5 ] || give_up "expected five packages, not ${debs[*]}"

consumer=$work/debs/homeward-consumer_*.deb
contents=$(dpkg -c $consumer)
case $contents in
    *./etc/homeward/consumer.toml*) ;;
    *) complain "no configuration file" ;;
esac
for file in share/man/man1/homeward-consumer{,-proof}.1.gz share/zsh/vendor-completions/_homeward-consumer \
    share/bash-completion/completions/homeward-consumer; do
    case $contents in
        *./usr/$file*) ;;
        *) complain "no $file" ;;
    esac
done
dpkg -I $consumer conffiles | grep -qx /etc/homeward/consumer.toml || complain "no conffile"
dpkg -f $consumer Depends | grep -q libpq5 || complain "the consumer depends on no libpq"
for deb in "$work"/debs/homeward-publisher_*.deb "$work"/debs/libhomeward0_*.deb; do
    dpkg -f "$deb" Depends | grep -Eq 'libpq|libpqxx' && complain "$deb needs PostgreSQL"
done
dpkg -f "$work"/debs/libhomeward-forward-server0_*.deb Depends | grep -q libpqxx ||
    complain "the server of forwarded calls depends on no libpqxx"
if command -v lintian >/dev/null; then
    lintian --allow-root --fail-on error "${debs[@]}" >"$work/lintian" 2>&1 ||
        complain "lintian: $(grep '^E:' "$work/lintian")"
else
    echo "skipped: lintian is not installed"
fi

unit=$root/deploy/homeward-consumer.service
if command -v systemd-analyze >/dev/null; then
    systemd-analyze security --offline=true --threshold=25 --no-pager "$unit" >"$work/security" ||
        complain "exposure beyond 2.5: $(tail -n 1 "$work/security")"
else
    echo "skipped: systemd-analyze is not installed"
fi

if [ -z "${HOMEWARD_FULL:-}" ] || [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
    echo "skipped: installing in a clean root wants HOMEWARD_FULL=1, root and debootstrap"
    exit $failed
fi
clean=$work/root
"$root/tests/support/clean_root" make bookworm "$2/base/bookworm" ||
    give_up "no clean Debian 12 in $2/base/bookworm (exit status $?)"
cp -a "$2/base/bookworm" "$clean" && cp "${debs[@]}" "$clean/tmp/" ||
    give_up "$2/base/bookworm cannot be copied to $clean"
inside() { "$root/tests/support/clean_root" enter "$clean" env DEBIAN_FRONTEND=noninteractive "$@"; }
inside sh -c 'apt-get update -q && apt-get install -qy --no-install-recommends /tmp/*.deb' >"$work/install.log" 2>&1 ||
    give_up "apt-get install: $(tail -n 5 "$work/install.log")"
inside getent passwd homeward | grep -q /usr/sbin/nologin || complain "no user homeward"
[ "$(inside stat -c '%U:%G %a' /etc/homeward/consumer.toml)" = 'root:homeward 640' ] ||
    complain "consumer.toml: $(inside stat -c '%U:%G %a' /etc/homeward/consumer.toml)"
inside homeward-consumer --help | grep -q 'exactly once' || complain "homeward-consumer does not run"
inside homeward-emit --help >/dev/null || complain "homeward-emit does not run"
inside homeward-spool --help >/dev/null || complain "homeward-spool does not run"
# As its own user, who may read the configuration; with nothing there it says what is wrong. Without
# --config it reads the same file.
for config in '' '--config /etc/homeward/consumer.toml'; do
    said=$(inside setpriv --reuid homeward --regid homeward --clear-groups \
        homeward-consumer $config check 2>&1)
    case $said in
        *"is the server running there"*"is PostgreSQL running there"*) ;;
        *) complain "check $config says: $said" ;;
    esac
done
inside pkg-config --version >/dev/null 2>&1 || inside apt-get install -qy pkg-config >/dev/null 2>&1
[ "$(inside pkg-config --variable=prefix homeward-publisher)" = /usr ] ||
    complain "homeward-publisher.pc names another prefix"

# An upgrade keeps what the user has configured; purging takes it away.
inside sh -c 'echo "# mine" >>/etc/homeward/consumer.toml; dpkg -i /tmp/homeward-consumer_*.deb' \
    >/dev/null 2>&1 || complain "installing again fails"
inside grep -qx '# mine' /etc/homeward/consumer.toml || complain "configuration was overwritten"
inside apt-get purge -qy homeward-consumer libhomeward-dev libhomeward0 \
    libhomeward-forward-server0 homeward-publisher \
    >"$work/purge.log" 2>&1 || complain "purge: $(tail -n 5 "$work/purge.log")"
[ ! -e "$clean/etc/homeward/consumer.toml" ] || complain "purge left the configuration"
exit $failed
