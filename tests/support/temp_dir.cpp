#include "tests/support/temp_dir.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace homeward::testing {

TempDir::TempDir() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "homeward-test.XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
        throw std::system_error(errno, std::generic_category(), pattern);
    }
    path_ = pattern;
    ::chmod(pattern.c_str(), 0755);  // PostgreSQL's user must be able to pass through
}

TempDir::~TempDir() {
    const char* keep = std::getenv("HOMEWARD_KEEP");
    if (keep != nullptr && *keep == '1') {
        std::printf("kept: %s\n", path_.c_str());
        return;
    }
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

}  // namespace homeward::testing
