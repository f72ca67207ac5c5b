#include "publisher/forward/clock_watch.hpp"

namespace homeward::forward {
namespace {

using namespace std::chrono_literals;

/// Less may be the way of the message.
constexpr std::chrono::seconds kDifferenceMax = 5s;
constexpr auto kInterval = 10min;

}  // namespace

void ClockWatch::see(std::string_view region, std::chrono::microseconds sent_at) {
    const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    const auto ahead = std::chrono::duration_cast<std::chrono::seconds>(sent_at - now);
    if (ahead <= kDifferenceMax && ahead >= -kDifferenceMax) return;
    {
        const std::lock_guard lock(mutex_);
        const auto said = said_.find(region);
        if (said != said_.end() && Clock::now() - said->second < kInterval) return;
        said_.insert_or_assign(std::string(region), Clock::now());
    }
    const auto seconds = ahead.count() < 0 ? -ahead.count() : ahead.count();
    on_log_("the clock of region " + std::string(region) + " is " + std::to_string(seconds) +
            " s " + (ahead.count() < 0 ? "behind" : "ahead of") +
            " this machine's, or its messages travel that long; calls keep their deadlines all the"
            " same");
}

}  // namespace homeward::forward
