#pragma once

// Files of this room that travel inside the programs.

#include <span>
#include <string_view>

namespace homeward {

struct Migration {
    int version;  ///< from 1, ascending; numbers may be left out
    std::string_view name;
    std::string_view sql;
    std::string_view sha256;  ///< of the file, in hexadecimal
};
std::span<const Migration> migrations();
/// What the migrations of v0.1.0 made: lines of version|kind|name|fingerprint.
std::string_view released_objects();

struct ShippedEventType {
    std::string_view name;
    std::string_view json;
};
std::span<const ShippedEventType> shipped_event_types();

}  // namespace homeward
