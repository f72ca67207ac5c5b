#pragma once

#include <atomic>
#include <chrono>

#include "consumer/base/config.hpp"
#include "consumer/metrics/stage_clock.hpp"
#include "consumer/tune/leader_cpu.hpp"
#include "consumer/tune/scratch_schema.hpp"
#include "schemas/types/event_type.hpp"

namespace homeward::consumer {

/// One set of batch settings, to be met by events for a while.
struct TrialPlan {
    Config::Batch batch;
    double events_per_second = 0;  ///< 0: as many as the leader takes
    std::chrono::duration<double> time{1};
};

struct TrialResult {
    TrialPlan plan;
    double rows = 0;
    double batches = 0;
    double rows_per_second = 0;
    double fresh_p50_ms = 0;  ///< from a frame's arrival here until its COMMIT has come back
    double fresh_p99_ms = 0;
    double leader_cpu_s_per_million = 0;
    StageSeconds stages;

    /// Of the paced load less was written than came: its freshness says nothing.
    bool has_missed_load() const {
        return plan.events_per_second > 0 && rows_per_second < 0.9 * plan.events_per_second;
    }
    double batch_rows() const { return batches > 0 ? rows / batches : 0; }
};

/// Writes invented events with the parts that `run` writes with: batches by the same rule, decoded,
/// by binary COPY, settled and compacted by a ledger; only pulling and acknowledging are left out.
/// The first fifth of the time is not counted, as caches fill. Ends early when `stopping` is set.
/// Throws the LeaderError of the first writer that had one.
TrialResult run_trial(const TrialPlan& plan, const ScratchSchema& scratch, const EventType& type,
                      LeaderCpu& cpu, const std::atomic<bool>& stopping);

}  // namespace homeward::consumer
