#!/usr/bin/env bash
# The summary of coverage, of a tree of two files in which it is known what runs.
#
#   coverage_test.sh COVERAGE_PY
set -eu
coverage=$1
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

mkdir -p "$root/schemas/text" "$root/publisher/send" "$root/tests" "$root/build"
cat >"$root/schemas/text/half.cpp" <<'CPP'
int executed() {
    return 1;
}
int never() {
    return 2;
}
CPP
cat >"$root/publisher/send/all.hpp" <<'CPP'
inline int whole() {
    return 0;
}
CPP
cat >"$root/tests/main.cpp" <<'CPP'
#include "../publisher/send/all.hpp"
int executed();
int main() {
    return executed() - 1 + whole();
}
CPP
if python3 "$coverage" "$root" "$root/build" 2>"$root/said"; then fail "no data is no error"; fi
grep -q 'no test of' "$root/said" || fail "$(cat "$root/said")"
(cd "$root/build" && c++ --coverage -O0 ../schemas/text/half.cpp ../tests/main.cpp -o test && ./test)
python3 "$coverage" "$root" "$root/build" >"$root/summary"
grep -Eq '^schemas/text +2 of +4 lines +50.0%$' "$root/summary" || fail "$(cat "$root/summary")"
grep -Eq '^publisher +2 of +2 lines +100.0%$' "$root/summary" || fail "$(cat "$root/summary")"
if grep -q '^tests' "$root/summary"; then fail "tests are counted"; fi
