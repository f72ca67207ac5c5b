#include "consumer/tune/advice.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "consumer/tune/plot.hpp"

namespace homeward::consumer {
namespace {

/// Trials of a few seconds differ by as much without any reason.
constexpr double kNoise = 0.1;
/// A saving of the leader's CPU below this is no reason to change a setting that works.
constexpr double kCpuWorthwhile = 0.25;

using Key = std::function<std::size_t(const TrialResult&)>;
using Value = std::function<double(const TrialResult&)>;

std::size_t rows_of(const TrialResult& trial) {
    return trial.plan.batch.rows_max;
}
std::size_t delay_of(const TrialResult& trial) {
    return trial.plan.batch.delay_ms;
}
std::size_t writers_of(const TrialResult& trial) {
    return trial.plan.batch.writers;
}

std::vector<std::size_t> tried(const std::vector<TrialResult>& trials, const Key& key) {
    std::set<std::size_t> values;
    for (const TrialResult& trial : trials) values.insert(key(trial));
    return {values.begin(), values.end()};
}

double most(const std::vector<TrialResult>& trials, const Value& value) {
    double result = 0;
    for (const TrialResult& trial : trials) result = std::max(result, value(trial));
    return result;
}

/// What one knob does while all others take turns: the mean at each of its settings.
struct Effect {
    std::size_t at_least = 0, at_most = 0;  ///< the settings with the least and the most of it
    double least = 0, most = 0;
    double ratio() const { return least > 0 ? most / least : 1; }
};
Effect effect(const std::vector<TrialResult>& trials, const Key& key, const Value& value) {
    std::map<std::size_t, std::pair<double, double>> sums;
    for (const TrialResult& trial : trials) {
        sums[key(trial)].first += value(trial);
        sums[key(trial)].second += 1;
    }
    Effect result;
    bool first = true;
    for (const auto& [setting, sum] : sums) {
        const double mean = sum.first / sum.second;
        if (first || mean < result.least) result.at_least = setting, result.least = mean;
        if (first || mean > result.most) result.at_most = setting, result.most = mean;
        first = false;
    }
    return result;
}

double rate(const TrialResult& trial) {
    return trial.rows_per_second;
}
double cpu(const TrialResult& trial) {
    return trial.leader_cpu_s_per_million;
}

std::string ratio_text(double ratio) {
    return std::to_string(std::lround(100 * (ratio - 1))) + " %";
}

std::string settings_text(const Config::Batch& batch) {
    return "rows_max " + std::to_string(batch.rows_max) + ", delay_ms " +
           std::to_string(batch.delay_ms) + ", writers " + std::to_string(batch.writers);
}

/// Fewest writers first, then smallest batches.
const TrialResult& cheapest_fast(const TuneResults& results) {
    const double enough = (1 - kNoise) * most(results.full, rate);
    const TrialResult* chosen = nullptr;
    for (const TrialResult& trial : results.full) {
        if (trial.rows_per_second < enough) continue;
        const auto order = [](const TrialResult& t) {
            return std::pair(writers_of(t), rows_of(t));
        };
        if (chosen == nullptr || order(trial) < order(*chosen)) chosen = &trial;
    }
    assert(chosen != nullptr && "the best is near itself");
    return *chosen;
}

std::size_t best_delay(const TuneResults& results, std::size_t rows_max, std::size_t writers) {
    std::vector<const TrialResult*> fresh;
    for (const std::size_t delay : results.delays_tried()) {
        const TrialResult* trial = results.paced_of(rows_max, delay, writers);
        if (trial != nullptr && trial->fresh_p99_ms <= results.fresh_max_ms) fresh.push_back(trial);
    }
    if (fresh.empty()) return results.delays_tried().front();
    double least = INFINITY;
    for (const TrialResult* trial : fresh) least = std::min(least, cpu(*trial));
    for (const TrialResult* trial : fresh) {
        if (cpu(*trial) <= (1 + kNoise) * least) return delay_of(*trial);
    }
    return delay_of(*fresh.front());
}

bool is_good_enough(const TuneResults& results, const Config::Batch& best) {
    const Config::Batch& now = results.current;
    const TrialResult* full = results.full_of(now.rows_max, now.writers);
    const TrialResult* paced = results.paced_of(now.rows_max, now.delay_ms, now.writers);
    const TrialResult* other = results.paced_of(best.rows_max, best.delay_ms, best.writers);
    if (full == nullptr || paced == nullptr || other == nullptr) return false;
    return full->rows_per_second >= (1 - kNoise) * most(results.full, rate) &&
           paced->fresh_p99_ms <= std::max(results.fresh_max_ms, other->fresh_p99_ms) &&
           cpu(*paced) <= (1 + kCpuWorthwhile) * cpu(*other);
}

std::string verdict(const TuneResults& results, const Advice& advice) {
    const TrialResult* full = results.full_of(results.current.rows_max, results.current.writers);
    const double share = full == nullptr ? 0 : full->rows_per_second / most(results.full, rate);
    const std::string have = settings_text(results.current) + " carry " +
                             std::to_string(std::lround(100 * share)) + " % of the most measured";
    if (advice.leave_alone) {
        return "Leave all settings as they are: " + have + ", and nothing else is worth a change.";
    }
    return "Worth a change: " + settings_text(advice.batch) + ". Now " + have + ".";
}

std::string throughput_sentence(const TuneResults& results) {
    const Effect writers = effect(results.full, writers_of, rate);
    const Effect rows = effect(results.full, rows_of, rate);
    const bool by_writers = writers.ratio() >= rows.ratio();
    const Effect& first = by_writers ? writers : rows;
    const Effect& second = by_writers ? rows : writers;
    const char* first_name = by_writers ? "writers" : "rows_max";
    const char* second_name = by_writers ? "rows_max" : "writers";
    if (first.ratio() < 1 + kNoise) {
        return "Throughput: neither writers nor rows_max matters here; what was tried lies "
               "within " +
               ratio_text(first.ratio()) + ".";
    }
    return std::string("Throughput: ") + first_name + " matters most; " +
           std::to_string(first.at_most) + " instead of " + std::to_string(first.at_least) +
           " carries " + ratio_text(first.ratio()) + " more. " + second_name + " makes up to " +
           ratio_text(second.ratio()) + ".";
}

std::string freshness_sentence(const TuneResults& results) {
    const Effect fresh =
        effect(results.paced, delay_of, [](const TrialResult& t) { return t.fresh_p99_ms; });
    return "Freshness at " + short_number(results.load) + " events/s: p99 is " +
           short_number(fresh.least) + " ms with delay_ms " + std::to_string(fresh.at_least) +
           ", and " + short_number(fresh.most) + " ms with " + std::to_string(fresh.at_most) +
           "; that is from arrival at the consumer, so publisher and network come on top.";
}

std::string cpu_sentence(const TuneResults& results) {
    const Effect delay = effect(results.paced, delay_of, cpu);
    const std::string load = "Leader CPU at " + short_number(results.load) + " events/s: ";
    if (delay.ratio() < 1 + kNoise) {
        return load + "delay_ms makes no difference, as batches are large enough without it.";
    }
    return load + "a million rows cost " + short_number(delay.most) + " s with delay_ms " +
           std::to_string(delay.at_most) + ", and " + short_number(delay.least) + " s with " +
           std::to_string(delay.at_least) + ".";
}

}  // namespace

const TrialResult* TuneResults::full_of(std::size_t rows_max, std::size_t writers) const {
    const auto found = std::find_if(full.begin(), full.end(), [&](const TrialResult& trial) {
        return rows_of(trial) == rows_max && writers_of(trial) == writers;
    });
    return found == full.end() ? nullptr : &*found;
}

const TrialResult* TuneResults::paced_of(std::size_t rows_max, std::size_t delay_ms,
                                         std::size_t writers) const {
    const auto found = std::find_if(paced.begin(), paced.end(), [&](const TrialResult& trial) {
        return rows_of(trial) == rows_max && delay_of(trial) == delay_ms &&
               writers_of(trial) == writers;
    });
    return found == paced.end() ? nullptr : &*found;
}

std::vector<std::size_t> TuneResults::rows_tried() const {
    return tried(full, rows_of);
}
std::vector<std::size_t> TuneResults::delays_tried() const {
    return tried(paced, delay_of);
}
std::vector<std::size_t> TuneResults::writers_tried() const {
    return tried(full, writers_of);
}

Advice advise(const TuneResults& results) {
    Advice advice;
    advice.batch = results.current;
    const TrialResult& fast = cheapest_fast(results);
    advice.batch.rows_max = rows_of(fast);
    advice.batch.writers = writers_of(fast);
    advice.batch.delay_ms = best_delay(results, rows_of(fast), writers_of(fast));
    advice.leave_alone = is_good_enough(results, advice.batch);
    if (advice.leave_alone) advice.batch = results.current;
    advice.sentences = {verdict(results, advice), throughput_sentence(results),
                        freshness_sentence(results), cpu_sentence(results)};
    return advice;
}

}  // namespace homeward::consumer
