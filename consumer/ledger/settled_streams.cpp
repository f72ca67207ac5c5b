#include "consumer/ledger/settled_streams.hpp"

#include <algorithm>

namespace homeward::consumer {

bool SettledStreams::have_any_of(const Batch& batch) const {
    return std::any_of(batch.begin(), batch.end(), [this](const MessageWork& work) {
        return !work.is_plain() && (work.pulled.message.delivery.deliveries > 1 ||
                                    streams_.count(work.pulled.stream) != 0);
    });
}

void SettledStreams::note(const Batch& batch, const std::vector<ledger::Verdict>& verdicts) {
    std::set<const Stream*> fresh, settled;
    for (std::size_t i = 0; i < batch.size(); ++i) {
        if (batch[i].is_plain() || batch[i].is_heartbeat() || batch[i].is_skipped()) continue;
        (verdicts[i] == ledger::Verdict::settled ? settled : fresh).insert(batch[i].pulled.stream);
    }
    for (const Stream* stream : fresh) streams_.erase(stream);
    streams_.insert(settled.begin(), settled.end());
}

}  // namespace homeward::consumer
