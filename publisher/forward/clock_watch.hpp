#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace homeward::forward {

/// Compares callers' clocks with this machine's and logs which regions' clocks differ. It only
/// logs. Any thread.
class ClockWatch {
  public:
    explicit ClockWatch(std::function<void(std::string_view)> on_log)
        : on_log_(std::move(on_log)) {}

    /// `sent_at`: Unix time by the sender's clock, of a message that has just arrived.
    void see(std::string_view region, std::chrono::microseconds sent_at);

  private:
    using Clock = std::chrono::steady_clock;

    const std::function<void(std::string_view)> on_log_;
    std::mutex mutex_;
    std::map<std::string, Clock::time_point, std::less<>> said_;
};

}  // namespace homeward::forward
