#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <homeward/detail/lane_layout.hpp>

#include "publisher/spool/run.hpp"
#include "tests/support/temp_dir.hpp"

namespace homeward::testing {

/// The files of one run whose process is gone, small, as bytes that a test may damage: a log of
/// some frames, a few of them acknowledged, and a lane that has gone round once and still holds
/// events. Event i is an audit event with
/// resource i, from 1, and has seq i.
class LeftSpool {
  public:
    /// `checksum`: of the lane's records.
    explicit LeftSpool(detail::LaneChecksum checksum = detail::LaneChecksum::crc32c);

    std::filesystem::path log_file() const { return directory() / "audit" / "log-00000001"; }
    std::filesystem::path lane_file() const;
    std::filesystem::path types_file() const { return directory() / "types.jsonl"; }
    std::filesystem::path run_file() const { return directory() / "run.json"; }
    const std::string& bytes_of(const std::filesystem::path& file) const { return files_.at(file); }

    /// All files as they were left, but for one.
    void put_back(const std::filesystem::path& changed, const std::string& bytes) const;
    void put_back() const { put_back({}, {}); }

    std::filesystem::path spool() const { return dir_ / "spool"; }
    std::filesystem::path directory() const { return spool() / identity_.publisher.hex(); }
    const RunIdentity& identity() const { return identity_; }
    std::uint64_t events() const { return events_; }
    /// Acknowledged, and known so to the log.
    const std::set<std::uint64_t>& released() const { return released_; }
    std::uint64_t frame_events_max() const { return frame_events_max_; }
    /// The frames of those.
    const std::vector<std::string>& released_frames() const { return released_frames_; }
    /// As if the machine had started again since.
    void restart_machine();
    /// Where in the lane's file events still wait.
    std::size_t waiting_begin() const { return waiting_begin_; }
    std::size_t waiting_end() const { return waiting_end_; }

  private:
    void emit(detail::LaneWriter& writer, std::size_t count);

    TempDir dir_;
    RunIdentity identity_;
    std::map<std::filesystem::path, std::string> files_;
    std::uint64_t events_ = 0;
    std::set<std::uint64_t> released_;
    std::vector<std::string> released_frames_;
    std::uint64_t frame_events_max_ = 0;
    std::size_t waiting_begin_ = 0, waiting_end_ = 0;
};

/// What comes out of an orphaned run when it is drained to its end, without a server.
struct Drained {
    bool is_adopted = false;
    bool is_closed = false;          ///< the last heartbeat says that these were all
    std::uint64_t accepted = 0;      ///< as the last heartbeat says
    std::uint64_t tombstones = 0;    ///< seqs that tombstones cover
    std::set<std::uint64_t> seqs;    ///< that frames cover
    std::set<std::uint64_t> events;  ///< by resource
    bool is_orderly =
        true;  ///< no seq and no event twice, every line of every frame an event or a tombstone
};
Drained drain(const std::filesystem::path& directory);

}  // namespace homeward::testing
