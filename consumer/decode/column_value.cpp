#include "consumer/decode/column_value.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "schemas/wire/publisher_id.hpp"

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

namespace {

/// A decimal number taken apart: digits[0] stands `whole` places in front of the point.
struct Digits {
    std::string digits;
    std::int64_t whole = 0;
    std::int64_t scale = 0;  // digits behind the point, as written
};

bool take_decimal(std::string_view text, Digits& number) {
    std::int64_t fraction_digits = 0;
    bool seen_point = false;
    while (!text.empty() && ((text.front() >= '0' && text.front() <= '9') || text.front() == '.')) {
        if (text.front() == '.') {
            if (seen_point) return false;
            seen_point = true;
        } else {
            number.digits += text.front();
            fraction_digits += seen_point ? 1 : 0;
        }
        text.remove_prefix(1);
    }
    if (number.digits.empty()) return false;
    std::int64_t exponent = 0;
    if (take_char(text, 'e') || take_char(text, 'E')) {
        constexpr std::int64_t kExponentMax = INT32_MAX / 2;  // PostgreSQL's own
        take_char(text, '+');
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), exponent);
        if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() ||
            exponent >= kExponentMax || exponent <= -kExponentMax) {
            return false;
        }
        text = {};
    }
    number.whole = static_cast<std::int64_t>(number.digits.size()) - fraction_digits + exponent;
    number.scale = std::max<std::int64_t>(fraction_digits - exponent, 0);
    return text.empty();
}

void append_numeric_head(std::string& out, std::size_t groups, std::int64_t weight, int sign,
                         std::int64_t scale) {
    append_be16(out, static_cast<int>(groups));
    append_be16(out, static_cast<int>(weight));
    append_be16(out, sign);
    append_be16(out, static_cast<int>(scale));
}

}  // namespace

bool append_numeric(std::string_view text, std::string& out) {
    constexpr std::int64_t kWholeMax = 131'072;  // digits in front of the point: weight is 15 bits
    constexpr std::int64_t kScaleMax = 16'383;   // digits behind it, NUMERIC_DSCALE_MAX
    constexpr int kNegative = 0x4000, kNan = 0xc000, kInfinity = 0xd000, kMinusInfinity = 0xf000;
    constexpr std::int64_t kGroup = 4;  // decimal digits in one of PostgreSQL's
    for (const auto& [name, sign] : {std::pair("NaN", kNan), std::pair("Infinity", kInfinity),
                                     std::pair("-Infinity", kMinusInfinity)}) {
        if (text != name) continue;
        append_numeric_head(out, 0, 0, sign, 0);
        return true;
    }
    const bool is_negative = take_char(text, '-');
    Digits number;
    if (!take_decimal(text, number) || number.scale > kScaleMax) return false;
    const std::string& digits = number.digits;
    const std::size_t first = digits.find_first_not_of('0');
    if (first == std::string::npos) {
        append_numeric_head(out, 0, 0, 0, number.scale);
        return true;
    }
    const std::size_t end = digits.find_last_not_of('0') + 1;
    const std::int64_t whole = number.whole - static_cast<std::int64_t>(first);
    if (whole > kWholeMax) return false;
    // Groups are aligned at the point: the first may begin with zeros, the last may end with some.
    const std::int64_t weight = (whole > 0 ? whole + kGroup - 1 : whole) / kGroup - 1;
    std::int64_t place = (weight + 1) * kGroup - whole;  // zeros in front
    const auto significant = static_cast<std::int64_t>(end - first);
    const auto groups = static_cast<std::size_t>((place + significant + kGroup - 1) / kGroup);
    append_numeric_head(out, groups, weight, is_negative ? kNegative : 0, number.scale);
    int group = 0;
    for (std::size_t i = first; i < end; ++i) {
        group = group * 10 + (digits[i] - '0');
        if (++place % kGroup == 0) append_be16(out, std::exchange(group, 0));
    }
    if (place % kGroup != 0) {
        for (; place % kGroup != 0; ++place) group *= 10;
        append_be16(out, group);
    }
    return true;
}

}  // namespace homeward::consumer
