#!/usr/bin/env bash
# Runs deploy/up twice at once, as two users of one machine might: both must prove that nothing is
# missing, and neither may leave a process or a directory behind.
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

"$root/deploy/up" --seconds 6 >"$TMPDIR/one.out" 2>&1 &
one=$!
"$root/deploy/up" --seconds 6 >"$TMPDIR/two.out" 2>&1 &
two=$!
wait $one || complain "the first run's exit status is $?"
wait $two || complain "the second run's exit status is $?"
for run in one two; do
    last=$(tail -n 1 "$TMPDIR/$run.out")
    echo "$run: $last"
    case $last in
        "proof: emitted="[1-9]*" dead=0 "*" missing=0 duplicated=0") ;;
        *) complain "run $run ended otherwise:"; tail -n 40 "$TMPDIR/$run.out" >&2 ;;
    esac
    grep -Eq '^   ams: [1-9][0-9]* reads of own writes, 0 stale' "$TMPDIR/$run.out" ||
        complain "a session did not read its own writes in run $run"
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
