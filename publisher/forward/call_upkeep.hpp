#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "publisher/forward/leader_link.hpp"

namespace homeward::forward {

/// Creates the day partitions of homeward.forwarded_call ahead and drops those past their
/// retention, in a thread of its own, on a short-lived connection. Any number of servers may run
/// it.
class CallUpkeep {
  public:
    CallUpkeep(std::string database_url, LeaderWatch& watch,
               std::function<void(std::string_view)> on_log);
    /// Ends what its connection is at.
    ~CallUpkeep();
    CallUpkeep(const CallUpkeep&) = delete;
    CallUpkeep& operator=(const CallUpkeep&) = delete;

  private:
    class Stoppable;

    void run();
    void maintain();

    const std::string database_url_;
    LeaderWatch& watch_;
    const std::function<void(std::string_view)> on_log_;
    std::mutex mutex_;  // guards what follows
    std::condition_variable stopping_;
    bool is_stopping_ = false;
    LeaderWatch::Task* task_ = nullptr;  ///< while there is a connection
    std::thread thread_;
};

}  // namespace homeward::forward
