#include "consumer/service/day_packer.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace homeward::consumer {

std::int64_t DayPacker::move(PgConnection& leader, const std::string& type, const std::string& day,
                             std::int64_t first) {
    try {
        return leader
            .query("SELECT homeward.pack_rows($1, $2::date, $3, $4)",
                   {type, day, first, blocks_max_})
            .number(0, 0);
    } catch (const LeaderError& error) {
        if (error.sqlstate() == kQueryCanceled)
            blocks_max_ = std::max<std::int64_t>(blocks_max_ / 2, 1);
        throw;
    }
}

bool DayPacker::work(PgConnection& leader, const EventType& type) {
    // Late events come mostly within the hour, and a day is counted six hours after its end.
    const QueryResult days =
        leader.query("SELECT day, blocks FROM homeward.days_to_pack($1)", {type.name});
    for (int row = 0; row < days.rows(); ++row) {
        const std::string day(days.at(row, 0));
        const std::int64_t blocks = days.number(row, 1);
        Progress& progress = progress_[{type.name, day}];
        if (blocks == 0 || blocks == progress.blocks) continue;
        const std::int64_t moved = move(leader, type.name, day, progress.next);
        if (moved > 0) spdlog::info("packed {} rows of {} of {}", moved, type.name, day);
        progress.next += blocks_max_;
        if (progress.next >= blocks) progress = {0, blocks};
        return true;
    }
    return false;
}

}  // namespace homeward::consumer
