#pragma once

// Files of this room that travel inside the programs.

#include <span>
#include <string_view>

namespace homeward {

struct Migration {
    int version;  ///< from 1, without gaps, in this order
    std::string_view name;
    std::string_view sql;
};
std::span<const Migration> migrations();

struct ShippedEventType {
    std::string_view name;
    std::string_view json;
};
std::span<const ShippedEventType> shipped_event_types();

}  // namespace homeward
