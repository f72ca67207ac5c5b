#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "publisher/origin.hpp"
#include "publisher/run.hpp"
#include "publisher/shipper.hpp"

namespace homeward {

/// What a dead process left in the spool, on its way to the stream under its own identity, region
/// and app. One thread.
///
/// After a restart of the machine, unless the log was synced before sending, frames may have left
/// that the log no longer holds, and their seqs with them. Logged frames are still what they were
/// and go out as they are. But what waits in lanes may have been sent already, and its seqs may be
/// taken: it goes out under a new origin, and both origins declare possible duplicates.
class LeftRun {
  public:
    using OnLog = std::function<void(const std::string& line)>;

    /// `shipper` and `limits` for the run's origins. Throws SetupError.
    LeftRun(std::unique_ptr<Run> run, const Origin::Limits& limits, Shipper& shipper, OnLog on_log);
    ~LeftRun();
    LeftRun(const LeftRun&) = delete;
    LeftRun& operator=(const LeftRun&) = delete;

    /// Cuts and sends what is there; true once the stream has everything. Then the run is removed.
    bool advance();
    const Run& run() const { return *run_; }
    /// Events that the stream has acknowledged, and those that are reported as lost.
    ClassStats stats() const;

  private:
    void recover_class(EventClass event_class, Origin::Lanes lanes);
    void report_lost_lanes(EventClass event_class, const std::vector<std::uint64_t>& found);
    Origin& origin_of_lanes(EventClass event_class);

    std::unique_ptr<Run> run_;
    std::unique_ptr<Run> successor_;  // of an interrupted run whose lanes are not empty
    Origin::Limits limits_;
    Shipper& shipper_;
    OnLog on_log_;
    std::vector<std::unique_ptr<Origin>> origins_;
    std::size_t first_of_metric_ = 0;  // in origins_: of the run itself, not of its successor
};

/// All that dead processes left in one spool.
class LeftRuns {
  public:
    LeftRuns(const Origin::Limits& limits, Shipper& shipper, LeftRun::OnLog on_log)
        : limits_(limits), shipper_(shipper), on_log_(std::move(on_log)) {}

    /// Locks what is there, and says what is left alone and why.
    void adopt(const std::filesystem::path& spool);
    void advance();
    /// How many are not in the stream yet.
    std::size_t size() const { return waiting_.size() + runs_.size(); }

  private:
    Origin::Limits limits_;
    Shipper& shipper_;
    LeftRun::OnLog on_log_;
    std::vector<std::unique_ptr<Run>> waiting_;
    std::vector<std::unique_ptr<LeftRun>> runs_;
};

}  // namespace homeward
