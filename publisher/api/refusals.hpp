#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

#include <homeward/publisher.hpp>

namespace homeward {

/// Events that were not taken, by class and reason. Any thread counts; the sender says each cause,
/// and close() what the sender could not.
class Refusals {
  public:
    /// By name, as in RefusalStats. What lanes refuse for want of room, they count themselves.
    enum class Reason : std::uint8_t {
        scope_full,
        too_large,
        type_unwritable,
        invalid,
        incomplete,
        unavailable,
        closed
    };

    void count(EventClass event_class, Reason reason, std::uint64_t events = 1) noexcept;
    void add_to(ClassStats& stats, EventClass event_class) const noexcept;
    /// Takes over what a process counted before it could open its publisher.
    void add(const Refusals& other) noexcept;
    void reset() noexcept;

    /// One line about causes that are new since they were last quiet for a minute; "".
    std::string news(const Stats& stats,
                     std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now());

  private:
    static constexpr std::size_t kReasons = 7;
    using Counts = std::array<std::atomic<std::uint64_t>, kReasons>;
    std::array<Counts, 2> counts_{};  // by class

    struct Cause {
        std::uint64_t seen = 0;
        std::chrono::steady_clock::time_point quiet_since{};  // zero: never said
    };
    std::mutex mutex_;  // guards causes_
    std::array<std::array<Cause, kReasons + 2>, 2> causes_{};
};

}  // namespace homeward
