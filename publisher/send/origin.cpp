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

void Origin::add_lane(std::uint64_t number, LaneMapping* lane) {
    const std::lock_guard lock(mutex_);
    new_lanes_.emplace_back(number, lane);
    lanes_.push_back(lane);
}

void Origin::adopt_new_lanes() {
    decltype(new_lanes_) lanes;
    {
        const std::lock_guard lock(mutex_);
        lanes.swap(new_lanes_);
    }
    for (const auto& [number, lane] : lanes) {
        lane->prefault();
        sources_.push_back({number, LaneReader(*lane)});
    }
}

void Origin::recover_log(std::string_view loss_reason) {
    is_recovered_ = true;
    loss_reason_ = loss_reason;
    FrameLog::Recovery recovery = log_.recover();
    seq_next_.store(recovery.seq_next, std::memory_order_relaxed);
    accepted_at_least_ = recovery.accepted;
    logged_tails_ = std::move(recovery.tails);
    log_.trim();
    if (!loss_reason_.empty()) {
        for (const SeqRange& seqs : recovery.lost) report_lost(seqs, loss_reason_);
    }
    const std::lock_guard lock(mutex_);
    for (const LoggedFrame& frame : recovery.frames) {
        departures_.push_back({frame, {}, true});
        const auto count = static_cast<std::uint32_t>(frame.seq_last - frame.seq_first + 1);
        unreleased_[frame.seq_first] = {count, 0};
    }
}

void Origin::recover_lanes(Lanes lanes, Origin* before) {
    is_recovered_ = true;
    const auto& tails = before == nullptr ? logged_tails_ : before->logged_tails_;
    std::uint64_t seq_next = this->seq_next();
    for (auto& [number, lane] : lanes) {
        const auto logged = tails.find(number);
        const LaneReader reader(*lane, logged == tails.end() ? nullptr : &logged->second);
        if (before == nullptr) {
            seq_next = std::max(seq_next, reader.seq_next());
        } else {
            before->accepted_at_least_ =
                std::max(before->accepted_at_least_, reader.seq_next() - 1);
        }
        sources_.push_back({number, reader});
        recovered_lanes_.push_back(std::move(lane));
    }
    // The lanes know of a frame that the log no longer has.
    if (seq_next > this->seq_next()) report_lost({this->seq_next(), seq_next - 1}, loss_reason_);
    seq_next_.store(seq_next, std::memory_order_relaxed);
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

void Origin::take_drops(Source& source) {
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
bool Origin::fill_body(Source& source, std::uint64_t turn_end) {
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
    adopt_new_lanes();
    Cut result = Cut::none;
    // One pass over every lane; a busy lane has its next turn in the next call. All frames of a
    // turn wake the frame sender once.
    for (std::size_t i = 0; i < sources_.size(); ++i) {
        Source& source = sources_[(next_source_ + i) % sources_.size()];
        take_drops(source);
        const std::uint64_t turn_end = source.reader.position() + kTurnBytes;
        while (fill_body(source, turn_end)) {
            result = cut();
            if (result == Cut::blocked) return result;
        }
    }
    if (!sources_.empty()) next_source_ = (next_source_ + 1) % sources_.size();
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
    tails_.clear();
    for (const Source& source : sources_) {
        const bool moved = source.reader.position() != source.logged_position ||
                           source.drops_taken != source.logged_drops;
        if (moved) {
            tails_.push_back({source.number, source.reader.position(), source.reader.records_read(),
                              source.drops_taken});
        }
    }
    const std::uint64_t seq_first = seq_next();
    const std::uint64_t seq_next = seq_first + builder_.seqs();
    LoggedFrame logged;
    const bool is_logged =
        log_.append({seq_first, seq_next - 1}, tails_, frame_, logged) == FrameLog::Outcome::logged;
    is_blocked_ = !is_logged;
    if (!is_logged) return Cut::blocked;
    {
        const std::lock_guard lock(mutex_);
        departures_.push_back({logged, {}, false});
        unreleased_[seq_first] = {builder_.seqs(), builder_.lost()};
        wire_bytes_ += frame_.size();
        json_bytes_ += builder_.json_bytes();
        seq_next_.store(seq_next, std::memory_order_release);
    }
    for (Source& source : sources_) {
        if (source.reader.position() == source.logged_position &&
            source.drops_taken == source.logged_drops) {
            continue;
        }
        source.logged_position = source.reader.position();
        source.logged_drops = source.drops_taken;
        source.reader.release(source.logged_drops, seq_next);
    }
    builder_.clear();
    frame_is_ready_ = false;
    is_marked_ = false;
    last_cut_ = SteadyClock::now();
    return Cut::cut;
}

void Origin::send_mark(bool closing) {
    const std::uint64_t seq_next = this->seq_next();
    OutgoingFrame departure;
    departure.frame.seq_first = seq_next;
    departure.frame.seq_last = seq_next - 1;
    const auto flags = static_cast<std::uint16_t>(flags_ | (closing ? kFrameClosing : 0));
    builder_.cut_count_only({seq_next, std::max(seq_next - 1, accepted()), flags}, departure.mark);
    last_cut_ = SteadyClock::now();
    is_marked_ = true;
    const std::lock_guard lock(mutex_);
    ++marks_;
    departures_.push_back(std::move(departure));
}

bool Origin::finish() {
    if (is_finished_) return log_lost_ranges();
    const Cut result = drain(true);
    if (result != Cut::none || builder_.seqs() > 0) return false;
    if (report_gone_lanes()) return false;
    const SeqRange nowhere{seq_next(), accepted_at_least_};
    if (!loss_reason_.empty() && nowhere.first <= nowhere.last) {
        report_lost(nowhere, loss_reason_);
        seq_next_.store(nowhere.last + 1, std::memory_order_release);
        return false;
    }
    for (const Source& source : sources_) {
        if (is_recovered_ && !source.reader.adds_up()) leave_open();
    }
    if (accepted() > 0) send_mark(!is_left_open_);
    is_finished_ = true;
    return true;
}

void Origin::compact() noexcept {
    log_.trim();
    for (const Source& source : sources_) {
        if (source.reader.position() != source.logged_position) return;
    }
    for (const auto& lane : recovered_lanes_) lane->free_ring();
}

bool Origin::take_departure(OutgoingFrame& departure) {
    const std::lock_guard lock(mutex_);
    if (departures_.empty()) return false;
    departure = std::move(departures_.front());
    departures_.pop_front();
    return true;
}

std::optional<std::vector<std::byte>> Origin::read(const OutgoingFrame& departure) const {
    if (!departure.mark.empty()) return departure.mark;
    return log_.read(departure.frame);
}

void Origin::acknowledge(const OutgoingFrame& departure) {
    const std::lock_guard lock(mutex_);
    if (!departure.mark.empty()) {
        --marks_;
        return;
    }
    const auto found = unreleased_.find(departure.frame.seq_first);
    assert(found != unreleased_.end());
    acked_ += found->second.events - found->second.tombstones;
    tombstoned_ += found->second.tombstones;
    unreleased_.erase(found);
}

void Origin::forget(const OutgoingFrame& departure) {
    if (!departure.mark.empty()) return;
    log_.release(departure.frame);
    log_.forget(departure.frame);
}

void Origin::release(const OutgoingFrame& departure) {
    acknowledge(departure);
    forget(departure);
}

bool Origin::is_log_tight() const {
    return is_blocked_.load(std::memory_order_relaxed) ||
           log_.bytes() + kSegmentBytes > log_.bytes_max();
}

std::uint64_t Origin::accepted() const {
    if (is_recovered_) return std::max(accepted_at_least_, seq_next() - 1 + builder_.seqs());
    const std::lock_guard lock(mutex_);
    return count_accepted();
}

std::uint64_t Origin::count_accepted() const {
    std::uint64_t sum = 0;
    for (const LaneMapping* lane : lanes_) {
        sum += lane->header()->records.load(std::memory_order_acquire) +
               lane->header()->drops.load(std::memory_order_acquire);
    }
    return sum;
}

bool Origin::has_logged(std::uint64_t accepted) const {
    return seq_next_.load(std::memory_order_acquire) > accepted;
}

bool Origin::has_acked(std::uint64_t accepted) const {
    const std::lock_guard lock(mutex_);
    return has_logged(accepted) && (unreleased_.empty() || unreleased_.begin()->first > accepted);
}

bool Origin::is_settled() const {
    const std::lock_guard lock(mutex_);
    return unreleased_.empty() && marks_ == 0;
}

void Origin::add_stats(ClassStats& stats) const {
    const std::lock_guard lock(mutex_);
    std::uint64_t in_log = 0;
    for (const auto& [seq_first, content] : unreleased_) in_log += content.events;
    const std::uint64_t cut = in_log + acked_ + tombstoned_;
    // Counted last, or events cut meanwhile would be missing in it. A record is counted just after
    // it becomes visible, and may be in a frame by then.
    const std::uint64_t all = std::max(cut, count_accepted());
    stats.accepted += all;
    stats.in_log += in_log;
    stats.acked += acked_;
    stats.tombstoned += tombstoned_;
    stats.in_lanes += all - cut;
    stats.wire_bytes += wire_bytes_;
    stats.json_bytes += json_bytes_;
    stats.log_bytes += log_.bytes();
    stats.log_bytes_max += log_.bytes_max();
    stats.scrubbed += scrubbed_.load(std::memory_order_relaxed);
    for (const LaneMapping* lane : lanes_) {
        stats.refused += lane->header()->refusals.load(std::memory_order_relaxed);
        stats.dropped += lane->header()->drops.load(std::memory_order_relaxed);
    }
}

}  // namespace homeward
