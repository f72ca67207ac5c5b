#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>

#include "consumer/frame_unit.hpp"
#include "consumer/metrics.hpp"

namespace homeward::consumer {

/// "ams/shop": region and app of a message, as its subject has them; its stream's for any other.
std::string source_of(const FrameUnit& unit);

/// Sources, a region's app each, that bring more bad events in a batch than batch.bad_events_max.
/// Of a held source, messages with bad events go back to their stream; its other messages and all
/// other sources are written. A hold ends when the limit is raised, or when nothing bad has come
/// for longer than a message takes to come again. Any thread.
class SourceHolds {
  public:
    explicit SourceHolds(Metrics& metrics) : metrics_(metrics) {}

    /// Holds who has too many dead events in these units, and marks `give_back` on what of held
    /// sources has any. True if there were such.
    bool give_back_bad(Units& units, std::size_t bad_events_max);

  private:
    using SteadyClock = std::chrono::steady_clock;
    struct Hold {
        std::size_t bad_events_max;  ///< the limit that it exceeded
        SteadyClock::time_point seen;
    };
    struct Count {
        std::size_t bad = 0;
        const DeadEvent* first = nullptr;
    };

    void end_holds(std::size_t bad_events_max);
    void hold(const std::string& source, const Count& count, std::size_t bad_events_max);

    Metrics& metrics_;
    std::mutex mutex_;  // guards what follows
    std::map<std::string, Hold> holds_;
};

}  // namespace homeward::consumer
