#include "tests/support/temp_dir.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace homeward::testing {
namespace {

/// Lanes of runs whose spool is in `root`, whoever ran them: nobody else would ever remove them.
void remove_lanes_of(const std::filesystem::path& root) {
    namespace fs = std::filesystem;
    std::error_code error;
    const auto skip = fs::directory_options::skip_permission_denied;
    for (fs::recursive_directory_iterator it(root, skip, error), end; !error && it != end;
         it.increment(error)) {
        if (it->path().filename() != "run.json") continue;
        const std::string run = it->path().parent_path().filename().string();
        std::error_code ignored;
        for (const auto& home : fs::directory_iterator("/dev/shm", ignored)) {
            if (home.path().filename().string().rfind("homeward-", 0) != 0) continue;
            fs::remove_all(home.path() / run, ignored);
            fs::remove(home.path(), ignored);  // if it is empty
        }
    }
}

}  // namespace

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
    remove_lanes_of(path_);
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

}  // namespace homeward::testing
