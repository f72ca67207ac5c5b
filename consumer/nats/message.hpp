#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace homeward::consumer {

/// What an ack subject tells about its message.
struct Delivery {
    std::string_view stream;  ///< points into the ack subject
    std::uint64_t stream_seq = 0;
    std::uint64_t deliveries = 1;
    std::int64_t time_us = 0;  ///< when the stream took it
    std::uint64_t pending = 0;
};

/// Reads both forms of ack subject:
///   $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time ns>.<pending>
///   $JS.ACK.<domain>.<account>.<the same>[.<token>]
/// False for anything else.
bool parse_ack_subject(std::string_view subject, Delivery& delivery);

/// One message as it came from a stream. Owns the library's message; moved along, never copied.
struct Message {
    std::unique_ptr<void, void (*)(void*)> owner{nullptr, nullptr};
    std::string_view subject;  ///< points into `owner`, as do `reply` and `data`
    std::string_view reply;
    std::span<const std::byte> data;
    Delivery delivery;
};

}  // namespace homeward::consumer
