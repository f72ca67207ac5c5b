#pragma once

/// @file
/// A WebSocket in front of forwarded calls, for Boost.Beast. Header only: only its users need that
/// library. The messages are those of websocket_message.hpp.
///
///     homeward::forward::WebSocketCalls calls(primary, {.operations = {"order.place"}});
///     server_options.on_upgrade = [&](auto stream, auto request) {
///         return calls.serve(std::move(stream), std::move(request));
///     };
///     homeward::replay::install(acceptor, helper, handler, server_options);
///     …
///     calls.close(10s);  // SIGTERM: answers what is under way, then ends the connections
///
/// Threads: everything of a connection runs on its strand, and waits there without a thread.
/// Client::call() blocks, so a call takes one of `calls_max` threads of this object's own for as
/// long as it lasts. A call that finds none is answered `busy` at once; no call is queued here.

#include <utility>  // before Boost 1.74's awaitable.hpp, which needs it and does not include it

#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <homeward/forward/client.hpp>
#include <homeward/forward/detail/websocket_origin.hpp>
#include <homeward/forward/detail/websocket_session.hpp>
#include <homeward/forward/websocket_options.hpp>

namespace homeward::forward {

/// Serves WebSockets whose messages are calls to the primary region. Any thread; the Client and the
/// executor of the connections must outlive it.
class WebSocketCalls {
  public:
    /// Starts `calls_max` threads.
    /// @param primary the client; it must outlive this object
    /// @param options see there
    /// @throws SetupError if there is no operation, or a limit is 0
    WebSocketCalls(Client& primary, WebSocketOptions options)
        : hub_(std::make_shared<detail::WebSocketHub>(primary, std::move(options))) {}
    /// Closes with a deadline of 10 s.
    ~WebSocketCalls() { close(std::chrono::seconds(10)); }
    WebSocketCalls(const WebSocketCalls&) = delete;
    WebSocketCalls& operator=(const WebSocketCalls&) = delete;

    /// Answers the request, then serves the connection until it ends. Run it on the stream's
    /// strand, without a time limit of the stream's own.
    /// @param stream the connection
    /// @param request the upgrade, read completely
    /// @return ends with the connection
    boost::asio::awaitable<void> serve(boost::beast::tcp_stream stream,
                                       WebSocketUpgrade request) const {
        return serve(hub_, std::move(stream), std::move(request));
    }

    /// Drains: refuses new connections and calls, finishes the calls that it has, answers them, and
    /// closes the connections with 1001. Not on a thread of the connections.
    /// @param deadline for the answers; connections that are left then are cut. Calls of theirs are
    /// waited for until their own deadlines
    /// @return true if every connection was closed in time
    bool close(std::chrono::milliseconds deadline) {
        for (const auto& session : hub_->drain()) session->look();
        const auto left = hub_->wait_for_sessions(deadline);
        for (const auto& session : left) session->cut();
        hub_->wait_for_calls();
        return left.empty();
    }

    /// Counts connections.
    /// @return those that are open now
    std::size_t connections() const { return hub_->connections(); }
    /// Counts calls.
    /// @return those under way now, also of connections that have ended
    std::size_t calls() const { return hub_->calls(); }

  private:
    static boost::asio::awaitable<void> serve(std::shared_ptr<detail::WebSocketHub> hub,
                                              boost::beast::tcp_stream stream,
                                              WebSocketUpgrade request) {
        namespace http = boost::beast::http;
        http::status status = http::status::forbidden;
        const auto caller = caller_of(request, hub->options);
        if (caller && hub->enter()) {
            const auto session =
                std::make_shared<detail::WebSocketSession>(hub, std::move(stream), *caller);
            hub->add(session);
            co_return co_await session->run(request);
        }
        if (caller) status = http::status::service_unavailable;
        http::response<http::string_body> refusal(status, request.version());
        if (status == http::status::service_unavailable) refusal.set(http::field::retry_after, "1");
        refusal.keep_alive(false);
        refusal.prepare_payload();
        co_await http::async_write(stream, refusal, boost::asio::use_awaitable);
    }

    /// Nothing: 403.
    static std::optional<std::string> caller_of(const WebSocketUpgrade& request,
                                                const WebSocketOptions& options) {
        if (!detail::is_origin_allowed(request, options.origins)) return std::nullopt;
        if (!options.admit) return "";
        std::optional<std::string> caller = options.admit(request);
        if (!caller || caller->size() > 64 || !is_valid_key(*caller) ||
            caller->find(':') != caller->npos) {
            return std::nullopt;
        }
        return caller;
    }

    std::shared_ptr<detail::WebSocketHub> hub_;
};

}  // namespace homeward::forward
