#pragma once

/// @file
/// The replay helper for cpp-httplib. Header only: only its users need that library.
///
///     const homeward::replay::Helper helper(…);  // or a homeward::App
///     const auto replay = homeward::replay::install(server, helper);
///     server.Post("/orders", replay.wrap([](const auto& request, auto& response) { … }));

#include <httplib.h>

#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <homeward/replay/helper.hpp>
#include <homeward/replay/request_handler.hpp>

namespace homeward::replay {

/// Wraps handlers so that requests which a replica cannot serve are replayed in the primary region.
/// Any thread; the request handler must outlive it and the server. Copies are alike.
class HttplibReplay {
  public:
    /// The library's request.
    using Request = httplib::Request;
    /// The library's response.
    using Response = httplib::Response;
    /// The library's handler.
    using Handler = std::function<void(const Request&, Response&)>;

    /// @param request_handler it must outlive this object and the server
    explicit HttplibReplay(const RequestHandler& request_handler)
        : request_handler_(&request_handler) {}

    /// Wraps a handler for a route.
    /// @param handler `handler(request, response)` or `handler(request, response, result)`
    /// @param mode how stale its reads may be; default: SessionConsistencyOptions::mode
    /// @return for server.Get() and the like; it throws what `handler` throws, unless that is a
    /// replay
    template <typename Function>
    Handler wrap(Function handler, std::optional<ReadMode> mode = std::nullopt) const {
        return [request_handler = request_handler_, mode, handler = std::move(handler)](
                   const Request& request, Response& response) {
            RequestView asked = view_of(request);
            asked.mode = mode;
            Outcome outcome = request_handler->run(asked, [&](HandlerResult& result) {
                if constexpr (std::is_invocable_v<Function, const Request&, Response&,
                                                  HandlerResult&>) {
                    handler(request, response, result);
                } else {
                    handler(request, response);
                }
            });
            if (outcome.instead) {
                // Nothing of the half-done answer may reach the client: no cookie, no body.
                Response half_done;
                std::swap(response, half_done);
                copy(*outcome.instead, response);
                response.body = std::move(outcome.instead->body);
            } else {
                for (const auto& [name, value] : outcome.headers) response.set_header(name, value);
            }
        };
    }

    /// Installs refuse() as the server's pre-routing and expect-100-continue handler. An app with a
    /// pre-routing handler of its own calls refuse() there instead.
    /// @param server not yet listening
    void guard(httplib::Server& server) const {
        server.set_pre_routing_handler([*this](const Request& request, Response& response) {
            return refuse(request, response) ? httplib::Server::HandlerResponse::Handled
                                             : httplib::Server::HandlerResponse::Unhandled;
        });
        // A client that asks first (curl does) never sends the body. One that does not may find its
        // connection reset before it has read the answer: this library closes without lingering.
        server.set_expect_100_continue_handler([*this](const Request& request, Response& response) {
            return refuse(request, response) ? response.status : 100;
        });
    }

    /// Refuses, before the body is read, a body that is too large to be replayed or of unknown
    /// length, and a WebSocket.
    /// @param request of which only the header was read
    /// @param response filled if the result is true; the connection closes after it
    /// @return whether the request was refused
    bool refuse(const Request& request, Response& response) const {
        const auto answer = request_handler_->refuse_unread(view_of(request));
        if (!answer) return false;
        // The unread body must not be taken for the next request. This library closes a connection
        // whose body provider fails, and in no other way from here.
        response.set_content_provider("text/plain",
                                      [body = answer->body](std::size_t, httplib::DataSink& sink) {
                                          sink.write(body.data(), body.size());
                                          return false;
                                      });
        response.headers.clear();
        copy(*answer, response);
        response.set_header("Connection", "close");
        response.set_header("Content-Length", std::to_string(answer->body.size()));
        return true;
    }

  private:
    static RequestView view_of(const Request& request) {
        return {request.method, request.target, request.body.size(),
                [&request](std::string_view name) {
                    return request.get_header_value(std::string(name).c_str());
                }};
    }

    static void copy(const Answer& answer, Response& response) {
        response.status = answer.status;
        for (const auto& [name, value] : answer.headers) response.set_header(name, value);
    }

    const RequestHandler* request_handler_;
};

/// Installs the helper on a server; wrap its routes with the result.
/// @param server not yet listening
/// @param helper a Helper, or a homeward::App; it must outlive the server
/// @return wraps handlers; it need not outlive them
inline HttplibReplay install(httplib::Server& server, const Helper& helper) {
    const HttplibReplay replay(helper.request_handler());
    replay.guard(server);
    return replay;
}

}  // namespace homeward::replay
