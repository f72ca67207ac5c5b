#pragma once

#include <mutex>
#include <string>
#include <string_view>

namespace homeward::testing {

/// What an on_log was told, by any thread.
class LogText {
  public:
    auto listener() {
        return [this](std::string_view line) {
            const std::lock_guard lock(mutex_);
            text_.append(line).append("\n");
        };
    }
    bool has(std::string_view part) const {
        const std::lock_guard lock(mutex_);
        return text_.find(part) != std::string::npos;
    }
    std::string text() const {
        const std::lock_guard lock(mutex_);
        return text_;
    }

  private:
    mutable std::mutex mutex_;
    std::string text_;
};

}  // namespace homeward::testing
