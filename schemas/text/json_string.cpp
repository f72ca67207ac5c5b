#include "schemas/text/json_string.hpp"

#include <charconv>

namespace homeward {

int parse_hex4(std::string_view text) {
    unsigned value = 0;
    if (text.size() < 4) return -1;
    const auto read = std::from_chars(text.data(), text.data() + 4, value, 16);
    return read.ec == std::errc{} && read.ptr == text.data() + 4 ? static_cast<int>(value) : -1;
}

bool is_same_string(std::string_view raw, std::string_view other_raw) {
    if (!has_escape(raw) && !has_escape(other_raw)) return raw == other_raw;
    StringBytes left(raw), right(other_raw);
    for (;;) {
        const int byte = left.next();
        if (byte != right.next()) return false;
        if (byte < 0) return true;
    }
}

std::uint32_t hash_json_string(std::string_view raw) {
    std::uint32_t hash = 2166136261u;
    const auto mix = [&hash](int byte) {
        hash = (hash ^ static_cast<std::uint32_t>(byte)) * 16777619u;
    };
    if (!has_escape(raw)) {
        for (char c : raw) mix(static_cast<unsigned char>(c));
    } else {
        StringBytes bytes(raw);
        for (int byte = bytes.next(); byte >= 0; byte = bytes.next()) mix(byte);
    }
    return hash;
}

}  // namespace homeward
