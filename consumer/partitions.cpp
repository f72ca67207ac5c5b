#include "consumer/partitions.hpp"

namespace homeward::consumer {

void Partitions::ensure(const EventType& type, std::int64_t time_us) {
    if (type.partitioning == Partitioning::none) return;
    constexpr std::int64_t kDayUs = 86'400'000'000;
    const std::int64_t day = time_us >= 0 ? time_us / kDayUs : (time_us - kDayUs + 1) / kDayUs;
    if (&type == last_type_ && day == last_day_) return;
    if (known_.count({type.table, day}) == 0) {
        if (!leader_ || leader_->is_broken()) leader_.emplace(config_.url, config_);
        leader_->query("SELECT homeward.ensure_partition($1, $2, date '1970-01-01' + $3::int4)",
                       {config_.event_schema, type.table, day});
        known_.insert({type.table, day});
    }
    last_type_ = &type;
    last_day_ = day;
}

void Partitions::forget() {
    known_.clear();
    last_type_ = nullptr;
    leader_.reset();
}

}  // namespace homeward::consumer
