#pragma once

/// @file
/// Values of typed events: texts, required values, decimals, times. All are for one thread at a
/// time.

#include <array>
#include <charconv>
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

namespace homeward {

/// What a Text can borrow: an object that still exists after the statement. A std::string that a
/// function returns does not; give it a name first.
template <typename Source>
concept OutlivesStatement = std::is_lvalue_reference_v<Source> ||
    std::ranges::borrowed_range<Source> || std::is_pointer_v<std::remove_cvref_t<Source>>;

/// The value of a text field. It is borrowed, like every view in a generated struct, only until
/// emit() returns. Literals and named strings cost no copy; a temporary string does not compile. An
/// unset Text differs from an empty one.
class Text {
  public:
    /// Unset.
    constexpr Text() = default;
    /// Borrows a literal, a named string or a view.
    /// @param source it must live until emit() returns. So must what a pointer or a view points
    /// into,
    ///     which no type tells: `made().c_str()` compiles, and dangles

    template <typename Source>
    requires(
        !std::same_as<std::remove_cvref_t<Source>, Text> &&
        std::is_convertible_v<const std::remove_reference_t<Source>&, std::string_view> &&
        OutlivesStatement<Source>) constexpr Text(Source&& source) noexcept  // NOLINT: it is what
                                                                             // it stands for
        : view_(non_null(source)) {}

    /// A temporary ends with the statement, and the event would read freed memory.
    template <typename Source>
    requires(!std::same_as<std::remove_cvref_t<Source>, Text> &&
             std::is_convertible_v<const std::remove_reference_t<Source>&, std::string_view> &&
             !OutlivesStatement<Source>) Text(Source&& temporary)
    = delete;

    /// Whether a value was given.
    /// @return true also for an empty text
    constexpr bool is_set() const noexcept { return view_.data() != nullptr; }
    /// @return the text; empty if unset
    constexpr operator std::string_view() const noexcept { return view_; }  // NOLINT
    /// @return the text; empty if unset
    constexpr std::string_view view() const noexcept { return view_; }
    /// @return bytes of the text
    constexpr std::size_t size() const noexcept { return view_.size(); }
    /// @return whether it has no bytes
    constexpr bool empty() const noexcept { return view_.empty(); }
    /// @return the first byte; nullptr if unset
    constexpr const char* data() const noexcept { return view_.data(); }

    /// Compares bytes.
    friend constexpr bool operator==(const Text& left, const Text& right) noexcept {
        return left.view_ == right.view_;
    }

  private:
    static constexpr std::string_view non_null(std::string_view view) noexcept {
        return view.data() == nullptr ? std::string_view("") : view;
    }

    std::string_view view_{};
};

/// The value of a text field that may be left out; used as a std::optional is.
class OptionalText {
  public:
    /// Left out.
    constexpr OptionalText() = default;
    /// Left out.
    constexpr OptionalText(std::nullopt_t) noexcept {}  // NOLINT
    /// @param text left out if it is unset
    constexpr OptionalText(Text text) noexcept : text_(text) {}  // NOLINT
    /// Borrows whatever a Text can borrow.
    /// @param source it must live until emit() returns
    template <typename Source>
    requires(!std::same_as<std::remove_cvref_t<Source>, OptionalText> &&
             !std::same_as<std::remove_cvref_t<Source>, Text> &&
             std::constructible_from<
                 Text, Source>) constexpr OptionalText(Source&& source) noexcept  // NOLINT
        : text_(std::forward<Source>(source)) {}
    /// Borrows a named optional string.
    /// @param source it must live until emit() returns
    template <typename String>
    requires std::is_convertible_v<const String&, std::string_view>
    constexpr OptionalText(const std::optional<String>& source) noexcept {  // NOLINT
        if (source) text_ = Text(*source);
    }
    template <typename String>
    requires(!std::ranges::borrowed_range<String>) OptionalText(std::optional<String>&& temporary)
    = delete;

    /// @return whether there is a text
    constexpr bool has_value() const noexcept { return text_.is_set(); }
    /// @return whether there is a text
    constexpr explicit operator bool() const noexcept { return has_value(); }
    /// @return the text; unset if there is none
    constexpr const Text& operator*() const noexcept { return text_; }
    /// @return the text; unset if there is none
    constexpr const Text* operator->() const noexcept { return &text_; }
    /// @return the text; unset if there is none
    constexpr const Text& value() const noexcept { return text_; }
    /// Leaves it out.
    constexpr void reset() noexcept { text_ = {}; }

  private:
    Text text_;
};

/// A number or another small value that an event must have: emit() refuses one that was not set.
template <typename T>
class Required {
  public:
    /// Unset.
    constexpr Required() = default;
    /// @param value copied
    constexpr Required(T value) noexcept : value_(value), is_set_(true) {}  // NOLINT
    /// @return whether a value was given
    constexpr bool is_set() const noexcept { return is_set_; }
    /// @return the value; T{} if unset
    constexpr operator T() const noexcept { return value_; }  // NOLINT
    /// @return the value; T{} if unset
    constexpr T value() const noexcept { return value_; }

  private:
    T value_{};
    bool is_set_ = false;
};

/// An exact decimal number, for money: from text ("12.30", borrowed like a Text), from a count of
/// the smallest unit (`Decimal::scaled(1230, 2)` is 12.30), or from a number by its shortest
/// digits.
class Decimal {
  public:
    /// Unset.
    constexpr Decimal() = default;
    /// Borrows digits.
    /// @param digits as PostgreSQL's numeric takes them; they must live until emit() returns
    template <typename Source>
    requires(std::constructible_from<Text, Source> &&
             !std::is_arithmetic_v<Source>) constexpr Decimal(Source&& digits) noexcept  // NOLINT
        : borrowed_(std::forward<Source>(digits)) {}
    /// @param number kept exactly
    template <std::integral Number>
    Decimal(Number number) noexcept {  // NOLINT
        const auto end = std::to_chars(own_.data(), own_.data() + own_.size(), number).ptr;
        own_bytes_ = static_cast<std::uint8_t>(end - own_.data());
    }
    /// @param number kept with the shortest digits that give it back
    Decimal(double number) noexcept {  // NOLINT
        if (number - number != 0) {
            borrowed_ = number > 0 ? "Infinity" : number < 0 ? "-Infinity" : "NaN";
            return;
        }
        const auto end = std::to_chars(own_.data(), own_.data() + own_.size(), number).ptr;
        own_bytes_ = static_cast<std::uint8_t>(end - own_.data());
    }
    /// Makes units × 10^-places.
    /// @param units count of the smallest unit
    /// @param places digits behind the point, at most 18
    /// @return an exact decimal
    static Decimal scaled(std::int64_t units, unsigned places) noexcept {
        std::array<char, 24> digits;
        const bool is_negative = units < 0;
        const auto magnitude = is_negative ? std::uint64_t{0} - static_cast<std::uint64_t>(units)
                                           : static_cast<std::uint64_t>(units);
        const char* end =
            std::to_chars(digits.data(), digits.data() + digits.size(), magnitude).ptr;
        const auto count = static_cast<unsigned>(end - digits.data());
        places = places > 18 ? 18 : places;
        Decimal decimal;
        const auto put = [&decimal](char c) { decimal.own_[decimal.own_bytes_++] = c; };
        if (is_negative) put('-');
        if (count <= places) put('0');
        for (unsigned i = 0; i + places < count; ++i) put(digits[i]);
        if (places > 0) put('.');
        for (unsigned i = count; i < places; ++i) put('0');
        for (unsigned i = count > places ? count - places : 0; i < count; ++i) put(digits[i]);
        return decimal;
    }

    /// @return whether a value was given
    bool is_set() const noexcept { return own_bytes_ > 0 || borrowed_.is_set(); }
    /// @return its digits; empty if unset
    std::string_view text() const noexcept {
        return own_bytes_ > 0 ? std::string_view(own_.data(), own_bytes_) : borrowed_.view();
    }

  private:
    Text borrowed_;
    std::array<char, 45> own_{};
    std::uint8_t own_bytes_ = 0;
};

/// A JSON value as text, already valid JSON. It is borrowed, like every view in a generated struct,
/// only until emit() returns.
struct JsonText {
    Text text;  ///< the JSON
};

/// A point in time; microseconds since 1970-01-01 UTC.
struct TimeUs {
    std::int64_t us = 0;  ///< microseconds
};

}  // namespace homeward
