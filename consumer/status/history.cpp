#include "consumer/status/history.hpp"

#include <algorithm>
#include <cassert>

#include "consumer/base/thread_body.hpp"

namespace homeward::consumer {
namespace {

using SteadyClock = std::chrono::steady_clock;
using Counts = std::vector<std::uint64_t>;

std::uint64_t counted(const Counts& before, const Counts& after) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < after.size(); ++i) {
        sum += after[i] - (i < before.size() ? before[i] : 0);
    }
    return sum;
}

}  // namespace

double quantile_between(const std::vector<double>& bounds, const Counts& before,
                        const Counts& after, double q) {
    const auto total = static_cast<double>(counted(before, after));
    assert(total > 0 && "nothing has no quantile");
    double seen = 0;
    for (std::size_t i = 0; i < bounds.size(); ++i) {
        const auto here = static_cast<double>(after[i] - (i < before.size() ? before[i] : 0));
        const double low = i == 0 ? 0 : bounds[i - 1];
        if (here > 0 && seen + here >= q * total) {
            return low + (bounds[i] - low) * std::clamp((q * total - seen) / here, 0.0, 1.0);
        }
        seen += here;
    }
    return bounds.back();
}

struct History::Look {
    SteadyClock::time_point at;
    double rows = 0;
    double batches = 0;
    StageSeconds stages;
    std::uint64_t waiting = 0;
    Metrics::FreshnessCounts fresh;
};

History::History(const Metrics& metrics)
    : metrics_(metrics), thread_(start_thread("history", [this] { run(); })) {}

History::~History() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stop_.notify_all();
    thread_.join();
}

History::Look History::look() const {
    std::uint64_t waiting = 0;
    for (const auto& [stream, backlog] : metrics_.backlogs()) waiting += backlog.pending;
    return {SteadyClock::now(),
            static_cast<double>(metrics_.rows.load()),
            static_cast<double>(metrics_.batches.load()),
            metrics_.stages.read(),
            waiting,
            metrics_.freshness_counts()};
}

Moment History::between(const Look& before, const Look& after) {
    Moment moment;
    moment.seconds = std::chrono::duration<double>(after.at - before.at).count();
    moment.rows = after.rows - before.rows;
    moment.batches = after.batches - before.batches;
    moment.stages = after.stages - before.stages;
    moment.waiting = std::min(before.waiting, after.waiting);
    for (const auto& [key, counts] : after.fresh) {
        const auto earlier = before.fresh.find(key);
        const Counts none;
        const Counts& base = earlier == before.fresh.end() ? none : earlier->second;
        if (counted(base, counts) == 0) continue;
        moment.fresh[key] = {quantile_between(Metrics::freshness_bounds(), base, counts, 0.5),
                             quantile_between(Metrics::freshness_bounds(), base, counts, 0.99)};
    }
    return moment;
}

void History::run() {
    constexpr std::size_t kLooksOfAMinute = std::chrono::seconds(60) / kInterval;
    Look before = look();
    std::deque<Look> minute{before};
    std::unique_lock lock(mutex_);
    while (!stop_.wait_for(lock, kInterval, [this] { return stopping_; })) {
        lock.unlock();
        Look after = look();
        Moment moment = between(before, after);
        auto fresh = between(minute.front(), after).fresh;
        minute.push_back(after);
        if (minute.size() > kLooksOfAMinute) minute.pop_front();
        before = std::move(after);
        lock.lock();
        minute_ = std::move(fresh);
        moments_.push_back(std::move(moment));
        if (moments_.size() > kMomentsMax) {
            moments_.pop_front();
            ++first_;
        }
    }
}

History::Excerpt History::since(std::uint64_t first) const {
    const std::lock_guard lock(mutex_);
    const std::uint64_t begin = std::clamp<std::uint64_t>(first, first_, first_ + moments_.size());
    return {begin,
            {moments_.begin() + static_cast<std::ptrdiff_t>(begin - first_), moments_.end()}};
}

Freshness History::minute() const {
    const std::lock_guard lock(mutex_);
    return minute_;
}

Moment History::last() const {
    const std::lock_guard lock(mutex_);
    return moments_.empty() ? Moment{} : moments_.back();
}

}  // namespace homeward::consumer
