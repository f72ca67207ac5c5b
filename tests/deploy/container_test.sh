#!/usr/bin/env bash
# Container and Fly files as far as they can be judged without an engine: they parse, fit each other
# and this repository's lists, and configure NATS and the consumer so that they answer over IPv6.
set -u
root=$1
consumer=$2
failed=0
complain() {
    echo "FAILED: $*" >&2
    failed=1
}
work=$(mktemp -d "${TMPDIR:-/tmp}/homeward-container-test.XXXXXX")
nats=''
clean_up() {
    [ -z "$nats" ] || { kill -KILL $nats; wait $nats; } 2>/dev/null
    rm -rf "$work"
}
trap clean_up EXIT

python3 - "$root" <<'PYTHON' || complain "see above"
import os, re, sys, tomllib, yaml
root = sys.argv[1]
fly = {}
for name in ("app", "nats", "consumer"):
    with open(f"{root}/deploy/fly/{name}.toml", "rb") as file:
        fly[name] = tomllib.load(file)
    one = fly[name]
    assert one["app"] and one["primary_region"] == "scl", name
    # Longer than what ends there takes: the app's close(10 s) and its threads' 3 s, the lame duck of
    # deploy/nats/generate, the consumer's 4.5 s.
    assert one["kill_timeout"] > {"app": 13, "nats": 32, "consumer": 5}[name], name
    dockerfile = one.get("build", {}).get("dockerfile")
    assert not dockerfile or os.path.exists(f"{root}/deploy/fly/{dockerfile}"), dockerfile
    groups = set(one.get("processes", {"app": ""}))
    for part in one.get("services", []) + one.get("mounts", []):
        assert set(part.get("processes", groups)) <= groups, (name, part)
    ports = {check["port"] for check in one["checks"].values()}
    assert ports == {8080 if name == "app" else 8222}, (name, ports)
    for check in one["checks"].values():
        assert check["type"] == "http" and check["path"].startswith("/"), (name, check)
        assert set(check.get("processes", groups)) == groups, (name, check)
# Machines that the platform stops have no volume, so nothing of theirs may be promised to stay.
stopped = {group for service in fly["app"]["services"] if service["auto_stop_machines"] != "off"
           for group in service["processes"]}
kept = {group for mount in fly["app"]["mounts"] for group in mount["processes"]}
assert stopped and not stopped & kept, (stopped, kept)
assert fly["nats"]["mounts"], "a NATS server without a volume"
# Whatever the private network is asked at must be listened to on IPv6.
assert fly["consumer"]["env"]["HOMEWARD_ADMIN_LISTEN"].startswith("[::]:")

with open(f"{root}/deploy/container/compose.yml") as file:
    services = yaml.safe_load(file)["services"]
for name, service in services.items():
    assert set(service.get("depends_on", {})) <= set(services), name
# Every setting that the containers are given is one that the consumer knows.
with open(f"{root}/deploy/homeward-consumer.toml", "rb") as file:
    known = {f"HOMEWARD_{section}_{key}".upper() for section, keys in tomllib.load(file).items()
             if isinstance(keys, dict) for key in keys} | {"HOMEWARD_SOURCES"}
for env in (services["consumer"]["environment"], fly["consumer"]["env"]):
    given = {key for key in env if key.startswith("HOMEWARD_")}
    assert given and given <= known, given - known

with open(f"{root}/deploy/container/Dockerfile") as file:
    text = file.read()
for stage in re.split(r"^FROM ", text, flags=re.M)[2:]:
    assert re.search(r"^USER (?!root|0)", stage, flags=re.M), "an image runs as root: " + stage
# What the build stage installs is what this repository says is needed, and every library of it.
with open(f"{root}/deploy/packages.txt") as file:
    text_of_list = file.read()
listed = set(re.findall(r"^[a-z0-9.+-]+", text_of_list, flags=re.M))
libraries = set(re.findall(r"^lib[a-z0-9.+-]+-dev", text_of_list.split("[tests]")[0], flags=re.M))
wanted = set(re.findall(r"[a-z0-9.+-]{3,}", re.search(r"--no-install-recommends (.*?)&&", text,
                                                     flags=re.S).group(1)))
assert wanted - {"file"} <= listed, wanted - listed
assert libraries <= wanted, libraries - wanted
PYTHON
if docker compose version >/dev/null 2>&1; then
    HOMEWARD_LEADER_PASSWORD=x docker compose -f "$root/deploy/container/compose.yml" config -q ||
        complain "compose.yml"
else
    echo "skipped: docker compose is not installed"
fi

# The NATS server as deploy/fly runs it: asked over IPv6, as all is there, it says that it is well.
read -r client leaf monitor < <(python3 -c '
import socket
sockets = [socket.socket(socket.AF_INET6) for _ in range(3)]
for one in sockets: one.bind(("::1", 0))
print(*(one.getsockname()[1] for one in sockets))')
cat >"$work/regions.toml" <<LIST
regions = ["ams"]
apps = ["shop"]
[hub]
region = "scl"
domain = "hub"
leaf_listen = "[::]:$leaf"
leaf_hosts = ["scl.homeward-nats.internal:7422"]
client_listen = "[::]:$client"
store_dir = "$work/data"
LIST
"$root/deploy/nats/generate" "$work/regions.toml" "$work/out" || complain "generate"
nats-server -c "$work/out/hub/nats.conf" -m "$monitor" >"$work/nats.log" 2>&1 &
nats=$!
curl -gsf --retry 30 --retry-connrefused --retry-delay 1 "http://[::1]:$monitor/healthz" |
    grep -q '"ok"' || complain "no health over IPv6: $(tail -n 3 "$work/nats.log")"

# Told to go as there, it goes by itself, although a client stays to the end.
python3 - "$client" "$work" <<'PYTHON' &
import socket, sys
client = socket.create_connection(("::1", int(sys.argv[1])))
client.recv(4096)
open(sys.argv[2] + "/connected", "w")
while client.recv(4096):
    pass
PYTHON
for _ in $(seq 300); do [ -e "$work/connected" ] && break; sleep 0.1; done
kill -USR2 $nats
for _ in $(seq 320); do kill -0 $nats 2>/dev/null || break; sleep 0.1; done
kill -0 $nats 2>/dev/null && complain "nats-server does not go: $(tail -n 3 "$work/nats.log")"
wait $nats
[ -e "$work/connected" ] || complain "no client was there: $(tail -n 3 "$work/nats.log")"
nats=''
wait

# What the consumer makes of that environment: it comes as far as finding nobody there.
said=$(env HOMEWARD_SOURCES=scl@hub,ams@ams 'HOMEWARD_ADMIN_LISTEN=[::]:8222' \
    HOMEWARD_NATS_URLS=nats://127.0.0.1:1 HOMEWARD_POSTGRES_URL=postgresql://127.0.0.1:1/x \
    "$consumer" check 2>&1)
status=$?
[ $status -eq 1 ] || complain "check ends with $status: $said"
exit $failed
