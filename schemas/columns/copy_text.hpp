#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

namespace homeward::columns {

/// memcpy() of a text that is mostly short, without a call for up to 32 bytes. They must not
/// overlap. Returns the end of the copy.
inline char* copy_text(char* to, std::string_view text) {
    const char* const from = text.data();
    const std::size_t bytes = text.size();
    // Two copies of a fixed size, which overlap in the middle.
    const auto copy_ends = [&]<std::size_t Half>() {
        std::memcpy(to, from, Half);
        std::memcpy(to + bytes - Half, from + bytes - Half, Half);
    };
    if (bytes > 32) {
        std::memcpy(to, from, bytes);
    } else if (bytes >= 16) {
        copy_ends.template operator()<16>();
    } else if (bytes >= 8) {
        copy_ends.template operator()<8>();
    } else if (bytes >= 4) {
        copy_ends.template operator()<4>();
    } else if (bytes > 0) {
        to[0] = from[0];
        to[bytes / 2] = from[bytes / 2];
        to[bytes - 1] = from[bytes - 1];
    }
    return to + bytes;
}

}  // namespace homeward::columns
