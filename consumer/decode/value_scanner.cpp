#include "consumer/decode/value_scanner.hpp"

#include <algorithm>

namespace homeward::consumer {
namespace {

constexpr std::string_view kScalarEnd = ",}] \t\r\n";

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

}  // namespace

std::string_view ValueScanner::next_member() {
    skip_separator(',');
    skip_string();  // the key
    skip_separator(':');
    return take_value();
}

std::string_view ValueScanner::next_element() {
    skip_separator(',');
    return take_value();
}

/// With the white space around it; only white space in front of the first member.
void ValueScanner::skip_separator(char separator) {
    while (at_ < text_.size() && (is_space(text_[at_]) || text_[at_] == separator)) ++at_;
}

/// From its opening quote to behind its closing one, which has an even number of backslashes in
/// front.
void ValueScanner::skip_string() {
    for (std::size_t begin = ++at_;; begin = at_) {
        const std::size_t quote = std::min(text_.find('"', begin), text_.size());
        std::size_t plain_end = quote;
        while (plain_end > begin && text_[plain_end - 1] == '\\') --plain_end;
        at_ = std::min(quote + 1, text_.size());
        if ((quote - plain_end) % 2 == 0 || quote == text_.size()) return;
    }
}

void ValueScanner::skip_container() {
    std::size_t depth = 0;
    while (at_ < text_.size()) {
        const char c = text_[at_];
        if (c == '"') {
            skip_string();
            continue;
        }
        ++at_;
        if (c == '{' || c == '[') ++depth;
        if ((c == '}' || c == ']') && --depth == 0) return;
    }
}

std::string_view ValueScanner::take_value() {
    const std::size_t begin = std::min(at_, text_.size());
    const char c = begin < text_.size() ? text_[begin] : ',';
    if (c == '"') {
        skip_string();
    } else if (c == '{' || c == '[') {
        skip_container();
    } else {
        at_ = std::min(text_.find_first_of(kScalarEnd, begin), text_.size());
    }
    return text_.substr(begin, at_ - begin);
}

}  // namespace homeward::consumer
