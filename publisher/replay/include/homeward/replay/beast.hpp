#pragma once

/// @file
/// The replay helper for Boost.Beast. Header only: only its users need that library. It turns
/// requests into responses; beast_server.hpp has the connections as well.
///
///     const homeward::replay::Helper helper(…);  // or a homeward::App
///     const homeward::replay::BeastReplay replay(helper.request_handler());
///     http::read_header(stream, buffer, parser);
///     if (auto refusal = replay.refuse(parser.get())) …          // write it, then close
///     http::read(stream, buffer, parser);
///     http::write(stream, replay.serve(parser.get(), handler));

#include <boost/beast/http.hpp>

#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <homeward/replay/request_handler.hpp>

namespace homeward::replay {

/// Runs handlers so that requests which a replica cannot serve are replayed in the primary region.
/// It uses no sockets: it turns a request into a response, in blocking and asynchronous servers.
/// Any thread; the request handler must outlive it. Copies are alike.
class BeastReplay {
  public:
    /// The library's request, its body read into a string.
    using Request = boost::beast::http::request<boost::beast::http::string_body>;
    /// The library's response.
    using Response = boost::beast::http::response<boost::beast::http::string_body>;

    /// @param request_handler it must outlive this object
    explicit BeastReplay(const RequestHandler& request_handler)
        : request_handler_(&request_handler) {}

    /// Runs a handler and returns its response, or the replay helper's answer. It may wait for the
    /// replica, and as long as the handler does.
    /// @param request read completely
    /// @param handler `Response(const Request&)` or `Response(const Request&, HandlerResult&)`
    /// @param mode how stale its reads may be; default: SessionConsistencyOptions::mode
    /// @return ready to be written
    template <typename Handler>
    Response serve(const Request& request, const Handler& handler,
                   std::optional<ReadMode> mode = std::nullopt) const {
        Response response;
        RequestView asked = view_of(request);
        asked.mode = mode;
        Outcome outcome = request_handler_->run(asked, [&](HandlerResult& result) {
            if constexpr (std::is_invocable_v<Handler, const Request&, HandlerResult&>) {
                response = handler(request, result);
            } else {
                response = handler(request);
            }
        });
        if (outcome.instead) {
            // Nothing of the half-done answer may reach the client: no cookie, no body.
            response = response_of(std::move(*outcome.instead), request.version());
        } else {
            for (const auto& [name, value] : outcome.headers) response.insert(name, value);
        }
        response.keep_alive(request.keep_alive());
        response.prepare_payload();
        return response;
    }

    /// Decides before the body is read: refuses a body that is too large to be replayed or of
    /// unknown length, and a WebSocket.
    /// @param request of which only the header was read
    /// @return the answer; close the connection after it, or the unread body is taken for the next
    ///     request. Nothing: read the body and call serve()
    std::optional<Response> refuse(const Request& request) const {
        auto answer = request_handler_->refuse_unread(view_of(request));
        if (!answer) return std::nullopt;
        Response response = response_of(std::move(*answer), request.version());
        response.keep_alive(false);
        response.prepare_payload();
        return response;
    }

  private:
    static std::string_view view(boost::beast::string_view text) {
        return {text.data(), text.size()};
    }

    static RequestView view_of(const Request& request) {
        return {view(request.method_string()), view(request.target()), request.body().size(),
                [&request](std::string_view name) {
                    return std::string(view(request[{name.data(), name.size()}]));
                }};
    }

    static Response response_of(Answer answer, unsigned version) {
        Response response;
        response.version(version);
        response.result(static_cast<unsigned>(answer.status));
        for (const auto& [name, value] : answer.headers) {
            response.set(boost::beast::string_view(name.data(), name.size()), value);
        }
        response.body() = std::move(answer.body);
        return response;
    }

    const RequestHandler* request_handler_;
};

}  // namespace homeward::replay
