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

#include "publisher/buffer/log_format.hpp"
#include "publisher/buffer/spool_usage.hpp"
#include "publisher/platform/file.hpp"

namespace homeward {

/// Seqs of one origin, both ends included.
struct SeqRange {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    auto operator<=>(const SeqRange&) const = default;
};

/// Where a logged frame lies. Segment and offset name it: no other frame of the log has both.
struct LoggedFrame {
    std::uint64_t seq_first = 0;
    std::uint64_t seq_last = 0;
    std::uint64_t segment = 0;
    std::size_t offset = 0;  ///< of the frame's bytes in the segment
    std::size_t bytes = 0;
};

/// The durable, bounded queue of cut frames, of one run and class. append() by the sender only;
/// read(), release(), replace() and forget() by any thread.
///
/// Only the segment that is appended to stays open, and the one that was read last.
class FrameLog {
  public:
    /// Empty `directory`: segments are anonymous memory. Throws SetupError when the directory
    /// cannot be made. `usage`: what bounds the spool as a whole. `sync`: a frame is on the disk,
    /// and so is its file's name, when append() returns.
    FrameLog(std::filesystem::path directory, std::size_t bytes_max, bool sync,
             std::shared_ptr<SpoolUsage> usage = nullptr);

    enum class Outcome : std::uint8_t {
        logged,
        full,        ///< log_bytes_max or the spool's bound is reached; nothing was written
        disk_error,  ///< see last_error(); nothing counts as written
    };
    /// `seqs`: what the frame covers.
    Outcome append(SeqRange seqs, std::span<const LaneTail> tails, std::span<const std::byte> frame,
                   LoggedFrame& logged);

    /// The frame's bytes, as they were cut; empty if the log is damaged there. nullopt: the segment
    /// cannot be opened just now, for want of a descriptor or of memory.
    std::optional<std::vector<std::byte>> read(const LoggedFrame& frame) const;
    /// The stream has it: whoever recovers the log later does not send it. Its bytes stay.
    void release(const LoggedFrame& frame);
    /// The log does not give it back, and a tombstone that reports its seqs is logged. As release()
    /// for a recovery, but its seqs count as lost unless that tombstone is found.
    void replace(const LoggedFrame& frame);
    /// Nobody will read it again: once per frame. Segments without other frames are deleted.
    void forget(const LoggedFrame& frame);

    /// Of the last append(): errno after disk_error, else 0. For who calls append().
    int last_error() const { return last_error_; }
    /// Of the last append(): whether it was the spool's bound.
    bool is_spool_full() const { return is_spool_full_; }
    /// What it takes on disk, and what it may.
    std::size_t bytes() const;
    std::size_t bytes_max() const { return bytes_max_; }

    /// What an earlier process left in `directory`: to be called once, before any append(). Changes
    /// nothing. Throws SetupError.
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
    /// By who appends, after recover() at the earliest: gives the disk what the segments have not
    /// used. The next append() begins another.
    void trim() noexcept;

  private:
    struct Segment {
        std::shared_ptr<File> file;  // none: opened again for who reads
        std::size_t bytes = kSegmentBytes;
        std::size_t frames = 0;  // not forgotten
    };
    using Segments = std::map<std::uint64_t, Segment>;
    /// What is written down of a frame with the next append().
    struct Note {
        LogEntryKind kind;
        LoggedFrame frame;
    };

    std::filesystem::path segment_path(std::uint64_t number) const;
    std::shared_ptr<File> open_for_reading(std::uint64_t number) const;
    void add_note(LogEntryKind kind, const LoggedFrame& frame);
    bool is_current_forgotten() const;
    bool is_room_for_segment() const;
    Outcome open_segment(std::size_t entry_bytes, std::uint64_t seq_next);
    int make_segment(std::uint64_t number, std::size_t bytes);
    Outcome begin_segment(std::uint64_t seq_next);
    Outcome reuse_if_forgotten(std::uint64_t seq_next, Outcome otherwise);
    Outcome reuse_segment(std::uint64_t seq_next);
    int write_opening(std::uint64_t number, std::uint64_t seq_next);
    int write_entry(LogEntryKind kind, std::span<const std::byte> body);
    int write_entry_at(std::uint64_t number, std::size_t offset, LogEntryKind kind,
                       std::span<const std::byte> body);
    int sync_name() const;
    void delete_forgotten_segments();
    void write_notes();
    struct Scan;
    std::size_t scan(std::uint64_t number, const File& file, Scan& scan) const;

    std::filesystem::path directory_;
    std::size_t bytes_max_;
    bool sync_;
    std::shared_ptr<SpoolUsage> usage_;
    // The appender's own.
    int last_error_ = 0;
    bool is_spool_full_ = false;
    std::uint64_t current_ = 0;   // its number; 0: none yet
    std::shared_ptr<File> file_;  // of the current segment
    std::size_t used_ = 0;        // of the current segment
    std::size_t room_ = 0;        // its size
    bool is_name_synced_ = true;  // of the current segment, if that is wanted
    std::vector<std::byte> entry_;

    mutable std::mutex mutex_;  // guards what follows
    Segments segments_;
    std::vector<Note> notes_;
    mutable std::uint64_t read_number_ = 0;
    mutable std::shared_ptr<File> read_file_;  // of the segment that was read last
};

}  // namespace homeward
