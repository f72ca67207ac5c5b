#!/usr/bin/env bash
# Installs the build into a private prefix, then builds a user's app against it, out of the source
# tree: by find_package, with an event type of its own, and by pkg-config.
set -eu
source_dir=$1
build_dir=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/homeward-install.XXXXXX")
trap 'rm -rf "$work"' EXIT

cmake --install "$build_dir" --prefix "$work/prefix" >"$work/install.log"
cp -r "$source_dir/tests/install/app" "$work/app"
cmake -S "$work/app" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" \
    -DCMAKE_CXX_FLAGS="${HOMEWARD_TEST_CXX_FLAGS:-}" -DCMAKE_C_FLAGS="${HOMEWARD_TEST_CXX_FLAGS:-}"
cmake --build "$work/build" --target app calls
"$work/build/app"
"$work/build/calls"
if cmake --build "$work/build" --target misspelt >"$work/misspelt.log" 2>&1; then
    echo "FAILED: a misspelt field compiled" >&2
    exit 1
fi
grep -q "cod" "$work/misspelt.log"

# No header may lead back into the source tree, and none may show a dependency.
if grep -rlE 'nats/|zstd|nlohmann|openssl/' "$work/prefix/include"; then
    echo "FAILED: the headers above show a dependency" >&2
    exit 1
fi

# The publisher has no OpenSSL but the one that nats.c brings.
needed() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }
library=$(find "$work/prefix" -name libhomeward.so.0)
nats=$(ldd "$library" | sed -n 's/.*libnats[^ ]* => \([^ ]*\) .*/\1/p')
for name in $(needed "$library" | grep -E 'ssl|crypto'); do
    needed "$nats" | grep -qx "$name" && continue
    echo "FAILED: $library needs $name, which $nats does not" >&2
    exit 1
done

mkdir "$work/types"
"$work/prefix/bin/homeward-generate" --out "$work/types" "$work/app/parcel.json" \
    "$work/prefix/share/homeward/schemas/audit.json"
PKG_CONFIG_PATH=$(find "$work/prefix" -name pkgconfig) && export PKG_CONFIG_PATH
c++ ${HOMEWARD_TEST_CXX_FLAGS:-} -I"$work/types" "$work/app/main.cpp" -o "$work/by-pkg-config" \
    $(pkg-config --cflags --libs homeward-app)
"$work/by-pkg-config"
echo "installed, linked and ran both ways"
