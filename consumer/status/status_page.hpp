#pragma once

#include <prometheus/metric_family.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/base/config.hpp"
#include "consumer/metrics/metrics.hpp"
#include "consumer/nats/stream.hpp"
#include "consumer/postgres/pg_connection.hpp"
#include "consumer/status/bottleneck.hpp"
#include "consumer/status/health.hpp"
#include "consumer/status/history.hpp"
#include "consumer/status/leader_view.hpp"
#include "consumer/status/poller.hpp"

namespace homeward::consumer {

/// The page itself: HTML, style and script in one, without any address but its own host's.
std::string_view status_html();
/// deploy/RUNBOOK.md of this version, for whoever has only the page.
std::string_view runbook_text();
/// Its Content-Security-Policy: exactly the style and the script of that page, by their hashes, and
/// nothing else from anywhere, whatever an event's text may say.
std::string status_policy();

/// What the page shows: the last minutes, what limits the system now and how well it is. Any
/// thread; has threads and a connection to the leader of its own, which asks only while somebody
/// looks, and is never waited for. What it is given must outlive it.
class StatusPage {
  public:
    struct Sources {
        const Config& config;
        const Metrics& metrics;
        std::vector<Stream> streams;
        std::function<bool()> is_nats_connected;
    };
    explicit StatusPage(Sources sources);

    /// homeward_freshness_quantile_seconds.
    prometheus::MetricFamily freshness_metrics() const;
    /// What is not well, as far as it is known without asking anybody. Never waits.
    std::vector<Reason> reasons() const;
    /// Everything as JSON, with the moments of History from number `since` on. Never throws.
    std::string json(std::uint64_t since);

  private:
    struct Seen;  // a copy of what the watches have found
    struct TimedSample {
        std::chrono::steady_clock::time_point at;
        WaitSample sample;
    };

    std::chrono::milliseconds look_at_leader();
    void ask_leader();
    LimitFacts facts() const;
    nlohmann::json backlogs_json() const;

    const Sources sources_;
    History history_;
    const std::string host_;
    const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();

    // Of the leader watch's thread alone.
    std::optional<PgConnection> leader_;
    std::chrono::steady_clock::time_point view_due_{};

    mutable std::mutex mutex_;  // guards what follows
    std::optional<LeaderView> view_;
    std::deque<TimedSample> samples_;
    std::string leader_error_;
    std::chrono::steady_clock::time_point leader_asked_{};  // unset: no question is open

    Watch leader_watch_;  // last: it calls what is above
};

}  // namespace homeward::consumer
