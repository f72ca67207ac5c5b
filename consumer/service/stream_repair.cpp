#include "consumer/service/stream_repair.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "consumer/base/printed_commands.hpp"

namespace homeward::consumer {
namespace {

/// A server that has just been started may not know all of its streams yet, and a person may be
/// about to make it another way.
constexpr int kLooksMin = 3;
/// Of the looks after that, which are 2 s apart: what fails does so for want of rights.
constexpr int kLooksBetween = 15;

/// Some 100 MB of the server's memory. It looks at all of them again and again.
constexpr std::uint64_t kAckPendingMax = 1'000'000;

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += (text.empty() ? "" : ", ") + line;
    return text;
}

}  // namespace

void StreamRepair::repair(const Stream& stream) {
    const std::string what =
        "stream " + stream.name + " or its durable " + stream.durable + " is gone";
    try {
        const std::string done = joined(apply_stream(nats_, config_, stream));
        spdlog::warn("{}: {}; what a deleted stream held is lost; this names it: {}", what, done,
                     command::kProof);
    } catch (const NatsError& error) {
        metrics_.begin_hold("stream", stream.name, what + ": " + error.what());
        spdlog::error("{} and cannot be made again: {}; with a login that may, run {}", what,
                      error.what(), command::kStreamsApply);
    }
}

void StreamRepair::keep_room(const Stream& stream, const StreamState& state) {
    // Acks that wait for a standby are to find an end.
    const std::uint64_t held =
        state.ack_pending - std::min(state.ack_pending, metrics_.acks_waiting.load());
    const std::uint64_t room = state.max_ack_pending;
    const bool is_full = room >= kAckPendingMax && held + config_.pull.messages_max > room;
    if (is_full && full_.insert(stream.name).second) {
        metrics_.begin_hold("stream", stream.name,
                            std::to_string(held) +
                                " of its messages are held, and its durable has "
                                "no room for more (max_ack_pending)");
    } else if (!is_full && full_.erase(stream.name) == 1) {
        metrics_.end_hold("stream", stream.name);
    }
    if (room == 0 || room >= kAckPendingMax || held <= room / 2 || metrics_.holds().empty()) return;
    const std::uint64_t more = std::min(room * 2, kAckPendingMax);
    write_max_ack_pending(nats_, stream, more);
    spdlog::warn("{} messages of {} are held; max_ack_pending of its durable raised from {} to {}",
                 held, stream.name, room, more);
}

void StreamRepair::seen(const Stream& stream, const std::optional<StreamState>& state) {
    if (state) {
        keep_room(stream, *state);
        if (looks_in_vain_.count(stream.name) == 0) return;
        on_repaired_(stream, *state);
        looks_in_vain_.erase(stream.name);
        metrics_.end_hold("stream", stream.name);
        spdlog::info("{} and its durable are there again, and consumed", stream.name);
        return;
    }
    const int looks = ++looks_in_vain_[stream.name];
    if (looks == 1) {
        const std::string why =
            "stream " + stream.name + " or its durable " + stream.durable + " is gone";
        metrics_.begin_hold("stream", stream.name, why);
        spdlog::error(
            "{}: somebody has deleted it, or its server has lost its disk; nothing of "
            "it is consumed until it is made again, in some seconds",
            why);
    }
    if (looks >= kLooksMin && (looks - kLooksMin) % kLooksBetween == 0) repair(stream);
}

}  // namespace homeward::consumer
