#include "consumer/column_value.hpp"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <vector>

#include "schemas/publisher_id.hpp"

namespace homeward::consumer {
namespace {

void append_be16(std::string& out, int value) {
    out += static_cast<char>((value >> 8) & 0xff);
    out += static_cast<char>(value & 0xff);
}

bool take_char(std::string_view& text, char wanted) {
    if (text.empty() || text.front() != wanted) return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace

std::uint32_t element_oid(ColumnType column) {
    switch (column) {  // fixed in PostgreSQL's pg_type.dat
        case ColumnType::text:
            return 25;
        case ColumnType::int2:
            return 21;
        case ColumnType::int4:
            return 23;
        case ColumnType::int8:
            return 20;
        case ColumnType::float4:
            return 700;
        case ColumnType::float8:
            return 701;
        case ColumnType::numeric:
            return 1700;
        case ColumnType::boolean:
            return 16;
        case ColumnType::timestamptz:
            return 1184;
        case ColumnType::uuid:
            return 2950;
        case ColumnType::inet:
            return 869;
        case ColumnType::jsonb:
            return 3802;
    }
    return 25;
}

bool append_uuid(std::string_view text, std::string& out) {
    const auto id = PublisherId::parse(text);
    if (!id) return false;
    out.append(reinterpret_cast<const char*>(id->bytes.data()), id->bytes.size());
    return true;
}

bool append_inet(std::string_view text, std::string& out) {
    const std::size_t slash = text.find('/');
    const std::string address(text.substr(0, slash));
    if (address.find('\0') != std::string::npos) return false;  // inet_pton would stop there
    const bool is_v6 = address.find(':') != std::string::npos;
    std::array<unsigned char, 16> bytes{};
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, address.c_str(), bytes.data()) != 1) return false;
    const int bits_max = is_v6 ? 128 : 32;
    int bits = bits_max;
    if (slash != std::string_view::npos) {
        const std::string_view digits = text.substr(slash + 1);
        const auto end = digits.data() + digits.size();
        const auto parsed = std::from_chars(digits.data(), end, bits);
        if (parsed.ec != std::errc{} || parsed.ptr != end || bits < 0 || bits > bits_max) {
            return false;
        }
    }
    constexpr char kFamilyV4 = 2;  // PGSQL_AF_INET and PGSQL_AF_INET6, fixed by the format
    constexpr char kFamilyV6 = 3;
    out += is_v6 ? kFamilyV6 : kFamilyV4;
    out += static_cast<char>(bits);
    out += '\0';  // inet, not cidr
    out += static_cast<char>(bits_max / 8);
    out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(bits_max / 8));
    return true;
}

bool append_numeric(std::string_view text, std::string& out) {
    constexpr int kExponentMax = 1'000;  // what a JSON number of a sane length can mean
    constexpr int kScaleMax = 16'383;    // digits behind the point, NUMERIC_DSCALE_MAX
    constexpr int kNegative = 0x4000;
    const bool negative = take_char(text, '-');
    std::string digits;
    int scale = 0;
    bool seen_point = false;
    while (!text.empty() && ((text.front() >= '0' && text.front() <= '9') || text.front() == '.')) {
        if (text.front() == '.') {
            if (seen_point) return false;
            seen_point = true;
        } else {
            digits += text.front();
            scale += seen_point ? 1 : 0;
        }
        text.remove_prefix(1);
    }
    if (digits.empty()) return false;
    if (take_char(text, 'e') || take_char(text, 'E')) {
        take_char(text, '+');
        int exponent = 0;
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), exponent);
        if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() ||
            exponent > kExponentMax || exponent < -kExponentMax) {
            return false;
        }
        text = {};
        scale -= exponent;
    }
    if (!text.empty() || scale > kScaleMax) return false;
    if (scale < 0) digits.append(static_cast<std::size_t>(-scale), '0'), scale = 0;
    while (static_cast<int>(digits.size()) <= scale) digits.insert(0, 1, '0');
    // Groups of four digits, aligned at the decimal point.
    const int whole = static_cast<int>(digits.size()) - scale;
    digits.insert(0, static_cast<std::size_t>((4 - whole % 4) % 4), '0');
    const int whole_groups = (whole + 3) / 4;
    digits.append((4 - digits.size() % 4) % 4, '0');
    std::vector<int> groups;
    for (std::size_t at = 0; at < digits.size(); at += 4) {
        groups.push_back(std::stoi(digits.substr(at, 4)));
    }
    std::size_t first = 0;
    while (first < groups.size() && groups[first] == 0) ++first;
    std::size_t last = groups.size();
    while (last > first && groups[last - 1] == 0) --last;
    append_be16(out, static_cast<int>(last - first));
    append_be16(out, last == first ? 0 : whole_groups - 1 - static_cast<int>(first));
    append_be16(out, negative && last > first ? kNegative : 0);
    append_be16(out, scale);
    for (std::size_t i = first; i < last; ++i) append_be16(out, groups[i]);
    return true;
}

}  // namespace homeward::consumer
