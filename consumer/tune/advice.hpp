#pragma once

#include <string>
#include <vector>

#include "consumer/tune/trial.hpp"

namespace homeward::consumer {

/// Everything that was measured on one leader.
struct TuneResults {
    Config::Batch current;
    double load = 0;                ///< events a second at which `paced` was measured
    double fresh_max_ms = 0;        ///< what the user wants at p99
    std::vector<TrialResult> full;  ///< rows × writers, as fast as it goes; a full batch waits for
                                    ///< no delay
    std::vector<TrialResult> paced;  ///< rows × delay × writers, at that load
    std::string cpu_source;
    std::string leader;  ///< its version
    std::string type;

    /// Of the trial with these settings; nullptr if there was none.
    const TrialResult* full_of(std::size_t rows_max, std::size_t writers) const;
    const TrialResult* paced_of(std::size_t rows_max, std::size_t delay_ms,
                                std::size_t writers) const;
    /// The settings that were tried, ascending.
    std::vector<std::size_t> rows_tried() const;
    std::vector<std::size_t> delays_tried() const;
    std::vector<std::size_t> writers_tried() const;
};

/// What follows from it.
struct Advice {
    Config::Batch batch;
    bool leave_alone = false;
    /// For a person: the verdict first, then what each knob does here.
    std::vector<std::string> sentences;
};

/// The fewest writers and the smallest batches that come near the best throughput; then the
/// shortest delay that comes near the least leader CPU while p99 stays within bounds. Settings that
/// are as good as that within the noise are left alone. Needs at least one trial of each kind.
Advice advise(const TuneResults& results);

}  // namespace homeward::consumer
