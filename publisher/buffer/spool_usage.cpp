#include "publisher/buffer/spool_usage.hpp"

#include <sys/stat.h>

namespace homeward {
namespace {

using namespace std::chrono_literals;

/// Who waits for room asks more often than this; others' files need not be counted each time.
constexpr auto kFullFor = 100ms;
/// st_blocks counts in these, whatever the filesystem's own are.
constexpr std::size_t kBlockBytes = 512;

}  // namespace

std::size_t disk_bytes_of(const std::filesystem::path& directory) {
    std::size_t sum = 0;
    std::error_code error;
    // What others delete meanwhile is no error.
    std::filesystem::recursive_directory_iterator entry(
        directory, std::filesystem::directory_options::skip_permission_denied, error);
    for (; !error && entry != std::filesystem::recursive_directory_iterator();
         entry.increment(error)) {
        struct stat status {};
        if (::lstat(entry->path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
        sum += static_cast<std::size_t>(status.st_blocks) * kBlockBytes;
    }
    return sum;
}

std::size_t SpoolUsage::measure() const {
    return disk_bytes_of(spool_);
}

bool SpoolUsage::has_room(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now < full_until_) return false;
    const bool has_room = measure() + bytes <= bytes_max_;
    if (!has_room) full_until_ = now + kFullFor;
    return has_room;
}

}  // namespace homeward
