// Released migrations are frozen: databases of users have run them, and run them only once.

#include <fstream>
#include <map>
#include <string>

#include "schemas/types/embedded.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;

namespace {

/// As `sha256sum` prints it, by version.
std::map<int, std::string> released_checksums() {
    std::map<int, std::string> checksums;
    std::ifstream lines(HOMEWARD_RELEASED_MIGRATIONS);
    std::string checksum, file;
    while (lines >> checksum >> file) checksums[std::stoi(file.substr(0, 4))] = checksum;
    return checksums;
}

}  // namespace

TEST_CASE("a released migration never changes, not by a byte") {
    // Should this fail: put the file back, and make the change by a new migration.
    const auto released = released_checksums();
    CHECK(released.size() == 8);
    std::map<int, std::string> ours;
    std::string filled_in;
    for (const Migration& migration : migrations()) {
        ours[migration.version] = migration.sha256;
        if (migration.version == 9) filled_in = migration.sql;
    }
    for (const auto& [version, checksum] : released) {
        INFO("migration " << version);
        CHECK(ours[version] == checksum);
        // What a database of v0.1.0 is told about itself.
        CHECK(filled_in.find("(" + std::to_string(version) + ", '" + checksum + "')") !=
              std::string::npos);
    }
}

TEST_CASE("migrations have ascending numbers and distinct names") {
    int last = 0;
    std::map<std::string_view, int> names;
    for (const Migration& migration : migrations()) {
        INFO(migration.version << " " << migration.name);
        CHECK(migration.version > last);
        CHECK(++names[migration.name] == 1);
        last = migration.version;
    }
}
