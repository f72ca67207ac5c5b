#include "consumer/decode/value_writer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "consumer/decode/column_value.hpp"
#include "consumer/decode/number_text.hpp"
#include "consumer/decode/value_scanner.hpp"
#include "schemas/text/json_text.hpp"

namespace homeward::consumer {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

std::size_t code_points(std::string_view text) {
    std::size_t count = 0;
    for (char c : text) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
    return count;
}

template <typename Int>
bool in_range(std::int64_t value) {
    return value >= std::numeric_limits<Int>::min() && value <= std::numeric_limits<Int>::max();
}

/// How publishers write what JSON has no number for.
bool is_beyond_json(std::string_view text) {
    return text == "NaN" || text == "Infinity" || text == "-Infinity";
}
double value_beyond_json(std::string_view text) {
    return text == "NaN" ? std::nan("") : text[0] == '-' ? -HUGE_VAL : HUGE_VAL;
}

/// Empty if it is no string, which is neither a UUID nor an address.
std::string_view text_of(const Value& value) {
    std::string_view text;
    return value.parsed.get(text) == simdjson::SUCCESS ? text : std::string_view();
}

bool is_allowed(const Field& field, std::string_view text) {
    return std::find(field.allowed.begin(), field.allowed.end(), text) != field.allowed.end();
}

}  // namespace

std::string in_quotes(std::string_view text) {
    return "\"" + shown_text(text) + "\"";
}

std::uint64_t replace_nul_escapes(std::string& json) {
    std::uint64_t replaced = 0;
    // Backslashes come in pairs unless they begin an escape.
    for (std::size_t at = json.find('\\'); at != std::string::npos; at = json.find('\\', at)) {
        if (json.compare(at, 6, "\\u0000") == 0) {
            json.replace(at, 6, kReplacement);
            ++replaced;
        } else {
            at += 2;
        }
    }
    return replaced;
}

bool ValueWriter::mismatch(const Field& field, std::string_view what) {
    reason_ = "field " + in_quotes(field.name) + " is " + std::string(what);
    return false;
}

bool ValueWriter::write(const Field& field, const Value& value) {
    const bool takes_null = field.kind == FieldKind::json && field.shape == JsonShape::any;
    if (value.is_null() && !takes_null) {
        row_.null();
        return !field.required || mismatch(field, "null, but required");
    }
    return field.array ? write_array(field, value) : write_scalar(field, value);
}

bool ValueWriter::write_extra(std::string& json) {
    const std::string_view number = find_unstorable_number(json);
    if (!number.empty()) {
        reason_ = "the number " + in_quotes(number) + " is beyond what jsonb holds";
        return false;
    }
    replaced_nuls_ += replace_nul_escapes(json);
    row_.jsonb(json);
    return true;
}

bool ValueWriter::write_array(const Field& field, const Value& value) {
    simdjson::dom::array array;
    if (value.parsed.get(array) != simdjson::SUCCESS) return mismatch(field, "not an array");
    const std::size_t at =
        row_.begin_array(element_oid(field.column), static_cast<std::uint32_t>(array.size()));
    ValueScanner elements(value.text);
    for (const simdjson::dom::element& parsed : array) {
        const Value element{parsed, elements.next_element()};
        if (element.is_null()) {
            row_.null();
        } else if (!write_scalar(field, element)) {
            return false;
        }
    }
    row_.end_array(at);
    return true;
}

bool ValueWriter::write_scalar(const Field& field, const Value& value) {
    switch (field.kind) {
        case FieldKind::text:
            return write_text(field, value);
        case FieldKind::integer:
            return write_integer(field, value);
        case FieldKind::real:
            return write_real(field, value);
        case FieldKind::boolean:
            return write_boolean(field, value);
        case FieldKind::timestamp:
            return write_timestamp(field, value);
        case FieldKind::uuid:
            return write_uuid(field, text_of(value));
        case FieldKind::inet:
            return write_inet(field, text_of(value));
        case FieldKind::json:
            return write_json(field, value);
    }
    return mismatch(field, "of a kind that is not known");
}

bool ValueWriter::write_text(const Field& field, const Value& value) {
    std::string_view text;
    if (value.parsed.get(text) != simdjson::SUCCESS) return mismatch(field, "not a string");
    return write_text(field, text);
}

bool ValueWriter::write_text(const Field& field, std::string_view text) {
    if (text.size() > kFieldBytesMax) {
        return mismatch(field, "longer than 64 KiB; a jsonb field takes more");
    }
    if (field.length_max > 0 && text.size() > field.length_max &&
        code_points(text) > field.length_max) {
        return mismatch(field, "longer than " + std::to_string(field.length_max) + " characters");
    }
    if (!field.allowed.empty() && !is_allowed(field, text)) {
        return mismatch(field, in_quotes(text) + ", which is not among the values of its enum");
    }
    row_.text(without_nul(text));
    return true;
}

std::string_view ValueWriter::without_nul(std::string_view text) {
    if (text.find('\0') == std::string_view::npos) return text;
    scratch_.clear();
    for (char c : text) {
        if (c == '\0') {
            scratch_.append(kReplacement);
            ++replaced_nuls_;
        } else {
            scratch_ += c;
        }
    }
    return scratch_;
}

bool ValueWriter::write_integer(const Field& field, const Value& value) {
    if (field.column == ColumnType::numeric) return write_decimal(field, value);
    std::int64_t number = 0;
    if (value.parsed.get(number) != simdjson::SUCCESS) {
        return mismatch(
            field, is_whole_number(value.text) ? "beyond bigint" : "not a whole number of 64 bits");
    }
    return write_integer(field, number);
}

bool ValueWriter::write_integer(const Field& field, std::int64_t number) {
    if (!in_bounds(field, static_cast<double>(number))) return false;
    switch (field.column) {
        case ColumnType::int2:
            if (!in_range<std::int16_t>(number)) return mismatch(field, "beyond smallint");
            row_.int2(static_cast<std::int16_t>(number));
            return true;
        case ColumnType::int4:
            if (!in_range<std::int32_t>(number)) return mismatch(field, "beyond integer");
            row_.int4(static_cast<std::int32_t>(number));
            return true;
        default:
            row_.int8(number);
            return true;
    }
}

bool ValueWriter::write_real(const Field& field, const Value& value) {
    if (field.column == ColumnType::numeric) return write_decimal(field, value);
    std::string_view text;
    if (value.parsed.get(text) == simdjson::SUCCESS) {
        if (!is_beyond_json(text)) return mismatch(field, "not a number");
        const double number = value_beyond_json(text);
        if (!in_bounds(field, number)) return false;
        if (field.column == ColumnType::float4) {
            row_.float4(static_cast<float>(number));
        } else {
            row_.float8(number);
        }
        return true;
    }
    if (!is_number_text(value.text)) return mismatch(field, "not a number");
    return field.column == ColumnType::float4 ? write_float(field, value)
                                              : write_double(field, value);
}

bool ValueWriter::write_double(const Field& field, const Value& value) {
    double number = 0;
    // Zero may have a sign, or stand for what is too small; null, for a number beyond 64 bits.
    if (value.parsed.get(number) != simdjson::SUCCESS || number == 0) {
        const auto nearest = nearest_double(value.text);
        if (!nearest) return mismatch(field, "beyond double precision");
        number = *nearest;
    }
    return write_real(field, number);
}

bool ValueWriter::write_real(const Field& field, double number) {
    if (!in_bounds(field, number)) return false;
    if (field.column != ColumnType::float4) {
        row_.float8(number);
        return true;
    }
    const auto rounded = static_cast<float>(number);
    const bool is_beyond = std::isinf(rounded) != std::isinf(number);
    if (is_beyond || (rounded == 0 && number != 0)) return mismatch(field, "beyond real");
    row_.float4(rounded);
    return true;
}

bool ValueWriter::write_float(const Field& field, const Value& value) {
    // From the text, not from its double: that would be rounded twice.
    const auto number = nearest_float(value.text);
    if (!number) return mismatch(field, "beyond real");
    if (!in_bounds(field, static_cast<double>(*number))) return false;
    row_.float4(*number);
    return true;
}

/// Every digit as it was written; in a string, also more than a JSON number may well have.
bool ValueWriter::write_decimal(const Field& field, const Value& value) {
    std::string_view digits = value.text;
    std::string_view text;
    const bool is_whole_only = field.kind == FieldKind::integer;
    if (value.parsed.get(text) == simdjson::SUCCESS) {
        digits = text;
    } else if (!is_number_text(digits)) {
        return mismatch(field, "not a number");
    }
    if (is_whole_only && !is_whole_number(digits)) return mismatch(field, "not a whole number");
    return write_decimal(field, digits);
}

bool ValueWriter::write_decimal(const Field& field, std::string_view digits) {
    if (field.minimum || field.maximum) {
        // A number beyond double is an infinity to a bound, one too close to zero is zero.
        const double number = std::strtod(std::string(digits).c_str(), nullptr);
        if (!in_bounds(field, number)) return false;
    }
    scratch_.clear();
    if (!append_numeric(digits, scratch_)) {
        return mismatch(field,
                        "not a decimal number within 131072 digits in front of the point "
                        "and 16383 behind it");
    }
    row_.bytes(scratch_);
    return true;
}

bool ValueWriter::in_bounds(const Field& field, double number) {
    if (field.minimum && number < *field.minimum) return mismatch(field, "below its minimum");
    if (field.maximum && number > *field.maximum) return mismatch(field, "above its maximum");
    return true;
}

bool ValueWriter::write_boolean(const Field& field, const Value& value) {
    bool flag = false;
    if (value.parsed.get(flag) != simdjson::SUCCESS) return mismatch(field, "not true or false");
    row_.boolean(flag);
    return true;
}

bool ValueWriter::write_timestamp(const Field& field, const Value& value) {
    std::int64_t time_us = 0;
    std::string_view text;
    if (value.parsed.get(text) == simdjson::SUCCESS) {
        const auto parsed = parse_rfc3339(text);
        if (!parsed) return mismatch(field, "not a time in RFC 3339: " + in_quotes(text));
        time_us = *parsed;
    } else if (value.parsed.get(time_us) != simdjson::SUCCESS) {
        return mismatch(field, "neither RFC 3339 text nor whole microseconds");
    }
    return write_timestamp(field, time_us);
}

bool ValueWriter::write_timestamp(const Field& field, std::int64_t time_us) {
    // PostgreSQL begins at 4714 BC; its end, 294276 AD, is beyond 64 bits of microseconds.
    if (time_us < -210'866'803'200'000'000) {
        return mismatch(field, "a time that PostgreSQL cannot hold");
    }
    row_.timestamptz(time_us);
    return true;
}

bool ValueWriter::write_uuid(const Field& field, std::string_view text) {
    return write_converted(field, text, append_uuid, "not a UUID");
}

bool ValueWriter::write_inet(const Field& field, std::string_view text) {
    return write_converted(field, text, append_inet, "not an IP address");
}

bool ValueWriter::write_converted(const Field& field, std::string_view text,
                                  bool (*append)(std::string_view, std::string&),
                                  std::string_view what) {
    scratch_.clear();
    if (!append(text, scratch_)) return mismatch(field, what);
    row_.bytes(scratch_);
    return true;
}

bool ValueWriter::write_json(const Field& field, const Value& value) {
    if (field.shape == JsonShape::object && !value.parsed.is_object()) {
        return mismatch(field, "not an object");
    }
    if (field.shape == JsonShape::array && !value.parsed.is_array()) {
        return mismatch(field, "not an array");
    }
    const std::string_view number = find_unstorable_number(value.text);
    if (!number.empty()) {
        return mismatch(
            field, "with the number " + in_quotes(number) + ", which is beyond what jsonb holds");
    }
    scratch_ = value.text;
    replaced_nuls_ += replace_nul_escapes(scratch_);
    row_.jsonb(scratch_);
    return true;
}

}  // namespace homeward::consumer
