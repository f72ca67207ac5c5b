#pragma once

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace homeward::testing {

/// A plain WebSocket client that waits for each step, at most a minute. Throws std::runtime_error
/// when a step fails. One thread.
class WebSocketClient {
  public:
    using Headers = std::vector<std::pair<std::string, std::string>>;

    explicit WebSocketClient(int port, const Headers& headers = {}) {
        namespace websocket = boost::beast::websocket;
        const boost::asio::ip::tcp::endpoint there(boost::asio::ip::make_address("127.0.0.1"),
                                                   static_cast<std::uint16_t>(port));
        socket_.next_layer().connect(there);
        socket_.set_option(websocket::stream_base::decorator([&](auto& request) {
            for (const auto& [name, value] : headers) request.set(name, value);
        }));
        const std::string host = "127.0.0.1:" + std::to_string(port);
        finish([&](auto done) {
            socket_.async_handshake(answer_, host, "/", [done](auto error) { done(error); });
        });
    }

    void send(const std::string& text) {
        if (const auto error = try_send(text, std::chrono::minutes(1))) {
            throw std::runtime_error("send: " + (*error).message());
        }
    }
    void send(const nlohmann::json& message) { send(message.dump()); }
    void send_binary(const std::string& bytes) {
        socket_.binary(true);
        send(bytes);
        socket_.binary(false);
    }
    /// timed_out: it is still under way, and the client good for nothing but its end.
    std::optional<boost::system::error_code> try_send(const std::string& text,
                                                      std::chrono::milliseconds time) {
        const auto error = run(
            [&](auto done) {
                socket_.async_write(boost::asio::buffer(text),
                                    [done](auto failed, std::size_t) { done(failed); });
            },
            time);
        if (error) return error;
        return std::nullopt;
    }

    /// The next reply.
    nlohmann::json receive() {
        boost::beast::flat_buffer buffer;
        finish([&](auto done) {
            socket_.async_read(buffer, [done](auto error, std::size_t) { done(error); });
        });
        return nlohmann::json::parse(boost::beast::buffers_to_string(buffer.data()));
    }
    nlohmann::json ask(const nlohmann::json& message) {
        send(message);
        return receive();
    }
    /// Reads, and so answers pings, until the server closes or the time is over. The close code; 0
    /// when it has not closed.
    int wait_for_close(std::chrono::milliseconds time = std::chrono::minutes(1)) {
        boost::beast::flat_buffer buffer;
        const auto error = run(
            [&](auto done) {
                socket_.async_read(buffer, [done](auto failed, std::size_t) { done(failed); });
            },
            time);
        return error == boost::beast::websocket::error::closed ? socket_.reason().code : 0;
    }
    /// The answer to the upgrade: 101, or why not.
    int status() const { return static_cast<int>(answer_.result_int()); }
    /// So that little of what it does not read fits on the way.
    void shrink_receive_buffer() {
        socket_.next_layer().set_option(boost::asio::socket_base::receive_buffer_size(4'096));
    }
    /// As a browser whose machine loses its power: no close frame.
    void cut() { socket_.next_layer().close(); }

  private:
    template <typename Start>
    boost::system::error_code run(Start start, std::chrono::milliseconds time) {
        boost::system::error_code result = boost::asio::error::timed_out;
        bool is_done = false;
        start([&](boost::system::error_code error) { result = error, is_done = true; });
        io_.restart();
        const auto until = std::chrono::steady_clock::now() + time;
        while (!is_done && io_.run_one_until(until) > 0) {
        }
        if (!is_done) {  // the handler's references end here
            socket_.next_layer().close();
            io_.restart();
            io_.run();
            result = boost::asio::error::timed_out;
        }
        return result;
    }
    template <typename Start>
    void finish(Start start) {
        const auto error = run(start, std::chrono::minutes(1));
        const bool is_refusal = error == boost::beast::websocket::error::upgrade_declined;
        if (error && !is_refusal) throw std::runtime_error("WebSocket: " + error.message());
    }

    boost::asio::io_context io_;
    boost::beast::websocket::stream<boost::asio::ip::tcp::socket> socket_{io_};
    boost::beast::websocket::response_type answer_;
};

}  // namespace homeward::testing
