#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <vector>

#include <homeward/publisher.hpp>

#include "publisher/buffer/frame_log.hpp"

namespace homeward {

/// A frame on its way: where it lies, and what is needed to send it without reading it.
struct OutgoingFrame {
    LoggedFrame frame;
    /// The frame itself, if it is a heartbeat: those are not logged.
    std::vector<std::byte> heartbeat;
    bool is_recovered = false;  ///< an earlier process may have sent it
};

/// The frames of one origin from the log until the PubAck: those that nobody has sent yet, those
/// without a PubAck, and the count of their events. It also holds the origin's next seq. Any
/// thread.
class OutgoingFrames {
  public:
    struct Content {
        std::uint32_t events;  ///< tombstones included
        std::uint32_t tombstones;
    };
    struct Bytes {
        std::size_t wire;
        std::uint64_t json;
    };

    /// A frame of the next seqs has been logged; moves seq_next() behind it.
    void add(const LoggedFrame& frame, Content content, Bytes bytes);
    /// A frame that is all tombstones, of seqs before seq_next().
    void add_tombstones(const LoggedFrame& frame);
    /// Frames that were found in the log of an orphaned run.
    void add_recovered(const std::vector<LoggedFrame>& frames);
    void add_heartbeat(OutgoingFrame heartbeat);

    /// The next frame to send for the first time; false if none.
    bool take(OutgoingFrame& frame);
    /// The stream has it.
    void acknowledge(const OutgoingFrame& frame);

    std::uint64_t seq_next() const { return seq_next_.load(std::memory_order_acquire); }
    void set_seq_next(std::uint64_t seq) { seq_next_.store(seq, std::memory_order_release); }
    /// Whether everything up to `accepted` is logged, or acknowledged.
    bool has_logged(std::uint64_t accepted) const { return seq_next() > accepted; }
    bool has_acked(std::uint64_t accepted) const;
    /// Whether every frame is acknowledged, heartbeats included.
    bool is_all_acked() const;
    /// Adds the counts of frames; returns the events that have been cut.
    std::uint64_t add_stats(ClassStats& stats) const;

  private:
    std::atomic<std::uint64_t> seq_next_{1};

    mutable std::mutex mutex_;  // guards what follows
    std::deque<OutgoingFrame> unsent_;
    std::map<std::uint64_t, Content> unacked_;  // by seq_first
    std::size_t unacked_heartbeats_ = 0;
    std::uint64_t acked_ = 0;
    std::uint64_t tombstoned_ = 0;
    std::uint64_t wire_bytes_ = 0;
    std::uint64_t json_bytes_ = 0;
};

}  // namespace homeward
