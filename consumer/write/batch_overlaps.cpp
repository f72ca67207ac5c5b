#include "consumer/write/batch_overlaps.hpp"

#include <cassert>
#include <iterator>
#include <map>

namespace homeward::consumer {

std::vector<Overlap> skip_overlaps(Batch& batch) {
    std::vector<Overlap> overlaps;
    std::map<std::int32_t, std::map<std::uint64_t, const MessageWork*>> taken;
    for (MessageWork& work : batch) {
        if (work.is_skipped() || work.is_heartbeat() || work.is_plain()) continue;
        auto& of_origin = taken[work.origin];
        auto after = of_origin.upper_bound(work.seq_last());
        const MessageWork* other = after == of_origin.begin() ? nullptr : std::prev(after)->second;
        if (other == nullptr || other->seq_last() < work.seq_first) {
            of_origin[work.seq_first] = &work;
            continue;
        }
        const bool is_same_run =
            other->seq_first == work.seq_first && other->seq_last() == work.seq_last();
        if (!is_same_run) {
            overlaps.push_back({&work, ledger::Verdict::overlap});
        } else if (stored_checksum(other->pulled.message.data) !=
                   stored_checksum(work.pulled.message.data)) {
            overlaps.push_back({&work, ledger::Verdict::differs});
        } else {
            work.state = MessageWork::State::settled;
        }
    }
    // Invariant: what is left of an origin is disjoint, so the lengths add up to its union.
    for (const auto& [origin, frames] : taken) {
        std::uint64_t end = 0;
        for (const auto& [seq_first, work] : frames) {
            assert(seq_first > end && "frames of one origin in one batch are disjoint");
            end = work->seq_last();
        }
    }
    return overlaps;
}

}  // namespace homeward::consumer
