#include "consumer/base/plain_text.hpp"

#include <algorithm>

#include "schemas/text/json_text.hpp"

namespace homeward::consumer {

std::string tidy_text(std::string_view text, std::size_t bytes_max) {
    std::string result(whole_characters(text, bytes_max));
    std::replace(result.begin(), result.end(), '\0', ' ');
    return result;
}

std::string printable(const std::string& text) {
    std::string result;
    for (char c : text) {
        const bool is_control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
        result += is_control && c != '\n' && c != '\t' ? '?' : c;
    }
    return result;
}

std::string one_line(const std::string& text, std::size_t bytes_max) {
    std::string line = printable(tidy_text(text, bytes_max));
    std::replace(line.begin(), line.end(), '\n', ' ');
    return line.size() < text.size() ? line + "…" : line;
}

}  // namespace homeward::consumer
