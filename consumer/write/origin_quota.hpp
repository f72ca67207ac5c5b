#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>

#include "consumer/decode/message_work.hpp"
#include "consumer/ledger/origin_registry.hpp"
#include "consumer/metrics/metrics.hpp"

namespace homeward::consumer {

/// How many new origins a source (a region's app) may register within a minute:
/// ledger.new_origins_max. A source that reaches it is held: frames of its further new publishers
/// go back to their stream and are tried again. Its known publishers and all other sources are
/// written. Any thread.
///
/// Counted on the leader, so that all processes hold the same sources; what other processes
/// register between two counts may exceed the limit.
class OriginQuota {
  public:
    using Time = std::chrono::steady_clock::time_point;
    using Counts = std::map<std::string, std::size_t>;  // by source

    OriginQuota(std::size_t new_origins_max, Metrics& metrics)
        : new_origins_max_(new_origins_max), metrics_(metrics) {}

    /// Whether the last count is too old to judge by.
    bool is_due(Time now) const;
    /// What the leader registered within the last minute.
    void measured(Counts counts, Time now);
    /// Counts one more of the source. False: it has too many, and is held.
    bool admit(const std::string& source, Time now);
    /// Of sources that had room for all of their new origins for some time.
    void end_holds(Time now);

  private:
    void hold(const std::string& source, Time now);

    const std::size_t new_origins_max_;
    Metrics& metrics_;
    mutable std::mutex mutex_;  // guards what follows
    Counts counts_;
    Time measured_at_{};
    std::map<std::string, Time> refused_at_;  // by held source
};

/// Registers the origins of these frames, and marks `returned` on the frames of those that `quota`
/// has no room for. `quota` null: there is room for any. Throws LeaderError.
void register_origins(PgConnection& leader, OriginRegistry& origins, OriginQuota* quota,
                      Batch& batch);

}  // namespace homeward::consumer
