#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace homeward::consumer {

/// A thread that looks at something again and again, but only while somebody wants to know: from
/// each want() on for a while. Whoever asks never waits for it. Any thread.
class Watch {
  public:
    /// `look` returns how long to rest until the next.
    explicit Watch(std::function<std::chrono::milliseconds()> look);
    ~Watch();
    void want();

  private:
    void run();

    std::function<std::chrono::milliseconds()> look_;
    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    std::chrono::steady_clock::time_point wanted_until_{};
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace homeward::consumer
