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

#include "consumer/metrics.hpp"

namespace homeward::consumer {

/// What happened between two looks at the metrics.
struct Moment {
    using FreshKey = std::pair<std::string, std::string>;  // region, class
    struct Quantiles {
        double p50_s = 0, p99_s = 0;
    };
    double seconds = 0;
    double rows = 0;
    double batches = 0;
    StageSeconds stages;
    /// Messages that the streams have not delivered, and had not at its beginning either: what
    /// waits only for a moment is on its way.
    std::uint64_t waiting = 0;
    std::map<FreshKey, Quantiles> fresh;  ///< of those of which something came
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
    std::map<Moment::FreshKey, Moment::Quantiles> minute() const;

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
    std::map<Moment::FreshKey, Moment::Quantiles> minute_;
    std::uint64_t first_ = 0;
    bool stopping_ = false;
    std::thread thread_;
};

/// The quantile of what was counted between two looks at a histogram, between the bounds of its
/// bucket; the last bound for what lies beyond. Precondition: something was counted.
double quantile_between(const std::vector<double>& bounds, const std::vector<std::uint64_t>& before,
                        const std::vector<std::uint64_t>& after, double q);

}  // namespace homeward::consumer
