#pragma once

#include <string>
#include <vector>

#include "consumer/tune/spread.hpp"
#include "consumer/tune/trial.hpp"

namespace homeward::consumer {

/// Everything that was measured on one leader.
struct TuneResults {
    Config::Batch current;
    double load = 0;                ///< events a second at which `paced` was measured
    double fresh_max_ms = 0;        ///< p99 that the user accepts; 0: no worse than it is now
    std::vector<TrialResult> full;  ///< rows × writers, as fast as it goes; a full batch waits for
                                    ///< no delay. The mean of its rounds, as in `paced`
    std::vector<TrialResult> paced;  ///< rows × delay × writers, at that load
    Spread full_rate, full_cpu, paced_fresh, paced_cpu;
    std::string cpu_source;
    std::string leader;  ///< its version
    std::string type;
    bool is_packed = false;  ///< how the type is stored

    /// Of the trial with these settings; nullptr if there was none.
    const TrialResult* full_of(std::size_t rows_max, std::size_t writers) const;
    const TrialResult* paced_of(std::size_t rows_max, std::size_t delay_ms,
                                std::size_t writers) const;
    /// The settings that were tried, ascending.
    std::vector<std::size_t> rows_tried() const;
    std::vector<std::size_t> delays_tried() const;
    std::vector<std::size_t> writers_tried() const;
};

/// Takes in what was measured: `trials[setting][round]`. A setting of which a round has committed
/// nothing is left out.
void add_full(TuneResults& results, const std::vector<std::vector<TrialResult>>& trials);
void add_paced(TuneResults& results, const std::vector<std::vector<TrialResult>>& trials);

/// What follows from it.
struct Advice {
    Config::Batch batch;
    bool leave_alone = false;
    bool is_unsure = false;  ///< the noise would hide what is worth a change; then it is left alone
    /// For a person: the verdict first, then what each knob does here.
    std::vector<std::string> sentences;
};

/// One setting, or none. It is better than the one in force by more than the noise and by enough to
/// matter: in throughput, in the leader's CPU, or in freshness where the one in force misses what
/// is wanted; it is worse in none of them by more than 5%,
/// or than the noise where that is more (up to 25%); and it has kept up with the load. Of
/// several such that cannot be told apart, the one with the fewest changes. Needs at least one
/// trial of each kind.
Advice advise(const TuneResults& results);

}  // namespace homeward::consumer
