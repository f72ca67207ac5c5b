#include "consumer/nats/message.hpp"

#include <array>
#include <charconv>
#include <cstddef>

namespace homeward::consumer {
namespace {

constexpr std::size_t kTokensMax = 12;

/// How many there are; up to one more than fit. On the stack, as every message has one.
std::size_t split(std::string_view text, std::array<std::string_view, kTokensMax>& tokens) {
    for (std::size_t count = 0; count < kTokensMax; ++count) {
        const std::size_t dot = text.find('.');
        tokens[count] = text.substr(0, dot);
        if (dot == std::string_view::npos) return count + 1;
        text.remove_prefix(dot + 1);
    }
    return kTokensMax + 1;
}

template <typename T>
bool parse_number(std::string_view text, T& value) {
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    return result.ec == std::errc{} && result.ptr == text.data() + text.size();
}

}  // namespace

bool parse_ack_subject(std::string_view subject, Delivery& delivery) {
    std::array<std::string_view, kTokensMax> tokens;
    const std::size_t count = split(subject, tokens);
    if (count < 9 || count == 10 || count > kTokensMax) return false;
    if (tokens[0] != "$JS" || tokens[1] != "ACK") return false;
    // The long form has two tokens more in front and perhaps one behind.
    const std::size_t stream = count == 9 ? 2 : 4;
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
