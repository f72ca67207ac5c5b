#pragma once

// One WebSocket: reads messages, has calls run, writes replies.

#include <utility>  // before Boost 1.74's awaitable.hpp, which needs it and does not include it

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <homeward/forward/detail/websocket_hub.hpp>

namespace homeward::forward::detail {

/// One connection. All of it runs on the strand of its stream, but for run_call().
class WebSocketSession : public std::enable_shared_from_this<WebSocketSession> {
  public:
    /// With a place of the hub's.
    WebSocketSession(std::shared_ptr<WebSocketHub> hub, boost::beast::tcp_stream stream,
                     std::string caller)
        : hub_(std::move(hub)),
          caller_(std::move(caller)),
          socket_(std::move(stream)),
          wake_(socket_.get_executor()),
          written_(socket_.get_executor()) {}
    ~WebSocketSession() { hub_->leave(this); }
    WebSocketSession(const WebSocketSession&) = delete;
    WebSocketSession& operator=(const WebSocketSession&) = delete;

    /// Accepts, then reads until the connection ends.
    boost::asio::awaitable<void> run(const WebSocketUpgrade& request) {
        using boost::beast::websocket::stream_base;
        stream_base::timeout limits =
            stream_base::timeout::suggested(boost::beast::role_type::server);
        limits.handshake_timeout =
            std::min<stream_base::duration>(limits.handshake_timeout, hub_->options.pong_max);
        limits.idle_timeout = hub_->options.pong_max;
        limits.keep_alive_pings = true;
        socket_.set_option(limits);
        socket_.read_message_max(hub_->options.message_bytes_max);
        co_await socket_.async_accept(request, boost::asio::use_awaitable);
        boost::asio::co_spawn(socket_.get_executor(), write(shared_from_this()),
                              [self = shared_from_this()](const std::exception_ptr&) {
                                  self->end();  // read() may wait for it
                              });
        try {
            co_await read();
        } catch (const std::exception&) {
            // Closed by either side, or lost. Calls under way go on; the page asks for them later.
        }
        end();
    }

    /// Any thread: looks again whether the server drains.
    void look() {
        boost::asio::post(socket_.get_executor(),
                          [self = shared_from_this()] { self->wake_.cancel(); });
    }
    /// Any thread: ends the connection without a word.
    void cut() {
        boost::asio::post(socket_.get_executor(), [self = shared_from_this()] { self->end(); });
    }

  private:
    using Clock = std::chrono::steady_clock;

    boost::asio::awaitable<void> read() {
        boost::beast::flat_buffer buffer;
        while (true) {
            // Who does not read the replies is not read from. Calls under way are bounded anyway.
            while (is_open_ && replies_.size() >= hub_->options.connection_calls_max) {
                written_.expires_at(Clock::time_point::max());
                boost::system::error_code cancelled;
                co_await written_.async_wait(
                    boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
            }
            co_await socket_.async_read(buffer, boost::asio::use_awaitable);
            receive({static_cast<const char*>(buffer.data().data()), buffer.size()});
            buffer.consume(buffer.size());
        }
    }

    void receive(std::string_view text) {
        last_message_ = Clock::now();
        WebSocketRequest request;
        if (socket_.got_binary()) {
            request.error = "the message is binary; expected text";
        } else {
            request = parse_websocket_request(text);
        }
        if (const auto refusal = refusal_of(request)) {
            return send(websocket_reply(request, *refusal));
        }
        ++calls_;
        boost::asio::post(hub_->threads, [self = shared_from_this(), request = std::move(request)] {
            self->run_call(request);
        });
    }

    /// The answer to what is not sent to the primary region.
    std::optional<Reply> refusal_of(const WebSocketRequest& request) {
        const auto refuse = [](Outcome outcome, const char* code, std::string text) {
            Reply reply{.outcome = outcome, .body = std::move(text), .code = code};
            if (outcome != Outcome::refused) reply.retry_after = std::chrono::seconds(1);
            return reply;
        };
        const WebSocketOptions& options = hub_->options;
        if (!request.error.empty()) return refuse(Outcome::refused, "bad_message", request.error);
        const auto& allowed = options.operations;
        if (request.action == WebSocketRequest::Action::call &&
            std::find(allowed.begin(), allowed.end(), request.operation) == allowed.end()) {
            return refuse(Outcome::refused, "unknown_operation",
                          request.operation + " is not an operation of this WebSocket");
        }
        if (calls_ >= options.connection_calls_max) {
            return refuse(Outcome::busy, "too_many_calls",
                          std::to_string(calls_) + " calls are under way on this connection");
        }
        switch (hub_->take_call()) {
            case WebSocketHub::Place::busy:
                return refuse(Outcome::busy, "too_many_calls", "all threads for calls are in use");
            case WebSocketHub::Place::draining:
                return refuse(Outcome::unavailable, "draining", "the server closes; connect again");
            case WebSocketHub::Place::taken:
                break;
        }
        return std::nullopt;
    }

    /// On a thread of the hub's. A connection that has ended meanwhile loses its reply.
    void run_call(const WebSocketRequest& request) {
        std::string reply = websocket_reply(request, hub_->run(request, caller_));
        boost::asio::post(socket_.get_executor(),
                          [self = shared_from_this(), reply = std::move(reply)]() mutable {
                              --self->calls_;
                              self->last_message_ = Clock::now();
                              self->send(std::move(reply));
                          });
        hub_->end_call();
    }

    void send(std::string reply) {
        replies_.push_back(std::move(reply));
        wake_.cancel();
    }

    /// The only one who writes: replies, and the close frame.
    static boost::asio::awaitable<void> write(std::shared_ptr<WebSocketSession> self) {
        while (self->is_open_) {
            if (!self->replies_.empty()) {
                const std::string reply = std::move(self->replies_.front());
                self->replies_.pop_front();
                self->socket_.text(true);
                co_await self->socket_.async_write(boost::asio::buffer(reply),
                                                   boost::asio::use_awaitable);
                self->written_.cancel();
            } else if (const auto reason = self->reason_to_close()) {
                co_await self->socket_.async_close(*reason, boost::asio::use_awaitable);
                co_return;
            } else {
                // While calls are under way each of them wakes it.
                self->wake_.expires_at(self->calls_ > 0 ? Clock::time_point::max()
                                                        : self->idle_at());
                boost::system::error_code cancelled;
                co_await self->wake_.async_wait(
                    boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
            }
        }
    }

    Clock::time_point idle_at() const { return last_message_ + hub_->options.idle_max; }

    std::optional<boost::beast::websocket::close_reason> reason_to_close() const {
        using boost::beast::websocket::close_code;
        using boost::beast::websocket::close_reason;
        if (calls_ > 0) return std::nullopt;
        if (hub_->is_draining()) return close_reason(close_code::going_away, "closing");
        if (Clock::now() >= idle_at()) return close_reason(close_code::normal, "idle");
        return std::nullopt;
    }

    void end() {
        is_open_ = false;
        boost::beast::get_lowest_layer(socket_).close();
        wake_.cancel();
        written_.cancel();
    }

    const std::shared_ptr<WebSocketHub> hub_;
    const std::string caller_;
    boost::beast::websocket::stream<boost::beast::tcp_stream> socket_;
    boost::asio::steady_timer wake_;     // of write()
    boost::asio::steady_timer written_;  // of read()
    std::deque<std::string> replies_;
    std::size_t calls_ = 0;
    Clock::time_point last_message_ = Clock::now();
    bool is_open_ = true;
};

}  // namespace homeward::forward::detail
