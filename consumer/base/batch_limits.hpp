#pragma once

#include <mutex>

#include "consumer/base/config.hpp"

namespace homeward::consumer {

/// The batch settings in force; replaced as a whole when the configuration is read again. Any
/// thread.
class BatchLimits {
  public:
    explicit BatchLimits(const Config::Batch& limits) : limits_(limits) {}

    Config::Batch read() const {
        const std::lock_guard lock(mutex_);
        return limits_;
    }
    void replace(const Config::Batch& limits) {
        const std::lock_guard lock(mutex_);
        limits_ = limits;
    }

  private:
    mutable std::mutex mutex_;
    Config::Batch limits_;
};

}  // namespace homeward::consumer
