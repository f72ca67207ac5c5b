#include "consumer/pull/fetch_ahead.hpp"

#include <algorithm>

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::duration<double> kAheadTime = 15s;
constexpr auto kRateWindow = 1s;
/// A window without a commit is that of one slow transaction, and goes on until it has ended; with
/// so long a one the leader takes nothing.
constexpr auto kStandstill = 15s;
/// However slow the leader is.
constexpr std::size_t kMessagesMin = 16;
/// As long as nobody knows how fast it is.
constexpr std::size_t kMessagesUnknown = 1'024;

}  // namespace

std::size_t FetchAhead::messages_max() const {
    if (!messages_per_second_) return std::min(kMessagesUnknown, limit_);
    const double in_time = *messages_per_second_ * kAheadTime.count();
    const auto messages = static_cast<std::size_t>(std::min(in_time, 1e9));
    return std::min(std::max(messages, kMessagesMin), limit_);
}

void FetchAhead::measure(SteadyClock::time_point now, std::size_t unfinished) {
    const auto elapsed = now - since_;
    // The first look need not wait: what was committed already tells enough.
    const bool tells_enough = !messages_per_second_ && finished_ >= kMessagesUnknown;
    if (elapsed < kRateWindow && !tells_enough) return;
    if (finished_ == 0 && unfinished > 0 && elapsed < kStandstill) return;
    const std::chrono::duration<double> window = std::max<SteadyClock::duration>(elapsed, 10ms);
    const double rate = static_cast<double>(finished_) / window.count();
    // Only while there is enough to do does the rate tell what the leader can take.
    const std::size_t enough = std::min(messages_max(), kMessagesUnknown);
    const bool is_busy = unfinished >= enough / 2 || finished_ >= enough;
    if (is_busy) {
        // Up at once: what it took, it can take.
        messages_per_second_ = std::max(rate, (messages_per_second_.value_or(rate) + rate) / 2);
    } else {
        messages_per_second_.reset();
    }
    since_ = now;
    finished_ = 0;
}

}  // namespace homeward::consumer
