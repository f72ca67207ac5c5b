#include "consumer/source_holds.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "consumer/command_words.hpp"
#include "schemas/subject.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

/// Longer than a message that was given back stays away.
constexpr auto kQuietMin = 15min;
constexpr std::size_t kSampleBytesMax = 200;

/// What cannot be a row, now or ever; a parked event waits for its type.
std::size_t bad_events(const FrameUnit& unit) {
    return static_cast<std::size_t>(std::count_if(
        unit.dead.begin(), unit.dead.end(), [](const DeadEvent& dead) { return !dead.parked; }));
}

}  // namespace

std::string source_of(const FrameUnit& unit) {
    const auto subject = parse_subject(unit.pulled.message.subject);
    if (!subject) return unit.pulled.stream->region + "/?";
    return std::string(subject->region) + "/" + std::string(subject->app);
}

bool SourceHolds::give_back_bad(Units& units, std::size_t bad_events_max) {
    std::map<std::string, Count> counts;
    for (const FrameUnit& unit : units) {
        const std::size_t bad = unit.skip ? 0 : bad_events(unit);
        if (bad == 0) continue;
        Count& count = counts[source_of(unit)];
        count.bad += bad;
        if (count.first == nullptr) {
            count.first = &*std::find_if(unit.dead.begin(), unit.dead.end(),
                                         [](const DeadEvent& dead) { return !dead.parked; });
        }
    }
    const std::lock_guard lock(mutex_);
    if (!holds_.empty()) end_holds(bad_events_max);
    for (const auto& [source, count] : counts) {
        const bool is_held = holds_.count(source) == 1;
        if (is_held || count.bad > bad_events_max) hold(source, count, bad_events_max);
    }
    if (holds_.empty() || counts.empty()) return false;
    bool any = false;
    for (FrameUnit& unit : units) {
        if (unit.skip || bad_events(unit) == 0 || holds_.count(source_of(unit)) == 0) continue;
        any = unit.give_back = true;
    }
    return any;
}

void SourceHolds::end_holds(std::size_t bad_events_max) {
    const auto now = SteadyClock::now();
    for (auto hold = holds_.begin(); hold != holds_.end();) {
        const bool is_over =
            bad_events_max > hold->second.bad_events_max || now - hold->second.seen > kQuietMin;
        if (is_over) {
            metrics_.end_hold("source", hold->first);
            spdlog::info("{} is held no more", hold->first);
        }
        hold = is_over ? holds_.erase(hold) : std::next(hold);
    }
}

void SourceHolds::hold(const std::string& source, const Count& count, std::size_t bad_events_max) {
    const auto [hold, is_new] = holds_.try_emplace(source, Hold{bad_events_max, {}});
    hold->second.seen = SteadyClock::now();
    if (!is_new) return;
    const std::string why =
        std::to_string(count.bad) +
        " bad events in one batch, more than batch.bad_events_max; the first: " +
        count.first->reason + ": " + one_line(count.first->payload, kSampleBytesMax);
    metrics_.begin_hold("source", source, why);
    spdlog::error(
        "{} is held: {}; its messages with bad events wait in their streams, everything else is "
        "written; mend what sends them, or raise the limit to make dead letters of them",
        source, why);
}

}  // namespace homeward::consumer
