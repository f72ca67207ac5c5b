#pragma once

// What the replay helper did, counted: for /metrics, and for a person who asks why requests travel.

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include <homeward/replay/decide.hpp>

namespace homeward::replay {

/// Any thread; no locks. Reads are of each counter for itself, not of one instant.
class Counters {
  public:
    void count(const Decision& decision) noexcept;
    /// A read waited until the replica had what its session has seen, and was then served here.
    void count_waited() noexcept { add(waited_); }

    std::uint64_t replayed(Reason reason) const noexcept { return get(replayed_, reason); }
    std::uint64_t refused(Reason reason) const noexcept { return get(refused_, reason); }
    std::uint64_t waited() const noexcept { return waited_.load(std::memory_order_relaxed); }
    /// Reads that would have been, or might have been, stale: they waited, or went to the primary.
    std::uint64_t stale_avoided() const noexcept;

    /// Prometheus text format; every series is there from the start.
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
