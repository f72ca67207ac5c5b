#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/columns/pattern.hpp"

namespace homeward::columns {

/// Values of one column by patterns. Keeps its memory; one thread.
class PatternEncoder {
  public:
    /// Appends patterns and numbers (layout.hpp). False, and nothing appended: there are too many
    /// patterns for it to pay.
    bool encode(std::span<const std::uint32_t> lengths, std::string_view texts, std::string& out);

  private:
    struct Entry {
        std::string text;
        std::vector<Pattern::Placeholder> placeholders;
        std::uint32_t values = 0;
        std::vector<std::uint64_t> numbers;  ///< of all its values, one value after another

        Pattern pattern() const { return {text, placeholders}; }
    };
    bool add(std::string_view value, std::size_t values_before);
    static void append_numbers(const Entry& entry, std::size_t index, std::string& out);

    static constexpr std::size_t kEntriesKept = 16;  // the memory of others is given back
    std::vector<Entry> entries_;                     // the first `used_` are this column's
    std::size_t used_ = 0;
    std::size_t last_ = 0;
    std::string places_;
};

}  // namespace homeward::columns
