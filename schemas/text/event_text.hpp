#pragma once

// One event as JSON text, looked at before it is taken: what the consumer could not read is refused
// where somebody can still mend it.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace homeward {

/// Why a text is no event.
enum class EventFault : std::uint8_t {
    none,
    byte_order_mark,
    not_an_object,
    cut_short,          ///< ends before its object does
    not_json,           ///< another character than JSON has there
    not_a_json_number,  ///< NaN and infinities, as Python prints them
    bad_number,
    bad_escape,
    control_character,
    lone_surrogate,
    not_utf8,
    nested_too_deeply,
    duplicate_key,
    type_not_text,
    type_missing,
    type_differs,  ///< from the type that it is emitted as
    type_reserved,
    type_impossible,  ///< no event type can have that name
    time_unreadable,
    time_unit,     ///< seconds, milliseconds or nanoseconds
    time_differs,  ///< from the time that it is emitted with
};

/// What one text says of itself, and the first fault in it. Borrows the text.
struct EventText {
    EventFault fault = EventFault::none;
    std::size_t at = 0;     ///< where the fault is, in bytes
    std::string_view what;  ///< of a fault: the key, the name or the value, as it stands there

    std::string_view type;  ///< between its quotes, as it stands there; empty: it names none
    bool has_type = false;
    bool has_time = false;  ///< the key is there, readable or not
    std::int64_t time_us = 0;
    /// Bit i: the i-th of the keys that were asked for is there and is not null.
    std::uint64_t present = 0;
};

/// Deepest nesting that every reader of ours takes.
inline constexpr std::size_t kJsonDepthMax = 1'023;

/// Reads the whole text once; allocates nothing. Duplicate keys are found among the first
/// 512 of the outermost object. `keys`: at most 64, without escapes; best in the text's order.
EventText read_event_text(std::string_view json, std::span<const std::string_view> keys = {});

/// Only what the outermost object says of its time, of a text that need not be valid; quick for one
/// that does not mention any.
bool has_own_time(std::string_view json);

/// A valid JSON string without its escapes; `raw` is what lies between its quotes.
std::string decode_json_string(std::string_view raw);

/// Judges the name and the time that an event is emitted with. `time_us` 0: the text's own, or now.
/// The text must be without fault; this may set one.
void judge_event(EventText& text, std::string_view type, std::int64_t time_us);

/// For a person: what is wrong, where, and what to do.
std::string explain(const EventText& text);

}  // namespace homeward
