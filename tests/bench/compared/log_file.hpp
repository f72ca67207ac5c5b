#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "tests/bench/support/workload.hpp"

namespace homeward::bench {

/// spdlog's asynchronous logger with its own defaults: a queue of 8,192, one thread, a file. What
/// it takes in survives nothing; it is here because it is what "logging asynchronously" means to
/// most. Any thread.
class SpdlogFile {
  public:
    explicit SpdlogFile(const std::filesystem::path& file);
    ~SpdlogFile();
    /// The six fields of the event as one formatted line.
    void log(const events::Audit& event);

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

/// One write(2) per event to a file in the page cache. Any thread.
class WrittenFile {
  public:
    explicit WrittenFile(const std::filesystem::path& file);
    ~WrittenFile();
    WrittenFile(const WrittenFile&) = delete;
    WrittenFile& operator=(const WrittenFile&) = delete;
    bool write(const std::string& line);

  private:
    int fd_;
};

}  // namespace homeward::bench
