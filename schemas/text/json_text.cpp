#include "schemas/text/json_text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include <homeward/json.hpp>

namespace homeward {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

/// True for bytes that a JSON string takes as they are, one by one.
constexpr std::array<bool, 256> make_plain_table() {
    std::array<bool, 256> plain{};
    for (int c = 0x20; c < 0x80; ++c) plain[static_cast<std::size_t>(c)] = true;
    plain['"'] = false;
    plain['\\'] = false;
    return plain;
}
constexpr std::array<bool, 256> kPlain = make_plain_table();

bool is_plain(char c) {
    return kPlain[static_cast<unsigned char>(c)];
}

/// Whether eight bytes are all plain.
bool are_plain(const char* eight) {
    constexpr std::uint64_t kOnes = 0x0101010101010101u;
    constexpr std::uint64_t kHigh = 0x8080808080808080u;
    std::uint64_t word;
    std::memcpy(&word, eight, sizeof word);
    // The high bit of every byte below the limit; of others only behind such a one.
    const auto below = [](std::uint64_t bytes, std::uint64_t limit) {
        return (bytes - kOnes * limit) & ~bytes;
    };
    const std::uint64_t special =
        word | below(word, 0x20) | below(word ^ kOnes * '"', 1) | below(word ^ kOnes * '\\', 1);
    return (special & kHigh) == 0;
}

bool are_ascii(const char* eight) {
    std::uint64_t word;
    std::memcpy(&word, eight, sizeof word);
    return (word & 0x8080808080808080u) == 0;
}

struct Utf8Lead {
    int length;         // of the whole sequence; 0: not a lead byte
    unsigned char low;  // the second byte's range
    unsigned char high;
};

/// Table 3-7 of the Unicode standard: no surrogates, nothing overlong, nothing above U+10FFFF.
Utf8Lead lead_of(unsigned char c) {
    if (c >= 0xc2 && c <= 0xdf) return {2, 0x80, 0xbf};
    if (c == 0xe0) return {3, 0xa0, 0xbf};
    if (c == 0xed) return {3, 0x80, 0x9f};
    if (c >= 0xe1 && c <= 0xef) return {3, 0x80, 0xbf};
    if (c == 0xf0) return {4, 0x90, 0xbf};
    if (c >= 0xf1 && c <= 0xf3) return {4, 0x80, 0xbf};
    if (c == 0xf4) return {4, 0x80, 0x8f};
    return {0, 0, 0};
}

struct Multibyte {
    std::size_t bytes;  // of the sequence, or of its broken part
    bool is_whole;
};
Multibyte multibyte_at(std::string_view text) {
    const Utf8Lead lead = lead_of(static_cast<unsigned char>(text.front()));
    std::size_t valid = 1;
    while (valid < static_cast<std::size_t>(lead.length) && valid < text.size()) {
        const auto c = static_cast<unsigned char>(text[valid]);
        const unsigned char low = valid == 1 ? lead.low : 0x80;
        const unsigned char high = valid == 1 ? lead.high : 0xbf;
        if (c < low || c > high) break;
        ++valid;
    }
    return {valid, lead.length != 0 && valid == static_cast<std::size_t>(lead.length)};
}

}  // namespace

std::size_t count_plain(std::string_view text) {
    std::size_t count = 0;
    while (count + 8 <= text.size() && are_plain(text.data() + count)) count += 8;
    while (count < text.size() && is_plain(text[count])) ++count;
    return count;
}

std::size_t utf8_length(std::string_view text) {
    if (static_cast<unsigned char>(text.front()) < 0x80) return 1;
    const Multibyte sequence = multibyte_at(text);
    return sequence.is_whole ? sequence.bytes : 0;
}

std::size_t append_json_string(std::string& out, std::string_view text) {
    std::size_t replaced = 0;
    out += '"';
    while (!text.empty()) {
        const std::size_t plain_bytes = count_plain(text);
        out.append(text.substr(0, plain_bytes));
        text.remove_prefix(plain_bytes);
        if (text.empty()) break;
        const auto c = static_cast<unsigned char>(text.front());
        if (c >= 0x80) {
            const Multibyte sequence = multibyte_at(text);
            out.append(sequence.is_whole ? text.substr(0, sequence.bytes) : kReplacement);
            replaced += sequence.is_whole ? 0 : 1;
            text.remove_prefix(sequence.bytes);
        } else {
            out.append(detail::escape_of(c));
            text.remove_prefix(1);
        }
    }
    out += '"';
    return replaced;
}

void append_json_line(std::string& out, std::string_view json) {
    for (std::size_t end = json.find('\n'); end != json.npos; end = json.find('\n')) {
        out.append(json.substr(0, end)).push_back('\r');
        json.remove_prefix(end + 1);
    }
    out.append(json);
}

namespace {

/// How many bytes at the front are UTF-8.
std::size_t count_utf8(std::string_view text) {
    std::size_t valid = 0;
    while (valid < text.size()) {
        if (valid + 8 <= text.size() && are_ascii(text.data() + valid)) {
            valid += 8;
        } else if (static_cast<unsigned char>(text[valid]) < 0x80) {
            ++valid;
        } else {
            const Multibyte sequence = multibyte_at(text.substr(valid));
            if (!sequence.is_whole) break;
            valid += sequence.bytes;
        }
    }
    return valid;
}

/// `append`: of what is UTF-8.
template <typename Append>
std::size_t append_scrubbed(std::string& out, std::string_view text, const Append& append) {
    std::size_t replaced = 0;
    for (;;) {
        const std::size_t valid = count_utf8(text);
        append(out, text.substr(0, valid));
        text.remove_prefix(valid);
        if (text.empty()) return replaced;
        out.append(kReplacement);
        ++replaced;
        text.remove_prefix(multibyte_at(text).bytes);
    }
}

}  // namespace

bool is_utf8(std::string_view text) {
    return count_utf8(text) == text.size();
}

std::size_t append_utf8(std::string& out, std::string_view text) {
    return append_scrubbed(out, text,
                           [](std::string& to, std::string_view valid) { to.append(valid); });
}

std::size_t append_json_value(std::string& out, std::string_view json) {
    return append_scrubbed(out, json, append_json_line);
}

std::string_view whole_characters(std::string_view text, std::size_t bytes_max) {
    std::size_t bytes = std::min(text.size(), bytes_max);
    const auto continues = [&] { return (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80; };
    while (bytes > 0 && bytes < text.size() && continues()) --bytes;
    return text.substr(0, bytes);
}

std::string shown_text(std::string_view text) {
    constexpr std::size_t kShownMax = 64;
    const std::string_view part = whole_characters(text, kShownMax);
    constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (std::size_t at = 0; at < part.size();) {
        const std::size_t length = utf8_length(part.substr(at));
        const auto c = static_cast<unsigned char>(part[at]);
        if (length == 0) {
            out += "\xef\xbf\xbd";
        } else if (c < 0x20 || c == 0x7f) {
            out += "\\x" + std::string(1, kDigits[c >> 4]) + kDigits[c & 15];
        } else {
            out += part.substr(at, length);
        }
        at += std::max<std::size_t>(length, 1);
    }
    return out + (part.size() < text.size() ? "…" : "");
}

void append_json_number(std::string& out, std::int64_t value) {
    out.append(detail::text_of(value));
}

void append_json_number(std::string& out, double value) {
    out.append(detail::text_of(value));
}

}  // namespace homeward
