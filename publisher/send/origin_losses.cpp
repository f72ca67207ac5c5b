// What of an origin is lost: by damage, with its lanes, or in a log that gives other bytes back.
// Each loss becomes a tombstone of exactly its seqs.

#include <algorithm>
#include <utility>

#include "publisher/send/origin.hpp"

namespace homeward {
namespace {

constexpr std::string_view kDamaged = "damaged";

}  // namespace

void Origin::report_lost_lanes(std::uint64_t accepted, std::string_view reason) {
    recovery_.accepted_in_lost_lanes = accepted;
    recovery_.lanes_loss_reason = reason;
}

/// LaneDrainer, when all that is there is drained: what the lanes accepted that are gone, and that
/// no frame holds. False if there is nothing of it, or no more.
bool Origin::report_gone_lanes() {
    if (!recovery_.accepted_in_lost_lanes) return false;
    std::uint64_t accepted = *std::exchange(recovery_.accepted_in_lost_lanes, std::nullopt);
    for (const LaneSources::Source& source : lanes_.all()) {
        accepted += source.reader.records_read() + source.drops_taken;
    }
    const SeqRange lost{seq_next(), accepted};
    if (lost.first > lost.last) return false;
    report_lost(lost, recovery_.lanes_loss_reason);
    outgoing_.set_seq_next(lost.last + 1);
    leave_open();
    return true;
}

void Origin::report_lost(SeqRange seqs, std::string_view reason) {
    damaged_ += seqs.last - seqs.first + 1;
    const std::lock_guard lock(lost_mutex_);
    lost_ranges_.push_back({seqs, std::nullopt, std::string(reason)});
}

void Origin::give_up(const OutgoingFrame& outgoing) {
    const SeqRange seqs{outgoing.frame.seq_first, outgoing.frame.seq_last};
    damaged_ += seqs.last - seqs.first + 1;
    const std::lock_guard lock(lost_mutex_);
    lost_ranges_.push_back({seqs, outgoing.frame, recovery_.loss_reason});
}

/// Each as a frame of its own, of exactly the seqs that are lost, so that the ledger skips it if
/// the stream had them after all. Returns whether all are logged.
bool Origin::log_lost_ranges() {
    for (;;) {
        LostRange lost;
        {
            const std::lock_guard lock(lost_mutex_);
            if (lost_ranges_.empty()) return true;
            lost = lost_ranges_.front();
        }
        const SeqRange seqs = lost.seqs;
        const auto count = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(seqs.last - seqs.first + 1, FrameBuilder::kLostMax));
        const std::uint64_t last = seqs.first + count - 1;
        FrameBuilder builder(event_class_, run_.identity().publisher, run_.signing_key());
        builder.add_lost(lost.reason.empty() ? kDamaged : lost.reason, count);
        std::vector<std::byte> frame;
        builder.cut({seqs.first, std::max(last, accepted()), flags_}, frame);
        LoggedFrame logged;
        const bool is_logged =
            log_.append({seqs.first, last}, {}, frame, logged) == FrameLog::Outcome::logged;
        is_blocked_ = !is_logged;
        if (!is_logged) return false;
        if (lost.instead_of) {
            log_.replace(*lost.instead_of);
            log_.forget(*lost.instead_of);
        }
        outgoing_.add_tombstones(logged);
        const std::lock_guard lock(lost_mutex_);
        lost_ranges_.front().instead_of.reset();
        lost_ranges_.front().seqs.first += count;
        if (lost_ranges_.front().seqs.first > seqs.last) lost_ranges_.pop_front();
    }
}

void Origin::append_damaged(std::uint64_t count) {
    if (count == 0) return;
    note_body_begins();
    const auto fits =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(count, builder_.room_for_lost()));
    if (fits > 0) builder_.add_lost(kDamaged, fits);
    damaged_ += fits;
}

}  // namespace homeward
