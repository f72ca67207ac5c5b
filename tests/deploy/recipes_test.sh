#!/usr/bin/env bash
# The Conan recipe and the vcpkg port agree with the project: its version, its options, its files.
#
#   recipes_test.sh SOURCE_DIR VERSION
set -eu
source_dir=$1
version=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/homeward-recipes.XXXXXX")
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
package=$source_dir/deploy/package

python3 - "$package" "$version" <<'PYTHON'
import json, pathlib, sys
package, version = pathlib.Path(sys.argv[1]), sys.argv[2]
recipe = (package / "conan/conanfile.py").read_text()
compile(recipe, "conanfile.py", "exec")
port = json.loads((package / "vcpkg/vcpkg.json").read_text())
assert port["version"] == version, f"vcpkg.json has version {port['version']}, the project {version}"
assert set(port["default-features"]) == set(port["features"]) == {"publisher", "app"}
PYTHON

# The port, with what it asks of vcpkg printed instead of done.
cat >"$work/port.cmake" <<'CMAKE'
set(CURRENT_PACKAGES_DIR /nowhere)
foreach(name IN ITEMS check_features cmake_configure cmake_install cmake_config_fixup fixup_pkgconfig
        install_copyright)
    cmake_language(EVAL CODE "function(vcpkg_${name})\n message(\"${name} \${ARGN}\")\nendfunction()")
endforeach()
include(${PORT})
CMAKE
cmake -DPORT="$package/vcpkg/portfile.cmake" -P "$work/port.cmake" >"$work/asked" 2>&1
grep -q "^cmake_configure SOURCE_PATH;$source_dir;" "$work/asked" || fail "$(cat "$work/asked")"
grep -q "^install_copyright FILE_LIST;$source_dir/LICENSE" "$work/asked" || fail "$(cat "$work/asked")"

# Options that either of them sets are options of the project.
for option in $(grep -ohE 'HOMEWARD_(PUBLISHER|APP|FORWARD|TOOLS|CONSUMER|TESTS|INSTALL)\b' \
        "$package/vcpkg/portfile.cmake" "$package/conan/conanfile.py" | sort -u); do
    grep -qE "option\($option\b" "$source_dir/CMakeLists.txt" || fail "$option is no option"
done
echo "recipes agree with version $version and its options"
