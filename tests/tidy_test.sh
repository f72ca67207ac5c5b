#!/usr/bin/env bash
# clang-tidy on the sources that the last commit and the working tree change, at most twelve of them;
# with HOMEWARD_FULL=1 on all. Where git does not tell what has changed, on a few that stand for all.
# Other versions of clang-tidy find other things, so only 14 decides.
#
#   tidy_test.sh ROOT BUILD
set -u
cd "$1" || exit 1
build=$2
files_max=12
tidy=$(command -v clang-tidy-14)
if [ -z "$tidy" ]; then
    echo "tidy_test: skipped: clang-tidy-14 is not installed, and other versions differ"
    exit 77
fi
[ -f "$build/compile_commands.json" ] || { echo "tidy_test: $build has no compile_commands.json" >&2; exit 1; }

# Of those given, the ones that this build compiles.
built() {
    while read -r file; do
        ! grep -q "\"file\": \"$PWD/$file\"" "$build/compile_commands.json" || echo "$file"
    done
}
if [ -n "${HOMEWARD_FULL:-}" ]; then
    files_max=100000
    files=$(find schemas publisher consumer tests -name '*.cpp' | sort | built)
else
    files=$( (git diff --name-only --diff-filter=d HEAD && git diff --name-only --diff-filter=d HEAD~1 HEAD) 2>/dev/null |
        grep '\.cpp$' | sort -u | built)
fi
if [ -z "$files" ]; then
    echo "no source was changed, or git does not tell: these stand for all"
    files=$(printf '%s\n' schemas/wire/frame.cpp publisher/send/origin.cpp consumer/write/writer.cpp)
fi
left_out=$(echo "$files" | tail -n +$((files_max + 1)))
[ -z "$left_out" ] || echo "left to HOMEWARD_FULL=1:" $left_out
files=$(echo "$files" | head -n "$files_max")
echo "clang-tidy of" $files
# Boost 1.74 believes that clang 14 has no coroutines, as clang does not claim them, but compiles them.
coroutines=(--extra-arg=-D__cpp_impl_coroutine=201902L --extra-arg=-DBOOST_ASIO_HAS_CO_AWAIT=1
    --extra-arg=-DBOOST_ASIO_HAS_STD_COROUTINE=1)
# What it says of system headers is a count on standard error.
echo "$files" | xargs -P "$(nproc)" -n 1 "$tidy" -p "$build" --quiet "${coroutines[@]}" 2>/dev/null
