#pragma once

// Texts without their numbers, as CLP stores log messages: "order:17/invoice:3" is the pattern
// "order:0/invoice:0" and the numbers 17 and 3. In a pattern every digit begins a placeholder,
// since its other bytes are what is between runs of digits:
//
//   '0'        a number without leading zeros
//   '1' and c  a number of exactly c - '@' digits (1 to 18), leading zeros included
//
// A run of more than 18 digits is several numbers, of 18 digits each but for the last.
//
// A column's pattern is that of its first value, and its other values match it. So they differ from
// the first in digits alone, and a run of digits begins with a zero only where that of the first
// does, or is a single zero: JSON that the first is, all are (but for escapes and exponents).

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace homeward::columns {

/// One pattern, taken apart. Borrows its text and its placeholders.
class Pattern {
  public:
    static constexpr unsigned kDigitsMax = 18;
    static constexpr std::uint64_t kNumberMax = 999'999'999'999'999'999;

    struct Placeholder {
        std::uint32_t before;  ///< bytes between it and the one in front of it
        std::uint8_t digits;   ///< 0: as many as its number needs
        /// Of the placeholder itself, in the pattern's text.
        std::size_t bytes() const { return digits == 0 ? 1 : 2; }
    };

    /// The pattern of this text.
    static std::string of(std::string_view text);
    /// Appends the placeholders of a pattern. False: it is none, or they would be more than `most`.
    static bool parse(std::string_view pattern, std::size_t most,
                      std::vector<Placeholder>& placeholders);

    Pattern() = default;
    Pattern(std::string_view text, std::span<const Placeholder> placeholders)
        : text_(text), placeholders_(placeholders) {}

    std::size_t numbers() const { return placeholders_.size(); }
    /// Whether the text has this pattern; then its numbers are appended, else nothing.
    bool match(std::string_view text, std::vector<std::uint64_t>& numbers) const;
    /// Of the values of a pattern, at one of its placeholders.
    struct Numbers {
        std::uint64_t first;  ///< of the first value
        std::uint64_t least;
        std::uint64_t most;
    };
    /// Whether texts with these numbers match the pattern there, and it is that of the first.
    bool has(std::size_t index, const Numbers& numbers) const;
    /// Bytes of a text at most.
    std::size_t bytes_max() const { return text_.size() + numbers() * kDigitsMax; }
    /// Of the text that has these numbers.
    std::size_t bytes_of(const std::uint64_t* numbers) const;
    /// Writes the text that has these numbers, numbers() of them, none of more digits than its
    /// placeholder. Returns its end.
    char* write(char* at, const std::uint64_t* numbers) const;

  private:
    std::string_view text_;
    std::span<const Placeholder> placeholders_;
};

}  // namespace homeward::columns
