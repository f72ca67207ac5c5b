#include "publisher/send/lane_drainer.hpp"

#include <algorithm>
#include <cstring>

#include "publisher/platform/thread_body.hpp"

namespace homeward {
namespace {

using namespace std::chrono_literals;

/// Chasing the producers' cache lines more often than this makes emit() slower.
constexpr auto kDrainInterval = 2ms;
/// The disk or the log has no room: no use in trying more often.
constexpr auto kBlockedInterval = 20ms;
/// Between two steps with runs that dead processes have left.
constexpr auto kRecoveryInterval = 5ms;
constexpr auto kUnconnectedInterval = 50ms;
constexpr auto kClockInterval = 200ms;
/// Of lanes and of the spool's counts, which may exceed what was accepted by as much as that.
constexpr auto kMaintenanceInterval = 20ms;
/// How soon a waiting flush() looks again though nothing was said to have changed.
constexpr auto kRecheckInterval = 50ms;
/// How long an origin is silent before it says how many events there were.
constexpr auto kIdleAfter = 1s;
/// After that, how often it says that it is still there.
constexpr auto kHeartbeat = 60s;
/// Between two words on whether frames can be logged.
constexpr auto kComplaintInterval = 5s;

}  // namespace

LaneDrainer::LaneDrainer(const PublisherOptions& options, Parts parts, FrameSender::Start start)
    : options_(options),
      clock_(parts.clock),
      maintain_(std::move(parts.maintain)),
      is_maintenance_due_(std::move(parts.is_maintenance_due)) {
    const Origin::Limits limits = limits_of(options);
    for (EventClass event_class : {EventClass::audit, EventClass::metric}) {
        origins_[static_cast<std::size_t>(event_class) - 1] =
            std::make_unique<Origin>(parts.run, event_class, limits);
    }
    frame_sender_ = std::make_unique<FrameSender>(options, start, [this] { tell_of_change(); });
    for (const auto& origin : origins_) frame_sender_->add(origin.get());
    if (!options.spool_dir.empty()) {
        SpoolRecovery::Options recovery{options.spool_dir, parts.run.directory(),
                                        parts.run.identity().lane_dir, limits};
        recovery.limits.usage = nullptr;  // it frees more than it takes, and must never wait
        recovery_ = std::make_unique<SpoolRecovery>(std::move(recovery), *frame_sender_,
                                                    [this](const std::string& line) { log(line); });
        // In a child this is within its first emit(), which must not wait for a look at every run.
        const bool scan_now = start == FrameSender::Start::at_once;
        if (scan_now) recovery_->scan();
        left_count_ = recovery_->size();
        recovery_thread_ = std::thread([this, scan_now] {
            run_contained("recovery", "what dead processes left waits for the next start",
                          options_.on_log, [&] { recover(!scan_now); });
        });
    }
    thread_ = std::thread([this] {
        // What was cut when it threw is unknown, so nothing is cut again under the same seqs.
        run_contained("sender", "no more events are sent until the next start", options_.on_log,
                      [this] { this->run(); });
    });
}

LaneDrainer::~LaneDrainer() {
    stop();
}

void LaneDrainer::tell_to_stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        wakened_.notify_all();
        stopped_.notify_all();
    }
    frame_sender_->tell_to_stop();
}

void LaneDrainer::stop() {
    tell_to_stop();
    if (thread_.joinable()) thread_.join();
    if (recovery_thread_.joinable()) recovery_thread_.join();
    frame_sender_->stop();
}

void LaneDrainer::run() {
    auto next_clock = SteadyClock::now();
    auto next_maintenance = next_clock;
    auto wait = SteadyClock::duration(0);
    bool closing = false;
    std::size_t flushers_seen = 0;
    for (;;) {
        bool all = false;
        {
            std::unique_lock lock(mutex_);
            wakened_.wait_for(lock, wait, [&] {
                return stopping_ || flushers_ > flushers_seen || closing_ != closing;
            });
            if (stopping_) return;
            flushers_seen = flushers_;
            all = flushers_ > 0 || closing_;
            closing = closing_;
        }
        if (SteadyClock::now() >= next_clock) {
            clock_.adjust();
            next_clock = SteadyClock::now() + kClockInterval;
        }
        if (SteadyClock::now() >= next_maintenance || is_maintenance_due_()) {
            maintain_();
            next_maintenance = SteadyClock::now() + kMaintenanceInterval;
        }
        bool busy = false;
        bool blocked = false;
        for (const auto& origin : origins_) {
            const Origin::Cut cut = origin->drain(all);
            busy = busy || cut == Origin::Cut::cut;
            blocked = blocked || cut == Origin::Cut::blocked;
            say_if_blocked(*origin, cut);
            if (!closing) report_idle(*origin);
        }
        if (closing && !finished_ && !blocked) {
            finished_ = origins_[0]->finish() && origins_[1]->finish();
            busy = busy || finished_;
        }
        if (busy) {
            frame_sender_->wake();
            tell_of_change();
        }
        wait = blocked ? SteadyClock::duration(kBlockedInterval)
                       : SteadyClock::duration(kDrainInterval);
        if (busy && !blocked) wait = SteadyClock::duration(0);
    }
}

/// A thread of its own: to read a large log takes seconds, in which lanes would run full.
void LaneDrainer::recover(bool scan_now) {
    auto next_scan = SteadyClock::now();
    if (!scan_now) next_scan += recovery_->scan_interval();
    for (;;) {
        bool may_scan = false;
        {
            std::unique_lock lock(mutex_);
            SteadyClock::duration wait =
                std::max(next_scan - SteadyClock::now(), SteadyClock::duration(kRecoveryInterval));
            if (closing_) wait = kUnconnectedInterval;
            if (recovery_->size() > 0) {
                wait = frame_sender_->is_connected() ? kRecoveryInterval : kUnconnectedInterval;
            }
            stopped_.wait_for(lock, wait, [this] { return stopping_; });
            if (stopping_) return;
            // Who closes waits for what was there, not for what others leave meanwhile.
            may_scan = !closing_;
        }
        if (may_scan && SteadyClock::now() >= next_scan) {
            recovery_->scan();
            next_scan = SteadyClock::now() + recovery_->scan_interval();
        }
        recovery_->advance();
        if (left_count_.exchange(recovery_->size()) != recovery_->size()) tell_of_change();
    }
}

/// Whoever waits has either not looked yet, or is woken.
void LaneDrainer::tell_of_change() {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
}

void LaneDrainer::report_idle(Origin& origin) {
    const auto silent = SteadyClock::now() - origin.last_cut();
    const bool has_emitted = origin.seq_next() > 1;
    const bool first = silent >= kIdleAfter && !origin.is_reported();
    if (has_emitted && (first || silent >= kHeartbeat)) {
        origin.send_heartbeat(false);
        frame_sender_->wake();
    }
}

/// Once for each reason, and when it is over: nobody else is told before emit() refuses. Not often,
/// as a backlog that is being sent makes room for a moment again and again.
void LaneDrainer::say_if_blocked(const Origin& origin, Origin::Cut cut) {
    auto& [said, quiet_until] = blocked_[static_cast<std::size_t>(origin.event_class()) - 1];
    std::string reason;
    if (cut == Origin::Cut::blocked) {
        reason = origin.is_spool_full()
                     ? "the spool has reached spool_bytes_max; give NATS back, or raise that"
                 : origin.disk_error() == 0
                     ? "it is full; give NATS back, or raise log_bytes_max"
                     : std::string(std::strerror(origin.disk_error())) + "; see to the disk of " +
                           options_.spool_dir.string();
    }
    if (reason == said || SteadyClock::now() < quiet_until) return;
    const std::string what = std::string(to_string(origin.event_class())) + " frames ";
    log(reason.empty()
            ? what + "are logged again"
            : what + "cannot be logged, and events only wait until lanes are full, too: " + reason);
    said = reason;
    quiet_until = SteadyClock::now() + kComplaintInterval;
}

void LaneDrainer::log(const std::string& line) {
    if (options_.on_log) options_.on_log(line);
}

/// Wakes only when something has changed; `is_done` is called with mutex_ held.
bool LaneDrainer::wait_until(SteadyClock::time_point deadline,
                             const std::function<bool()>& is_done) {
    std::unique_lock lock(mutex_);
    while (!is_done()) {
        const auto now = SteadyClock::now();
        if (now >= deadline) return false;
        changed_.wait_until(lock, std::min(deadline, now + kRecheckInterval));
    }
    return true;
}

bool LaneDrainer::wait_until_logged(SteadyClock::time_point deadline,
                                    const std::function<bool()>& is_logged) {
    {
        const std::lock_guard lock(mutex_);
        ++flushers_;
        wakened_.notify_all();
    }
    const bool done = wait_until(deadline, is_logged);
    const std::lock_guard lock(mutex_);
    --flushers_;
    return done;
}

FlushResult LaneDrainer::flush(SteadyClock::time_point deadline, FlushUntil until) {
    const std::array<std::uint64_t, 2> goals{origins_[0]->accepted(), origins_[1]->accepted()};
    const auto is_logged = [&] {
        return origins_[0]->has_logged(goals[0]) && origins_[1]->has_logged(goals[1]);
    };
    const auto is_acked = [&] {
        return origins_[0]->has_acked(goals[0]) && origins_[1]->has_acked(goals[1]);
    };
    FlushResult result;
    result.done = wait_until_logged(deadline, is_logged) &&
                  (until == FlushUntil::logged || wait_until(deadline, is_acked));
    if (!result.done) {
        const Stats now = stats();
        result.events_left = now.audit.in_lanes + now.metric.in_lanes;
        if (until == FlushUntil::stream) {
            result.events_left += now.audit.in_log + now.metric.in_log;
        }
    }
    return result;
}

FlushResult LaneDrainer::close(SteadyClock::time_point deadline, bool is_quiet) {
    FlushResult result = flush(deadline, FlushUntil::logged);
    result.done = result.done && is_quiet;
    if (result.done) {
        {
            const std::lock_guard lock(mutex_);
            closing_ = true;
        }
        result.done = wait_until(deadline, [this] {
            return finished_ && origins_[0]->is_all_acked() && origins_[1]->is_all_acked();
        });
        // Others' events have time until then, too, but are not what this publisher promised.
        if (result.done) wait_until(deadline, [this] { return left_count_ == 0; });
    }
    const Stats now = stats();
    result.events_left =
        now.audit.in_lanes + now.audit.in_log + now.metric.in_lanes + now.metric.in_log;
    if (result.done) {
        stop();
    } else {
        tell_to_stop();  // a server that has stopped may hold them for longer than we may wait
    }
    return result;
}

Stats LaneDrainer::stats() const {
    Stats stats;
    origins_[0]->add_stats(stats.audit);
    origins_[1]->add_stats(stats.metric);
    stats.audit.retries = frame_sender_->retries(EventClass::audit);
    stats.metric.retries = frame_sender_->retries(EventClass::metric);
    stats.connected = frame_sender_->is_connected();
    stats.spools_recovering = left_count_;
    return stats;
}

}  // namespace homeward
