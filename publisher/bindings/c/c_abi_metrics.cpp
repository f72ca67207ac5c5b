// homeward_metrics.h on top of homeward::Meter. No exception leaves it.

#include <homeward_metrics.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <homeward/metrics.hpp>

#include "publisher/bindings/c/c_abi_handles.hpp"

using homeward::explain_to;

struct homeward_meter {
    homeward_meter(homeward::Publisher& publisher, const homeward::MeterOptions& options)
        : meter(publisher, options) {}
    homeward::Meter meter;
};

struct homeward_instrument {
    std::variant<homeward::Counter, homeward::UpDownCounter, homeward::Gauge, homeward::Histogram>
        series;
};

namespace {

homeward::MeterOptions options_from(const homeward_meter_options* given) {
    homeward::MeterOptions options;
    if (given == nullptr) return options;
    homeward_meter_options known{};
    std::memcpy(&known, given, std::min(given->size, sizeof known));
    if (known.interval_ms != 0) options.interval = std::chrono::milliseconds(known.interval_ms);
    if (known.series_max != 0) options.series_max = known.series_max;
    return options;
}

std::vector<homeward::Attribute> attributes_of(const homeward_series& series) {
    std::vector<homeward::Attribute> list;
    constexpr std::size_t kAttributesMax = 64;
    const bool is_missing = series.attributes == nullptr && series.attribute_count > 0;
    if (is_missing || series.attribute_count > kAttributesMax) {
        throw std::invalid_argument("metrics: \"" + std::string(series.name) + "\" has " +
                                    std::to_string(series.attribute_count) +
                                    " attributes; at most 64 are allowed, and the pointer must "
                                    "not be NULL");
    }
    for (std::size_t i = 0; i < series.attribute_count; ++i) {
        const homeward_attribute& one = series.attributes[i];
        if (one.key == nullptr || one.value == nullptr) {
            throw std::invalid_argument("metrics: attribute " + std::to_string(i) + " of \"" +
                                        series.name + "\" has no key or no value; set both");
        }
        list.push_back({one.key, one.value});
    }
    return list;
}

homeward_instrument* make(homeward::Meter& meter, homeward_instrument_kind kind,
                          const homeward_series& series) {
    const std::vector<homeward::Attribute> list = attributes_of(series);
    const homeward::Attributes attributes{std::span<const homeward::Attribute>(list)};
    homeward::InstrumentOptions options;
    if (series.unit != nullptr) options.unit = series.unit;
    switch (kind) {
        case HOMEWARD_COUNTER:
            return new homeward_instrument{meter.counter(series.name, attributes, options)};
        case HOMEWARD_UP_DOWN_COUNTER:
            return new homeward_instrument{meter.up_down_counter(series.name, attributes, options)};
        case HOMEWARD_GAUGE:
            return new homeward_instrument{meter.gauge(series.name, attributes, options)};
        case HOMEWARD_HISTOGRAM:
            return new homeward_instrument{meter.histogram(series.name, attributes, options)};
    }
    throw std::invalid_argument("metrics: kind " + std::to_string(static_cast<int>(kind)) +
                                " is none of homeward_instrument_kind");
}

}  // namespace

homeward_meter* homeward_meter_new(homeward_publisher* publisher,
                                   const homeward_meter_options* options, char* why,
                                   size_t why_bytes) {
    if (publisher == nullptr) {
        explain_to("publisher is NULL", why, why_bytes);
        return nullptr;
    }
    try {
        return new homeward_meter(publisher->publisher, options_from(options));
    } catch (const std::exception& error) {
        explain_to(error.what(), why, why_bytes);
        return nullptr;
    }
}

void homeward_meter_free(homeward_meter* meter) {
    delete meter;
}

homeward_instrument* homeward_instrument_new(homeward_meter* meter, homeward_instrument_kind kind,
                                             const homeward_series* series, char* why,
                                             size_t why_bytes) {
    if (meter == nullptr || series == nullptr || series->size < sizeof *series ||
        series->name == nullptr) {
        explain_to(
            "meter, series or its name is NULL, or series.size is not "
            "sizeof(homeward_series)",
            why, why_bytes);
        return nullptr;
    }
    try {
        return make(meter->meter, kind, *series);
    } catch (const std::exception& error) {
        explain_to(error.what(), why, why_bytes);
        return nullptr;
    }
}

void homeward_instrument_free(homeward_instrument* instrument) {
    delete instrument;
}

int homeward_instrument_add(homeward_instrument* instrument, int64_t value) {
    if (instrument == nullptr) return 0;
    if (auto* counter = std::get_if<homeward::Counter>(&instrument->series)) {
        counter->add(value);
    } else if (auto* up_down = std::get_if<homeward::UpDownCounter>(&instrument->series)) {
        up_down->add(value);
    } else {
        return 0;
    }
    return 1;
}

int homeward_instrument_record(homeward_instrument* instrument, double value) {
    if (instrument == nullptr) return 0;
    if (auto* histogram = std::get_if<homeward::Histogram>(&instrument->series)) {
        histogram->record(value);
    } else if (auto* gauge = std::get_if<homeward::Gauge>(&instrument->series)) {
        gauge->record(value);
    } else {
        return 0;
    }
    return 1;
}

int homeward_meter_get_stats(const homeward_meter* meter, homeward_meter_stats* stats) {
    if (meter == nullptr || stats == nullptr) return 0;
    const homeward::MeterStats now = meter->meter.stats();
    const homeward_meter_stats all{stats->size,  now.series,     now.folded_series,
                                   now.negative, now.not_finite, now.closed};
    std::memcpy(stats, &all, std::min(stats->size, sizeof all));
    return 1;
}
