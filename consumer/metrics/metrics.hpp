#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/metrics/stage_clock.hpp"

namespace homeward::consumer {

/// Counts in fixed buckets. Any thread.
class Histogram {
  public:
    explicit Histogram(std::vector<double> bounds);
    void observe(double value);
    /// Upper bound of the bucket in which the quantile lies; 0 without observations.
    double quantile(double q) const;
    double sum() const { return sum_.load(std::memory_order_relaxed); }
    /// One for each bound, and one for what lies beyond.
    std::vector<std::uint64_t> counts() const;
    const std::vector<double>& bounds() const { return bounds_; }

  private:
    std::vector<double> bounds_;
    std::vector<std::atomic<std::uint64_t>> counts_;
    std::atomic<double> sum_{0};
};

/// Everything that is counted; names and units by Prometheus convention. Any thread.
class Metrics {
  public:
    Metrics();

    std::atomic<std::uint64_t> rows{0};
    std::atomic<std::uint64_t> row_bytes{0};
    std::atomic<std::uint64_t> batches{0};
    std::atomic<std::uint64_t> messages{0};
    std::atomic<std::uint64_t> message_bytes{0};
    std::atomic<std::uint64_t> redelivered{0};
    std::atomic<std::uint64_t> skipped_events{0};
    std::atomic<std::uint64_t> dead_letters{0};
    std::atomic<std::uint64_t> parked{0};
    std::atomic<std::uint64_t> redriven{0};
    std::atomic<std::uint64_t> delayed_naks{0};
    std::atomic<std::uint64_t> newer_frames{0};
    std::atomic<std::uint64_t> letters_open{0};
    std::atomic<std::uint64_t> letters_parked{0};
    std::atomic<std::uint64_t> letter_bytes{0};
    std::atomic<bool> quota_full{false};
    std::atomic<std::uint64_t> holes{0};
    std::atomic<std::uint64_t> holes_missing{0};
    std::atomic<std::uint64_t> tombstones{0};
    std::atomic<std::uint64_t> conflicts{0};
    std::atomic<std::uint64_t> retries{0};
    std::atomic<std::uint64_t> redos{0};
    std::atomic<std::uint64_t> replaced_nuls{0};
    std::atomic<std::uint64_t> compacted_frames{0};
    std::atomic<std::uint64_t> acks_waiting{0};
    std::atomic<std::uint64_t> lacking_frames{0};
    std::atomic<bool> leader_up{false};
    std::atomic<bool> paused{false};

    StageClocks stages;

    Histogram batch_rows;
    Histogram batch_delay_seconds;
    Histogram batch_seconds;
    Histogram decode_seconds;
    Histogram copy_seconds;
    Histogram commit_seconds;

    /// Lives as long as the metrics do.
    Histogram& freshness(const std::string& region, std::string_view kind);
    /// By region and class, each with one bucket more than there are bounds.
    using FreshnessCounts =
        std::map<std::pair<std::string, std::string>, std::vector<std::uint64_t>>;
    FreshnessCounts freshness_counts() const;
    /// The observed seconds, by the same.
    using FreshnessSums = std::map<std::pair<std::string, std::string>, double>;
    FreshnessSums freshness_sums() const;
    /// Exponential, by 5%, from 1 ms to a day; among them those that Prometheus gets.
    static const std::vector<double>& freshness_bounds();
    static const std::vector<double>& freshness_shown();

    /// What waits in a stream.
    struct Backlog {
        std::uint64_t pending = 0;         ///< messages not delivered yet
        std::uint64_t unacknowledged = 0;  ///< delivered, to whichever consumer
        std::uint64_t bytes = 0;           ///< of all that it stores
        std::uint64_t bytes_max = 0;       ///< what it may store; 0: no limit of its own
        std::uint64_t undeliverable = 0;   ///< lost by the durable for a minute and more
        std::uint64_t max_deliver = 0;     ///< deliveries after which it gives up; 0: never
    };
    struct StreamStatus {
        bool is_up = false;
        std::chrono::system_clock::time_point since{};  ///< that it answers, or does not
        Backlog last;                                   ///< when it last answered
    };
    /// Of all streams that were asked.
    std::map<std::string, StreamStatus> stream_statuses() const;
    void set_backlog(const std::string& stream, const Backlog& backlog);
    /// It does not answer.
    void forget_backlog(const std::string& stream);
    /// Of the streams that have answered.
    std::map<std::string, Backlog> backlogs() const;

    /// What has been written of a stream, so that a backlog of messages can be told in events.
    void count_events(const std::string& stream, std::uint64_t message_count,
                      std::uint64_t event_count);
    /// The mean of all that was written of it; 0 before the first.
    double events_per_message(const std::string& stream) const;

    void set_pending(const std::string& stream, std::uint64_t count);

    /// What is held back while everything else flows, and why.
    struct Hold {
        /// What `name` is: "type", "stream", "source" (region/app: bad events of it),
        /// "publishers" (region/app: new ones of it), or "newer_frames" (region/app: of it).
        std::string kind;
        std::string name;
        std::string why;
        std::chrono::system_clock::time_point since;
    };
    /// Again with another reason: the same hold.
    void begin_hold(const std::string& kind, const std::string& name, const std::string& why);
    void end_hold(const std::string& kind, const std::string& name);
    std::vector<Hold> holds() const;

  private:
    mutable std::mutex mutex_;  // guards the maps, not what they hold
    std::map<std::pair<std::string, std::string>, Histogram> freshness_;
    std::map<std::string, Backlog> backlogs_;
    std::map<std::pair<std::string, std::string>, Hold> holds_;
    std::map<std::string, StreamStatus> statuses_;
    struct Written {
        double messages = 0, events = 0;
    };
    std::map<std::string, Written> written_;  // by stream
};

}  // namespace homeward::consumer
