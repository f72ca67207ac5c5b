#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "consumer/metrics/metrics.hpp"

namespace homeward::consumer {

struct FreshnessQuantiles {
    double p50_s = 0, p99_s = 0;
};
/// By region and class; only those of which something came.
using Freshness = std::map<std::pair<std::string, std::string>, FreshnessQuantiles>;

/// What happened between two looks at the metrics.
struct Moment {
    double seconds = 0;
    double rows = 0;
    double batches = 0;
    StageSeconds stages;
    /// Messages that the streams have not delivered, and had not at its beginning either: what
    /// waits only for a moment is on its way.
    std::uint64_t waiting = 0;
    Freshness fresh;
};

/// The last minutes, kept so that a page that is opened only afterwards shows them too. Has a
/// thread of its own, which reads the metrics and asks nobody. Any thread.
class History {
  public:
    explicit History(const Metrics& metrics);
    ~History();

    struct Excerpt {
        std::uint64_t first = 0;  ///< number of the first of these, counted from the start
        std::vector<Moment> moments;
    };
    /// From moment number `first` on, as far as they are still kept.
    Excerpt since(std::uint64_t first) const;
    /// The last moment; empty before the first.
    Moment last() const;
    /// Freshness of what came in the last minute, within 5%.
    Freshness minute() const;

    static constexpr std::chrono::seconds kInterval{2};
    static constexpr std::size_t kMomentsMax = 300;

  private:
    struct Look;
    void run();
    Look look() const;
    static Moment between(const Look& before, const Look& after);

    const Metrics& metrics_;
    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable stop_;
    std::deque<Moment> moments_;
    Freshness minute_;
    std::uint64_t first_ = 0;
    bool stopping_ = false;
    std::thread thread_;
};

/// The quantile of what was counted between two looks at a histogram, between the bounds of its
/// bucket; the last bound for what lies beyond. Precondition: something was counted.
double quantile_between(const std::vector<double>& bounds, const std::vector<std::uint64_t>& before,
                        const std::vector<std::uint64_t>& after, double q);

}  // namespace homeward::consumer
