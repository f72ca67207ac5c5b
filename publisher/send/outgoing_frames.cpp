#include "publisher/send/outgoing_frames.hpp"

#include <cassert>
#include <utility>

namespace homeward {
namespace {

std::uint32_t seqs_of(const LoggedFrame& frame) {
    return static_cast<std::uint32_t>(frame.seq_last - frame.seq_first + 1);
}

}  // namespace

void OutgoingFrames::add(const LoggedFrame& frame, Content content, Bytes bytes) {
    const std::lock_guard lock(mutex_);
    unsent_.push_back({frame, {}, false});
    unacked_[frame.seq_first] = content;
    wire_bytes_ += bytes.wire;
    json_bytes_ += bytes.json;
    set_seq_next(frame.seq_last + 1);
}

void OutgoingFrames::add_tombstones(const LoggedFrame& frame) {
    const std::lock_guard lock(mutex_);
    unsent_.push_back({frame, {}, false});
    unacked_[frame.seq_first] = {seqs_of(frame), seqs_of(frame)};
}

void OutgoingFrames::add_recovered(const std::vector<LoggedFrame>& frames) {
    const std::lock_guard lock(mutex_);
    for (const LoggedFrame& frame : frames) {
        unsent_.push_back({frame, {}, true});
        unacked_[frame.seq_first] = {seqs_of(frame), 0};
    }
}

void OutgoingFrames::add_heartbeat(OutgoingFrame heartbeat) {
    const std::lock_guard lock(mutex_);
    ++unacked_heartbeats_;
    unsent_.push_back(std::move(heartbeat));
}

bool OutgoingFrames::take(OutgoingFrame& frame) {
    const std::lock_guard lock(mutex_);
    if (unsent_.empty()) return false;
    frame = std::move(unsent_.front());
    unsent_.pop_front();
    return true;
}

void OutgoingFrames::acknowledge(const OutgoingFrame& frame) {
    const std::lock_guard lock(mutex_);
    if (!frame.heartbeat.empty()) {
        --unacked_heartbeats_;
        return;
    }
    const auto found = unacked_.find(frame.frame.seq_first);
    assert(found != unacked_.end());
    acked_ += found->second.events - found->second.tombstones;
    tombstoned_ += found->second.tombstones;
    unacked_.erase(found);
}

bool OutgoingFrames::has_acked(std::uint64_t accepted) const {
    const std::lock_guard lock(mutex_);
    return has_logged(accepted) && (unacked_.empty() || unacked_.begin()->first > accepted);
}

bool OutgoingFrames::is_all_acked() const {
    const std::lock_guard lock(mutex_);
    return unacked_.empty() && unacked_heartbeats_ == 0;
}

std::uint64_t OutgoingFrames::add_stats(ClassStats& stats) const {
    const std::lock_guard lock(mutex_);
    std::uint64_t in_log = 0;
    for (const auto& [seq_first, content] : unacked_) in_log += content.events;
    stats.in_log += in_log;
    stats.acked += acked_;
    stats.tombstoned += tombstoned_;
    stats.wire_bytes += wire_bytes_;
    stats.json_bytes += json_bytes_;
    return in_log + acked_ + tombstoned_;
}

}  // namespace homeward
