#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "consumer/status/health.hpp"

namespace homeward::consumer {

/// What changes from one look at the health to the next, as lines for the log: one when a reason
/// appears and one when it is gone. Those that somebody else logs are left out. One thread.
class HealthChanges {
  public:
    using Clock = std::chrono::steady_clock;
    struct Line {
        bool is_start;
        std::string text;
    };
    std::vector<Line> observe(const std::vector<Reason>& reasons, Clock::time_point now);

  private:
    std::map<std::string, Clock::time_point> lasting_;  // by title
};

/// Looks at the health every two seconds and tells the log what has changed. Has a thread of its
/// own, which calls `look`.
class HealthLog {
  public:
    explicit HealthLog(std::function<std::vector<Reason>()> look);
    ~HealthLog();

  private:
    void run();

    std::function<std::vector<Reason>()> look_;
    HealthChanges changes_;  // of its thread alone

    std::mutex mutex_;
    std::condition_variable stop_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace homeward::consumer
