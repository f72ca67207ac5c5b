#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>

namespace homeward::consumer {

/// How much room there is for dead letters and for frames kept aside: what the leader held when it
/// was last asked, and what we have added since. Other consumers' letters are seen at the next
/// look. Any thread.
class LetterRoom {
  public:
    LetterRoom(std::uint64_t letters_max, std::uint64_t bytes_max)
        : letters_max_(letters_max), bytes_max_(bytes_max) {}

    void measured(std::uint64_t letters, std::uint64_t bytes) {
        const std::lock_guard lock(mutex_);
        letters_ = letters;
        bytes_ = bytes;
    }
    void add(std::uint64_t letters, std::uint64_t bytes) {
        const std::lock_guard lock(mutex_);
        letters_ += letters;
        bytes_ += bytes;
    }
    bool fits(std::uint64_t letters, std::uint64_t bytes) const {
        const std::lock_guard lock(mutex_);
        return letters_ + letters <= letters_max_ && bytes_ + bytes <= bytes_max_;
    }

  private:
    const std::uint64_t letters_max_;
    const std::uint64_t bytes_max_;
    mutable std::mutex mutex_;
    std::uint64_t letters_ = 0;
    std::uint64_t bytes_ = 0;
};

}  // namespace homeward::consumer
