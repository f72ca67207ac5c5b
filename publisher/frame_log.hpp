#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "publisher/file.hpp"
#include "publisher/log_format.hpp"

namespace homeward {

/// Seqs of one origin, both ends included.
struct SeqRange {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    auto operator<=>(const SeqRange&) const = default;
};

/// Where a logged frame lies.
struct LoggedFrame {
    std::uint64_t seq_first = 0;
    std::uint64_t seq_last = 0;
    std::uint64_t segment = 0;
    std::size_t offset = 0;  ///< of the frame's bytes in the segment
    std::size_t bytes = 0;
};

/// The durable, bounded queue of cut frames, of one run and class. append() by the sender only;
/// read() and release() by any thread.
class FrameLog {
  public:
    /// Empty `directory`: segments are anonymous memory. Throws SetupError when the first segment
    /// cannot be allocated.
    FrameLog(std::filesystem::path directory, std::size_t bytes_max, bool sync);

    enum class Outcome : std::uint8_t {
        logged,
        full,        ///< log_bytes_max is reached; nothing was written
        disk_error,  ///< see last_error(); nothing counts as written
    };
    /// `seqs`: what the frame covers.
    Outcome append(SeqRange seqs, std::span<const LaneTail> tails, std::span<const std::byte> frame,
                   LoggedFrame& logged);

    /// The frame's bytes, as they were cut; empty if the log is damaged there.
    std::vector<std::byte> read(const LoggedFrame& frame) const;
    /// The stream has it. Segments without other frames are deleted.
    void release(const LoggedFrame& frame);

    /// Of the last append(): errno after disk_error, else 0. For who calls append().
    int last_error() const { return last_error_; }
    /// What it takes on disk, in whole segments, and what it may.
    std::size_t bytes() const;
    std::size_t bytes_max() const { return bytes_max_; }

    /// What an earlier process left in `directory`: to be called once, before any append().
    struct Recovery {
        std::vector<LoggedFrame> frames;          ///< not released, in seq order
        std::map<std::uint64_t, LaneTail> tails;  ///< by lane, the last that was logged
        std::uint64_t seq_next = 1;               ///< behind the last logged frame, released or not
        std::uint64_t accepted = 0;       ///< the most that a frame says its origin had accepted
        std::uint64_t damaged_bytes = 0;  ///< skipped while looking for the next entry
        /// Seqs below seq_next that were logged and whose frame is damaged; nobody acknowledged it,
        /// as far as the log knows.
        std::vector<SeqRange> lost;
    };
    Recovery recover();

  private:
    struct Segment {
        File file;
        std::size_t used = 0;
        std::size_t unreleased = 0;
    };
    using Segments = std::map<std::uint64_t, std::shared_ptr<Segment>>;

    std::filesystem::path segment_path(std::uint64_t number) const;
    std::shared_ptr<Segment> find(std::uint64_t number) const;
    Outcome open_segment(std::size_t entry_bytes, std::uint64_t seq_next);
    Outcome begin_segment(std::uint64_t seq_next);
    Outcome reuse_segment(std::uint64_t seq_next);
    int write_opening(std::uint64_t seq_next);
    int write_entry(LogEntryKind kind, std::span<const std::byte> body);
    void delete_released_segments();
    void write_releases();
    struct Scan;
    void scan(std::uint64_t number, const Segment& segment, Scan& scan) const;

    std::filesystem::path directory_;
    std::size_t bytes_max_;
    bool sync_;
    int last_error_ = 0;
    std::uint64_t current_ = 0;
    std::vector<std::byte> entry_;

    mutable std::mutex mutex_;  // guards what follows
    Segments segments_;
    std::vector<SeqRange> released_;  // not yet written down
};

}  // namespace homeward
