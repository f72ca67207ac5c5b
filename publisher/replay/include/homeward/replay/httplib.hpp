#pragma once

// The replay helper for cpp-httplib. Header only, so that only those who use that library need it.
//
//   homeward::replay::Gate gate(homeward::replay::regions_from_environment(), {…});
//   homeward::replay::HttplibReplay replay(gate);
//   replay.guard(server);
//   server.Post("/orders", replay.wrap([](const auto& request, auto& response) { … }));

#include <httplib.h>

#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <homeward/replay/gate.hpp>

namespace homeward::replay {

/// Wraps handlers so that what a replica cannot serve is replayed in the primary region. Any
/// thread; the gate must outlive it, and it must outlive the server.
class HttplibReplay {
  public:
    using Request = httplib::Request;
    using Response = httplib::Response;
    using Handler = std::function<void(const Request&, Response&)>;

    explicit HttplibReplay(const Gate& gate) : gate_(gate) {}

    /// `handler(request, response)`, or `handler(request, response, visit)`. `mode`: how stale what
    /// it reads may be, unless it is the same for the whole app.
    template <typename Function>
    Handler wrap(Function handler, std::optional<ReadMode> mode = std::nullopt) const {
        return [this, mode, handler = std::move(handler)](const Request& request,
                                                          Response& response) {
            RequestView asked = view_of(request);
            asked.mode = mode;
            Outcome outcome = gate_.run(asked, [&](Visit& visit) {
                if constexpr (std::is_invocable_v<Function, const Request&, Response&, Visit&>) {
                    handler(request, response, visit);
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

    /// Answers before a body is read that is too large to be replayed, or of unknown length. Takes
    /// the server's two handlers for that; an app with a pre-routing handler of its own calls
    /// refuse() there.
    void guard(httplib::Server& server) const {
        server.set_pre_routing_handler([this](const Request& request, Response& response) {
            return refuse(request, response) ? httplib::Server::HandlerResponse::Handled
                                             : httplib::Server::HandlerResponse::Unhandled;
        });
        // A client that asks first (curl does) never sends the body. One that does not may find its
        // connection reset before it has read the answer: this library closes without lingering.
        server.set_expect_100_continue_handler([this](const Request& request, Response& response) {
            return refuse(request, response) ? response.status : 100;
        });
    }

    /// Whether `response` is an answer to what must not be read.
    bool refuse(const Request& request, Response& response) const {
        const auto answer = gate_.refuse_unread(view_of(request));
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

    const Gate& gate_;
};

}  // namespace homeward::replay
