#include "consumer/write/day_budget.hpp"

#include "consumer/write/source_holds.hpp"

namespace homeward::consumer {
namespace {

/// Bounds the memory; beyond it every source begins anew.
constexpr std::size_t kSourcesMax = 10'000;

}  // namespace

bool DayBudget::may_make(const std::string& source, std::size_t made, std::int64_t minute) {
    if (made >= kNewDaysMax) return false;
    if (spent_.size() >= kSourcesMax) spent_.clear();
    Spent& spent = spent_[source];
    if (spent.minute != minute) spent = {minute, 0};
    if (spent.days >= kNewDaysMax) return false;
    ++spent.days;
    return true;
}

std::vector<Refusal> DayBudget::refuse_beyond(Batch& batch, std::int64_t now_us) {
    constexpr std::int64_t kMinuteUs = 60'000'000;
    std::vector<Refusal> refused;
    TableDays granted;
    std::size_t made = 0;
    const std::int64_t free_from = day_of(now_us) - 1;
    for (MessageWork& work : batch) {
        if (work.is_skipped()) continue;
        for (std::size_t i = 0; i < work.events.size(); ++i) {
            const EventRow& event = work.events[i];
            const std::int64_t day = day_of(event.time_us);
            if (day >= free_from) continue;
            const EventType& type = catalog_.types()[static_cast<std::size_t>(event.type)];
            if (type.partitioning == Partitioning::none || partitions_.is_known(type, day))
                continue;
            if (granted[type.table].count(day) == 1) continue;
            if (may_make(source_of(work), made, now_us / kMinuteUs)) {
                granted[type.table].insert(day);
                ++made;
                continue;
            }
            refused.push_back(
                {{&work, i},
                 LeaderError("",
                             "its day has no partition, and its source has asked for " +
                                 std::to_string(kNewDaysMax) +
                                 " new ones within a minute; redrive it later",
                             "")});
        }
    }
    return refused;
}

}  // namespace homeward::consumer
