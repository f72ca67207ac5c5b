#include "consumer/pull/return_schedule.hpp"

#include <algorithm>

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kReturnFirst = 1s;
constexpr std::chrono::milliseconds kReturnMax = 5min;
/// Without a return for so long, the next one is the first of others.
constexpr auto kPause = 2 * kReturnMax;
/// A new message waits for no more than a quarter of this behind a burst.
constexpr std::chrono::milliseconds kBurstInterval = 200ms;
/// However many wait. Beyond it they share the last burst.
constexpr std::size_t kBurstsMax = 1h / kBurstInterval;
/// What is returned gets one part in so many.
constexpr double kParts = 4;
/// Messages a second, as long as nobody knows how many the writers can finish.
constexpr double kRateUnknown = 2'000;
constexpr double kRateMin = 40;
/// A measurement takes so many batches and so long, without a pause.
constexpr std::size_t kBatchesMin = 4;
constexpr auto kMeasureTime = 250ms;
/// While the streams have nothing more, the rate may have risen again: by so much a second.
constexpr double kGrowth = 1.1;
constexpr auto kGrowthInterval = 1s;

}  // namespace

ReturnSchedule::ReturnSchedule() : rate_(kRateUnknown), rate_max_(kRateUnknown) {}

std::size_t ReturnSchedule::places_per_burst() const {
    const double seconds = std::chrono::duration<double>(kBurstInterval).count();
    return std::max<std::size_t>(static_cast<std::size_t>(rate_ * seconds / kParts), 1);
}

/// Doubles, as does the time since the first return.
std::chrono::milliseconds ReturnSchedule::backoff(std::uint64_t deliveries,
                                                  SteadyClock::time_point now) {
    if (!returned_ || now - *returned_ > kPause) returns_began_ = now;
    returned_ = now;
    const auto doublings = std::clamp<std::uint64_t>(deliveries, 1, 10) - 1;
    const auto since_first = std::chrono::ceil<std::chrono::milliseconds>(now - returns_began_);
    return std::min({kReturnFirst * (1u << doublings), kReturnFirst + since_first, kReturnMax});
}

std::chrono::milliseconds ReturnSchedule::place(std::uint64_t deliveries,
                                                SteadyClock::time_point now) {
    const std::lock_guard lock(mutex_);
    while (!taken_.empty() && first_ < now) {
        taken_.pop_front();
        first_ += kBurstInterval;
    }
    if (taken_.empty()) first_ = now;
    const auto wanted = now + backoff(deliveries, now) - first_;
    auto burst = static_cast<std::size_t>((wanted + kBurstInterval - 1ns) / kBurstInterval);
    const std::size_t places = places_per_burst();
    while (burst < kBurstsMax && burst < taken_.size() && taken_[burst] >= places) ++burst;
    if (burst >= taken_.size()) taken_.resize(burst + 1);
    ++taken_[burst];
    return std::chrono::ceil<std::chrono::milliseconds>(
        first_ + static_cast<int>(burst) * kBurstInterval - now);
}

void ReturnSchedule::finished(std::size_t messages, bool has_more, SteadyClock::time_point now) {
    const std::lock_guard lock(mutex_);
    if (has_more) return measure(messages, now);
    batches_ = 0;
    if (now - grown_ < kGrowthInterval) return;
    grown_ = now;
    rate_ = std::min(rate_ * kGrowth, rate_max_);
}

/// From the end of one batch to the end of another, without any in between that emptied its stream.
void ReturnSchedule::measure(std::size_t messages, SteadyClock::time_point now) {
    if (batches_++ == 0) {
        messages_ = 0;
        begun_ = now;
        return;
    }
    messages_ += messages;
    const auto took = now - begun_;
    if (batches_ <= kBatchesMin || took < kMeasureTime) return;
    const double measured =
        static_cast<double>(messages_) / std::chrono::duration<double>(took).count();
    // Down at once, since others wait; up in steps.
    rate_ = std::max(std::min(measured, (rate_ + measured) / 2), kRateMin);
    rate_max_ = std::max(rate_max_, rate_);
    grown_ = begun_ = now;
    batches_ = 1;
    messages_ = 0;
}

}  // namespace homeward::consumer
