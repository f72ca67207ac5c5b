#include "consumer/tune/advice.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <tuple>

#include "consumer/tune/plot.hpp"

namespace homeward::consumer {
namespace {

/// Gains below these are no reason to change a setting that works, however sure they are.
constexpr double kRateWorthwhile = 1.1;
constexpr double kCpuWorthwhile = 1.25;
/// What a change may cost in throughput or freshness; where the noise is more, what it hides.
constexpr double kLossMax = 1.05;
/// Noise that hides a difference of this much hides what is worth a change.
constexpr double kUnsureRatio = 1.25;

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

/// Of what can be too small to be measured.
double positive(double value) {
    return std::max(value, 1e-3);
}

std::string ratio_text(double ratio) {
    return std::to_string(std::lround(100 * (ratio - 1))) + " %";
}

std::string settings_text(const Config::Batch& batch) {
    return "rows_max " + std::to_string(batch.rows_max) + ", delay_ms " +
           std::to_string(batch.delay_ms) + ", writers " + std::to_string(batch.writers);
}

/// A setting in both its trials.
struct Candidate {
    const TrialResult* full;
    const TrialResult* paced;
};

std::size_t changes(const Candidate& candidate, const Config::Batch& current) {
    const Config::Batch& batch = candidate.paced->plan.batch;
    return (batch.rows_max == current.rows_max ? 0u : 1u) +
           (batch.delay_ms == current.delay_ms ? 0u : 1u) +
           (batch.writers == current.writers ? 0u : 1u);
}

double loss_max(const Spread& spread) {
    return std::clamp(spread.least_ratio, kLossMax, kUnsureRatio);
}

bool is_worth_it(const TuneResults& results, const Candidate& now, const Candidate& other) {
    const double wanted = results.fresh_max_ms;
    const double rate_gain = rate(*other.full) / rate(*now.full);
    const double fresh_loss = other.paced->fresh_p99_ms / now.paced->fresh_p99_ms;
    const bool is_fresh =
        fresh_loss <= loss_max(results.paced_fresh) || other.paced->fresh_p99_ms <= wanted;
    const bool is_slower = rate_gain < 1 / loss_max(results.full_rate);
    if (other.paced->has_missed_load() || !is_fresh || is_slower) return false;
    if (rate_gain > std::max(results.full_rate.least_ratio, kRateWorthwhile)) return true;
    // A setting that keeps up, where the one in force does not.
    if (now.paced->has_missed_load()) return true;
    const bool misses_wanted = wanted > 0 && now.paced->fresh_p99_ms > wanted;
    if (misses_wanted && other.paced->fresh_p99_ms <= wanted &&
        1 / fresh_loss > results.paced_fresh.least_ratio) {
        return true;
    }
    const double cpu_gain = cpu(*now.paced) / std::max(cpu(*other.paced), 1e-9);
    return cpu_gain > std::max(results.paced_cpu.least_ratio, kCpuWorthwhile);
}

/// Those that are worth a change and cannot be told from the best of them: by throughput, then by
/// the leader's CPU.
std::vector<Candidate> best_of(const TuneResults& results, std::vector<Candidate> candidates) {
    const auto keep = [&](const auto& badness, double ratio) {
        double least = INFINITY;
        for (const Candidate& one : candidates) least = std::min(least, badness(one));
        candidates.erase(
            std::remove_if(candidates.begin(), candidates.end(),
                           [&](const Candidate& one) { return badness(one) > ratio * least; }),
            candidates.end());
    };
    keep([](const Candidate& one) { return 1 / rate(*one.full); },
         std::max(results.full_rate.least_ratio, kRateWorthwhile));
    keep([](const Candidate& one) { return std::max(cpu(*one.paced), 1e-9); },
         std::max(results.paced_cpu.least_ratio, kCpuWorthwhile));
    return candidates;
}

/// nullptr: nothing is worth a change, or the setting in force could not be measured.
const TrialResult* find_change(const TuneResults& results) {
    const Config::Batch& current = results.current;
    const Candidate now{results.full_of(current.rows_max, current.writers),
                        results.paced_of(current.rows_max, current.delay_ms, current.writers)};
    std::vector<Candidate> candidates;
    for (const TrialResult& paced : results.paced) {
        const Candidate other{results.full_of(rows_of(paced), writers_of(paced)), &paced};
        if (other.full == nullptr) continue;
        const bool is_unmeasured = now.full == nullptr || now.paced == nullptr;
        if (is_unmeasured ? !paced.has_missed_load() : is_worth_it(results, now, other)) {
            candidates.push_back(other);
        }
    }
    if (candidates.empty()) return nullptr;
    candidates = best_of(results, std::move(candidates));
    const auto order = [&](const Candidate& one) {
        return std::tuple(changes(one, current), writers_of(*one.paced), rows_of(*one.paced),
                          delay_of(*one.paced));
    };
    return std::min_element(candidates.begin(), candidates.end(),
                            [&](const auto& a, const auto& b) { return order(a) < order(b); })
        ->paced;
}

std::string verdict(const TuneResults& results, const Advice& advice) {
    const TrialResult* full = results.full_of(results.current.rows_max, results.current.writers);
    const double share = full == nullptr ? 0 : rate(*full) / most(results.full, rate);
    const std::string have = settings_text(results.current) + " carry " +
                             std::to_string(std::lround(100 * share)) + " % of the most measured";
    if (advice.is_unsure) {
        return "Cannot tell on this machine now: two settings must differ by " +
               ratio_text(results.full_rate.least_ratio) +
               " to be told apart. Leave all settings as they are; measure again when the machine "
               "has less else to do, or for longer (--seconds).";
    }
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
    const double matters = std::max(results.full_rate.least_ratio, kRateWorthwhile);
    if (first.ratio() < matters) {
        return "Throughput: neither writers nor rows_max matters here; what was tried lies "
               "within " +
               ratio_text(first.ratio()) + ", and less than " + ratio_text(matters) +
               " is no difference.";
    }
    return std::string("Throughput: ") + first_name + " matters most; " +
           std::to_string(first.at_most) + " instead of " + std::to_string(first.at_least) +
           " carries " + ratio_text(first.ratio()) + " more. " + second_name +
           (second.ratio() < matters ? " makes no difference that can be told."
                                     : " makes up to " + ratio_text(second.ratio()) + ".");
}

/// Settings that kept up; all, if none did.
std::vector<TrialResult> kept_up(const TuneResults& results) {
    std::vector<TrialResult> kept;
    for (const TrialResult& trial : results.paced) {
        if (!trial.has_missed_load()) kept.push_back(trial);
    }
    return kept.empty() ? results.paced : kept;
}

std::string freshness_sentence(const TuneResults& results) {
    const Effect fresh =
        effect(kept_up(results), delay_of, [](const TrialResult& t) { return t.fresh_p99_ms; });
    const std::string at = "Freshness at " + short_number(results.load) + " events/s: p99 is ";
    const std::string from =
        "; that is from arrival at the consumer, so publisher and network come on top.";
    if (fresh.ratio() < results.paced_fresh.least_ratio) {
        return at + short_number(fresh.least) + " to " + short_number(fresh.most) +
               " ms, and delay_ms makes no difference that can be told" + from;
    }
    return at + short_number(fresh.least) + " ms with delay_ms " + std::to_string(fresh.at_least) +
           ", and " + short_number(fresh.most) + " ms with " + std::to_string(fresh.at_most) + from;
}

std::string cpu_sentence(const TuneResults& results) {
    const Effect delay = effect(kept_up(results), delay_of, cpu);
    const std::string load = "Leader CPU at " + short_number(results.load) + " events/s: ";
    if (delay.ratio() < std::max(results.paced_cpu.least_ratio, kRateWorthwhile)) {
        return load + "delay_ms makes no difference that can be told.";
    }
    return load + "a million rows cost " + short_number(delay.most) + " s with delay_ms " +
           std::to_string(delay.at_most) + ", and " + short_number(delay.least) + " s with " +
           std::to_string(delay.at_least) + ".";
}

/// The mean of a setting's rounds; geometric where ratios count.
TrialResult mean_of(const std::vector<TrialResult>& rounds) {
    TrialResult mean = rounds.front();
    mean.rows = mean.batches = 0;
    mean.stages = {};
    double rate_log = 0, fresh50_log = 0, fresh99_log = 0, cpu_log = 0;
    for (const TrialResult& one : rounds) {
        mean.rows += one.rows;
        mean.batches += one.batches;
        for (std::size_t i = 0; i < kStages; ++i) mean.stages.of[i] += one.stages.of[i];
        rate_log += std::log(positive(one.rows_per_second));
        fresh50_log += std::log(positive(one.fresh_p50_ms));
        fresh99_log += std::log(positive(one.fresh_p99_ms));
        cpu_log += std::log(positive(one.leader_cpu_s_per_million));
    }
    const auto count = static_cast<double>(rounds.size());
    mean.rows_per_second = std::exp(rate_log / count);
    mean.fresh_p50_ms = std::exp(fresh50_log / count);
    mean.fresh_p99_ms = std::exp(fresh99_log / count);
    mean.leader_cpu_s_per_million = std::exp(cpu_log / count);
    return mean;
}

using Trials = std::vector<std::vector<TrialResult>>;

Trials whole_settings(const Trials& trials) {
    Trials whole;
    for (const auto& rounds : trials) {
        const bool is_whole = !rounds.empty() &&
                              std::all_of(rounds.begin(), rounds.end(), [](const TrialResult& one) {
                                  return one.batches > 0 && one.rows_per_second > 0;
                              });
        if (is_whole) whole.push_back(rounds);
    }
    return whole;
}

Spread spread_in(const Trials& trials, const Value& value) {
    std::vector<std::vector<double>> values;
    for (const auto& rounds : trials) {
        values.emplace_back();
        for (const TrialResult& one : rounds) values.back().push_back(positive(value(one)));
    }
    return spread_of(values);
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

void add_full(TuneResults& results, const std::vector<std::vector<TrialResult>>& trials) {
    const Trials whole = whole_settings(trials);
    for (const auto& rounds : whole) results.full.push_back(mean_of(rounds));
    results.full_rate = spread_in(whole, rate);
    results.full_cpu = spread_in(whole, cpu);
}

void add_paced(TuneResults& results, const std::vector<std::vector<TrialResult>>& trials) {
    const Trials whole = whole_settings(trials);
    for (const auto& rounds : whole) results.paced.push_back(mean_of(rounds));
    results.paced_fresh = spread_in(whole, [](const TrialResult& t) { return t.fresh_p99_ms; });
    results.paced_cpu = spread_in(whole, cpu);
}

Advice advise(const TuneResults& results) {
    Advice advice;
    const TrialResult* const change = find_change(results);
    advice.leave_alone = change == nullptr;
    advice.is_unsure = advice.leave_alone && results.full_rate.least_ratio > kUnsureRatio;
    advice.batch = change == nullptr ? results.current : change->plan.batch;
    advice.sentences = {verdict(results, advice), throughput_sentence(results),
                        freshness_sentence(results), cpu_sentence(results)};
    return advice;
}

}  // namespace homeward::consumer
