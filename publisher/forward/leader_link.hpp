#pragma once

// How a server of forwarded calls reaches its leader, and leaves one that stalls.

#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <string>
#include <thread>

namespace homeward::forward {

/// Adds target_session_attrs=read-write, timeouts and keepalives to a connection string, unless it
/// sets them. `url`: a URI or keywords.
std::string leader_url(std::string url);

/// Shuts down connections whose leader owes an answer for too long: libpq waits without bound, and
/// a leader whose processes are stopped keeps its connections. Has a thread of its own.
class LeaderWatch {
  public:
    using Clock = std::chrono::steady_clock;

    LeaderWatch();
    ~LeaderWatch();
    LeaderWatch(const LeaderWatch&) = delete;
    LeaderWatch& operator=(const LeaderWatch&) = delete;

  private:
    struct Watched {
        int descriptor;  ///< a copy, so that it names the same connection while it is here
        Clock::time_point until;
        bool may_be_idle = false;
    };

  public:
    /// Work on one connection, which ends by itself before `until` if the leader answers. One
    /// thread; must not outlive the watch.
    class Task {
      public:
        Task(LeaderWatch& watch, int socket, Clock::time_point until);
        ~Task();
        Task(const Task&) = delete;
        Task& operator=(const Task&) = delete;

        /// While it is true, the connection may wait for us. It is only shut down then when no
        /// PostgreSQL answers at its address any more.
        void set_may_be_idle(bool may_be_idle);
        /// Shuts the connection down now. Any thread.
        void cut();

      private:
        LeaderWatch& watch_;
        std::list<Watched>::iterator watched_;
    };

  private:
    void run();
    void look(std::unique_lock<std::mutex>& lock);

    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    std::list<Watched> watched_;
    bool is_over_ = false;
    std::thread thread_;
};

}  // namespace homeward::forward
