#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "publisher/metrics/meter_state.hpp"

namespace homeward {

/// The meters of one publisher in one process. Any thread, but for maintain().
class MetricReports {
  public:
    using SteadyClock = std::chrono::steady_clock;

    /// `lane_directory`: of the run; empty: without a spool.
    explicit MetricReports(std::filesystem::path lane_directory)
        : cells_(std::make_shared<CellStore>(std::move(lane_directory))) {}

    /// Where the meters of this process have their cells.
    std::shared_ptr<CellStore> cells() const { return cells_; }
    void add(std::shared_ptr<MeterState> meter);
    /// Instruments refuse values from now on.
    void close();
    /// LaneDrainer, by its thread, some 50 times a second: reports what is due. Returns what an
    /// operator should know, once for each cause; else "".
    std::string maintain();
    /// Waits until what was added before the call is in events that emit() has accepted. False: not
    /// by the deadline. Not by the drainer's thread.
    bool report(SteadyClock::time_point deadline);

  private:
    const std::shared_ptr<CellStore> cells_;
    std::atomic<std::size_t> count_{0};
    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable done_;
    std::vector<std::shared_ptr<MeterState>> meters_;
    std::uint64_t ticket_wanted_ = 0;
    std::uint64_t ticket_done_ = 0;
};

}  // namespace homeward
