#include "consumer/metrics/stage_clock.hpp"

#include <algorithm>
#include <numeric>

namespace homeward::consumer {
namespace {

using SteadyClock = std::chrono::steady_clock;

double seconds_since(SteadyClock::time_point since, SteadyClock::time_point now) {
    return std::chrono::duration<double>(now - since).count();
}

}  // namespace

std::string_view to_string(Stage stage) {
    constexpr std::array<std::string_view, kStages> kNames{"wait",   "decode", "copy",
                                                           "ledger", "commit", "retry"};
    return kNames[static_cast<std::size_t>(stage)];
}

double StageSeconds::sum() const {
    return std::accumulate(of.begin(), of.end(), 0.0);
}

StageSeconds operator-(const StageSeconds& after, const StageSeconds& before) {
    StageSeconds spent;
    for (std::size_t i = 0; i < kStages; ++i) {
        // What was moved between two looks may have been counted elsewhere at the first.
        spent.of[i] = std::max(after.of[i] - before.of[i], 0.0);
    }
    return spent;
}

void StageClock::settle(SteadyClock::time_point now) {
    if (running_) spent_.of[static_cast<std::size_t>(stage_)] += seconds_since(since_, now);
    since_ = now;
}

void StageClock::enter(Stage stage) {
    const std::lock_guard lock(mutex_);
    settle(SteadyClock::now());
    stage_ = stage;
    running_ = true;
}

void StageClock::move(Stage from, Stage to, double seconds) {
    const std::lock_guard lock(mutex_);
    settle(SteadyClock::now());
    double& source = spent_.of[static_cast<std::size_t>(from)];
    const double moved = std::clamp(seconds, 0.0, source);
    source -= moved;
    spent_.of[static_cast<std::size_t>(to)] += moved;
}

void StageClock::stop() {
    const std::lock_guard lock(mutex_);
    settle(SteadyClock::now());
    running_ = false;
}

StageSeconds StageClock::read() const {
    const std::lock_guard lock(mutex_);
    StageSeconds spent = spent_;
    if (running_) {
        spent.of[static_cast<std::size_t>(stage_)] += seconds_since(since_, SteadyClock::now());
    }
    return spent;
}

StageClock& StageClocks::add() {
    const std::lock_guard lock(mutex_);
    return clocks_.emplace_back();
}

StageSeconds StageClocks::read() const {
    const std::lock_guard lock(mutex_);
    StageSeconds sum;
    for (const StageClock& clock : clocks_) {
        const StageSeconds one = clock.read();
        for (std::size_t i = 0; i < kStages; ++i) sum.of[i] += one.of[i];
    }
    return sum;
}

}  // namespace homeward::consumer
