#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>

#include <homeward_forward_server.h>

namespace homeward {

/// Calls between the server's workers and the app's threads, which take them: a worker that offers
/// one waits until it has ended, and the app's thread uses the worker's transaction meanwhile. Any
/// thread.
class PulledCalls {
  public:
    using Clock = std::chrono::steady_clock;

    /// Waits until somebody has taken the call and ended it. False: nobody took it in time.
    bool offer(homeward_tx& tx, Clock::time_point deadline);
    homeward_next take(std::chrono::milliseconds wait, homeward_tx*& tx);
    /// Of a call that was taken; its worker goes on, and `tx` is not valid any more.
    void end(homeward_tx& tx);
    /// After the last call: nobody need wait for another.
    void close();

  private:
    struct Offer {
        homeward_tx* tx;
        bool is_taken = false;
        bool has_ended = false;
    };

    std::mutex mutex_;
    std::condition_variable offered_;
    std::condition_variable ended_;
    std::deque<Offer*> offers_;  // each on its worker's stack
    std::deque<Offer*> taken_;
    bool is_closed_ = false;
};

}  // namespace homeward
