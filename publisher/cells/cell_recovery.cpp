#include "publisher/cells/cell_recovery.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>
#include <utility>

#include <homeward/detail/clock.hpp>
#include <homeward/publisher.hpp>

#include "schemas/text/json_text.hpp"

namespace homeward {
namespace {

using detail::CellEntry;
using detail::CellKind;
using detail::SeriesRecord;

/// Without a descriptor, as of emit_json(): the dead process may not have written one.
constexpr std::string_view kType = "metric_point";

bool is_part_of(const ExponentialBuckets::Range& part, const ExponentialBuckets::Range& whole) {
    for (std::size_t i = 0; i < part.counts.size(); ++i) {
        if (part.counts[i] == 0) continue;
        const std::int64_t at =
            std::int64_t{part.offset} + static_cast<std::int64_t>(i) - whole.offset;
        if (at < 0 || at >= static_cast<std::int64_t>(whole.counts.size()) ||
            whole.counts[static_cast<std::size_t>(at)] < part.counts[i]) {
            return false;
        }
    }
    return true;
}

/// Whether `now` can be what has become of `earlier`.
bool follows(const ExponentialBuckets& now, ExponentialBuckets earlier) {
    if (earlier.scale < now.scale) return false;
    earlier.downscale(earlier.scale - now.scale);
    return earlier.zero_count <= now.zero_count && is_part_of(earlier.positive, now.positive) &&
           is_part_of(earlier.negative, now.negative);
}

void append_key(std::string& json, std::string_view key) {
    json += json.empty() ? "{\"" : ",\"";
    json.append(key).append("\":");
}

template <typename Number>
void append_number(std::string& json, std::string_view key, Number value) {
    append_key(json, key);
    append_json_number(json, value);
}

void append_range(std::string& json, const std::string& side,
                  const ExponentialBuckets::Range& range) {
    if (range.is_empty()) return;
    append_number(json, side + "_offset", std::int64_t{range.offset});
    append_key(json, side + "_counts");
    for (std::size_t i = 0; i < range.counts.size(); ++i) {
        json += i == 0 ? '[' : ',';
        append_json_number(json, static_cast<std::int64_t>(range.counts[i]));
    }
    json += ']';
}

}  // namespace

struct CellRecovery::Left {
    detail::ReportedTotals totals{};  ///< of the process
    ExponentialBuckets buckets{};     ///< of the process
    std::int64_t sum = 0;             ///< not reported, as the rest
    HistogramDelta histogram{};
    std::int64_t since_us = 0;
};

CellRecovery::CellRecovery(const std::filesystem::path& lane_directory, FindHead find_head)
    : find_head_(std::move(find_head)) {
    std::error_code error;
    for (std::size_t number = 0;; ++number) {
        const auto path = CellStore::file_in(lane_directory, number);
        if (!std::filesystem::exists(path, error)) break;
        try {
            segments_.push_back(CellSegment::open(path));
        } catch (const SetupError& unreadable) {
            problem_ = unreadable.what();
        }
    }
    for (const CellSegment& segment : segments_) {
        alive_us_ = std::max(alive_us_, segment.header()->alive_us.load());
        read(segment);
    }
}

void CellRecovery::read(const CellSegment& segment) {
    std::size_t at = sizeof(detail::CellFileHeader);
    while (segment.bytes() - at > sizeof(CellEntry)) {
        const auto* entry = reinterpret_cast<const CellEntry*>(segment.base() + at);
        const CellKind kind = entry->kind.load(std::memory_order_acquire);
        at += sizeof(CellEntry);
        const std::size_t bytes = entry->bytes;
        if (kind == CellKind::none || bytes == 0 || bytes % detail::kCellAlign != 0 ||
            bytes > segment.bytes() - at) {
            return;
        }
        read_entry(kind, entry->series, segment.base() + at, bytes);
        at += bytes;
    }
}

void CellRecovery::read_entry(CellKind kind, std::uint32_t number, std::byte* content,
                              std::size_t bytes) {
    if (kind == CellKind::series && bytes >= sizeof(SeriesRecord)) {
        auto* record = reinterpret_cast<SeriesRecord*>(content);
        if (record->kind <= InstrumentKind::histogram && record->bytes() <= bytes) {
            series_[number].record = record;
        }
    } else if (kind == CellKind::counters && bytes >= sizeof(detail::CounterBlock)) {
        const auto* block = reinterpret_cast<const detail::CounterBlock*>(content);
        for (std::size_t i = 0; i < block->cells.size(); ++i) {
            if (block->series[i] != 0) {
                series_[block->series[i]].counters.push_back(&block->cells[i]);
            }
        }
    } else if (kind == CellKind::histogram && bytes >= sizeof(detail::HistogramCell)) {
        series_[number].histograms.push_back(reinterpret_cast<detail::HistogramCell*>(content));
    }
}

/// A kill came while a report was under way: whether it was made, its lane says.
void CellRecovery::settle_report(SeriesRecord& record) const {
    const std::uint32_t state = record.state.load(std::memory_order_acquire);
    if ((state & 2) == 0) return;
    const detail::LanePlace& place = record.totals[(state & 1) ^ 1].place;
    const auto head =
        place.lane == detail::LanePlace::kUnknown ? std::nullopt : find_head_(place.lane);
    record.end_report(!head || *head > place.position);
}

/// nullopt: nothing, or nothing that could be.
std::optional<CellRecovery::Left> CellRecovery::left_of(Series& series) {
    SeriesRecord& record = *series.record;
    settle_report(record);
    if (record.is_partial.load() != 0) return std::nullopt;
    const std::size_t current = record.state.load() & 1;
    const detail::ReportedTotals& reported = record.totals[current];
    Left left;
    left.totals.end_us = std::max(alive_us_, reported.end_us);
    left.since_us = reported.end_us;
    for (const detail::CounterCell* cell : series.counters) left.totals.sum += cell->total.load();
    left.sum = static_cast<std::int64_t>(left.totals.sum - reported.sum);
    left.totals.gauge = record.gauge.value.load();
    if (record.kind == InstrumentKind::gauge) {
        const bool has_changed =
            std::isfinite(left.totals.gauge) && left.totals.gauge != reported.gauge;
        return has_changed ? std::optional(left) : std::nullopt;
    }
    if (record.kind != InstrumentKind::histogram) {
        return left.sum != 0 ? std::optional(left) : std::nullopt;
    }
    left.histogram.min = std::numeric_limits<double>::infinity();
    left.histogram.max = -left.histogram.min;
    for (detail::HistogramCell* cell : series.histograms) {
        const HistogramDelta part = detail::HistogramReader(*cell).left();
        left.buckets.merge(part.buckets);
        left.totals.histogram_sum += part.sum;
        left.histogram.min = std::min(left.histogram.min, part.min);
        left.histogram.max = std::max(left.histogram.max, part.max);
    }
    const ExponentialBuckets earlier = detail::load_buckets(record.buckets()[current]);
    const bool is_scale = earlier.scale <= kScaleMax && earlier.scale >= -kScaleMax;
    if (is_scale && left.buckets.scale > earlier.scale) {
        left.buckets.downscale(left.buckets.scale - earlier.scale);
    }
    if (!is_scale || !follows(left.buckets, earlier)) {
        problem_ = "a series of metric cells is damaged";
        return std::nullopt;
    }
    left.histogram.buckets = left.buckets;
    left.histogram.buckets.subtract(earlier);
    left.histogram.sum = left.totals.histogram_sum - reported.histogram_sum;
    if (left.histogram.buckets.count() == 0) return std::nullopt;
    left.histogram.min = std::min(left.histogram.min, detail::lowest(left.histogram.buckets));
    left.histogram.max = std::max(left.histogram.max, detail::highest(left.histogram.buckets));
    return left;
}

std::string CellRecovery::event_of(SeriesRecord& record, const Left& left) const {
    std::string json;
    append_key(json, "name");
    append_json_string(json, record.name());
    append_key(json, "kind");
    append_json_string(json, to_string(record.kind));
    if (record.unit_bytes > 0) {
        append_key(json, "unit");
        append_json_string(json, record.unit());
    }
    append_key(json, "attributes");
    append_json_value(json, record.attributes());
    append_number(json, "start_time", left.since_us);
    if (record.kind == InstrumentKind::gauge) {
        append_number(json, "value", left.totals.gauge);
    } else if (record.kind == InstrumentKind::histogram) {
        const ExponentialBuckets& buckets = left.histogram.buckets;
        append_number(json, "sum", left.histogram.sum);
        append_number(json, "count", static_cast<std::int64_t>(buckets.count()));
        append_number(json, "min", left.histogram.min);
        append_number(json, "max", left.histogram.max);
        append_number(json, "scale", std::int64_t{buckets.scale});
        append_number(json, "zero_count", static_cast<std::int64_t>(buckets.zero_count));
        append_range(json, "positive", buckets.positive);
        append_range(json, "negative", buckets.negative);
    } else {
        append_number(json, "sum", static_cast<double>(left.sum));
        if (record.kind == InstrumentKind::up_down_counter) {
            append_number(json, "value",
                          static_cast<double>(static_cast<std::int64_t>(left.totals.sum)));
        }
    }
    return json + '}';
}

void CellRecovery::append(Series& series, const Left& left, const MakeLane& make_lane) {
    const std::string json = event_of(*series.record, left);
    const std::size_t bytes = kRecordHeaderBytes + 2 + kType.size() + json.size();
    const auto write = [&](std::byte* at) {
        at = put_raw(at, std::uint32_t{0});
        at = put_raw(at, left.totals.end_us);
        at = put_raw(at, static_cast<std::uint16_t>(kType.size()));
        at = std::copy(reinterpret_cast<const std::byte*>(kType.data()),
                       reinterpret_cast<const std::byte*>(kType.data()) + kType.size(), at);
        std::memcpy(at, json.data(), json.size());
    };
    for (;;) {
        const bool is_new = !lane_;
        if (is_new) lane_ = make_lane();
        detail::ReportedTotals totals = left.totals;
        totals.place = {lane_->number, lane_->writer->head()};
        series.record->begin_report(totals, left.buckets);
        const bool is_made = lane_->writer->append(bytes, write);
        series.record->end_report(is_made);
        if (is_made) break;
        if (is_new) throw SetupError("a metric point does not fit into a new lane");
        lane_.reset();
    }
    ++events_;
}

void CellRecovery::recover(const MakeLane& make_lane) {
    for (auto& [number, series] : series_) {
        if (series.record == nullptr) continue;
        const std::optional<Left> left = left_of(series);
        if (left) append(series, *left, make_lane);
    }
}

}  // namespace homeward
