#!/usr/bin/env bash
# Builds both images of deploy/container/Dockerfile with a real engine (buildah), on a Debian 12 that
# stands in for the registry's, and runs them as compose.yml does: against a NATS and a leader, in
# whose place private ones stand here. A fourth word names a directory that keeps the layers, for
# building again in less time. Wants root, buildah, debootstrap and a mirror.
set -u
root=$1 build=$2 consumer_here=$3
if [ "$(id -u)" -ne 0 ] || ! command -v buildah >/dev/null || ! command -v debootstrap >/dev/null; then
    echo "skipped: building images wants root, buildah and debootstrap"
    exit 77
fi
# Processes and mounts are in namespaces of their own, and end with them, whatever way that is.
if [ -z "${HOMEWARD_IMAGE_WORK:-}" ]; then
    HOMEWARD_IMAGE_WORK=$(mktemp -d "${TMPDIR:-/tmp}/homeward-image-test.XXXXXX")
    export HOMEWARD_IMAGE_WORK
    trap 'rm -rf --one-file-system "$HOMEWARD_IMAGE_WORK"' EXIT
    chmod 755 "$HOMEWARD_IMAGE_WORK"
    apart=(unshare --mount --propagation private --ipc --pid --fork --kill-child --mount-proc)
    "${apart[@]}" true || { echo "skipped: no namespaces for this root"; exit 77; }
    "${apart[@]}" "$BASH" "$0" "$@"
    exit
fi
work=$HOMEWARD_IMAGE_WORK
store=${4:-$work/store}
failed=0
complain() {
    echo "FAILED: $*" >&2
    failed=1
}
give_up() {
    complain "$@"
    exit 1
}

# All that the engine keeps lies in $store, all that it believes in $work. Without namespaces and
# cgroups of its own it works wherever root may chroot and mount.
mkdir -p "$store" "$work/tmp"
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$work/policy.json"
: >"$work/registries.conf"
engine() {
    CONTAINERS_STORAGE_CONF=$work/storage.conf CONTAINERS_REGISTRIES_CONF=$work/registries.conf \
        CONTAINERS_CONF=/dev/null BUILDAH_ISOLATION=chroot TMPDIR=$work/tmp buildah "$@"
}
# vfs copies every layer whole, and works wherever overlay does not.
for driver in overlay vfs; do
    printf '[storage]\ndriver = "%s"\ngraphroot = "%s"\nrunroot = "%s"\n' \
        $driver "$store/$driver" "$work/run" >"$work/storage.conf"
    engine info >"$work/info" 2>&1 && break
done
engine info >"$work/info" 2>&1 ||
    { echo "skipped: buildah cannot work here: $(tail -n 1 "$work/info")"; exit 77; }

# make_base NAME: a bootstrapped Debian 12 without what a slim image is without, whose apt keeps
# nothing, as in a registry's
make_base() {
    local container place
    "$root/tests/support/clean_root" make bookworm "$build/base/bookworm" ||
        give_up "no Debian 12 to build on"
    container=$(engine from scratch) && place=$(engine mount "$container") ||
        give_up "buildah cannot make a container"
    cp -a "$build/base/bookworm/." "$place/" || give_up "cannot copy $build/base/bookworm"
    rm -rf "$place"/var/cache/apt/archives/*.deb "$place"/var/lib/apt/lists/* \
        "$place"/usr/share/{doc,info,man}/*
    printf 'path-exclude /usr/share/%s/*\n' doc info man locale \
        >"$place/etc/dpkg/dpkg.cfg.d/slim"
    cat >"$place/etc/apt/apt.conf.d/keep-nothing" <<'CONF'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
CONF
    engine commit -q --signature-policy "$work/policy.json" "$container" "$1" >/dev/null ||
        give_up "buildah commits no base image"
    engine rm "$container" >/dev/null
}

# make_image TARGET
make_image() {
    echo "== building image $1"
    engine build --layers --pull=never --signature-policy "$work/policy.json" --target "$1" \
        -t "homeward-$1" -f "$root/deploy/container/Dockerfile" "$root" >"$work/$1.log" 2>&1 ||
        give_up "image $1 does not build: $(tail -n 30 "$work/$1.log")"
}

base=docker.io/library/debian:bookworm-slim
engine inspect --type image $base >/dev/null 2>&1 || make_base $base
make_image consumer
make_image emit

# setting IMAGE EXPRESSION: of its configuration
setting() {
    engine inspect --type image --format "{{$2}}" "homeward-$1"
}

# judge IMAGE: what nobody wants to run is not in it
judge() {
    local container place size extra
    container=$(engine from --pull=never "homeward-$1") && place=$(engine mount "$container") ||
        give_up "no container of image $1"
    eval "$1_container=\$container $1_place=\$place"
    case $(setting "$1" .OCIv1.Config.User) in
        '' | root* | 0*) complain "image $1 runs as root" ;;
    esac
    extra=$(chroot "$place" dpkg-query -W -f '${Package}\n' |
        grep -E -e '-dev$|^(gcc|g\+\+|cpp|clang|cmake|make|binutils|git|ninja-build)(-|$)' |
        grep -v '^gcc-.*-base$')
    [ -z "$extra" ] || complain "image $1 has what only a build needs:" $extra
    extra=$(ls -d "$place"/src "$place"/build "$place"/var/lib/apt/lists/*_Packages* \
        "$place"/var/cache/apt/archives/*.deb "$place"/debs/* 2>/dev/null)
    [ -z "$extra" ] || complain "image $1 has left in it:" ${extra//"$place"/}
    size=$(du -sxm "$place" | cut -f 1)
    echo "image $1: $size MB, of which the base has $base_size"
    [ $((size - base_size)) -le 40 ] || complain "image $1 adds $((size - base_size)) MB to its base"
}
base_container=$(engine from --pull=never $base) && base_place=$(engine mount "$base_container") ||
    give_up "no container of the base image"
base_size=$(du -sxm "$base_place" | cut -f 1)
judge consumer
judge emit

# What compose.yml gives the consumer, but for where NATS and the leader are, and the admin port.
read -r client leader_port admin < <(python3 -c '
import socket
sockets = [socket.socket() for _ in range(3)]
for one in sockets: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in sockets))')
mapfile -t given < <(HOMEWARD_LEADER_PASSWORD='not "so" simple' python3 - \
    "$root/deploy/container/compose.yml" "$client" "$leader_port" "$admin" <<'PYTHON'
import os, re, sys, yaml
file, client, leader, admin = sys.argv[1:]
for key, value in yaml.safe_load(open(file))["services"]["consumer"]["environment"].items():
    value = re.sub(r"\$\{(\w+)[^}]*\}", lambda found: os.environ[found.group(1)], str(value))
    for there, here in (("//nats:4222", f"//127.0.0.1:{client}"),
                        ("@leader/", f"@127.0.0.1:{leader}/"),
                        ("0.0.0.0:8222", f"127.0.0.1:{admin}")):
        value = value.replace(there, here)
    print(f"{key}={value}")
PYTHON
)
options=()
for one in "${given[@]}"; do options+=(--env "$one"); done
# A container's entry point and arguments, as an engine reads them.
mapfile -t enter < <(setting consumer 'range .OCIv1.Config.Entrypoint}}{{println .}}{{end' | sed '/^$/d')
mapfile -t start < <(setting consumer 'range .OCIv1.Config.Cmd}}{{println .}}{{end' | sed '/^$/d')
run_consumer() { engine run "${options[@]}" "$consumer_container" -- "${enter[@]}" "$@"; }

said=$(run_consumer --version) || complain "homeward-consumer --version ends with $?"
[ "$said" = "$("$consumer_here" --version)" ] || complain "the image's version is $said"
said=$(run_consumer check 2>&1)
status=$?
case $status:$said in
    1:*"is the server running there"*"is PostgreSQL running there"*) ;;
    *) complain "with nothing there check ends with $status: $said" ;;
esac

nats-server -a 127.0.0.1 -p "$client" --jetstream --store_dir "$work/nats" >"$work/nats.log" 2>&1 &
pg_bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
install -d -o postgres "$work/leader"
echo 'not "so" simple' >"$work/password"
chmod 644 "$work/password"
setpriv --reuid postgres --regid postgres --clear-groups "$pg_bin/initdb" -D "$work/leader" \
    -U postgres -A scram-sha-256 --pwfile "$work/password" --no-sync >"$work/initdb.log" 2>&1 ||
    give_up "initdb: $(tail -n 5 "$work/initdb.log")"
setpriv --reuid postgres --regid postgres --clear-groups "$pg_bin/postgres" -D "$work/leader" \
    -c listen_addresses=127.0.0.1 -c port="$leader_port" -c unix_socket_directories= -c fsync=off \
    -c dynamic_shared_memory_type=mmap >"$work/leader.log" 2>&1 &
ask() {
    PGPASSWORD='not "so" simple' "$pg_bin/psql" -XAtq -h 127.0.0.1 -p "$leader_port" -U postgres -c "$1"
}
# wait_until WHAT COMMAND…
wait_until() {
    local end=$((SECONDS + 120))
    while [ $SECONDS -lt $end ]; do
        "${@:2}" >/dev/null 2>&1 && return 0
        sleep 0.2
    done
    complain "$1: not within 120 s"
    return 1
}
wait_until "the leader" ask 'SELECT 1' || tail -n 5 "$work/leader.log" >&2

said=$(run_consumer streams apply 2>&1) || complain "streams apply: $said"
touch "$work/before"
run_consumer "${start[@]}" >"$work/consumer.log" 2>&1 &
consumer=$!
wait_until "the consumer is ready" curl -sf "http://127.0.0.1:$admin/readyz" ||
    tail -n 5 "$work/consumer.log" >&2

mapfile -t enter_emit < <(setting emit 'range .OCIv1.Config.Entrypoint}}{{println .}}{{end' | sed '/^$/d')
event='{"type":"audit","actor":"user:42","action":"order.view","resource":"order:1","outcome":"allowed"}'
said=$(echo "$event" | engine run "$emit_container" -- "${enter_emit[@]}" --region local --app shop \
    --server "nats://127.0.0.1:$client" 2>&1) || complain "homeward-emit: $said"
said=$(run_consumer proof --wait 60 2>&1) || complain "proof ends with $?"
[ "$(ask 'SELECT actor FROM audit_events')" = user:42 ] || complain "the event is no row: $said"
case $said in
    *local/shop*"proof: emitted=1 committed=1 dead=0 dropped=0 missing=0 duplicated=0") ;;
    *) complain "proof says: $said" ;;
esac

# The process that serves is not root, and goes by itself within compose's stop_grace_period.
served=$(pgrep -f "^${enter[0]} ${start[*]}\$" | while read -r pid; do
    grep -qz "^HOMEWARD_ADMIN_LISTEN=127.0.0.1:$admin\$" "/proc/$pid/environ" && echo "$pid"
done)
[ -n "$served" ] || give_up "no process of the consumer was found"
[ "$(stat -c %u "/proc/$served")" -ne 0 ] || complain "the consumer runs as root"
kill -TERM "$served"
told=$SECONDS
while kill -0 "$served" 2>/dev/null; do sleep 0.1; done
[ $((SECONDS - told)) -le 10 ] || complain "an engine would have killed it: stopped after $((SECONDS - told)) s"
wait "$consumer"
status=$?
[ $status -eq 0 ] || complain "told to stop the consumer ends with $status: $(tail -n 5 "$work/consumer.log")"
# compose.yml says read_only: nothing in the root may have wanted to be written.
written=$(find "$consumer_place" -xdev -type f -newer "$work/before" ! -path '*/run/*' ! -path '*/proc/*')
[ -z "$written" ] || complain "the consumer wrote into its image:" ${written//"$consumer_place"/}
# Layers may be kept, containers not.
engine rm --all >/dev/null
exit $failed
