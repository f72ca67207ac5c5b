#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <homeward/publisher.hpp>

#include "publisher/frame_log.hpp"
#include "publisher/lane.hpp"
#include "publisher/run.hpp"
#include "schemas/frame.hpp"

namespace homeward {

/// A frame on its way: where it lies, and what is needed to send it without reading it.
struct Departure {
    LoggedFrame frame;
    std::uint64_t seq_last = 0;  ///< below seq_first for a mark without events
    std::vector<std::byte> mark; ///< the frame itself, if it is a mark: those are not logged
};

/// One class of one run: its lanes, the frames cut from them, and their log. The sender thread
/// drains and cuts; the shipper takes departures and releases them; any thread asks for numbers.
class Origin {
  public:
    struct Limits {
        std::size_t frame_bytes;
        std::size_t log_bytes_max;
        std::chrono::milliseconds linger;
        bool sync;
    };
    /// Throws SetupError.
    Origin(Run& run, EventClass event_class, const Limits& limits);

    EventClass event_class() const { return event_class_; }
    const Run& run() const { return run_; }

    /// Any thread: the lane is drained from now on.
    void add_lane(std::uint64_t number, LaneMapping* lane);

    using Lanes = std::map<std::uint64_t, std::unique_ptr<LaneMapping>>;  // by number
    /// Sender: what an earlier process left in log and lanes.
    void recover(Lanes lanes);

    enum class Cut : std::uint8_t {
        none,     ///< nothing is due
        cut,      ///< at least one frame was logged
        blocked,  ///< the log is full or the disk refuses: lanes fill up until it can
    };
    /// Sender: drains the lanes and cuts what is due. `all`: also what would still linger.
    Cut drain(bool all);
    /// Sender: a mark that tells the leader how many events there are, and whether more will come.
    void send_mark(bool closing);
    /// Whether the last frame has been followed by a mark.
    bool is_marked() const { return is_marked_; }
    /// Sender: drains to the end; once all is logged, sends the closing mark. Again until true.
    bool finish();

    /// Shipper: the next frame to send for the first time; false if none.
    bool take_departure(Departure& departure);
    std::vector<std::byte> read(const Departure& departure) const;
    void release(const Departure& departure);

    std::uint64_t accepted() const;
    /// Whether everything up to `accepted` is logged, or acknowledged.
    bool has_logged(std::uint64_t accepted) const;
    bool has_acked(std::uint64_t accepted) const;
    /// Whether nothing waits for the stream any more, marks included.
    bool is_settled() const;
    void add_stats(ClassStats& stats) const;
    std::chrono::steady_clock::time_point last_cut() const { return last_cut_; }
    std::uint64_t seq_next() const { return seq_next_.load(std::memory_order_relaxed); }
    int disk_error() const { return log_.last_error(); }
    std::uint64_t damaged() const { return damaged_; }

  private:
    struct Source {
        std::uint64_t number;
        LaneReader reader;
        std::uint64_t drops_taken;
        std::uint64_t logged_position;
        std::uint64_t logged_drops = drops_taken;
    };
    struct Content {
        std::uint32_t events;  // tombstones included
        std::uint32_t tombstones;
    };
    void adopt_new_lanes();
    bool fill_body(Source& source);
    void append_line(std::span<const std::byte> payload);
    void take_drops(Source& source);
    Cut cut();
    Cut log_frame();

    Run& run_;
    EventClass event_class_;
    Limits limits_;
    FrameLog log_;
    FrameEncoder encoder_;
    std::function<const OwnedDescriptor*(std::uint32_t)> find_type_;

    // The sender's own.
    PublisherId publisher_;
    std::vector<std::unique_ptr<LaneMapping>> recovered_lanes_;
    bool is_recovered_ = false;
    bool is_marked_ = false;
    bool is_finished_ = false;
    std::vector<Source> sources_;
    std::vector<LaneTail> tails_;
    std::size_t next_source_ = 0;
    std::string body_;
    std::uint32_t body_seqs_ = 0;
    std::uint32_t body_lines_ = 0;
    std::uint32_t body_tombstones_ = 0;
    std::chrono::steady_clock::time_point body_since_{};
    std::chrono::steady_clock::time_point last_cut_ = std::chrono::steady_clock::now();
    std::vector<std::byte> frame_;
    bool frame_is_ready_ = false;  // encoded, and waiting for room in the log
    std::uint64_t damaged_ = 0;

    std::atomic<std::uint64_t> seq_next_{1};

    mutable std::mutex mutex_;  // guards what follows
    std::vector<std::pair<std::uint64_t, LaneMapping*>> new_lanes_;
    std::vector<LaneMapping*> lanes_;  // for accepted()
    std::deque<Departure> departures_;
    std::map<std::uint64_t, Content> unreleased_;  // by seq_first
    std::uint64_t acked_ = 0;
    std::uint64_t tombstoned_ = 0;
    std::uint64_t wire_bytes_ = 0;
    std::uint64_t json_bytes_ = 0;
    std::size_t marks_ = 0;  // departures and in-flight frames that carry no events
};

}  // namespace homeward
