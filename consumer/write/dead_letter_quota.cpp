#include "consumer/write/dead_letter_quota.hpp"

#include <spdlog/spdlog.h>

#include "consumer/base/printed_commands.hpp"

namespace homeward::consumer {

DeadLetterQuota::Sum letters_of(const MessageWork& work) {
    DeadLetterQuota::Sum sum;
    for (const DeadEvent& dead : work.dead) {
        sum.add({1, dead.payload.size(), dead.parked ? 0u : 1u});
    }
    return sum;
}

void make_tombstones(MessageWork& work, const std::string& reason) {
    for (const DeadEvent& dead : work.dead) {
        work.tombstones.push_back({dead.seq, dead.seq, reason});
    }
    work.dead.clear();
}

bool return_what_exceeds_quota(Batch& batch, QuotaClaim& claim, Metrics& metrics) {
    DeadLetterQuota::Sum all;
    for (const MessageWork& work : batch) {
        if (!work.is_skipped()) all.add(letters_of(work));
    }
    if (all.letters == 0) return false;
    const bool fits = claim.set_letters(all);
    metrics.quota_full = !fits;
    if (fits) return false;
    bool any = false;
    for (MessageWork& work : batch) {
        if (work.is_skipped() || work.dead.empty()) continue;
        if (work.pulled.stream->kind == StreamKind::metric) {
            make_tombstones(work, "dead_letters_full");
        } else {
            work.state = MessageWork::State::returned;
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
