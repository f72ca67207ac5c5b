#pragma once

// What add() and record() write: cells of one thread each, which the reporting thread only reads.
// Included by <homeward/metrics.hpp>; nothing here is for apps.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace homeward::detail {

struct Series;

/// The total of one thread. Wraps around as unsigned numbers do, so differences stay right.
struct CounterCell {
    std::atomic<std::uint64_t> total{0};

    void add(std::int64_t value) noexcept {
        total.store(total.load(std::memory_order_relaxed) + static_cast<std::uint64_t>(value),
                    std::memory_order_relaxed);
    }
};

/// The last value of all threads; NaN: none yet.
struct GaugeCell {
    std::atomic<double> value{std::numeric_limits<double>::quiet_NaN()};
};

/// Buckets of one thread: base 2^(2^-scale), as OpenTelemetry defines them.
///
/// A rescale writes the array that is not in use, and one store of the version puts it in place of
/// the other. So whoever reads finds the buckets of one scale at any instant.
///
/// A value counts by one store to its bucket. The sum that includes it is there before, in the half
/// that the number of values then chooses: a kill leaves all of a value or none of it.
class HistogramCell {
  public:
    /// By its thread. False, and nothing recorded: NaN, infinity, or a sum beyond any double.
    bool record(double value) noexcept;

  private:
    friend class HistogramReader;
    /// A power of two above kBucketsMax, so that an index has a slot without a division.
    static constexpr std::size_t kSlots = 256;
    struct Half {
        std::atomic<std::int32_t> first{std::numeric_limits<std::int32_t>::max()};
        std::atomic<std::int32_t> last{std::numeric_limits<std::int32_t>::min()};
        std::array<std::atomic<std::uint64_t>, kSlots> counts{};
    };
    struct Buckets {
        std::atomic<std::int32_t> scale;
        std::array<Half, 2> halves{};  // positive, negative
        explicit Buckets(std::int32_t first_scale) : scale(first_scale) {}
    };
    void count(double magnitude, bool is_negative) noexcept;
    void count_outside(std::int32_t finest_index, bool is_negative) noexcept;
    void rescale(std::int32_t by) noexcept;

    static constexpr std::int32_t kScaleFirst = 8;
    std::atomic<std::uint32_t> version_{0};  // its lowest bit: which of the two is in use
    std::array<Buckets, 2> buckets_{Buckets(kScaleFirst), Buckets(kScaleFirst)};
    std::atomic<std::uint64_t> zeros_{0};
    std::atomic<std::uint64_t> records_{0};      // by its thread; a kill may leave it one behind
    std::array<std::atomic<double>, 2> sums_{};  // by the lowest bit of the number of values
    // Since the reader took them.
    std::atomic<double> min_{std::numeric_limits<double>::infinity()};
    std::atomic<double> max_{-std::numeric_limits<double>::infinity()};
};

/// What a thread remembers of a meter that it has used.
struct ThreadCells {
    /// The meter's number in this process, never given twice. Zero is what a forked child reads.
    std::uint64_t number = UINT64_MAX;
    void* const* cells = nullptr;  ///< by series id; nullptr where the thread has none
    std::uint32_t count = 0;
};
/// More meters than this in one thread push each other out, which costs a lock and a look-up.
inline constexpr std::size_t kMetersRemembered = 4;
// Trivial to make and destroy, so that reading it costs no guard.
inline constinit thread_local std::array<ThreadCells, kMetersRemembered> thread_cells{};

/// Of instruments that measure nothing.
inline constinit std::atomic<std::uint64_t> no_meter{0};

enum class MetricRefusal : std::uint8_t { negative, not_finite, closed };

/// What an instrument is made of; copied freely.
struct Instrument {
    const std::atomic<std::uint64_t>* meter = &no_meter;
    Series* series = nullptr;  ///< nullptr: measures nothing
    std::uint32_t id = 0;

    /// This thread's cell; nullptr: it has none and gets none.
    void* cell() const noexcept {
        const std::uint64_t number = meter->load(std::memory_order_relaxed);
        const ThreadCells& known = thread_cells[number % kMetersRemembered];
        if (known.number == number && id < known.count) [[likely]] {
            void* const own = known.cells[id];
            if (own != nullptr) [[likely]]
                return own;
        }
        return find_cell();
    }
    void* find_cell() const noexcept;
    /// Without a cell of this thread: when it is ending, or there is no memory.
    void add_shared(std::int64_t value) const noexcept;
    void record_shared(double value) const noexcept;
    void refuse(MetricRefusal why) const noexcept;
};

}  // namespace homeward::detail
