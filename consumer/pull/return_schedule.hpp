#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

namespace homeward::consumer {

/// When messages that are returned to their streams (delayed NAK) come again: 1 s, 2 s, 4 s …
/// later, at most 5 min, or later than that when too many would come at once. nats-server 2.9 also
/// counts deliveries that reach nobody, when no pull request is open. So no message waits longer
/// than messages have been returned without a pause. A stream delivers
/// them before new ones, so all others would wait for them. Together they get a quarter of what the
/// writers last finished while their streams had more, whatever bounded that: the leader, the link,
/// or pull.messages_max. They come in bursts of 200 ms, since nats-server walks over all that waits
/// to come again whenever one is due. Any thread.
class ReturnSchedule {
  public:
    using SteadyClock = std::chrono::steady_clock;

    ReturnSchedule();

    /// When a message that was delivered so often is to come again; takes that place.
    std::chrono::milliseconds place(std::uint64_t deliveries, SteadyClock::time_point now);
    /// A batch is over. `has_more`: a stream of it had more messages that were not yet delivered.
    void finished(std::size_t messages, bool has_more, SteadyClock::time_point now);

  private:
    std::chrono::milliseconds backoff(std::uint64_t deliveries, SteadyClock::time_point now);
    void measure(std::size_t messages, SteadyClock::time_point now);
    std::size_t places_per_burst() const;

    std::mutex mutex_;                 // guards what follows
    std::deque<std::uint32_t> taken_;  // of each burst, from first_ on
    SteadyClock::time_point first_{};  // when the first burst comes
    SteadyClock::time_point returns_began_{};
    std::optional<SteadyClock::time_point> returned_;  // the last message was
    double rate_;              // messages a second that the writers can finish
    double rate_max_;          // the best that was measured
    std::size_t batches_ = 0;  // of the measurement that goes on
    std::size_t messages_ = 0;
    SteadyClock::time_point begun_{};
    SteadyClock::time_point grown_{};
};

}  // namespace homeward::consumer
