#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <thread>

namespace homeward::bench {

/// Keeps the kernel writing dirty pages to the disk under `directory` for as long as it lives, as
/// anything else on the machine would: 20 MB/s into one file of 64 MiB, started off every half
/// second. Has a thread of its own.
class Writeback {
  public:
    explicit Writeback(const std::filesystem::path& directory);
    ~Writeback();
    Writeback(const Writeback&) = delete;
    Writeback& operator=(const Writeback&) = delete;

  private:
    void run();
    int file_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

/// What the machine has written back since it started, in bytes (nr_written of /proc/vmstat).
std::uint64_t written_back_bytes();

}  // namespace homeward::bench
