#pragma once

#include <unistd.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "publisher/platform/app_log.hpp"

namespace homeward {

/// In a forked child that could not open its publisher at its first emit(), as a worker that has
/// dropped its privileges: says why, and tries again in the background, so that no emit() waits or
/// makes a system call for it. One owner; ends at once when destroyed, but for an attempt that
/// runs.
class ChildOpener {
  public:
    /// Empty: it is open now. Else why not.
    using Open = std::function<std::string()>;

    /// `why`: what came of the first attempt.
    ChildOpener(Open open, AppLog::OnLog on_log, std::string why);
    ~ChildOpener();
    ChildOpener(const ChildOpener&) = delete;
    ChildOpener& operator=(const ChildOpener&) = delete;

    /// A child's child has a copy of it, without its thread: that is not to be destroyed.
    bool is_of_this_process() const { return process_ == ::getpid(); }

  private:
    void run();
    bool wait_for(std::chrono::seconds time);
    void say(const std::string& line) const;

    const pid_t process_ = ::getpid();
    Open open_;
    AppLog::OnLog on_log_;
    std::string why_;
    std::mutex mutex_;
    std::condition_variable wakened_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace homeward
