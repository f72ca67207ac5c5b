#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "publisher/spool/run.hpp"

namespace homeward {

/// What one run holds of one class. Counts of a run at work are of a moment.
struct ClassView {
    std::size_t frames = 0;          ///< logged and not acknowledged
    std::uint64_t frame_events = 0;  ///< in them
    std::uint64_t frame_bytes = 0;   ///< compressed
    std::size_t lanes = 0;
    std::uint64_t lane_events = 0;    ///< not in a frame yet
    std::uint64_t lost_events = 0;    ///< damaged: will be reported as tombstones
    std::uint64_t damaged_bytes = 0;  ///< of log and lanes
};

struct RunView {
    std::filesystem::path directory;
    Run::Finding finding = Run::Finding::none;
    std::string note;      ///< why it is left alone
    RunIdentity identity;  ///< of a left or an alive one
    bool possible_duplicates = false;
    double age_seconds = 0;  ///< since it last wrote anything
    std::size_t lanes_unreadable = 0;
    std::array<ClassView, 2> classes;
    std::uint64_t disk_bytes = 0;  ///< of its directory in the spool
    std::uint64_t lane_bytes = 0;  ///< of its lanes, wherever they are

    std::uint64_t events() const;
    std::uint64_t lost_events() const;
    /// Its process is gone, and all that is left to send is the word that it has ended.
    bool is_ended() const;
};

struct SpoolView {
    std::vector<RunView> runs;     ///< those that wrote last come last
    std::size_t unfinished = 0;    ///< directories that a kill has left half made or removed
    std::uint64_t disk_bytes = 0;  ///< of everything in it
    std::uint64_t bytes_max = 0;   ///< the lowest bound of its runs; 0: none says one
};

/// Everything in `spool`; changes nothing and takes no lock, so that apps may be at work meanwhile.
SpoolView inspect_spool(const std::filesystem::path& spool);

std::string to_text(const SpoolView& spool);
std::string to_json(const SpoolView& spool);

}  // namespace homeward
