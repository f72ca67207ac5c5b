#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>

namespace homeward {

/// What a log is told of an outage: its cause at once, again at a doubling interval or when the
/// cause is another, and its end with how long it took. One thread.
class OutageLog {
  public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds kIntervalFirst{10};
    static constexpr std::chrono::seconds kIntervalMax{3'600};

    /// Whether failed() would bring a line for this cause; finding causes out may cost something.
    bool is_due(Clock::time_point now) const { return !since_ || now >= next_; }

    /// The line for the log, if it is due now.
    std::optional<std::string> failed(const std::string& cause, Clock::time_point now) {
        const bool is_new = !since_ || (cause != cause_ && now >= other_cause_next_);
        if (!is_new && now < next_) return std::nullopt;
        if (!since_) since_ = now;
        interval_ =
            is_new ? std::chrono::seconds(kIntervalFirst) : std::min(interval_ * 2, kIntervalMax);
        next_ = now + interval_;
        // Two servers that fail in different ways are tried in turn.
        other_cause_next_ = now + kIntervalFirst;
        cause_ = cause;
        return cause + lasting(now);
    }

    /// The line for the log when an outage has ended; nullopt if there was none.
    std::optional<std::string> ended(const std::string& what, Clock::time_point now) {
        if (!since_) return std::nullopt;
        std::string line = what + " after " + text_of(now - *since_);
        since_.reset();
        return line;
    }

  private:
    static std::string text_of(Clock::duration time) {
        return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) +
               " s";
    }
    std::string lasting(Clock::time_point now) const {
        return now - *since_ < kIntervalFirst ? "" : "; for " + text_of(now - *since_) + " now";
    }

    std::string cause_;
    std::optional<Clock::time_point> since_;
    Clock::time_point next_{};
    Clock::time_point other_cause_next_{};
    std::chrono::seconds interval_ = kIntervalFirst;
};

}  // namespace homeward
