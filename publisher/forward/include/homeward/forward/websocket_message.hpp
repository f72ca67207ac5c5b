#pragma once

/// @file
/// The messages of a WebSocket in front of forwarded calls: JSON text, one object a message.
/// beast_websocket.hpp has the connections; publisher/forward/README.md shows the messages.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <homeward/forward/call.hpp>

namespace homeward::forward {

/// A request's id may have so many bytes as JSON text, its quotes included.
inline constexpr std::size_t kRequestIdBytesMax = 128;

/// What a message asks for.
struct WebSocketRequest {
    /// What to do with the key.
    enum class Action : std::uint8_t {
        call,     ///< {"id": 7, "call": "order.place", "key": "…", "body": "…"}
        outcome,  ///< {"id": 8, "outcome": "<key>"}: Client::outcome()
        abandon,  ///< {"id": 9, "abandon": "<key>"}: Client::abandon()
    };
    Action action = Action::call;           ///< one of the three
    std::string id = "null";                ///< as JSON text, for the reply
    std::string operation{};                ///< of a call; is_valid_operation()
    std::string key{};                      ///< is_valid_key()
    std::string body{};                     ///< of a call; UTF-8
    std::chrono::milliseconds deadline{0};  ///< "deadline_ms"; 0: it names none
    std::string error{};                    ///< not empty: not a request; a text for a person
};

/// Reads a message. Any thread.
/// @param text any bytes
/// @return the request. With an error `id` is the message's if it has a valid one, else "null"
WebSocketRequest parse_websocket_request(std::string_view text);

/// Writes a reply. Bytes of it that are not UTF-8 become U+FFFD. Any thread.
/// @param request `id` and `key` are repeated
/// @param reply of the client
/// @return {"id":7,"outcome":"ok","key":"…","body":"…"}, and what else the reply has
std::string websocket_reply(const WebSocketRequest& request, const Reply& reply);

}  // namespace homeward::forward
