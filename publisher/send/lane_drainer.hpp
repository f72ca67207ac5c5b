#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <homeward/publisher.hpp>

#include "publisher/send/frame_sender.hpp"
#include "publisher/send/origin.hpp"
#include "publisher/send/spool_recovery.hpp"
#include "publisher/spool/run.hpp"

namespace homeward {

/// Drains lanes into logged frames, a few hundred times a second. Owns the origins and the frame
/// sender; has a thread of its own, and another that recovers what dead processes leave in the
/// spool.
class LaneDrainer {
  public:
    using SteadyClock = std::chrono::steady_clock;

    struct Parts {
        Run& run;  ///< for its origins
        detail::Clock& clock;
        std::function<void()> maintain;  ///< called by its thread, some 50 times a second
        std::function<bool()>
            is_maintenance_due;  ///< asked between drains: call it before its time
    };
    /// `parts` are borrowed and must outlive it. Throws SetupError.
    LaneDrainer(const PublisherOptions& options, Parts parts, FrameSender::Start start);
    ~LaneDrainer();

    Origin& origin(EventClass event_class) {
        return *origins_[static_cast<std::size_t>(event_class) - 1];
    }

    FlushResult flush(SteadyClock::time_point deadline, FlushUntil until);
    /// Drains what is there, sends the end-of-stream frames. Then both threads end; if not
    /// everything was done in time, they are only told to, and the destructor waits for them.
    /// Unless `is_quiet` there may come more, which no end-of-stream frame must precede: then it is
    /// not done.
    FlushResult close(SteadyClock::time_point deadline, bool is_quiet);
    Stats stats() const;

  private:
    void run();
    void recover(bool scan_now);
    void report_idle(Origin& origin);
    void say_if_blocked(const Origin& origin, Origin::Cut cut);
    void log(const std::string& line);
    void tell_of_change();
    bool wait_until_logged(SteadyClock::time_point deadline,
                           const std::function<bool()>& is_logged);
    bool wait_until(SteadyClock::time_point deadline, const std::function<bool()>& is_done);
    void tell_to_stop();
    void stop();

    PublisherOptions options_;
    detail::Clock& clock_;
    std::function<void()> maintain_;
    std::function<bool()> is_maintenance_due_;
    std::array<std::unique_ptr<Origin>, 2> origins_;
    struct Blocked {
        std::string said;  // empty: all is well
        SteadyClock::time_point quiet_until{};
    };
    std::array<Blocked, 2> blocked_;  // by class
    std::atomic<std::size_t> left_count_{0};

    std::mutex mutex_;                 // guards what follows
    std::condition_variable changed_;  // a drain ended, or frames were released
    std::condition_variable wakened_;
    std::condition_variable stopped_;
    std::size_t flushers_ = 0;  // waiting until all is logged: nothing lingers
    bool closing_ = false;
    std::atomic<bool> finished_{false};  // both origins have sent their end-of-stream frames
    bool stopping_ = false;

    std::unique_ptr<FrameSender> frame_sender_;
    std::unique_ptr<SpoolRecovery> recovery_;  // the recovery thread's own; none without a spool
    std::thread thread_;
    std::thread recovery_thread_;
};

}  // namespace homeward
