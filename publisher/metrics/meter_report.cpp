// MeterState's reports: from cells to events. By the drainer's thread.

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include <homeward/detail/clock.hpp>

#include <metric_point.event.hpp>

#include "publisher/metrics/meter_state.hpp"

namespace homeward {
namespace {

using namespace std::chrono_literals;
using Point = events::MetricPoint;

/// Of one call: a part of a lane, which is drained between two.
constexpr std::size_t kBytesPerCall = 32u << 10;
/// Of one call, so that a million series do not keep the drainer from the lanes.
constexpr std::size_t kSeriesPerCall = 4096;
/// After an event found no room, which is reported as a drop.
constexpr auto kRetryInterval = 1s;

Point::Kind kind_of(InstrumentKind kind) {
    switch (kind) {
        case InstrumentKind::counter:
            return Point::Kind::counter;
        case InstrumentKind::up_down_counter:
            return Point::Kind::up_down_counter;
        case InstrumentKind::gauge:
            return Point::Kind::gauge;
        case InstrumentKind::histogram:
            break;
    }
    return Point::Kind::histogram;
}

double within_doubles(double sum) {
    constexpr double kMax = std::numeric_limits<double>::max();
    return std::clamp(sum, -kMax, kMax);
}

void add(HistogramDelta& to, const HistogramDelta& from) {
    if (from.buckets.count() > 0) {
        const bool is_first = to.buckets.count() == 0;
        to.min = is_first ? from.min : std::min(to.min, from.min);
        to.max = is_first ? from.max : std::max(to.max, from.max);
    }
    to.buckets.merge(from.buckets);
    to.sum = within_doubles(to.sum + from.sum);
}

void set_buckets(Point& point, const HistogramDelta& delta) {
    const ExponentialBuckets& buckets = delta.buckets;
    point.count = static_cast<std::int64_t>(buckets.count());
    point.sum = delta.sum;
    point.scale = buckets.scale;
    point.zero_count = static_cast<std::int64_t>(buckets.zero_count);
    if (buckets.count() > 0) {
        point.min = delta.min;
        point.max = delta.max;
    }
    if (!buckets.positive.is_empty()) {
        point.positive_offset = buckets.positive.offset;
        point.positive_counts = buckets.positive.counts;
    }
    if (!buckets.negative.is_empty()) {
        point.negative_offset = buckets.negative.offset;
        point.negative_counts = buckets.negative.counts;
    }
}

}  // namespace

void SeriesState::collect() {
    for (CounterReading& reading : counters) {
        const std::uint64_t now = reading.cell->total.load(std::memory_order_relaxed);
        const auto change = static_cast<std::int64_t>(now - reading.taken);
        reading.taken = now;
        delta.sum += change;
        total += change;
        delta.has_changed = delta.has_changed || change != 0;
    }
    for (detail::HistogramReader& reader : histograms) {
        const HistogramDelta part = reader.take();
        if (part.buckets.count() == 0 && part.sum == 0) continue;
        add(delta.histogram, part);
        delta.has_changed = true;
    }
    const double value = stored.record->gauge.value.load(std::memory_order_relaxed);
    // Both NaN: nobody has set it.
    if (!std::isnan(value) && value != reported.gauge) delta.has_changed = true;
}

void MeterState::report(std::uint64_t ticket) {
    const auto now = SteadyClock::now();
    store_->touch(detail::Clock::system_us());
    if (is_over_ || now < retry_at_) return;
    if (!is_reporting_) {
        const bool is_last = is_ended_;  // before the cells are read
        if (now < report_due_ && ticket == ticket_done_ && !is_last) return;
        is_reporting_ = true;
        is_last_ = is_last;
        ticket_reported_ = ticket;
        series_next_ = 0;
    }
    const std::size_t series_end = series_next_ + kSeriesPerCall;
    for (std::size_t bytes = 0; bytes < kBytesPerCall && series_next_ < series_end;
         ++series_next_) {
        SeriesState* state = nullptr;
        {
            const std::lock_guard lock(mutex_);
            if (series_next_ < series_.size()) {
                state = series_[series_next_].get();
                state->collect();
            }
        }
        if (state == nullptr) {
            is_reporting_ = false;
            ticket_done_ = ticket_reported_;
            is_over_ = is_last_;
            report_due_ = std::max(report_due_ + options_.interval, now);
            return;
        }
        if (!report_series(*state, bytes)) {
            retry_at_ = now + kRetryInterval;
            return;
        }
    }
}

/// False: there is no room for it now; it is kept.
bool MeterState::report_series(SeriesState& state, std::size_t& bytes) {
    if (!state.delta.has_changed) {
        state.since = SteadyClock::now();
        return true;
    }
    if (!emit(state, bytes)) return false;
    state.delta = {};
    state.since = SteadyClock::now();
    return true;
}

bool MeterState::emit(SeriesState& state, std::size_t& bytes) {
    const detail::Series& series = *state.series;
    const std::int64_t end_us = detail::Clock::system_us();
    // From the steady clock: a step of the wall clock does not change how long the interval is.
    const auto length =
        std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() - state.since);
    const JsonText attributes{std::string_view(series.attributes)};
    Point point;
    point.name = std::string_view(series.name);
    point.kind = kind_of(series.kind);
    if (!series.unit.empty()) point.unit = std::string_view(series.unit);
    point.attributes = attributes;
    point.start_time = TimeUs{end_us - length.count()};
    double gauge = 0;
    if (series.kind == InstrumentKind::histogram) {
        set_buckets(point, state.delta.histogram);
    } else if (series.kind == InstrumentKind::gauge) {
        gauge = state.stored.record->gauge.value.load(std::memory_order_relaxed);
        point.value = gauge;
    } else {
        point.sum = static_cast<double>(state.delta.sum);
        if (series.kind == InstrumentKind::up_down_counter) {
            point.value = static_cast<double>(state.total);
        }
    }
    if (series.is_overflow) {
        const std::lock_guard lock(mutex_);
        point.folded_series = static_cast<std::int64_t>(state.folded);
    }
    struct Timed {
        const Point& point;
        std::int64_t time_us;
    } timed{point, end_us};
    const auto write = [](std::byte* at, std::int64_t, void* context) {
        const auto& event = *static_cast<const Timed*>(context);
        event.point.write_record(at, event.time_us);
    };
    const std::size_t record_bytes = point.record_bytes();
    detail::ReportedTotals totals = state.reported;
    totals.sum += static_cast<std::uint64_t>(state.delta.sum);
    totals.histogram_sum += state.delta.histogram.sum;
    totals.gauge = gauge;
    totals.end_us = end_us;
    totals.place = publisher_.own_lane_place(Point::kDescriptor, record_bytes);
    ExponentialBuckets buckets = state.buckets_reported;
    buckets.merge(state.delta.histogram.buckets);
    state.stored.record->begin_report(totals, buckets);
    const EmitResult result =
        publisher_.emit_record(Point::kDescriptor, record_bytes, &timed, write);
    state.stored.record->end_report(result == EmitResult::accepted);
    if (result != EmitResult::accepted) return false;
    bytes += record_bytes;
    state.reported = totals;
    state.buckets_reported = std::move(buckets);
    return true;
}

std::string MeterState::news() {
    // Nobody listens any more when an instrument is used after close().
    constexpr std::array<const char*, 2> kTexts{
        "a counter was given a value below zero, which is not counted; use an up_down_counter for "
        "what shrinks",
        "an instrument was given NaN or an infinity, or a histogram's sum would be beyond any "
        "double; such values are not counted"};
    for (std::size_t i = 0; i < kTexts.size(); ++i) {
        if (said_[i] || refusals_[i].load(std::memory_order_relaxed) == 0) continue;
        said_[i] = true;
        return std::string("metrics: ") + kTexts[i];
    }
    const std::string failure = store_->failure();
    if (!failure.empty() && !has_said_volatile_) {
        has_said_volatile_ = true;
        return "metrics: no room for cells (" + failure +
               "): they are in memory, and kill -9 loses what they have added since the last "
               "report";
    }
    const std::lock_guard lock(mutex_);
    const std::string limit = std::to_string(options_.series_max);
    if (names_refused_ > 0 && !has_said_names_) {
        has_said_names_ = true;
        return "metrics: instrument \"" + name_refused_ + "\" is beyond series_max = " + limit +
               " and measures nothing; raise it, or use fewer attribute values";
    }
    if (!folded_.empty() && !has_said_folded_) {
        has_said_folded_ = true;
        return "metrics: there are more than series_max = " + limit +
               " series; further ones are folded into overflow series. Raise it, or use fewer "
               "attribute values";
    }
    return "";
}

}  // namespace homeward
