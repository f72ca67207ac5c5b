#include "consumer/write/dead_letter_quota.hpp"

#include <spdlog/spdlog.h>

#include "consumer/base/printed_commands.hpp"

namespace homeward::consumer {

DeadLetterQuota::Sum letters_of(const MessageWork& unit) {
    DeadLetterQuota::Sum sum;
    for (const DeadEvent& dead : unit.dead) {
        sum.add({1, dead.payload.size(), dead.parked ? 0u : 1u});
    }
    return sum;
}

void make_tombstones(MessageWork& unit, const std::string& reason) {
    for (const DeadEvent& dead : unit.dead) {
        unit.tombstones.push_back({dead.seq, dead.seq, reason});
    }
    unit.dead.clear();
}

bool return_what_exceeds_quota(Units& units, QuotaClaim& claim, Metrics& metrics) {
    DeadLetterQuota::Sum all;
    for (const MessageWork& unit : units) {
        if (!unit.is_skipped()) all.add(letters_of(unit));
    }
    if (all.letters == 0) return false;
    const bool fits = claim.set_letters(all);
    metrics.quota_full = !fits;
    if (fits) return false;
    bool any = false;
    for (MessageWork& unit : units) {
        if (unit.is_skipped() || unit.dead.empty()) continue;
        if (unit.pulled.stream->kind == StreamKind::metric) {
            make_tombstones(unit, "dead_letters_full");
        } else {
            unit.state = MessageWork::State::returned;
            any = true;
        }
    }
    if (any) {
        spdlog::error(
            "the dead letters are full (dead_letters.letters_max, .bytes_max): frames with bad "
            "events wait in their streams; see {}",
            command::kDeadLettersSources);
    }
    return any;
}

}  // namespace homeward::consumer
