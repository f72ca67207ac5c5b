#!/usr/bin/env bash
# Container and Fly files as far as they can be judged without an engine: they parse, name files
# that exist, and give the consumer a configuration that it accepts, on an IPv6 address.
set -u
root=$1
consumer=$2
failed=0
complain() {
    echo "FAILED: $*" >&2
    failed=1
}
python3 - "$root" <<'PYTHON' || complain "see above"
import os, sys, tomllib
root = sys.argv[1]
for name in ("app", "nats", "consumer"):
    with open(f"{root}/deploy/fly/{name}.toml", "rb") as file:
        fly = tomllib.load(file)
    assert fly["app"] and fly["primary_region"] == "scl", name
    # Longer than the consumer's 4.5 s and the publisher's close().
    assert fly["kill_timeout"] >= 10, name
    dockerfile = fly.get("build", {}).get("dockerfile")
    assert not dockerfile or os.path.exists(f"{root}/deploy/fly/{dockerfile}"), dockerfile
with open(f"{root}/deploy/container/Dockerfile") as file:
    text = file.read()
last = text.rsplit("\nFROM ", 1)[1]
assert "USER homeward" in last, "the consumer's image runs as root"
PYTHON
if docker compose version >/dev/null 2>&1; then
    HOMEWARD_LEADER_PASSWORD=x docker compose -f "$root/deploy/container/compose.yml" config -q ||
        complain "compose.yml"
else
    echo "skipped: docker compose is not installed"
fi

# What the consumer makes of that environment: it comes as far as finding nobody there.
said=$(env HOMEWARD_SOURCES=scl@hub,ams@ams 'HOMEWARD_ADMIN_LISTEN=[::]:8222' \
    HOMEWARD_NATS_URLS=nats://127.0.0.1:1 HOMEWARD_POSTGRES_URL=postgresql://127.0.0.1:1/x \
    "$consumer" check 2>&1)
status=$?
[ $status -eq 1 ] || complain "check ends with $status: $said"
exit $failed
