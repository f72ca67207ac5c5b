#!/usr/bin/env bash
# Alert rules by promtool's own unit tests; and every metric that rules and dashboard name must be
# one that the source of consumer or replay helper prints.
set -u
root=$1
failed=0
cd "$root/deploy/monitoring" || exit 1
names=$(cat alerts.yml dashboard.json | grep -o 'homeward_[a-z_]*' |
    sed 's/_bucket$//; s/_sum$//; s/_count$//' | sort -u)
for name in $names; do
    grep -q "\"$name[\"{]" "$root/consumer/metrics.cpp" "$root/publisher/replay/counters.cpp" || {
        echo "FAILED: no metric $name" >&2
        failed=1
    }
done
[ "$(echo "$names" | wc -l)" -gt 10 ] || { echo "FAILED: hardly a metric is named" >&2; failed=1; }
python3 -m json.tool dashboard.json >/dev/null || failed=1
promtool check rules alerts.yml || failed=1
promtool test rules alerts_test.yml || failed=1
exit $failed
