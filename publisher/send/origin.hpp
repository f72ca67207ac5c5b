#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <homeward/publisher.hpp>

#include "publisher/buffer/frame_log.hpp"
#include "publisher/buffer/lane.hpp"
#include "publisher/buffer/spool_usage.hpp"
#include "publisher/send/frame_builder.hpp"
#include "publisher/send/lane_sources.hpp"
#include "publisher/send/outgoing_frames.hpp"
#include "publisher/spool/run.hpp"
#include "schemas/wire/frame.hpp"

namespace homeward {

/// One class of one run: cuts frames from its lanes (lane_sources.hpp), logs them, and queues them
/// for the frame sender (outgoing_frames.hpp). The drainer's thread cuts; the frame sender takes
/// outgoing frames and releases them; any thread reads counts.
class Origin {
  public:
    struct Limits {
        std::size_t frame_bytes;
        std::size_t log_bytes_max;
        std::chrono::milliseconds linger;
        bool sync;
        std::shared_ptr<SpoolUsage> usage{};  ///< the bound on the spool as a whole; none: no bound
    };
    /// Throws SetupError.
    Origin(Run& run, EventClass event_class, const Limits& limits);

    EventClass event_class() const { return event_class_; }
    const Run& run() const { return run_; }

    /// Any thread: the lane is drained from now on.
    void add_lane(std::uint64_t number, LaneMapping* lane) { lanes_.add(number, lane); }

    using Lanes = std::map<std::uint64_t, std::unique_ptr<LaneMapping>>;  // by number
    /// LaneDrainer, of an orphaned run: what its log holds goes out as it is. What is damaged
    /// there, and what was accepted and is nowhere, is reported as tombstones of that reason; an
    /// empty reason leaves it open, since it may have been sent.
    void recover_log(std::string_view loss_reason);
    /// LaneDrainer: what is in an orphaned run's lanes is cut as this origin's next seqs. `before`:
    /// the origin that they belonged to, if that is another; its log knows how far they were read.
    void recover_lanes(Lanes&& lanes, Origin* before = nullptr);
    /// LaneDrainer: frames and heartbeats say from now on that another origin may bring the same
    /// events.
    void declare_possible_duplicates() { flags_ |= kFramePossibleDuplicates; }
    /// LaneDrainer: nobody knows how many events there were, so no heartbeat will say that these
    /// were all.
    void leave_open() { is_left_open_ = true; }

    /// LaneDrainer, of an orphaned run: lanes are gone that had accepted so many events. Those that
    /// are in no frame become tombstones of that reason, and the origin stays open.
    void report_lost_lanes(std::uint64_t accepted, std::string_view reason);
    /// LaneDrainer, of an orphaned run that was interrupted: frames say that it had accepted so
    /// many.
    void expect_accepted(std::uint64_t accepted) {
        recovery_.accepted_at_least = std::max(recovery_.accepted_at_least, accepted);
    }

    /// LaneDrainer, of an orphaned run: gives back what neither lanes nor log need, once lanes are
    /// drained.
    void compact() noexcept;

    /// FrameSender: the log gives back other bytes for this frame than it took. Its seqs are
    /// reported as lost.
    void give_up(const OutgoingFrame& outgoing);

    enum class Cut : std::uint8_t {
        none,     ///< nothing is due
        cut,      ///< at least one frame was logged
        blocked,  ///< the log is full or the disk refuses: lanes fill up until it can
    };
    /// LaneDrainer: drains the lanes and cuts what is due. `all`: also what would still linger.
    Cut drain(bool all);
    /// LaneDrainer: a heartbeat that tells the leader how many events there are, and whether more
    /// will come.
    void send_heartbeat(bool closing);
    /// Whether the last frame has been followed by a heartbeat.
    bool is_reported() const { return is_reported_; }
    /// LaneDrainer: drains to the end; once all is logged, sends the end-of-stream frame. Again
    /// until true.
    bool finish();

    /// FrameSender: the next frame to send for the first time; false if none.
    bool take_outgoing(OutgoingFrame& outgoing) { return outgoing_.take(outgoing); }
    /// As FrameLog::read().
    std::optional<std::vector<std::byte>> read(const OutgoingFrame& outgoing) const;
    /// FrameSender: the stream has it. Its bytes stay until they are forgotten.
    void acknowledge(const OutgoingFrame& outgoing) { outgoing_.acknowledge(outgoing); }
    /// FrameSender: after acknowledge(), the log need not keep its bytes any more.
    void forget(const OutgoingFrame& outgoing);
    /// Both.
    void release(const OutgoingFrame& outgoing);
    /// Any thread: the log is about to be full, or its disk is; what is kept in it needlessly
    /// should be forgotten.
    bool is_log_tight() const;

    std::uint64_t accepted() const;
    /// Whether everything up to `accepted` is logged, or acknowledged.
    bool has_logged(std::uint64_t accepted) const { return outgoing_.has_logged(accepted); }
    bool has_acked(std::uint64_t accepted) const { return outgoing_.has_acked(accepted); }
    /// Whether the stream has acknowledged every frame, heartbeats included.
    bool is_all_acked() const { return outgoing_.is_all_acked(); }
    void add_stats(ClassStats& stats) const;
    std::chrono::steady_clock::time_point last_cut() const { return last_cut_; }
    std::uint64_t seq_next() const { return outgoing_.seq_next(); }
    /// LaneDrainer, after Cut::blocked: why the disk refuses, as errno; 0: the log is full.
    int disk_error() const { return log_.last_error(); }
    /// LaneDrainer, after Cut::blocked without a disk error: whether the spool as a whole is full.
    bool is_spool_full() const { return log_.is_spool_full(); }
    /// Events that became tombstones because lane, log or types were damaged.
    std::uint64_t damaged() const { return damaged_; }

  private:
    /// What is known of an orphaned run. The drainer's own, but for loss_reason, which is constant
    /// once frames are sent.
    struct Recovery {
        bool is_recovered = false;
        std::string loss_reason;  ///< of tombstones; empty: lost seqs stay open
        std::uint64_t accepted_at_least = 0;
        std::map<std::uint64_t, LaneTail> logged_tails;  ///< by lane
        std::optional<std::uint64_t> accepted_in_lost_lanes;
        std::string lanes_loss_reason;
    };
    struct LostRange {
        SeqRange seqs;
        std::optional<LoggedFrame> instead_of;  // released once the tombstone is logged
        std::string reason;
    };

    bool fill_body(LaneSources::Source& source, std::uint64_t turn_end);
    void note_body_begins();
    bool is_due() const;
    void append_event(std::span<const std::byte> payload);
    void take_drops(LaneSources::Source& source);
    void append_damaged(std::uint64_t count);
    void report_lost(SeqRange seqs, std::string_view reason);
    bool report_gone_lanes();
    Cut cut();
    Cut log_frame();
    bool log_lost_ranges();

    Run& run_;
    EventClass event_class_;
    Limits limits_;
    FrameLog log_;
    LaneSources lanes_;
    OutgoingFrames outgoing_;

    // The sender's own.
    FindDescriptor find_type_;
    FrameBuilder builder_;
    Recovery recovery_;
    std::uint16_t flags_ = 0;
    bool is_reported_ = false;
    bool is_finished_ = false;
    bool is_left_open_ = false;
    std::chrono::steady_clock::time_point body_since_{};
    std::chrono::steady_clock::time_point last_cut_ = std::chrono::steady_clock::now();
    std::vector<std::byte> frame_;
    bool frame_is_ready_ = false;  // encoded, and waiting for room in the log

    std::atomic<std::uint64_t> damaged_{0};
    std::atomic<std::uint64_t> scrubbed_{0};  // events whose text was not UTF-8
    std::atomic<bool> is_blocked_{false};     // the last frame found no room in the log

    mutable std::mutex lost_mutex_;  // guards what follows
    std::deque<LostRange> lost_ranges_;
};

Origin::Limits limits_of(const PublisherOptions& options);

}  // namespace homeward
