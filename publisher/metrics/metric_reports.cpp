#include "publisher/metrics/metric_reports.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace homeward {

void MetricReports::add(std::shared_ptr<MeterState> meter) {
    const std::lock_guard lock(mutex_);
    meters_.push_back(std::move(meter));
    count_ = meters_.size();
}

void MetricReports::close() {
    const std::lock_guard lock(mutex_);
    for (const auto& meter : meters_) meter->close();
}

/// What they report does not hold the mutex, for which flush() would wait.
std::string MetricReports::maintain() {
    if (count_.load(std::memory_order_relaxed) == 0) return "";
    std::vector<std::shared_ptr<MeterState>> meters;
    std::uint64_t wanted = 0;
    {
        const std::lock_guard lock(mutex_);
        meters = meters_;
        wanted = ticket_wanted_;
    }
    std::string news;
    std::uint64_t done = wanted;
    for (const auto& meter : meters) {
        try {
            meter->report(wanted);
            if (news.empty()) news = meter->news();
        } catch (const std::exception&) {
            // No memory: the next call tries again.
        }
        done = std::min(done, meter->is_over() ? wanted : meter->ticket_done());
    }
    const std::lock_guard lock(mutex_);
    std::erase_if(meters_, [](const auto& meter) { return meter->is_over(); });
    count_ = meters_.size();
    ticket_done_ = std::max(ticket_done_, done);
    done_.notify_all();
    return news;
}

bool MetricReports::report(SteadyClock::time_point deadline) {
    std::unique_lock lock(mutex_);
    if (meters_.empty()) return true;
    const std::uint64_t ticket = ++ticket_wanted_;
    return done_.wait_until(lock, deadline,
                            [&] { return ticket_done_ >= ticket || meters_.empty(); });
}

}  // namespace homeward
