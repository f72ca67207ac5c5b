#pragma once

// An event as JSON, the same inside a frame and in a message of any other NATS client: one object,
//   "type"  name of its event type; always there
//   "time"  optional; microseconds since 1970-01-01 UTC as an integer, or RFC 3339 text;
//           without it the time of the NATS message counts
// and the fields of the type. Keys that the type does not name are kept in its `extra` column.

#include <cstddef>
#include <string_view>

namespace homeward {

inline constexpr std::string_view kTypeKey = "type";
inline constexpr std::string_view kTimeKey = "time";

/// Names that begin so are Homeward's own: tombstones, and what later versions add.
inline constexpr std::string_view kReservedTypePrefix = "homeward.";
constexpr bool is_reserved_type(std::string_view name) {
    return name.substr(0, kReservedTypePrefix.size()) == kReservedTypePrefix;
}

/// What an event type may be called: [a-z][a-z0-9_]{0,47}
inline constexpr std::size_t kTypeNameBytesMax = 48;
constexpr bool is_type_name(std::string_view name) {
    if (name.empty() || name.size() > kTypeNameBytesMax) return false;
    for (char c : name) {
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
    }
    return name.front() >= 'a' && name.front() <= 'z';
}
inline constexpr std::string_view kTypeNameRule =
    "a-z, 0-9 and _, a letter first, at most 48 characters";

}  // namespace homeward
