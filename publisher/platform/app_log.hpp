#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace homeward {

/// The app's on_log. Lines that come up while a thread of the app is inside emit(), as when a
/// forked child opens its publisher there, wait for a thread of ours. Any thread.
class AppLog {
  public:
    using OnLog = std::function<void(std::string_view line)>;

    /// `on_log` does not throw; it may be empty.
    explicit AppLog(OnLog on_log) : on_log_(std::move(on_log)) {}

    void say(std::string_view line);
    /// By a thread of ours: what has waited.
    void say_waiting();
    const OnLog& on_log() const { return on_log_; }

    /// Around what an emit() does that may have something to say.
    struct InsideEmit {
        InsideEmit();
        ~InsideEmit();
        InsideEmit(const InsideEmit&) = delete;
        InsideEmit& operator=(const InsideEmit&) = delete;
    };

  private:
    const OnLog on_log_;
    std::mutex mutex_;  // guards what follows
    std::vector<std::string> waiting_;
};

}  // namespace homeward
