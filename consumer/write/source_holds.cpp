#include "consumer/write/source_holds.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "consumer/base/plain_text.hpp"
#include "consumer/base/printed_commands.hpp"
#include "schemas/nats/subject.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

/// Longer than the delay of a NAK.
constexpr auto kQuietMin = 15min;
constexpr std::size_t kSampleBytesMax = 200;

}  // namespace

std::string source_of(const MessageWork& work) {
    const auto subject = parse_subject(work.pulled.message.subject);
    if (!subject) return work.pulled.stream->region + "/?";
    return std::string(subject->region) + "/" + std::string(subject->app);
}

SourceHolds::Counts SourceHolds::count(const Batch& batch) {
    Counts counts;
    for (const MessageWork& work : batch) {
        if (work.is_skipped() || work.dead.empty()) continue;
        Count& count = counts[source_of(work)];
        count.sum.add(letters_of(work));
        for (const DeadEvent& dead : work.dead) {
            if (count.first == nullptr || (count.first->parked && !dead.parked)) {
                count.first = &dead;
            }
        }
    }
    return counts;
}

std::optional<SourceHolds::Cause> SourceHolds::find_cause(const std::string& source,
                                                          const DeadLetterQuota::Sum& sum,
                                                          std::size_t bad_events_max) const {
    if (sum.bad > bad_events_max) return Cause::flood;
    const std::size_t waiting_max = std::max(bad_events_max, config_.source_letters_max);
    if (sum.bad > 0 && room_.of(source).bad >= waiting_max) return Cause::waiting;
    if (!room_.fits_share(source, sum)) return Cause::share;
    return std::nullopt;
}

bool SourceHolds::return_bad(Batch& batch, std::size_t bad_events_max) {
    const Counts counts = count(batch);
    if (!counts.empty()) room_.await_measured();
    const std::lock_guard lock(mutex_);
    if (!holds_.empty()) end_holds(bad_events_max);
    for (const auto& [source, count] : counts) {
        const auto held = holds_.find(source);
        const auto cause = find_cause(source, count.sum, bad_events_max);
        if (held != holds_.end()) {
            held->second.seen = SteadyClock::now();
        } else if (cause) {
            hold(source, *cause, count, bad_events_max);
        }
    }
    if (holds_.empty()) return false;
    bool any = false;
    std::map<std::string, DeadLetterQuota::Sum> taken;
    for (MessageWork& work : batch) {
        if (work.is_skipped() || work.dead.empty()) continue;
        const std::string source = source_of(work);
        const auto held = holds_.find(source);
        const DeadLetterQuota::Sum sum = letters_of(work);
        // Parked events are no fault of their source's.
        if (held == holds_.end() || (sum.bad == 0 && held->second.cause != Cause::share)) continue;
        DeadLetterQuota::Sum& all = taken[source];
        const bool fits_held = room_.of(source).bad + all.bad < config_.source_letters_max;
        all.add(sum);
        if (fits_held && room_.fits_share(source, all)) continue;
        if (work.pulled.stream->kind == StreamKind::metric) {
            make_tombstones(work, "source_held");
        } else {
            work.state = MessageWork::State::returned;
            any = true;
        }
    }
    return any;
}

bool SourceHolds::is_lifted(const std::string& source, const Hold& hold,
                            std::size_t bad_events_max) const {
    if (SteadyClock::now() - hold.seen > kQuietMin) return true;
    if (hold.cause == Cause::share) return room_.fits_share(source, {1, 1, 0});
    if (hold.cause == Cause::flood) return bad_events_max > hold.bad_events_max;
    return room_.of(source).bad < std::max(bad_events_max, config_.source_letters_max);
}

void SourceHolds::end_holds(std::size_t bad_events_max) {
    for (auto hold = holds_.begin(); hold != holds_.end();) {
        const bool is_over = is_lifted(hold->first, hold->second, bad_events_max);
        if (is_over) {
            metrics_.end_hold("source", hold->first);
            spdlog::info("{} is held no more", hold->first);
        }
        hold = is_over ? holds_.erase(hold) : std::next(hold);
    }
}

void SourceHolds::hold(const std::string& source, Cause cause, const Count& count,
                       std::size_t bad_events_max) {
    holds_[source] = {cause, bad_events_max, SteadyClock::now()};
    const std::string bad =
        std::to_string(cause == Cause::flood ? count.sum.bad : room_.of(source).bad);
    std::string why =
        bad + (cause == Cause::flood ? " bad events in one batch, more than batch.bad_events_max"
                                     : " dead letters of it wait, as many as "
                                       "dead_letters.source_letters_max or batch.bad_events_max "
                                       "allow");
    if (cause == Cause::share) {
        why = "its dead letters take half of the room (dead_letters.letters_max, .bytes_max)";
    }
    why += "; the first: " + count.first->reason + ": " +
           one_line(count.first->payload, kSampleBytesMax);
    metrics_.begin_hold("source", source, why);
    spdlog::error(
        "{} is held: {}; when dead_letters.source_letters_max of its bad events wait as dead "
        "letters, its messages with more of them stay in their streams, and everything else is "
        "written; mend what sends them, see {}",
        source, why, command::kDeadLettersSources);
}

}  // namespace homeward::consumer
