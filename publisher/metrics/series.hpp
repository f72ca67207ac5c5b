#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <homeward/metrics.hpp>

#include "publisher/cells/cell_layout.hpp"

namespace homeward {

namespace detail {

class MeterCore;

/// What identifies a series. Immutable, so that a forked child may read it at any time.
struct Series {
    MeterCore* core = nullptr;
    std::uint32_t id = 0;  ///< never given twice by a meter
    InstrumentKind kind{};
    bool is_overflow = false;
    std::string name{};
    std::string unit{};
    std::string attributes{};  ///< a JSON object, keys in order
};

}  // namespace detail

// Each throws std::invalid_argument, which says what to write instead.

void check_instrument_name(std::string_view name);
void check_unit(std::string_view name, std::string_view unit);
/// The attributes as JSON, ordered by key, so that equal sets are equal texts.
std::string attributes_json(std::string_view name, const Attributes& attributes);

/// Of a series into which others are folded.
inline constexpr std::string_view kOverflowAttributes = R"({"otel.metric.overflow":true})";

/// Names are compared without case.
std::string lowercase(std::string_view name);

}  // namespace homeward
