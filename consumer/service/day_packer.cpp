#include "consumer/service/day_packer.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>

namespace homeward::consumer {
namespace {

/// Of a part that is too large for the statement's time, for memory, or for a value.
bool is_too_much(std::string_view sqlstate) {
    const std::string_view kind = sqlstate.substr(0, 2);
    return sqlstate == kQueryCanceled || kind == "53" || kind == "54";
}

}  // namespace

std::int64_t DayPacker::move(PgConnection& leader, const std::string& type, const std::string& day,
                             std::int64_t first) {
    const auto begun = std::chrono::steady_clock::now();
    try {
        const std::int64_t moved = leader
                                       .query("SELECT homeward.pack_rows($1, $2::date, $3, $4)",
                                              {type, day, first, blocks_max_})
                                       .number(0, 0);
        // What was slow for a while does not keep the parts small.
        const std::chrono::milliseconds timeout(config_.statement_timeout_ms);
        if (std::chrono::steady_clock::now() - begun < timeout / 8)
            blocks_max_ = std::min(blocks_max_ * 2, kBlocksMax);
        return moved;
    } catch (const LeaderError& error) {
        if (is_too_much(error.sqlstate())) blocks_max_ = std::max<std::int64_t>(blocks_max_ / 2, 1);
        throw;
    }
}

void DayPacker::work_on(PgConnection& leader, const EventType& type, const std::string& day,
                        const State& state, Progress& progress) {
    if (progress.next == 0) progress.counted_at = state.counted_at;
    const std::int64_t end = progress.next + blocks_max_;
    const std::int64_t moved = move(leader, type.name, day, progress.next);
    if (moved > 0) spdlog::info("packed {} rows of {} of {}", moved, type.name, day);
    progress.has_failed = false;
    progress.next = end;
    if (end < state.blocks) return;
    progress.next = 0;
    progress.done = {state.blocks, progress.counted_at};
}

bool DayPacker::work(PgConnection& leader, const EventType& type) {
    // Late events come mostly within the hour, and a day is counted six hours after its end.
    const QueryResult days =
        leader.query("SELECT day, blocks, counted_at FROM homeward.days_to_pack($1)", {type.name});
    for (const bool has_failed : {false, true}) {
        std::optional<LeaderError> failure;
        for (int row = 0; row < days.rows(); ++row) {
            const std::string day(days.at(row, 0));
            const State state{days.number(row, 1), std::string(days.at(row, 2))};
            Progress& progress = progress_[{type.name, day}];
            if (progress.has_failed != has_failed || state.blocks == 0 || state == progress.done)
                continue;
            try {
                work_on(leader, type, day, state, progress);
                return true;
            } catch (const LeaderError& error) {
                if (leader.is_broken()) throw;
                progress.has_failed = true;
                failure = error;
            }
        }
        if (failure) throw LeaderError(*failure);
    }
    return false;
}

}  // namespace homeward::consumer
