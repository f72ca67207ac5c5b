#!/usr/bin/env bash
# Every bench runs to its end on its own servers and prints rows that a program can read. What the
# numbers are is not looked at.
#
#   smoke_test.sh PROGRAM…
set -eu
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
for program in "$@"; do
    : >"$rows"
    "$program" --seconds 0.5 --json "$rows"
    python3 - "$rows" "$program" <<'PYTHON'
import json, sys
keys = {"name", "value", "unit", "compared_with", "ratio", "budget", "limit",
        "limit_on", "met"}
rows = [json.loads(line) for line in open(sys.argv[1])]
wrong = [row for row in rows if set(row) != keys or not isinstance(row["value"], (int, float))]
if not rows or wrong:
    sys.exit(f"{sys.argv[2]}: {len(rows)} rows, not as promised: {wrong}")
PYTHON
done
