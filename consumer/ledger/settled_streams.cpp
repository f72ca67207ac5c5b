#include "consumer/ledger/settled_streams.hpp"

#include <algorithm>

namespace homeward::consumer {

bool SettledStreams::have_any_of(const Units& units) const {
    return std::any_of(units.begin(), units.end(), [this](const MessageWork& unit) {
        return !unit.is_plain() && (unit.pulled.message.delivery.deliveries > 1 ||
                                    streams_.count(unit.pulled.stream) != 0);
    });
}

void SettledStreams::note(const Units& units, const std::vector<ledger::Verdict>& verdicts) {
    std::set<const Stream*> fresh, settled;
    for (std::size_t i = 0; i < units.size(); ++i) {
        if (units[i].is_plain() || units[i].is_heartbeat() || units[i].is_skipped()) continue;
        (verdicts[i] == ledger::Verdict::settled ? settled : fresh).insert(units[i].pulled.stream);
    }
    for (const Stream* stream : fresh) streams_.erase(stream);
    streams_.insert(settled.begin(), settled.end());
}

}  // namespace homeward::consumer
