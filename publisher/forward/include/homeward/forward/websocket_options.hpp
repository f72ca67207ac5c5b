#pragma once

/// @file
/// Settings of a WebSocket in front of forwarded calls.

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace homeward::forward {

/// The request that asks for a WebSocket.
using WebSocketUpgrade = boost::beast::http::request<boost::beast::http::string_body>;

/// Who may do what, and limits; only `operations` has no default.
struct WebSocketOptions {
    /// What a page may call. All else is `refused`, also what the primary region serves.
    std::vector<std::string> operations{};
    /// Values of Origin that may connect, as "https://shop.example". Empty: only that of the
    /// request's own Host. A request without Origin comes from no browser, and may connect.
    std::vector<std::string> origins{};
    /// Who connects, by cookie or header: 1 to 64 printable ASCII characters without space and ':'.
    /// Nothing: 403. Each call's key then begins with that name and ':', so nobody reaches the keys
    /// of others, and a handler reads in Call::key who calls. It runs on the connection's strand.
    /// Empty: everybody may connect, and all share their keys.
    std::function<std::optional<std::string>(const WebSocketUpgrade& request)> admit{};
    std::size_t connections_max = 1'000;     ///< further ones are answered 503
    std::size_t connection_calls_max = 8;    ///< under way on one connection; further ones: `busy`
    std::size_t calls_max = 64;              ///< under way in all, a thread each; further: `busy`
    std::size_t message_bytes_max = 65'536;  ///< a larger message ends its connection, with 1009
    /// A call's longer deadline is cut to this.
    std::chrono::milliseconds deadline_max{10'000};
    /// A peer from which nothing came so long, no pong either, is gone. A ping goes at half of it.
    std::chrono::milliseconds pong_max{30'000};
    /// A connection without a call so long is closed. The page connects again when it needs to.
    std::chrono::milliseconds idle_max{600'000};
};

}  // namespace homeward::forward
