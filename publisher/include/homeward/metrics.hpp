#pragma once

/// @file
/// Metrics that are added up in this process. add() and record() change a number of the calling
/// thread; every interval one `metric_point` event per changed series goes to the leader. See
/// publisher/metrics/README.md.

#include <chrono>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <homeward/detail/metric_cells.hpp>
#include <homeward/publisher.hpp>

namespace homeward {

/// One attribute of a series.
struct Attribute {
    std::string_view key;    ///< 1 to 255 bytes
    std::string_view value;  ///< at most 1,024 bytes; what is not UTF-8 becomes U+FFFD
};

/// The attributes of a series: `{{"route", "/orders"}, {"method", "GET"}}`. Their order does not
/// matter. The texts are borrowed until the call returns.
class Attributes {
  public:
    /// None.
    Attributes() = default;
    /// @param list at most 64, each key once
    Attributes(std::initializer_list<Attribute> list) : list_(list) {}  // NOLINT
    /// @param list at most 64, each key once
    explicit Attributes(std::span<const Attribute> list) : list_(list.begin(), list.end()) {}

    /// @return them, in the given order
    std::span<const Attribute> list() const noexcept { return list_; }

  private:
    std::vector<Attribute> list_;
};

/// Settings of an instrument.
struct InstrumentOptions {
    /// Unit in UCUM notation, at most 63 ASCII characters: "s", "By", "{request}".
    std::string_view unit{};
};

/// Settings of a meter.
struct MeterOptions {
    /// How often changed series are reported; at least 10 ms.
    std::chrono::milliseconds interval{10'000};
    /// Series of all names together. Beyond it a name's further series are folded into one with the
    /// attribute `otel.metric.overflow`, and an instrument of a new name measures nothing, which
    /// on_log says. 1 to 1,000,000.
    std::size_t series_max = 2'000;
};

/// What a meter has and has refused. on_log hears once of each cause but `closed`.
struct MeterStats {
    std::size_t series = 0;         ///< overflow series not included
    std::size_t folded_series = 0;  ///< into overflow series; counted up to 65,536
    std::uint64_t negative = 0;     ///< values below zero that a Counter was given
    std::uint64_t not_finite = 0;   ///< NaN, infinity, or a histogram's sum would be beyond double
    std::uint64_t closed = 0;       ///< add() and record() after the publisher's close()
    /// With a spool: series of which cells are in memory, since there is no room beside the lanes.
    /// kill -9 loses what they have added since the last report.
    std::size_t volatile_series = 0;
};

/// A sum that only grows. Copies are the same series. Any thread.
class Counter {
  public:
    /// Measures nothing.
    Counter() = default;
    /// Adds to the series. After a thread's first call for a series: no lock, no allocation and no
    /// system call. Whole numbers only: choose a smaller unit (`ms`, `By`) for fractions.
    /// @param value not below zero, or it is refused (MeterStats::negative)
    template <std::integral Value>
    void add(Value value) noexcept {
        if (!std::in_range<std::int64_t>(value) || std::cmp_less(value, 0)) [[unlikely]] {
            return instrument_.refuse(detail::MetricRefusal::negative);
        }
        if (void* cell = instrument_.cell()) [[likely]] {
            return static_cast<detail::CounterCell*>(cell)->add(static_cast<std::int64_t>(value));
        }
        instrument_.add_shared(static_cast<std::int64_t>(value));
    }
    /// Whether it measures.
    /// @return false of a default-made one, and of a new name beyond MeterOptions::series_max
    bool is_measuring() const noexcept { return instrument_.series != nullptr; }

  private:
    friend class Meter;
    explicit Counter(detail::Instrument instrument) : instrument_(instrument) {}
    detail::Instrument instrument_;
};

/// A sum that grows and shrinks, such as a queue's length. Copies are the same series. Any thread.
class UpDownCounter {
  public:
    /// Measures nothing.
    UpDownCounter() = default;
    /// Adds to the series; costs what Counter::add() does.
    /// @param value may be below zero
    template <std::signed_integral Value>
    void add(Value value) noexcept {
        if (void* cell = instrument_.cell()) [[likely]] {
            return static_cast<detail::CounterCell*>(cell)->add(value);
        }
        instrument_.add_shared(value);
    }
    /// Whether it measures.
    /// @return false of a default-made one, and of a new name beyond MeterOptions::series_max
    bool is_measuring() const noexcept { return instrument_.series != nullptr; }

  private:
    friend class Meter;
    explicit UpDownCounter(detail::Instrument instrument) : instrument_(instrument) {}
    detail::Instrument instrument_;
};

/// A value of which only the last counts. All threads write the same cell, so the last store wins.
/// Copies are the same series. Any thread.
class Gauge {
  public:
    /// Measures nothing.
    Gauge() = default;
    /// Replaces the value. Reported if it differs from the one reported before.
    /// @param value finite, or it is refused (MeterStats::not_finite)
    void record(double value) noexcept {
        if (!std::isfinite(value)) [[unlikely]] {
            return instrument_.refuse(detail::MetricRefusal::not_finite);
        }
        if (void* cell = instrument_.cell()) [[likely]] {
            static_cast<detail::GaugeCell*>(cell)->value.store(value, std::memory_order_relaxed);
            return;
        }
        instrument_.record_shared(value);
    }
    /// Whether it measures.
    /// @return false of a default-made one, and of a new name beyond MeterOptions::series_max
    bool is_measuring() const noexcept { return instrument_.series != nullptr; }

  private:
    friend class Meter;
    explicit Gauge(detail::Instrument instrument) : instrument_(instrument) {}
    detail::Instrument instrument_;
};

/// A distribution in base-2 exponential buckets, as in the OpenTelemetry data model: at most 160
/// buckets for each sign, scale 8 at first (buckets 0.27% wide) and coarser when values need it.
/// 9 KiB per thread that records. Copies are the same series. Any thread.
class Histogram {
  public:
    /// Measures nothing.
    Histogram() = default;
    /// Counts the value in its bucket. After a thread's first call for a series: no lock, no
    /// allocation and no system call.
    /// @param value finite, or it is refused (MeterStats::not_finite)
    void record(double value) noexcept {
        if (void* cell = instrument_.cell()) [[likely]] {
            if (!static_cast<detail::HistogramCell*>(cell)->record(value)) [[unlikely]] {
                instrument_.refuse(detail::MetricRefusal::not_finite);
            }
            return;
        }
        instrument_.record_shared(value);
    }
    /// Whether it measures.
    /// @return false of a default-made one, and of a new name beyond MeterOptions::series_max
    bool is_measuring() const noexcept { return instrument_.series != nullptr; }

  private:
    friend class Meter;
    explicit Histogram(detail::Instrument instrument) : instrument_(instrument) {}
    detail::Instrument instrument_;
};

namespace detail {
class MeterCore;
}

/// Makes instruments and reports what they measure, every interval and at the publisher's flush()
/// and close().
///
/// An instrument's name begins with a letter and has at most 255 letters, digits and `_.-/`.
/// Names are compared without case. A name has one kind and one unit. Resolve a series once and
/// keep the instrument: each call here takes a lock and looks it up.
///
/// Thread safety: any thread may make instruments and use them. They must not be used after the
/// meter's end, and the meter must end before the publisher. Values that have not been reported
/// when it ends are reported afterwards.
///
/// fork(): instruments work in the child, too, where they start at zero. kill -9: with a spool,
/// what was added since the last report is reported by whoever sends what the process left; without
/// one it is lost.
class Meter {
  public:
    /// @param publisher it must outlive the meter
    /// @param options settings
    /// @throws std::invalid_argument if an option is out of range
    /// @throws std::runtime_error if the publisher is closed, or without memory for a page
    explicit Meter(Publisher& publisher, MeterOptions options = {});
    ~Meter();
    Meter(const Meter&) = delete;
    Meter& operator=(const Meter&) = delete;

    /// @param name OpenTelemetry instrument name: "http.server.requests"
    /// @param attributes what tells series of this name apart
    /// @param options unit
    /// @return the series; the same for the same name and attributes
    /// @throws std::invalid_argument if a name, unit or attribute is not allowed, or the name has
    ///     another kind or unit; what() says what to write instead
    Counter counter(std::string_view name, const Attributes& attributes = {},
                    InstrumentOptions options = {});
    /// @copydoc counter()
    UpDownCounter up_down_counter(std::string_view name, const Attributes& attributes = {},
                                  InstrumentOptions options = {});
    /// @copydoc counter()
    Gauge gauge(std::string_view name, const Attributes& attributes = {},
                InstrumentOptions options = {});
    /// @copydoc counter()
    Histogram histogram(std::string_view name, const Attributes& attributes = {},
                        InstrumentOptions options = {});

    /// Counts of this process. Any thread.
    /// @return counts since the meter was made; in a forked child, since the child first used it
    MeterStats stats() const noexcept;

  private:
    std::unique_ptr<detail::MeterCore> core_;
};

}  // namespace homeward
