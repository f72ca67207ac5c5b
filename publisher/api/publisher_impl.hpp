#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include <homeward/publisher.hpp>

#include "publisher/api/refusals.hpp"
#include "publisher/metrics/metric_reports.hpp"
#include "publisher/platform/app_log.hpp"
#include "publisher/platform/fork_detection_page.hpp"
#include "publisher/send/lane_drainer.hpp"
#include "publisher/spool/lane_pool.hpp"
#include "publisher/spool/run.hpp"

namespace homeward {

/// What a publisher has in one process. A forked child makes one of its own.
class Publisher::Impl {
  public:
    /// `parents`: of the process that has forked this one; nullptr: none has.
    Impl(const PublisherOptions& wanted, FrameSender::Start start, const Impl* parents = nullptr);
    Stats stats() const;
    /// Tells on_log why events are refused, of each cause once.
    void say_refusals();

    /// Removes what there is of it unless the publisher could be opened.
    struct OwnRun {
        std::unique_ptr<Run> run;
        bool is_open = false;
        ~OwnRun() {
            if (run != nullptr && !is_open) run->remove();
        }
    };

    const std::shared_ptr<AppLog> log;
    const PublisherOptions options;
    const std::uint64_t owner;
    std::atomic<bool> closed{false};
    ForkDetectionPage fork_page;
    detail::Clock clock;
    OwnRun run;
    LanePool lanes;
    Refusals refusals;
    MetricReports metrics;
    // the sender's thread's own
    std::chrono::steady_clock::time_point next_news{};
    bool is_run_unsynced;
    LaneDrainer sender;  // last: its thread uses what is above

  private:
    void maintain();  // by the sender's thread
};

}  // namespace homeward
