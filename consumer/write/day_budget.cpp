#include "consumer/write/day_budget.hpp"

#include <algorithm>

#include "consumer/write/source_holds.hpp"

namespace homeward::consumer {
namespace {

/// Bounds the memory; beyond it every source begins anew.
constexpr std::size_t kSourcesMax = 10'000;

}  // namespace

bool DayBudget::is_new(const EventRow& event, std::int64_t day) const {
    const EventType& type = catalog_.types()[static_cast<std::size_t>(event.type)];
    return type.partitioning == Partitioning::day && !partitions_.is_known(type, day);
}

DayBudget::Verdict DayBudget::judge(const std::string& source, Day day, std::int64_t minute) {
    if (of_batch_.count(day) == 1) return Verdict::granted;
    if (spent_.size() >= kSourcesMax) spent_.clear();
    Spent& spent = spent_[source];
    if (spent.minute != minute) spent = {minute, {}};
    const bool was_granted =
        std::find(spent.days.begin(), spent.days.end(), day) != spent.days.end();
    if (!was_granted && spent.days.size() >= kNewDaysMax) return Verdict::refused;
    if (of_batch_.size() >= kNewDaysMax) return Verdict::returned;
    if (!was_granted) spent.days.push_back(day);
    of_batch_.insert(day);
    return Verdict::granted;
}

void DayBudget::limit(MessageWork& work, std::int64_t now_us, Answer& answer) {
    constexpr std::int64_t kMinuteUs = 60'000'000;
    const std::int64_t free_from = day_of(now_us) - 1;
    for (std::size_t i = 0; i < work.events.size(); ++i) {
        const EventRow& event = work.events[i];
        const std::int64_t day = day_of(event.time_us);
        if (day >= free_from || !is_new(event, day)) continue;
        switch (judge(source_of(work), {event.type, day}, now_us / kMinuteUs)) {
            case Verdict::granted:
                break;
            case Verdict::returned:
                work.state = MessageWork::State::returned;
                answer.is_any_returned = true;
                return;
            case Verdict::refused:
                answer.refused.push_back(
                    {{&work, i},
                     LeaderError("",
                                 "its day has no partition, and its source has asked for " +
                                     std::to_string(kNewDaysMax) +
                                     " new ones within a minute; redrive it later",
                                 "")});
                break;
        }
    }
}

DayBudget::Answer DayBudget::limit(Batch& batch, std::int64_t now_us) {
    Answer answer;
    of_batch_.clear();
    for (MessageWork& work : batch) {
        if (!work.is_skipped()) limit(work, now_us, answer);
    }
    return answer;
}

}  // namespace homeward::consumer
