#pragma once

// How C++ values become JSON text: sinks, escaping, and the types that have a JSON form.

#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>

#include <homeward/text.hpp>

namespace homeward {

class JsonBuilder;

namespace detail {

/// The shortest text of a number, in place.
struct NumberText {
    std::array<char, 32> chars;
    std::size_t size = 0;
    operator std::string_view() const noexcept { return {chars.data(), size}; }  // NOLINT
};

inline NumberText text_of(double value) noexcept {
    NumberText text;
    const auto set = [&text](std::string_view digits) {
        std::memcpy(text.chars.data(), digits.data(), digits.size());
        text.size = digits.size();
    };
    if (std::isnan(value)) return set("\"NaN\""), text;
    if (std::isinf(value)) return set(value > 0 ? "\"Infinity\"" : "\"-Infinity\""), text;
    if (value == 0) return set(std::signbit(value) ? "-0.0" : "0"), text;
    // The shortest form has no exponent for whole numbers up to about 1e22, and would be taken for
    // an integer beyond 64 bits.
    constexpr double kWholeMax = 9e18;
    char* const begin = text.chars.data();
    char* const end = begin + text.chars.size();
    const auto result = std::abs(value) < kWholeMax
                            ? std::to_chars(begin, end, value)
                            : std::to_chars(begin, end, value, std::chars_format::scientific);
    text.size = static_cast<std::size_t>(result.ptr - begin);
    return text;
}

template <std::integral Number>
NumberText text_of(Number value) noexcept {
    NumberText text;
    char* const begin = text.chars.data();
    text.size = static_cast<std::size_t>(
        std::to_chars(begin, begin + text.chars.size(), value).ptr - begin);
    return text;
}

/// How a JSON string has this character, which is a quote, a backslash, or below 0x20.
inline NumberText escape_of(unsigned char c) noexcept {
    constexpr char kDigits[] = "0123456789abcdef";
    const char letter = c == '"'    ? '"'
                        : c == '\\' ? '\\'
                        : c == '\n' ? 'n'
                        : c == '\r' ? 'r'
                        : c == '\t' ? 't'
                                    : '\0';
    if (letter != '\0') return {{'\\', letter}, 2};
    return {{'\\', 'u', '0', '0', kDigits[c >> 4], kDigits[c & 15]}, 6};
}

/// What JSON calls a number.
constexpr bool is_json_number(std::string_view text) noexcept {
    const auto take_digits = [&text] {
        std::size_t count = 0;
        while (count < text.size() && text[count] >= '0' && text[count] <= '9') ++count;
        text.remove_prefix(count);
        return count;
    };
    if (!text.empty() && text.front() == '-') text.remove_prefix(1);
    const bool has_zero_first = !text.empty() && text.front() == '0';
    const std::size_t whole = take_digits();
    if (whole == 0 || (has_zero_first && whole > 1)) return false;
    if (!text.empty() && text.front() == '.') {
        text.remove_prefix(1);
        if (take_digits() == 0) return false;
    }
    if (!text.empty() && (text.front() == 'e' || text.front() == 'E')) {
        text.remove_prefix(1);
        if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
        if (take_digits() == 0) return false;
    }
    return text.empty();
}

// Where JSON goes: counted first, then into a lane's record; or into a string.
struct CountingSink {
    std::size_t bytes = 0;
    void put(std::string_view text) noexcept { bytes += text.size(); }
};
struct RecordSink {
    std::byte* at;
    void put(std::string_view text) noexcept {
        std::memcpy(at, text.data(), text.size());
        at += text.size();
    }
};
struct StringSink {
    std::string& out;
    void put(std::string_view text) { out.append(text); }
};

/// Quoted and escaped. What is not UTF-8 stays: the sender replaces and counts it.
template <typename Sink>
void put_json_string(Sink& sink, std::string_view text) {
    sink.put("\"");
    while (!text.empty()) {
        std::size_t plain = 0;
        while (plain < text.size() && static_cast<unsigned char>(text[plain]) >= 0x20 &&
               text[plain] != '"' && text[plain] != '\\') {
            ++plain;
        }
        sink.put(text.substr(0, plain));
        text.remove_prefix(plain);
        if (text.empty()) break;
        sink.put(escape_of(static_cast<unsigned char>(text.front())));
        text.remove_prefix(1);
    }
    sink.put("\"");
}

template <typename Value>
inline constexpr bool kIsOptional = false;
template <typename Value>
inline constexpr bool kIsOptional<std::optional<Value>> = true;

template <typename Value>
concept Character = std::same_as<Value, char> || std::same_as<Value, wchar_t> ||
    std::same_as<Value, char8_t> || std::same_as<Value, char16_t> || std::same_as<Value, char32_t>;
template <typename Value>
concept Integer = std::integral<Value> && !std::same_as<Value, bool> && !Character<Value>;
template <typename Value>
concept TextLike = std::is_convertible_v<const Value&, std::string_view>;

/// Any value: null, booleans, numbers, texts, times (in microseconds), decimals (as numbers, with
/// every digit), what a builder has built, optionals and ranges of these.
template <typename Sink, typename Value>
void put_json(Sink& sink, const Value& value) {
    if constexpr (std::same_as<Value, std::nullptr_t>) {
        sink.put("null");
    } else if constexpr (std::same_as<Value, bool>) {
        sink.put(value ? "true" : "false");
    } else if constexpr (Integer<Value>) {
        sink.put(text_of(value));
    } else if constexpr (std::floating_point<Value>) {
        sink.put(text_of(static_cast<double>(value)));
    } else if constexpr (std::same_as<Value, TimeUs>) {
        sink.put(text_of(value.us));
    } else if constexpr (std::same_as<Value, Decimal>) {
        if (is_json_number(value.text())) return sink.put(value.text());
        put_json_string(sink, value.text());
    } else if constexpr (std::derived_from<Value, JsonBuilder>) {
        sink.put(value.text());
    } else if constexpr (std::same_as<Value, JsonText>) {
        sink.put(value.text.view());
    } else if constexpr (TextLike<Value>) {
        if constexpr (std::is_pointer_v<Value>) {
            if (value == nullptr) return sink.put("null");
        }
        put_json_string(sink, value);
    } else if constexpr (kIsOptional<Value>) {
        if (!value) return sink.put("null");
        put_json(sink, *value);
    } else {
        static_assert(std::ranges::input_range<const Value>, "no value that JSON has");
        const char* before = "[";
        for (const auto& element : value) {
            sink.put(before);
            put_json(sink, element);
            before = ",";
        }
        sink.put(*before == '[' ? "[]" : "]");
    }
}

/// What an array of `Field` takes as elements.
template <typename Element, typename Field>
concept ElementOf =
    (std::same_as<Field, Text> && TextLike<Element>) ||
    (std::same_as<Field, std::int64_t> && Integer<Element>) ||
    (std::same_as<Field, double> && (std::floating_point<Element> || Integer<Element>)) ||
    ((std::same_as<Field, bool> || std::same_as<Field, TimeUs>)&&std::same_as<Element, Field>) ||
    (std::same_as<Field, Decimal> && (std::same_as<Element, Decimal> || Integer<Element>));

template <typename Source, typename Field>
concept ArrayOf = std::ranges::contiguous_range<Source> && std::ranges::sized_range<Source> &&
    ElementOf<std::ranges::range_value_t<Source>, Field>;

}  // namespace detail

}  // namespace homeward
