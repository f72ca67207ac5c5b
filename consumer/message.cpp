#include "consumer/message.hpp"

#include <charconv>
#include <vector>

namespace homeward::consumer {
namespace {

std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> tokens;
    for (;;) {
        const std::size_t dot = text.find('.');
        tokens.push_back(text.substr(0, dot));
        if (dot == std::string_view::npos) return tokens;
        text.remove_prefix(dot + 1);
    }
}

template <typename T>
bool parse_number(std::string_view text, T& value) {
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    return result.ec == std::errc{} && result.ptr == text.data() + text.size();
}

}  // namespace

bool parse_ack_subject(std::string_view subject, Delivery& delivery) {
    const auto tokens = split(subject);
    if (tokens.size() < 9 || tokens[0] != "$JS" || tokens[1] != "ACK") return false;
    // The long form has two tokens more in front and perhaps one behind.
    const std::size_t stream = tokens.size() == 9 ? 2 : 4;
    if (tokens.size() == 10 || tokens.size() > 12) return false;
    std::int64_t time_ns = 0;
    if (!parse_number(tokens[stream + 2], delivery.deliveries) ||
        !parse_number(tokens[stream + 3], delivery.stream_seq) ||
        !parse_number(tokens[stream + 5], time_ns) ||
        !parse_number(tokens[stream + 6], delivery.pending)) {
        return false;
    }
    delivery.stream = tokens[stream];
    delivery.time_us = time_ns / 1'000;
    return true;
}

}  // namespace homeward::consumer
