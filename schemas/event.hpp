#pragma once

// An event as JSON, the same inside a frame and in a message of any other NATS client: one object,
//   "type"  name of its event type; always there
//   "time"  optional; microseconds since 1970-01-01 UTC as an integer, or RFC 3339 text;
//           without it the time of the NATS message counts
// and the fields of the type. Keys that the type does not name are kept in its `extra` column.

#include <string_view>

namespace homeward {

inline constexpr std::string_view kTypeKey = "type";
inline constexpr std::string_view kTimeKey = "time";

}  // namespace homeward
