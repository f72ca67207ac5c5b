#pragma once

// Texts without their numbers, as CLP stores log messages: "order:17/invoice:3" is the pattern
// "order:0/invoice:0" and the numbers 17 and 3. In a pattern every digit begins a placeholder,
// since its other bytes are what is between runs of digits:
//
//   '0'        a number without leading zeros
//   '1' and c  a number of exactly c - '@' digits (1 to 18), leading zeros included
//
// A run of more than 18 digits is several numbers, of 18 digits each but for the last.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace homeward::columns {

/// One pattern, taken apart.
class Pattern {
  public:
    static constexpr unsigned kDigitsMax = 18;

    /// The pattern of this text.
    static std::string of(std::string_view text);
    /// False: it is none.
    bool parse(std::string_view pattern);

    std::size_t numbers() const { return parts_.size(); }
    /// Whether the text has this pattern; then its numbers are appended, else nothing.
    bool match(std::string_view text, std::vector<std::uint64_t>& numbers) const;
    /// Bytes of a text at most.
    std::size_t bytes_max() const { return bytes_max_; }
    /// Writes the text that has these numbers, numbers() of them, each of at most kDigitsMax
    /// digits, into bytes_max() bytes. Returns its end; nullptr: a number has too many digits.
    char* write(char* at, const std::uint64_t* numbers) const;

  private:
    struct Part {
        std::string before;  ///< what is in front of the number
        unsigned digits;     ///< 0: as many as it needs
    };
    std::vector<Part> parts_;
    std::string end_;
    std::size_t bytes_max_ = 0;
};

/// Values of one column by patterns. Keeps its memory; one thread.
class PatternEncoder {
  public:
    /// Appends patterns and numbers (layout.hpp). False, and nothing appended: there are too many
    /// patterns for it to pay.
    bool encode(std::span<const std::uint32_t> lengths, std::string_view texts, std::string& out);

  private:
    struct Entry {
        std::string text;
        Pattern pattern;
        std::uint32_t values = 0;
        std::vector<std::uint64_t> numbers;  ///< of all its values, one value after another
    };
    bool add(std::string_view value, std::size_t values_before);
    static void append_numbers(const Entry& entry, std::size_t index, std::string& out);

    static constexpr std::size_t kEntriesKept = 16;  // the memory of others is given back
    std::vector<Entry> entries_;                     // the first `used_` are this column's
    std::size_t used_ = 0;
    std::size_t last_ = 0;
    std::string places_;
};

/// Reads what PatternEncoder writes. Keeps its memory; one thread.
class PatternDecoder {
  public:
    /// Takes patterns and numbers of `values` values off the front. False: they are damaged.
    bool open(std::string_view& in, std::size_t values);
    /// Which pattern the next value has.
    std::size_t place() const {
        return places_.empty() ? 0 : static_cast<unsigned char>(places_[place_]);
    }
    /// Of the next value, at most.
    std::size_t bytes_max() const;
    /// Writes the next value, at most `values` times; see Pattern::write().
    char* write_next(char* at);

  private:
    struct Entry {
        Pattern pattern;
        std::uint32_t values = 0;
        std::uint32_t next = 0;
        std::size_t first = 0;  ///< of its numbers in numbers_
    };
    bool take_numbers(std::string_view& in, const Entry& entry, std::size_t index);

    std::vector<Entry> entries_;
    std::vector<std::uint64_t> numbers_;  // of all entries, one entry after another
    std::size_t used_ = 0;
    std::string_view places_;  // empty with one pattern
    std::size_t place_ = 0;
};

}  // namespace homeward::columns
