#include "tests/bench/support/latency.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <thread>

namespace homeward::bench {

TickScale::TickScale() {
    using Clock = std::chrono::steady_clock;
    const auto began = Clock::now();
    const std::uint64_t first = ticks_now();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const auto took = std::chrono::duration<double, std::nano>(Clock::now() - began).count();
    ns_per_tick = took / static_cast<double>(ticks_now() - first);

    LatencyHistogram empty;
    for (int i = 0; i < 200'000; ++i) {
        const std::uint64_t before = ticks_before();
        empty.add(ticks_after() - before);
    }
    step_ticks = empty.step();
    cost_ns = empty.quantile(0.5, step_ticks) * ns_per_tick;
}

double TickScale::quantile_ns(const LatencyHistogram& calls, double q) const {
    return std::max(calls.quantile(q, step_ticks) * ns_per_tick - cost_ns, 0.0);
}

std::size_t LatencyHistogram::index_of(std::uint64_t ticks) {
    if (ticks < kExact) return ticks;
    const auto octave = static_cast<std::size_t>(std::bit_width(ticks / kExact) - 1);
    if (octave >= kOctaves) return kExact + kSteps * kOctaves - 1;
    const std::uint64_t step = (ticks >> octave) / (kExact / kSteps) - kSteps;
    return kExact + octave * kSteps + step;
}

std::uint64_t LatencyHistogram::upper_end(std::size_t index) {
    if (index < kExact) return index;
    const std::size_t octave = (index - kExact) / kSteps;
    const std::size_t step = (index - kExact) % kSteps;
    return ((kSteps + step + 1) * (kExact / kSteps) << octave) - 1;
}

void LatencyHistogram::add(std::uint64_t ticks) {
    ++counts_[index_of(ticks)];
    ++count_;
    max_ = std::max(max_, ticks);
}

void LatencyHistogram::merge(const LatencyHistogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
}

double LatencyHistogram::count_below(double ticks, double step_ticks) const {
    double below = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        if (counts_[i] == 0) continue;
        const double begin = static_cast<double>(upper_end(i)) - step_ticks / 2;
        if (begin >= ticks) break;
        below += counts_[i] * std::min((ticks - begin) / step_ticks, 1.0);
    }
    return below;
}

double LatencyHistogram::quantile(double q, std::uint64_t step_ticks) const {
    const double wanted = q * static_cast<double>(count_);
    double low = 0;
    double high = static_cast<double>(max_ + step_ticks);
    while (high - low > 0.1) {
        const double middle = (low + high) / 2;
        (count_below(middle, static_cast<double>(step_ticks)) < wanted ? low : high) = middle;
    }
    return std::min(high, static_cast<double>(max_));
}

std::uint64_t LatencyHistogram::step() const {
    constexpr double kOften = 0.001;
    std::uint64_t step = 0;
    std::uint64_t last = 0;
    for (std::size_t i = 0; i < kExact; ++i) {
        if (counts_[i] < kOften * static_cast<double>(count_)) continue;
        if (last > 0) step = step == 0 ? i - last : std::min(step, i - last);
        last = i;
    }
    return std::max<std::uint64_t>(step, 1);
}

}  // namespace homeward::bench
