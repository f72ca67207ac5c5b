#pragma once

/// @file
/// Counts of what the replay helper did, for /metrics and for operators.

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include <homeward/replay/decide.hpp>

namespace homeward::replay {

/// Counters of replays and refusals by reason. Any thread; no locks. Each counter is read by
/// itself: together they are not a snapshot of one instant.
class Counters {
  public:
    /// Counts a decision.
    /// @param decision proceed is not counted
    void count(const Decision& decision) noexcept;
    /// Counts a read that waited for the replica and was then served here.
    void count_waited() noexcept { add(waited_); }

    /// Requests that were replayed.
    /// @param reason of the replay
    /// @return their number
    std::uint64_t replayed(Reason reason) const noexcept { return get(replayed_, reason); }
    /// Requests that were refused.
    /// @param reason of the refusal
    /// @return their number
    std::uint64_t refused(Reason reason) const noexcept { return get(refused_, reason); }
    /// Reads that waited for the replica and were then served here.
    /// @return their number
    std::uint64_t waited() const noexcept { return waited_.load(std::memory_order_relaxed); }
    /// Reads that could have been stale: they waited, or went to the primary.
    /// @return their number
    std::uint64_t stale_avoided() const noexcept;

    /// Formats all counters as Prometheus text; every series exists from the start.
    /// @return the text, each line ended
    std::string prometheus() const;

  private:
    using Counter = std::atomic<std::uint64_t>;
    using ByReason = std::array<Counter, kReasons>;
    static void add(Counter& counter) noexcept { counter.fetch_add(1, std::memory_order_relaxed); }
    static std::uint64_t get(const ByReason& counters, Reason reason) noexcept {
        return counters[static_cast<std::size_t>(reason)].load(std::memory_order_relaxed);
    }

    ByReason replayed_{};
    ByReason refused_{};
    Counter waited_{0};
};

}  // namespace homeward::replay
