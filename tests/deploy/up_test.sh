#!/usr/bin/env bash
# Runs deploy/up twice at once, as two users of one machine might: both must prove that nothing is
# missing, and neither may leave a process or a directory behind. In the longer one the leaf of ams
# is killed: its page must say so until the leaf is back, and the proof must hold all the same.
set -u
root=$1
export HOMEWARD_BUILD_DIR=$2
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/homeward-up-test.XXXXXX")
export TMPDIR
chmod 755 "$TMPDIR"
trap 'rm -rf "$TMPDIR"' EXIT
failed=0

complain() {
    echo "FAILED: $*" >&2
    failed=1
}

# With HOMEWARD_FULL=1 as a user would: 20 s of 60.
if [ -n "${HOMEWARD_FULL:-}" ]; then seconds=60 dead_seconds=20; else seconds=26 dead_seconds=14; fi
"$root/deploy/up" --seconds $seconds --restart-after $dead_seconds >"$TMPDIR/one.out" 2>&1 &
one=$!
"$root/deploy/up" --seconds 6 >"$TMPDIR/two.out" 2>&1 &
two=$!

# wait_for_text SECONDS PART COMMAND…: until its output has the part
wait_for_text() {
    local tries=$(($1 * 5)) part=$2 i
    shift 2
    for ((i = 0; i < tries; i++)); do
        "$@" 2>/dev/null | grep -q "$part" && return 0
        sleep 0.2
    done
    return 1
}
wait_for_text 300 'ams req/s' cat "$TMPDIR/one.out" || complain "the first run does not start"
page=$(sed -n 's|^ *page *\(http://[^ ]*\).*|\1|p' "$TMPDIR/one.out")
leaf=$(sed -n 's|^ *kill -9 \([0-9]*\) .*|\1|p' "$TMPDIR/one.out")
status() { curl -fsS "${page}status.json"; }
wait_for_text 30 '"known":true' status || complain "no page at '$page'"
kill -KILL "$leaf" || complain "no leaf to kill: '$leaf'"
wait_for_text $dead_seconds 'Region ams has not answered since' status ||
    complain "the page does not name the dead region: $(status)"
curl -fsS "${page}readyz" | grep -q 'Region ams has not answered since' ||
    complain "/readyz does not name the dead region"
wait_for_text 60 'leaf starts again after' cat "$TMPDIR/one.out" || complain "the leaf stays dead"
wait $one || complain "the first run's exit status is $?"
wait $two || complain "the second run's exit status is $?"
grep -q '^== leaf has died (exit status 137)' "$TMPDIR/one.out" ||
    complain "the run does not say that its leaf has died"
for run in one two; do
    last=$(tail -n 1 "$TMPDIR/$run.out")
    echo "$run: $last"
    case $last in
        "proof: emitted="[1-9]*" dead=0 "*" missing=0 duplicated=0") ;;
        *) complain "run $run ended otherwise:"; tail -n 40 "$TMPDIR/$run.out" >&2 ;;
    esac
    grep -Eq '^   ams: [1-9][0-9]* reads of own writes, 0 stale' "$TMPDIR/$run.out" ||
        complain "a session did not read its own writes in run $run"
    # What the apps have timed came as metric points.
    grep -Eq '^requests: [1-9][0-9]* counted and timed in [1-9][0-9]* metric points; p50 [0-9.]+ ms, p99 [0-9.]+ ms$' \
        "$TMPDIR/$run.out" || complain "no times of requests in run $run"
    # Each of them left an audit event, too.
    requests=$(sed -n 's/^requests: \([0-9]*\) .*/\1/p' "$TMPDIR/$run.out")
    audits=$(awk '$3 == "audit" { sum += $6 } END { print sum + 0 }' "$TMPDIR/$run.out")
    [ "$requests" = "$audits" ] || complain "run $run timed $requests requests and audited $audits"
    grep -Eq '^   ams: [1-9][0-9]* orders over the WebSocket: p50 [1-9].* one by one: p50 [1-9]' \
        "$TMPDIR/$run.out" || complain "no order over the WebSocket in run $run"
    # Writes were replayed to the primary, and reads emitted in both regions.
    grep -q '^scl/shop.*complete' "$TMPDIR/$run.out" || complain "no origin of scl in run $run"
    grep -q '^ams/shop.*complete' "$TMPDIR/$run.out" || complain "no origin of ams in run $run"
done
left=$(ls "$TMPDIR" | grep -v '^one.out$\|^two.out$')
[ -z "$left" ] || complain "left behind: $left"
pgrep -af "$TMPDIR" && complain "processes left behind"

# Interrupted in the middle, it cleans up just as well.
setsid "$root/deploy/up" --seconds 60 >"$TMPDIR/three.out" 2>&1 &
three=$!
for ((i = 0; i < 1200; i++)); do
    grep -q 'ams req/s' "$TMPDIR/three.out" && break
    sleep 0.1
done
kill -TERM $three
wait $three
left=$(ls "$TMPDIR" | grep -v '\.out$')
[ -z "$left" ] || complain "left behind after SIGTERM: $left"
pgrep -af "$TMPDIR/homeward-up" && complain "processes left behind after SIGTERM"

"$root/deploy/up" --seconds many >/dev/null 2>&1 && complain "a wrong option was taken"
exit $failed
