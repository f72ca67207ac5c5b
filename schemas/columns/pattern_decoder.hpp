#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "schemas/columns/pattern.hpp"

namespace homeward::columns {

/// Reads what PatternEncoder writes, and nothing else. Keeps its memory; one thread.
class PatternDecoder {
  public:
    /// Takes patterns and numbers of `values` values off the front, which must stay valid. False:
    /// no encoder writes them, or the values would have more than `bytes_max` bytes.
    bool open(std::string_view& in, std::size_t values, std::size_t bytes_max);
    /// Which pattern the next value has.
    std::size_t place() const {
        return places_.empty() ? 0 : static_cast<unsigned char>(places_[place_]);
    }
    /// Of the next value: at most, and exactly, which takes longer.
    std::size_t bytes_max() const { return entries_[place()].pattern.bytes_max(); }
    std::size_t bytes() const;
    /// Writes the next value, at most `values` times. Returns its end.
    char* write_next(char* at);
    /// Gives back the memory of a frame that was large, so that a sender cannot make us keep it.
    void trim();

  private:
    struct Entry {
        std::string_view text;
        Pattern pattern;
        std::uint32_t values = 0;
        std::uint32_t next = 0;
        std::size_t placeholders_end = 0;
        std::size_t first = 0;  ///< of its numbers in numbers_
    };
    bool take_patterns(std::string_view& in);
    bool take_places(std::string_view& in, std::size_t values);
    bool reserve_numbers(std::size_t bytes_max);
    bool take_numbers(std::string_view& in, const Entry& entry, std::size_t index);
    const std::uint64_t* next_numbers(const Entry& entry) const {
        return numbers_.data() + entry.first + entry.next * entry.pattern.numbers();
    }

    /// Some times what a full frame of ours has.
    static constexpr std::size_t kNumbersKept = 128u << 10;
    static constexpr std::size_t kPlaceholdersKept = 64u << 10;
    std::vector<Entry> entries_;                      // the first `used_` are this column's
    std::vector<Pattern::Placeholder> placeholders_;  // of all entries, one entry after another
    std::vector<std::uint64_t> numbers_;              // the same
    std::size_t used_ = 0;
    std::string_view places_;  // empty with one pattern
    std::size_t place_ = 0;
};

}  // namespace homeward::columns
