#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "publisher/send/orphaned_run.hpp"

namespace homeward {

/// Finds what dead processes have left in a spool, for as long as it lives, and sends it. Any
/// number of publishers and tools may do so in one spool: a run is sent by who holds its lock. One
/// thread.
///
/// At most kRunsAtOnce are open at a time, so that neither descriptors nor memory depend on how
/// many there are. The others are made small meanwhile: their lanes are cut into their logs, and
/// what is empty is removed. A run that makes no progress gives its place to the next.
class SpoolRecovery {
  public:
    using SteadyClock = std::chrono::steady_clock;
    static constexpr std::size_t kRunsAtOnce = 4;

    struct Options {
        std::filesystem::path spool;
        std::filesystem::path own_run;   ///< never looked at; empty: none
        std::filesystem::path lane_dir;  ///< where unfinished runs may have left lanes
        Origin::Limits limits;
    };
    SpoolRecovery(Options options, FrameSender& frame_sender, OrphanedRun::OnLog on_log)
        : options_(std::move(options)), frame_sender_(frame_sender), on_log_(std::move(on_log)) {}

    /// Looks for runs whose process is gone, says what is left alone and why, and removes what a
    /// kill has left of a run that was being made or removed.
    void scan();
    /// Takes a step with each that is open; opens others.
    void advance();
    /// How many are known and not in the stream yet.
    std::size_t size() const { return waiting_.size() + open_.size(); }
    /// When to scan again: later in a spool of many runs, since each of them looks at all.
    SteadyClock::duration scan_interval() const;

  private:
    struct Waiting {
        std::filesystem::path directory;
        std::unique_ptr<Run> run;  ///< if it is locked: those that are opened next
    };
    struct Open {
        std::unique_ptr<OrphanedRun> run;
        std::uint64_t settled = 0;  ///< events
        SteadyClock::time_point progress_at;
    };
    void look_at(const std::filesystem::path& directory);
    void say(const std::filesystem::path& directory, const std::string& line);
    bool open_next();
    void compact_next();
    void yield_stuck();
    bool is_known(const std::filesystem::path& directory) const;

    Options options_;
    FrameSender& frame_sender_;
    OrphanedRun::OnLog on_log_;
    std::size_t runs_seen_ = 0;
    std::deque<Waiting> waiting_;
    std::vector<Open> open_;
    std::set<std::filesystem::path> compacted_;
    std::map<std::filesystem::path, SteadyClock::time_point> failed_;  // not tried before
    std::map<std::filesystem::path, std::string> said_;
};

}  // namespace homeward
