#include "consumer/write/batch_overlaps.hpp"

#include <cassert>
#include <iterator>
#include <map>

namespace homeward::consumer {

std::vector<Overlap> skip_overlaps(Units& units) {
    std::vector<Overlap> overlaps;
    std::map<std::int32_t, std::map<std::uint64_t, const MessageWork*>> taken;
    for (MessageWork& unit : units) {
        if (unit.is_skipped() || unit.is_heartbeat() || unit.is_plain()) continue;
        auto& of_origin = taken[unit.origin];
        auto after = of_origin.upper_bound(unit.seq_last());
        const MessageWork* other = after == of_origin.begin() ? nullptr : std::prev(after)->second;
        if (other == nullptr || other->seq_last() < unit.seq_first) {
            of_origin[unit.seq_first] = &unit;
            continue;
        }
        const bool is_same_run =
            other->seq_first == unit.seq_first && other->seq_last() == unit.seq_last();
        if (!is_same_run) {
            overlaps.push_back({&unit, ledger::Verdict::overlap});
        } else if (stored_checksum(other->pulled.message.data) !=
                   stored_checksum(unit.pulled.message.data)) {
            overlaps.push_back({&unit, ledger::Verdict::differs});
        } else {
            unit.state = MessageWork::State::settled;
        }
    }
    // Invariant: what is left of an origin is disjoint, so the lengths add up to its union.
    for (const auto& [origin, frames] : taken) {
        std::uint64_t end = 0;
        for (const auto& [seq_first, unit] : frames) {
            assert(seq_first > end && "frames of one origin in one batch are disjoint");
            end = unit->seq_last();
        }
    }
    return overlaps;
}

}  // namespace homeward::consumer
