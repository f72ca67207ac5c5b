#!/usr/bin/env bash
# That every C and C++ source is as clang-format 14 leaves it; with --fix, formats them in place.
# Other versions of clang-format break some lines elsewhere, so only 14 decides.
#
#   format_test.sh ROOT [--fix]
set -u
cd "$1" || exit 1
if ! command -v clang-format-14 >/dev/null; then
    echo "format_test: skipped: clang-format-14 is not installed, and other versions differ"
    exit 77
fi
arguments=(--dry-run --Werror)
[ "${2:-}" != --fix ] || arguments=(-i)
# v0.1.0's header and program are kept as they were released.
find schemas publisher consumer tests deploy -type f \
    \( -name '*.[ch]pp' -o -name '*.[ch]' \) -not -path 'tests/publisher/v0.1.0/*' -print0 |
    xargs -0 -P "$(nproc)" -n 40 clang-format-14 "${arguments[@]}"
