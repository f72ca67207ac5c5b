#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "consumer/base/config.hpp"
#include "consumer/decode/message_work.hpp"
#include "consumer/metrics/metrics.hpp"
#include "consumer/write/dead_letter_quota.hpp"

namespace homeward::consumer {

/// "ams/shop": region and app of a message, as its subject has them; its stream's for any other.
std::string source_of(const MessageWork& work);

/// Sources, a region's app each, that bring too many bad events. Of a held source, the first
/// dead_letters.source_letters_max that wait are dead letters; beyond these, its metric events are
/// only counted, and all other messages with bad events go back to their stream. Its messages
/// without any, and all other sources, are written. Any thread.
///
/// All but a flood within one batch is judged by what waits on the leader, and so alike by every
/// process.
class SourceHolds {
  public:
    SourceHolds(const Config::DeadLetters& config, DeadLetterQuota& room, Metrics& metrics)
        : config_(config), room_(room), metrics_(metrics) {}

    /// Holds who has too many dead events in these messages, and marks `returned` on what of held
    /// sources finds no room. True if there were such.
    bool return_bad(Batch& batch, std::size_t bad_events_max);

  private:
    using SteadyClock = std::chrono::steady_clock;
    enum class Cause : unsigned char {
        flood,    ///< more than batch.bad_events_max in one batch; until that is raised
        waiting,  ///< more than that, and than source_letters_max, wait on the leader
        share,    ///< its dead letters take half of the room for all
    };
    struct Hold {
        Cause cause;
        std::size_t bad_events_max;  ///< when it began
        SteadyClock::time_point seen;
    };
    struct Count {
        DeadLetterQuota::Sum sum;
        const DeadEvent* first = nullptr;
    };
    using Counts = std::map<std::string, Count>;

    static Counts count(const Batch& batch);
    std::optional<Cause> find_cause(const std::string& source, const DeadLetterQuota::Sum& sum,
                                    std::size_t bad_events_max) const;
    bool is_lifted(const std::string& source, const Hold& hold, std::size_t bad_events_max) const;
    void end_holds(std::size_t bad_events_max);
    void hold(const std::string& source, Cause cause, const Count& count,
              std::size_t bad_events_max);

    const Config::DeadLetters& config_;
    DeadLetterQuota& room_;
    Metrics& metrics_;
    std::mutex mutex_;  // guards what follows
    std::map<std::string, Hold> holds_;
};

}  // namespace homeward::consumer
