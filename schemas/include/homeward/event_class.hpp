#pragma once

/// @file
/// The two classes of events.

#include <cstdint>
#include <optional>
#include <string_view>

namespace homeward {

/// What may happen to an event under pressure.
enum class EventClass : std::uint8_t {
    audit = 1,   ///< never lost in silence: refused with a code when there is no room
    metric = 2,  ///< may be dropped; the drop itself is reported as a tombstone
};

/// The name of a class. Any thread.
/// @param value any
/// @return "audit" or "metric"
constexpr std::string_view to_string(EventClass value) {
    return value == EventClass::audit ? "audit" : "metric";
}

/// Parses the name of a class. Any thread.
/// @param text "audit" or "metric"
/// @return nothing for any other text
constexpr std::optional<EventClass> parse_event_class(std::string_view text) {
    if (text == "audit") return EventClass::audit;
    if (text == "metric") return EventClass::metric;
    return std::nullopt;
}

}  // namespace homeward
