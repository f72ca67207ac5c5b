#include "consumer/postgres/sql_text.hpp"

namespace homeward::consumer {

std::string array_text(const std::vector<std::int64_t>& values) {
    std::string text = "{";
    for (std::int64_t value : values) {
        text.append(text.size() > 1 ? "," : "").append(std::to_string(value));
    }
    return text + "}";
}

std::string array_text(const std::vector<bool>& values) {
    std::string text = "{";
    for (bool value : values) text.append(text.size() > 1 ? "," : "").append(value ? "t" : "f");
    return text + "}";
}

std::string array_text(const std::vector<std::string>& values) {
    std::string text = "{";
    for (const std::string& value : values) {
        text.append(text.size() > 1 ? ",\"" : "\"");
        for (char c : value) {
            if (c == '"' || c == '\\') text += '\\';
            text += c;
        }
        text += '"';
    }
    return text + "}";
}

std::string bytea_text(std::string_view bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string text = "\\x";
    text.reserve(2 + 2 * bytes.size());
    for (char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

std::string bytes_of_bytea(std::string_view text) {
    const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    std::string bytes;
    for (std::size_t i = 2; i + 1 < text.size(); i += 2) {
        bytes += static_cast<char>(digit(text[i]) << 4 | digit(text[i + 1]));
    }
    return bytes;
}

}  // namespace homeward::consumer
