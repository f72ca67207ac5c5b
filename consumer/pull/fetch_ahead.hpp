#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace homeward::consumer {

/// How many messages may be fetched and not yet finished: as many as the leader has lately
/// committed in 15 s. What is fetched for a slow leader is kept from other consumers, and its
/// deadlines have to be extended again and again; a transaction may take seconds, and none must
/// wait for messages. No lock of its own: its owner has one.
class FetchAhead {
  public:
    using SteadyClock = std::chrono::steady_clock;

    explicit FetchAhead(std::size_t messages_max) : limit_(messages_max) {}

    std::size_t messages_max() const;
    void finished(std::size_t messages) { finished_ += messages; }
    /// To be called often. `unfinished`: how many there are now.
    void measure(SteadyClock::time_point now, std::size_t unfinished);

  private:
    std::size_t limit_;
    SteadyClock::time_point since_ = SteadyClock::now();
    std::size_t finished_ = 0;
    std::optional<double> messages_per_second_;  // known only while there is enough to do
};

}  // namespace homeward::consumer
