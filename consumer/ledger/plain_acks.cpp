#include "consumer/ledger/plain_acks.hpp"

#include <algorithm>

namespace homeward::consumer {

void PlainAcks::seen(const Stream& stream, const StreamState& state) {
    if (stream.kind != StreamKind::plain || state.created_us == 0) return;
    const std::lock_guard lock(mutex_);
    seen_[{stream.name, state.created_us}] = {state.first_seq, state.ack_floor};
}

void PlainAcks::note(PgConnection& leader) {
    std::map<Key, Acked> changed;
    {
        const std::lock_guard lock(mutex_);
        changed = seen_;
    }
    const auto number = [](std::uint64_t value) {
        return static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX - 1));
    };
    for (const auto& [key, acked] : changed) {
        leader.query("SELECT homeward.record_plain_acks($1, $2, $3, $4)",
                     {key.first, key.second, number(acked.stream_first), number(acked.floor)});
    }
    const std::lock_guard lock(mutex_);
    std::erase_if(seen_, [&](const auto& one) {
        const auto told = changed.find(one.first);
        return told != changed.end() && told->second.floor == one.second.floor;
    });
}

}  // namespace homeward::consumer
