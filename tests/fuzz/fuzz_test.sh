#!/usr/bin/env bash
# Builds every fuzzer with clang and sanitizers, and runs each: 20,000 inputs that are the same in
# every run, or with HOMEWARD_FULL=1 new ones for 60 s. Fails on any crash, and shows its input.
#
#   fuzz_test.sh ROOT BUILD
set -u
root=$1
build=$2
bounds=(-seed=1 -runs=20000 -max_total_time=60)
[ -z "${HOMEWARD_FULL:-}" ] || bounds=(-max_total_time=60)
work=$(mktemp -d "${TMPDIR:-/tmp}/homeward-fuzz.XXXXXX")
trap 'rm -rf "$work"' EXIT

compiler() {
    command -v "clang$1-14" || command -v "clang$1-19" || command -v "clang$1" ||
        { echo "fuzz_test: no clang$1 (package clang-14 or clang-19)" >&2; exit 1; }
}
cxx=$(compiler ++) || exit 1
cc=$(compiler '') || exit 1
# Assertions stay on; what other compilers warn of is not this test's business.
{
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_C_COMPILER="$cc" \
        -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS_RELWITHDEBINFO='-O1 -gline-tables-only' \
        -DHOMEWARD_SANITIZE=fuzzer-no-link,address,undefined &&
        cmake --build "$build" --target fuzzers
} >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log" >&2; exit 1; }
# The first build takes the longest, and on a machine that is busy a multiple of the runs below.
echo "built in $SECONDS s"

# run PROGRAM: leaves what it said in NAME.log, and NAME.ok if nothing was found
run() {
    local name=${1##*/}
    mkdir -p "$work/$name/corpus" "$work/$name/tmp"
    local corpora=("$work/$name/corpus")
    [ ! -d "$1.seeds" ] || corpora+=("$1.seeds/")
    TMPDIR=$work/$name/tmp "$1" "${bounds[@]}" -timeout=20 -rss_limit_mb=1024 \
        -print_final_stats=1 -artifact_prefix="$work/$name/" "${corpora[@]}" \
        >"$work/$name.log" 2>&1 && touch "$work/$name.ok"
}
programs=()
for program in "$build"/tests/fuzz/programs/*; do
    [ ! -f "$program" ] || programs+=("$program")
done
[ ${#programs[@]} -gt 0 ] || { echo "fuzz_test: there are no fuzzers in $build" >&2; exit 1; }
for program in "${programs[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
    run "$program" &
done
wait

failed=0
for program in "${programs[@]}"; do
    name=${program##*/}
    runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$work/$name.log")
    echo "$name: ${runs:-0} runs"
    [ -e "$work/$name.ok" ] && [ "${runs:-0}" -gt 0 ] && continue
    failed=1
    tail -n 40 "$work/$name.log" >&2
    for input in "$work/$name"/{crash,leak,timeout,oom}-*; do
        [ ! -f "$input" ] || { echo "$name: input in base64:"; base64 "$input"; } >&2
    done
done
exit $failed
