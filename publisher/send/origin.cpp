#include "publisher/send/origin.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include <homeward/detail/clock.hpp>

#include "publisher/send/adaptive_linger.hpp"

namespace homeward {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// What one lane may give before the next has its turn.
constexpr std::uint64_t kTurnBytes = 256u << 10;

}  // namespace

Origin::Limits limits_of(const PublisherOptions& options) {
    return {options.frame_bytes, options.log_bytes_max, options.linger,
            options.durability == Durability::disk,
            options.spool_dir.empty()
                ? nullptr
                : std::make_shared<SpoolUsage>(options.spool_dir, options.spool_bytes_max)};
}

Origin::Origin(Run& run, EventClass event_class, const Limits& limits)
    : run_(run),
      event_class_(event_class),
      limits_(limits),
      log_(run.log_directory(event_class), limits.log_bytes_max, limits.sync, limits.usage),
      // One lock a type, not one an event: descriptors are never removed.
      find_type_(
          [&run, last = static_cast<const OwnedDescriptor*>(nullptr)](std::uint32_t hash) mutable {
              if (last == nullptr || last->hash != hash) last = run.find_type(hash);
              return last;
          }),
      builder_(event_class, run.identity().publisher, run.signing_key()) {}

void Origin::recover_log(std::string_view loss_reason) {
    recovery_.is_recovered = true;
    recovery_.loss_reason = loss_reason;
    FrameLog::Recovery found = log_.recover();
    outgoing_.set_seq_next(found.seq_next);
    recovery_.accepted_at_least = found.accepted;
    recovery_.logged_tails = std::move(found.tails);
    log_.trim();
    if (!loss_reason.empty()) {
        for (const SeqRange& seqs : found.lost) report_lost(seqs, loss_reason);
    }
    outgoing_.add_recovered(found.frames);
}

void Origin::recover_lanes(Lanes&& lanes, Origin* before) {
    recovery_.is_recovered = true;
    Recovery& log_of_lanes = before == nullptr ? recovery_ : before->recovery_;
    std::uint64_t seq_next = this->seq_next();
    for (auto& [number, lane] : lanes) {
        const auto logged = log_of_lanes.logged_tails.find(number);
        const LaneReader reader(
            *lane, logged == log_of_lanes.logged_tails.end() ? nullptr : &logged->second);
        if (before == nullptr) {
            seq_next = std::max(seq_next, reader.seq_next());
        } else {
            before->expect_accepted(reader.seq_next() - 1);
        }
        lanes_.adopt_recovered(number, reader, std::move(lane));
    }
    // The lanes know of a frame that the log no longer has.
    if (seq_next > this->seq_next()) {
        report_lost({this->seq_next(), seq_next - 1}, recovery_.loss_reason);
    }
    outgoing_.set_seq_next(seq_next);
}

void Origin::note_body_begins() {
    if (builder_.seqs() == 0) body_since_ = SteadyClock::now();
}

void Origin::append_event(std::span<const std::byte> payload) {
    std::size_t replaced = 0;
    note_body_begins();
    if (builder_.add_event(payload, find_type_, &replaced) != RecordError::none) {
        return append_damaged(1);
    }
    if (replaced > 0) ++scrubbed_;
}

void Origin::take_drops(LaneSources::Source& source) {
    // Audit is refused, never dropped: another number there is damage.
    if (event_class_ == EventClass::audit) return;
    const std::uint64_t drops = source.reader.drops();
    const std::uint32_t room = builder_.room_for_lost();
    if (drops <= source.drops_taken || room == 0) return;
    const auto count =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(drops - source.drops_taken, room));
    note_body_begins();
    builder_.add_lost("dropped", count);
    source.drops_taken += count;
}

/// Until the body is full, the lane empty, or its turn over; returns the first.
bool Origin::fill_body(LaneSources::Source& source, std::uint64_t turn_end) {
    while (!builder_.is_full(limits_.frame_bytes) && source.reader.position() < turn_end) {
        std::span<const std::byte> payload;
        const LaneReader::Outcome outcome = source.reader.read(payload);
        if (outcome == LaneReader::Outcome::record) append_event(payload);
        if (outcome != LaneReader::Outcome::empty) continue;
        append_damaged(source.reader.take_lost());
        break;
    }
    return builder_.is_full(limits_.frame_bytes);
}

Origin::Cut Origin::drain(bool all) {
    if (frame_is_ready_ && log_frame() == Cut::blocked) return Cut::blocked;
    if (!log_lost_ranges()) return Cut::blocked;
    lanes_.adopt_added();
    Cut result = Cut::none;
    // One pass over every lane; a busy lane has its next turn in the next call. All frames of a
    // turn wake the frame sender once.
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
        LaneSources::Source& source = lanes_.in_turn(i);
        take_drops(source);
        const std::uint64_t turn_end = source.reader.position() + kTurnBytes;
        while (fill_body(source, turn_end)) {
            result = cut();
            if (result == Cut::blocked) return result;
        }
    }
    lanes_.end_pass();
    if (builder_.seqs() > 0 && (all || is_due())) result = cut();
    return result;
}

bool Origin::is_due() const {
    return AdaptiveLinger(limits_.linger)
        .is_due(SteadyClock::now(), {body_since_, last_cut_, builder_.body_bytes()});
}

Origin::Cut Origin::cut() {
    const std::uint64_t seq_first = seq_next();
    const std::uint64_t seq_last = seq_first + builder_.seqs() - 1;
    builder_.cut({seq_first, std::max(seq_last, accepted()), flags_}, frame_);
    frame_is_ready_ = true;
    return log_frame();
}

Origin::Cut Origin::log_frame() {
    const SeqRange seqs{seq_next(), seq_next() + builder_.seqs() - 1};
    LoggedFrame logged;
    const bool is_logged =
        log_.append(seqs, lanes_.moved_tails(), frame_, logged) == FrameLog::Outcome::logged;
    is_blocked_ = !is_logged;
    if (!is_logged) return Cut::blocked;
    outgoing_.add(logged, {builder_.seqs(), builder_.lost()},
                  {frame_.size(), builder_.json_bytes()});
    lanes_.release_moved(seq_next());
    builder_.clear();
    frame_is_ready_ = false;
    is_reported_ = false;
    last_cut_ = SteadyClock::now();
    return Cut::cut;
}

void Origin::send_heartbeat(bool closing) {
    const std::uint64_t seq_next = this->seq_next();
    OutgoingFrame outgoing;
    outgoing.frame.seq_first = seq_next;
    outgoing.frame.seq_last = seq_next - 1;
    const auto flags = static_cast<std::uint16_t>(flags_ | (closing ? kFrameClosing : 0));
    builder_.cut_count_only({seq_next, std::max(seq_next - 1, accepted()), flags},
                            outgoing.heartbeat);
    last_cut_ = SteadyClock::now();
    is_reported_ = true;
    outgoing_.add_heartbeat(std::move(outgoing));
}

bool Origin::finish() {
    if (is_finished_) return log_lost_ranges();
    const Cut result = drain(true);
    if (result != Cut::none || builder_.seqs() > 0) return false;
    if (report_gone_lanes()) return false;
    const SeqRange nowhere{seq_next(), recovery_.accepted_at_least};
    if (!recovery_.loss_reason.empty() && nowhere.first <= nowhere.last) {
        report_lost(nowhere, recovery_.loss_reason);
        outgoing_.set_seq_next(nowhere.last + 1);
        return false;
    }
    for (const LaneSources::Source& source : lanes_.all()) {
        if (recovery_.is_recovered && !source.reader.adds_up()) leave_open();
    }
    if (accepted() > 0) send_heartbeat(!is_left_open_);
    is_finished_ = true;
    return true;
}

void Origin::compact() noexcept {
    log_.trim();
    lanes_.free_rings();
}

std::optional<std::vector<std::byte>> Origin::read(const OutgoingFrame& outgoing) const {
    if (!outgoing.heartbeat.empty()) return outgoing.heartbeat;
    return log_.read(outgoing.frame);
}

void Origin::forget(const OutgoingFrame& outgoing) {
    if (!outgoing.heartbeat.empty()) return;
    log_.release(outgoing.frame);
    log_.forget(outgoing.frame);
}

void Origin::release(const OutgoingFrame& outgoing) {
    acknowledge(outgoing);
    forget(outgoing);
}

bool Origin::is_log_tight() const {
    return is_blocked_.load(std::memory_order_relaxed) ||
           log_.bytes() + kSegmentBytes > log_.bytes_max();
}

std::uint64_t Origin::accepted() const {
    if (recovery_.is_recovered) {
        return std::max(recovery_.accepted_at_least, seq_next() - 1 + builder_.seqs());
    }
    return lanes_.accepted();
}

void Origin::add_stats(ClassStats& stats) const {
    const std::uint64_t cut = outgoing_.add_stats(stats);
    // Counted last, or events cut meanwhile would be missing in it. A record is counted just after
    // it becomes visible, and may be in a frame by then.
    const std::uint64_t all = std::max(cut, lanes_.accepted());
    stats.accepted += all;
    stats.in_lanes += all - cut;
    stats.log_bytes += log_.bytes();
    stats.log_bytes_max += log_.bytes_max();
    stats.scrubbed += scrubbed_.load(std::memory_order_relaxed);
    lanes_.add_stats(stats);
}

}  // namespace homeward
