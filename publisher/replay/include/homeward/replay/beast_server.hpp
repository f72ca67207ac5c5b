#pragma once

/// @file
/// An HTTP server of Boost.Beast and coroutines around the replay helper. Header only: only its
/// users need these libraries.
///
///     boost::asio::thread_pool threads(16);
///     homeward::replay::install({threads, {address, port}}, app, handler);
///     threads.join();

#include <utility>  // before Boost 1.74's awaitable.hpp, which needs it and does not include it

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>

#include <homeward/replay/beast.hpp>
#include <homeward/replay/helper.hpp>

namespace homeward::replay {

/// Limits of each connection, and what answers an error.
struct BeastServerOptions {
    std::uint64_t body_bytes_max = 8u << 20;  ///< a larger body ends its connection
    std::chrono::seconds idle_max{30};        ///< for each request and each answer
    std::chrono::seconds linger_max{2};       ///< for a client to read its refusal
    /// Answers what a handler threw and no replay mends. Empty: 500.
    std::function<BeastReplay::Response(const std::exception& error)> on_error{};
    /// Takes over the connection of a WebSocket's upgrade that Policy::websockets_here lets pass;
    /// it runs on the connection's strand, as forward::WebSocketCalls::serve() does. Empty: the
    /// handler gets the request like any other.
    std::function<boost::asio::awaitable<void>(boost::beast::tcp_stream stream,
                                               BeastReplay::Request request)>
        on_upgrade{};
};

namespace detail {

/// What the connections of one server share.
struct BeastServer {
    using Request = BeastReplay::Request;
    using Response = BeastReplay::Response;
    using Stream = boost::beast::tcp_stream;

    BeastReplay replay;
    std::function<Response(const Request&, HandlerResult&)> handler;
    BeastServerOptions options;

    Response answer(const Request& request) const {
        try {
            return replay.serve(request, handler);
        } catch (const std::exception& error) {
            Response response(boost::beast::http::status::internal_server_error, 11);
            if (options.on_error) response = options.on_error(error);
            response.keep_alive(request.keep_alive());
            response.prepare_payload();
            return response;
        }
    }

    /// Lets the client read a refusal: closing with its data unread would reset the connection.
    boost::asio::awaitable<void> linger(Stream& stream) const {
        stream.expires_after(options.linger_max);
        stream.socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send);
        char unread[16384];
        while (true) {  // ends by end of stream or by its time, each an exception
            co_await stream.async_read_some(boost::asio::buffer(unread),
                                            boost::asio::use_awaitable);
        }
    }

    boost::asio::awaitable<void> talk(boost::asio::ip::tcp::socket socket) const {
        namespace http = boost::beast::http;
        Stream stream(std::move(socket));
        boost::beast::flat_buffer buffer;
        for (bool keep_alive = true; keep_alive;) {
            http::request_parser<http::string_body> parser;
            parser.body_limit(options.body_bytes_max);
            stream.expires_after(options.idle_max);
            co_await http::async_read_header(stream, buffer, parser, boost::asio::use_awaitable);
            if (auto refusal = replay.refuse(parser.get())) {
                co_await http::async_write(stream, *refusal, boost::asio::use_awaitable);
                co_await linger(stream);
            }
            co_await http::async_read(stream, buffer, parser, boost::asio::use_awaitable);
            if (options.on_upgrade && boost::beast::websocket::is_upgrade(parser.get())) {
                // Nothing else is read yet: the client waits for the answer (RFC 6455, 4.1).
                stream.expires_never();
                co_return co_await options.on_upgrade(std::move(stream), parser.release());
            }
            Response response = answer(parser.get());
            keep_alive = response.keep_alive();
            co_await http::async_write(stream, response, boost::asio::use_awaitable);
        }
        stream.socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send);
    }
};

inline boost::asio::awaitable<void> accept(boost::asio::ip::tcp::acceptor acceptor,
                                           std::shared_ptr<const BeastServer> server) {
    while (true) {
        // A strand each: a connection's timer and its reads run on one thread at a time.
        const boost::asio::any_io_executor strand =
            boost::asio::make_strand(acceptor.get_executor());
        boost::asio::ip::tcp::socket socket(strand);
        boost::system::error_code error;
        co_await acceptor.async_accept(
            socket, boost::asio::redirect_error(boost::asio::use_awaitable, error));
        if (error) {  // as without a free file descriptor: it passes
            boost::asio::steady_timer pause(acceptor.get_executor(), std::chrono::milliseconds(50));
            co_await pause.async_wait(boost::asio::use_awaitable);
            continue;
        }
        // The error of a connection, as when the client closes it, ends that connection only.
        boost::asio::co_spawn(strand, server->talk(std::move(socket)),
                              [server](const std::exception_ptr&) {});
    }
}

}  // namespace detail

/// Serves all connections of an acceptor until its executor stops. Handlers block a thread of that
/// executor as long as they run, so give it one for each request at a time.
/// @param acceptor listening
/// @param helper a Helper, or a homeward::App; it must outlive the executor's threads
/// @param handler `Response(const Request&, HandlerResult&)` of BeastReplay, called by many threads
/// at once
/// @param options limits
inline void install(
    boost::asio::ip::tcp::acceptor acceptor, const Helper& helper,
    std::function<BeastReplay::Response(const BeastReplay::Request&, HandlerResult&)> handler,
    BeastServerOptions options = {}) {
    const boost::asio::any_io_executor executor = acceptor.get_executor();
    auto server = std::make_shared<const detail::BeastServer>(detail::BeastServer{
        BeastReplay(helper.request_handler()), std::move(handler), std::move(options)});
    boost::asio::co_spawn(executor, detail::accept(std::move(acceptor), std::move(server)),
                          boost::asio::detached);
}

}  // namespace homeward::replay
