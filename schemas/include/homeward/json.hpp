#pragma once

// JSON values of typed events: arrays of a struct's own containers, and objects that are built up
// key by key. Nobody writes JSON text by hand, but who has some may pass it (JsonText).

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
#include <utility>

#include <homeward/text.hpp>

namespace homeward {

/// A JSON value as text, already valid JSON; borrowed, like every view in a generated struct, only
/// until emit() returns.
struct JsonText {
    Text text;
};

/// A point in time; microseconds since 1970-01-01 UTC.
struct TimeUs {
    std::int64_t us = 0;
};

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

/// What JSON is built in; it owns its text. Not for several threads at once.
class JsonBuilder {
  public:
    /// One JSON value, whole at any time.
    std::string_view text() const noexcept { return text_; }

  protected:
    explicit JsonBuilder(std::string_view text) : text_(text) {}
    /// Behind what is there; all of it or, when there is no memory, nothing.
    void insert(std::string&& part) {
        if (text_.size() > 2) part.insert(0, 1, ',');
        text_.insert(text_.size() - 1, part);
    }
    std::string text_;
};

/// A JSON object: `JsonObject detail; detail.add("ip", ip).add("tries", 3); event.detail = detail;`
/// Keys are not compared: of one that is added twice, the leader keeps the last.
class JsonObject : public JsonBuilder {
  public:
    JsonObject() : JsonBuilder("{}") {}

    template <typename Value>
    JsonObject& add(std::string_view key, const Value& value) & {
        std::string member;
        detail::StringSink sink{member};
        detail::put_json_string(sink, key);
        member += ':';
        detail::put_json(sink, value);
        insert(std::move(member));
        return *this;
    }
    template <typename Value>
    JsonObject&& add(std::string_view key, const Value& value) && {  // stays a temporary
        return std::move(add(key, value));
    }
    /// Empty again; keeps its memory, so that building in a loop allocates once.
    void clear() { text_ = "{}"; }
};

/// A JSON array of any values, for fields that are kept as jsonb.
class JsonArray : public JsonBuilder {
  public:
    JsonArray() : JsonBuilder("[]") {}

    template <typename Value>
    JsonArray& add(const Value& value) & {
        std::string element;
        detail::StringSink sink{element};
        detail::put_json(sink, value);
        insert(std::move(element));
        return *this;
    }
    template <typename Value>
    JsonArray&& add(const Value& value) && {
        return std::move(add(value));
    }
    void clear() { text_ = "[]"; }
};

/// Any one JSON value, for fields that are kept as jsonb and take any.
class JsonValue : public JsonBuilder {
  public:
    template <typename Value>
    requires(!std::derived_from<Value, JsonBuilder>) explicit JsonValue(const Value& value)
        : JsonBuilder("") {
        detail::StringSink sink{text_};
        detail::put_json(sink, value);
    }
};

/// The value of a field that is kept as jsonb: what a `Builder` has built, borrowed until emit()
/// returns, or JSON text. A temporary does not compile.
template <typename Builder>
class JsonOf {
  public:
    constexpr JsonOf() = default;
    constexpr JsonOf(const JsonText& json) noexcept : text_(json.text) {}  // NOLINT
    template <typename Source>
    requires(std::derived_from<std::remove_cvref_t<Source>, Builder>&&
                 std::is_lvalue_reference_v<Source>) JsonOf(Source&& built)
    noexcept  // NOLINT
        : text_(built.text()) {}
    template <typename Source>
    requires(std::derived_from<std::remove_cvref_t<Source>, Builder> &&
             !std::is_lvalue_reference_v<Source>) JsonOf(Source&& temporary)
    = delete;

    constexpr bool is_set() const noexcept { return text_.is_set(); }
    constexpr std::string_view view() const noexcept { return text_.view(); }

  private:
    Text text_;
};

/// The value of an array field: elements that lie in a row (std::vector, std::array, std::span, a C
/// array), borrowed until emit() returns, which writes them as JSON. A temporary does not compile.
template <typename Field>
class Array {
  public:
    constexpr Array() = default;
    template <typename Source>
    requires(detail::ArrayOf<std::remove_reference_t<Source>, Field>&&
                 OutlivesStatement<Source>) constexpr Array(Source&& source) noexcept  // NOLINT
        : elements_(std::ranges::data(source)),
          count_(std::ranges::size(source)),
          ops_(&kOpsOf<std::ranges::range_value_t<std::remove_reference_t<Source>>>) {}
    template <typename Source>
    requires(detail::ArrayOf<std::remove_reference_t<Source>, Field> && !OutlivesStatement<Source>)
        Array(Source&& temporary)
    = delete;
    /// The text of a JSON array.
    constexpr Array(const JsonText& json) noexcept  // NOLINT
        : elements_(json.text.data()),
          count_(json.text.size()),
          ops_(json.text.is_set() ? &kTextOps : nullptr) {}

    constexpr bool is_set() const noexcept { return ops_ != nullptr; }
    /// Of the array as JSON.
    std::size_t json_bytes() const noexcept { return is_set() ? ops_->count(*this) : 0; }
    std::byte* write_json(std::byte* at) const noexcept {
        return is_set() ? ops_->write(*this, at) : at;
    }

  private:
    struct Ops {
        std::size_t (*count)(const Array&) noexcept;
        std::byte* (*write)(const Array&, std::byte* at) noexcept;
    };
    template <typename Element, typename Sink>
    void put(Sink& sink) const {
        const auto* elements = static_cast<const Element*>(elements_);
        sink.put("[");
        for (std::size_t i = 0; i < count_; ++i) {
            if (i > 0) sink.put(",");
            if constexpr (std::same_as<Element, Decimal>) {
                detail::put_json_string(sink, elements[i].text());  // a column takes NaN, too
            } else {
                detail::put_json(sink, elements[i]);
            }
        }
        sink.put("]");
    }
    template <typename Element>
    static constexpr Ops kOpsOf{[](const Array& array) noexcept {
                                    detail::CountingSink sink;
                                    array.put<Element>(sink);
                                    return sink.bytes;
                                },
                                [](const Array& array, std::byte* at) noexcept {
                                    detail::RecordSink sink{at};
                                    array.put<Element>(sink);
                                    return sink.at;
                                }};
    static constexpr Ops kTextOps{[](const Array& array) noexcept { return array.count_; },
                                  [](const Array& array, std::byte* at) noexcept {
                                      std::memcpy(at, array.elements_, array.count_);
                                      return at + array.count_;
                                  }};

    const void* elements_ = nullptr;
    std::size_t count_ = 0;
    const Ops* ops_ = nullptr;
};

}  // namespace homeward
