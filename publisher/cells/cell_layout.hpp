#pragma once

// Cells in a file beside the run's lanes: what add() and record() have counted outlives the
// process, as records in lanes do.
//
//    0        64                           each a multiple of 64 bytes
//    ├────────┼───────┬─────────┬───────┬─────────┬──────
//    │ header │ entry │ content │ entry │ content │ 0 …
//    └────────┴───────┴─────────┴───────┴─────────┴──────
//    entry: kind, bytes of the content, series
//    content by kind:
//      1  SeriesRecord; of a histogram ReportedBuckets twice; name, unit, attributes
//      2  CounterBlock
//      3  HistogramCell
//
// A kill may fall between any two stores, and each is seen or not in the order of the program. So
//   - an entry's kind is stored last: an entry without one ends the file;
//   - one store adds to a counter. One store to a bucket counts a value, and its parity says which
//     sum is right (metric_cells.hpp);
//   - before a report's record is appended to a lane, the totals that it brings and the lane's
//     head go into the half of the record that is not in use. Behind that head there is a record
//     if, and only if, the report was made. Then the halves change places.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <homeward/detail/metric_cells.hpp>

#include "publisher/cells/exponential_buckets.hpp"

namespace homeward {

enum class InstrumentKind : std::uint8_t { counter, up_down_counter, gauge, histogram };
/// As metric_point.kind has it.
std::string_view to_string(InstrumentKind kind);

namespace detail {

inline constexpr std::uint64_t kCellMagic = 0x314c4543'4d574848;  // "HHWMCEL1"
inline constexpr std::size_t kCellAlign = 64;

struct alignas(kCellAlign) CellFileHeader {
    std::uint64_t magic;
    std::uint32_t histogram_bytes;       ///< of a HistogramCell: another layout is another version
    std::uint32_t series_bytes;          ///< of a SeriesRecord
    std::atomic<std::int64_t> alive_us;  ///< when its process was last seen at work
};

enum class CellKind : std::uint32_t { none, series, counters, histogram };

struct alignas(kCellAlign) CellEntry {
    std::atomic<CellKind> kind;
    std::uint32_t bytes;   ///< of its content, a multiple of kCellAlign
    std::uint32_t series;  ///< of a series its number, from 1; of a histogram that of its series
};

struct alignas(kCellAlign) CounterBlock {
    std::array<CounterCell, 64> cells{};
    std::array<std::uint32_t, 64> series{};  ///< 0: the cell is not in use
};

/// Where a record will be in a lane.
struct LanePlace {
    /// Nobody can say: a report that is under way counts as made.
    static constexpr std::uint64_t kUnknown = UINT64_MAX;
    std::uint64_t lane = kUnknown;
    std::uint64_t position = 0;
};

/// What reports have brought, and the wall clock at the last one's end.
struct ReportedTotals {
    std::uint64_t sum = 0;  ///< of counters, modulo 2^64
    double histogram_sum = 0;
    double gauge = std::numeric_limits<double>::quiet_NaN();
    std::int64_t end_us = 0;
    LanePlace place{};
};

struct ReportedBuckets {
    std::int64_t scale;
    std::uint64_t zero_count;
    struct Half {
        std::int32_t offset;
        std::uint32_t size;
        std::array<std::uint64_t, kBucketsMax> counts;
    };
    std::array<Half, 2> halves;  // positive, negative
};

struct alignas(kCellAlign) SeriesRecord {
    GaugeCell gauge{};
    /// Bit 0: which of the totals count. Bit 1: the others are being reported.
    std::atomic<std::uint32_t> state{0};
    /// Some of its cells are not in a file: what these have added cannot be known.
    std::atomic<std::uint32_t> is_partial{0};
    InstrumentKind kind{};
    std::uint32_t name_bytes = 0;
    std::uint32_t unit_bytes = 0;
    std::uint32_t attributes_bytes = 0;
    std::array<ReportedTotals, 2> totals{};

    /// By one thread: `totals` will be reported by the record at `totals.place`.
    void begin_report(const ReportedTotals& next, const ExponentialBuckets& buckets) noexcept;
    void end_report(bool is_made) noexcept;

    ReportedBuckets* buckets() noexcept { return reinterpret_cast<ReportedBuckets*>(this + 1); }
    char* text() noexcept {
        const std::size_t count = kind == InstrumentKind::histogram ? 2 : 0;
        return reinterpret_cast<char*>(buckets() + count);
    }
    std::string_view name() noexcept { return {text(), name_bytes}; }
    std::string_view unit() noexcept { return {text() + name_bytes, unit_bytes}; }
    std::string_view attributes() noexcept {
        return {text() + name_bytes + unit_bytes, attributes_bytes};
    }
    static std::size_t bytes_of(InstrumentKind kind, std::size_t text_bytes) {
        return sizeof(SeriesRecord) + text_bytes +
               (kind == InstrumentKind::histogram ? 2 * sizeof(ReportedBuckets) : 0);
    }
    std::size_t bytes() const {
        return bytes_of(kind, std::size_t{name_bytes} + unit_bytes + attributes_bytes);
    }
};

void store_buckets(ReportedBuckets& to, const ExponentialBuckets& from) noexcept;
ExponentialBuckets load_buckets(const ReportedBuckets& from);

}  // namespace detail
}  // namespace homeward
