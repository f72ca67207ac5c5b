#include "consumer/metrics/metrics.hpp"

#include <algorithm>
#include <tuple>

namespace homeward::consumer {
namespace {

const std::vector<double> kSeconds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                   0.5,   1,      2.5,   5,    10,    60,   600, 3600};
/// Printed buckets of freshness: few enough for a Prometheus. Quantiles come from the fine ones.
const std::vector<double> kFreshnessShown{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                          0.25,  0.5,    1,     2.5,  5,     10,   30,
                                          60,    120,    300,   600,  1800,  3600, 21600};
const std::vector<double> kRows{1, 10, 100, 1'000, 2'500, 5'000, 10'000, 20'000, 50'000};

std::vector<double> fine_bounds() {
    constexpr double kStep = 1.05, kLast = 86'400;
    std::vector<double> bounds = kFreshnessShown;
    double bound = 0.001;
    while (bound < kLast * kStep) {
        bounds.push_back(bound);
        bound *= kStep;
    }
    std::sort(bounds.begin(), bounds.end());
    bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
    return bounds;
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}

void Histogram::observe(double value) {
    const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
    const auto index = static_cast<std::size_t>(bound - bounds_.begin());
    counts_[index].fetch_add(1, std::memory_order_relaxed);
    double sum = sum_.load(std::memory_order_relaxed);
    while (!sum_.compare_exchange_weak(sum, sum + value, std::memory_order_relaxed)) continue;
}

double Histogram::quantile(double q) const {
    std::uint64_t total = 0;
    for (const auto& count : counts_) total += count.load(std::memory_order_relaxed);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size() && total > 0; ++i) {
        seen += counts_[i].load(std::memory_order_relaxed);
        if (static_cast<double>(seen) >= q * static_cast<double>(total)) {
            return bounds_[std::min(i, bounds_.size() - 1)];
        }
    }
    return 0;
}

std::vector<std::uint64_t> Histogram::counts() const {
    std::vector<std::uint64_t> counts;
    for (const auto& count : counts_) counts.push_back(count.load(std::memory_order_relaxed));
    return counts;
}

Metrics::Metrics()
    : batch_rows(kRows),
      batch_delay_seconds(kSeconds),
      batch_seconds(kSeconds),
      decode_seconds(kSeconds),
      copy_seconds(kSeconds),
      commit_seconds(kSeconds) {}

Histogram& Metrics::freshness(const std::string& region, std::string_view kind) {
    const std::lock_guard lock(mutex_);
    const auto key = std::pair(region, std::string(kind));
    if (const auto found = freshness_.find(key); found != freshness_.end()) return found->second;
    return freshness_
        .emplace(std::piecewise_construct, std::forward_as_tuple(key),
                 std::forward_as_tuple(freshness_bounds()))
        .first->second;
}

Metrics::FreshnessSums Metrics::freshness_sums() const {
    const std::lock_guard lock(mutex_);
    FreshnessSums sums;
    for (const auto& [key, histogram] : freshness_) sums[key] = histogram.sum();
    return sums;
}

Metrics::FreshnessCounts Metrics::freshness_counts() const {
    const std::lock_guard lock(mutex_);
    FreshnessCounts counts;
    for (const auto& [key, histogram] : freshness_) counts[key] = histogram.counts();
    return counts;
}

const std::vector<double>& Metrics::freshness_bounds() {
    static const std::vector<double> kBounds = fine_bounds();
    return kBounds;
}

void Metrics::set_pending(const std::string& stream, std::uint64_t count) {
    const std::lock_guard lock(mutex_);
    backlogs_[stream].pending = count;
}

void Metrics::set_backlog(const std::string& stream, const Backlog& backlog) {
    const std::lock_guard lock(mutex_);
    backlogs_[stream] = backlog;
    StreamStatus& status = statuses_[stream];
    if (!status.is_up) status = {true, std::chrono::system_clock::now(), {}};
    status.last = backlog;
}

void Metrics::forget_backlog(const std::string& stream) {
    const std::lock_guard lock(mutex_);
    backlogs_.erase(stream);
    StreamStatus& status = statuses_[stream];
    if (status.is_up || status.since == std::chrono::system_clock::time_point{}) {
        status.since = std::chrono::system_clock::now();
    }
    status.is_up = false;
}

std::map<std::string, Metrics::StreamStatus> Metrics::stream_statuses() const {
    const std::lock_guard lock(mutex_);
    return statuses_;
}

std::map<std::string, Metrics::Backlog> Metrics::backlogs() const {
    const std::lock_guard lock(mutex_);
    return backlogs_;
}

void Metrics::count_events(const std::string& stream, std::uint64_t message_count,
                           std::uint64_t event_count) {
    const std::lock_guard lock(mutex_);
    Written& written = written_[stream];
    written.messages += static_cast<double>(message_count);
    written.events += static_cast<double>(event_count);
}

double Metrics::events_per_message(const std::string& stream) const {
    const std::lock_guard lock(mutex_);
    const auto written = written_.find(stream);
    if (written == written_.end() || written->second.messages == 0) return 0;
    return written->second.events / written->second.messages;
}

void Metrics::begin_hold(const std::string& kind, const std::string& name, const std::string& why) {
    const std::lock_guard lock(mutex_);
    const auto [hold, is_new] =
        holds_.try_emplace({kind, name}, Hold{kind, name, why, std::chrono::system_clock::now()});
    if (!is_new) hold->second.why = why;
}

void Metrics::end_hold(const std::string& kind, const std::string& name) {
    const std::lock_guard lock(mutex_);
    holds_.erase({kind, name});
}

std::vector<Metrics::Hold> Metrics::holds() const {
    const std::lock_guard lock(mutex_);
    std::vector<Hold> holds;
    for (const auto& [key, hold] : holds_) holds.push_back(hold);
    return holds;
}

const std::vector<double>& Metrics::freshness_shown() {
    return kFreshnessShown;
}

}  // namespace homeward::consumer
