#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>

#include "publisher/platform/file.hpp"

namespace homeward {

/// Who holds one may write to a run's directory, or send and remove what is in it. One holder at a
/// time, of all processes and of all publishers in this one; gone with its process.
///
/// Two files, since a POSIX lock is a process's: between processes that lock, on `lock`; within one
/// the existence of `held-<boot>-<pid>-<start>-<image>`, whose name no other process ever has.
/// exec() closes `lock`, which releases it, and changes <image>, so that the new program may take
/// what the old one left, under the same pid. (flock() and open file description locks would do
/// both, but a forked child would keep them.)
class RunLock {
  public:
    /// nullptr when somebody has it. Throws SetupError when `lock` cannot be opened: it is made
    /// with the run, and gone with it.
    static std::unique_ptr<RunLock> take(const std::filesystem::path& directory);
    /// Whether anybody has it. Writes nothing.
    static bool is_taken(const std::filesystem::path& directory);

    ~RunLock();
    RunLock(const RunLock&) = delete;
    RunLock& operator=(const RunLock&) = delete;

  private:
    RunLock(File lock, std::filesystem::path held);

    File lock_;
    std::filesystem::path held_;
    pid_t holder_;  // not a forked child that has a copy of us
};

}  // namespace homeward
