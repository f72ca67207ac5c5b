#pragma once

#include <cstddef>
#include <string_view>

namespace homeward::consumer {

/// Walks a JSON object or array that a parser has found to be valid, and hands out the values as
/// they stand in the text: every digit of a number, and no copy. Borrows the text.
class ValueScanner {
  public:
    explicit ValueScanner(std::string_view container)
        : text_(container), at_(container.find_first_of("{[") + 1) {}

    /// Once for each member of an object, in order: its value.
    std::string_view next_member();
    /// Once for each element of an array.
    std::string_view next_element();

  private:
    void skip_separator(char separator);
    void skip_string();
    void skip_container();
    std::string_view take_value();

    std::string_view text_;
    std::size_t at_;
};

}  // namespace homeward::consumer
