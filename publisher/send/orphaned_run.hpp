#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "publisher/send/frame_sender.hpp"
#include "publisher/send/origin.hpp"
#include "publisher/spool/run.hpp"

namespace homeward {

/// What a dead process left in the spool, on its way to the stream under its own identity, region
/// and app. One thread.
///
/// After a restart of the machine, unless the log was synced before sending, frames may have left
/// that the log no longer holds, and their seqs with them. Logged frames are still what they were
/// and go out as they are. But what waits in lanes may have been sent already, and its seqs may be
/// taken: it goes out under a new origin, and both origins declare possible duplicates.
class OrphanedRun {
  public:
    using OnLog = std::function<void(const std::string& line)>;

    /// `limits` for the run's origins. Reads what is there and sends nothing yet. Throws
    /// SetupError.
    OrphanedRun(std::unique_ptr<Run> run, const Origin::Limits& limits, OnLog on_log);
    ~OrphanedRun();
    OrphanedRun(const OrphanedRun&) = delete;
    OrphanedRun& operator=(const OrphanedRun&) = delete;

    /// From now on advance() has its frames sent by `frame sender`, which must outlive this.
    void send_by(FrameSender& frame_sender);
    /// Cuts and sends what is there; true once the stream has everything. Then the run is removed.
    bool advance();
    /// Without sending: cuts what the lanes hold into the log, and gives tmpfs and disk all that
    /// this leaves unused. True if nothing was ever emitted: then the run is removed.
    bool compact();
    const Run& run() const { return *run_; }
    /// Events that the stream has acknowledged, and those that are reported as lost.
    ClassStats stats() const;

  private:
    void recover_cells(Run::Lanes& lanes);
    void recover_class(EventClass event_class, Origin::Lanes lanes);
    void report_lost_lanes(EventClass event_class, const std::vector<std::uint64_t>& found);
    Origin& origin_of_lanes(EventClass event_class);

    std::unique_ptr<Run> run_;
    std::unique_ptr<Run> successor_;  // of an interrupted run whose lanes are not empty
    Origin::Limits limits_;
    FrameSender* frame_sender_ = nullptr;
    OnLog on_log_;
    std::size_t lanes_damaged_ = 0;
    bool has_lost_lanes_ = false;
    std::vector<std::unique_ptr<Origin>> origins_;
    std::size_t first_of_metric_ = 0;  // in origins_: of the run itself, not of its successor
};

}  // namespace homeward
