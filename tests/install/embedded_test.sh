#!/usr/bin/env bash
# A host project that embeds this tree builds, runs and installs its app, and nothing else of ours.
# By find_package it finds the replay helper that was built and installed alone, without NATS.
#
#   embedded_test.sh SOURCE_DIR BUILD_DIR FetchContent|add_subdirectory|find_package all|replay
set -eu
source_dir=$1
method=$3
parts=$4
# Beside our own build: seen from there, paths are the same, so that ccache has most objects.
work=$(mktemp -d "$2/../embedded.XXXXXX")
replay=$(mktemp -d "$2/../embedded.XXXXXX")
trap 'rm -rf "$work" "$replay"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

launcher=$(command -v ccache || true)
flags=(-G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g1"
    -DHOMEWARD_DEVELOPER=ON ${launcher:+-DCMAKE_CXX_COMPILER_LAUNCHER="$launcher"})
if [ "$method" = find_package ]; then
    cmake -S "$source_dir" -B "$replay" "${flags[@]}" -DHOMEWARD_PUBLISHER=OFF
    cmake --build "$replay" -j2
    cmake --install "$replay" --prefix "$work/installed" >/dev/null
fi
cmake -S "$source_dir/tests/install/embedded" -B "$work" "${flags[@]}" -DMETHOD="$method" \
    -DPARTS="$parts" -DHOMEWARD_SOURCE="$source_dir" -DCMAKE_INSTALL_PREFIX="$work/prefix" \
    -DCMAKE_PREFIX_PATH="$work/installed" -DFETCHCONTENT_FULLY_DISCONNECTED=ON
cmake --build "$work" --target help >"$work/targets"
for target in homeward-consumer homeward-emit homeward-sample app_test homeward_reference; do
    ! grep -q "^$target:" "$work/targets" || fail "the host's build has our target $target"
done
if [ "$parts" = replay ] && grep -qE 'libnats|libzstd|homeward_wire' "$work/build.ninja"; then
    fail "replay alone needs NATS or zstd"
fi
cmake --build "$work" -j2  # all of the host's targets
"$work/host"
cmake --install "$work" >/dev/null
[ "$(cd "$work/prefix" && find . -type f)" = ./bin/host ] ||
    fail "the host installs $(cd "$work/prefix" && find . -type f)"
echo "embedded by $method ($parts), built, ran and installed"
