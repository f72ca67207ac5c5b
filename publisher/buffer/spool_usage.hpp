#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <mutex>

namespace homeward {

/// What all files in a spool take on disk together, and the bound on it. Any thread.
class SpoolUsage {
  public:
    SpoolUsage(std::filesystem::path spool, std::size_t bytes_max)
        : spool_(std::move(spool)), bytes_max_(bytes_max) {}

    /// Looks at every file: some microseconds a file.
    std::size_t measure() const;
    /// Whether so many bytes more stay within the bound. Measures, but after a "no" says the same
    /// for a tenth of a second.
    bool has_room(std::size_t bytes);
    std::size_t bytes_max() const { return bytes_max_; }

  private:
    const std::filesystem::path spool_;
    const std::size_t bytes_max_;
    std::mutex mutex_;
    std::chrono::steady_clock::time_point full_until_{};
};

/// What the files in a directory, and in those below, take on disk. Links are not followed.
std::size_t disk_bytes_of(const std::filesystem::path& directory);

}  // namespace homeward
