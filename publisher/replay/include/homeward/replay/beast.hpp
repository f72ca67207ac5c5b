#pragma once

// The replay helper for Boost.Beast. Header only, so that only those who use that library need it.
//
//   homeward::replay::Gate gate(homeward::replay::regions_from_environment(), {…});
//   homeward::replay::BeastReplay replay(gate);
//   http::read_header(stream, buffer, parser);
//   if (auto refusal = replay.refuse(parser.get())) …          // write it, then close
//   http::read(stream, buffer, parser);
//   http::write(stream, replay.serve(parser.get(), handler));

#include <boost/beast/http.hpp>

#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <homeward/replay/gate.hpp>

namespace homeward::replay {

/// Runs handlers so that what a replica cannot serve is replayed in the primary region. Knows no
/// sockets: it turns a request into a response, in blocking and in asynchronous servers alike. Any
/// thread; the gate must outlive it.
class BeastReplay {
  public:
    using Request = boost::beast::http::request<boost::beast::http::string_body>;
    using Response = boost::beast::http::response<boost::beast::http::string_body>;

    explicit BeastReplay(const Gate& gate) : gate_(gate) {}

    /// `handler` is `Response(const Request&)` or `Response(const Request&, Visit&)`; `mode`: how
    /// stale what it reads may be, unless it is the same for the whole app. The response is ready
    /// to be written. May wait for the replica, and for whatever the handler waits for.
    template <typename Handler>
    Response serve(const Request& request, const Handler& handler,
                   std::optional<ReadMode> mode = std::nullopt) const {
        Response response;
        RequestView asked = view_of(request);
        asked.mode = mode;
        Outcome outcome = gate_.run(asked, [&](Visit& visit) {
            if constexpr (std::is_invocable_v<Handler, const Request&, Visit&>) {
                response = handler(request, visit);
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

    /// For a request of which only the header was read: the answer to a body that is too large to
    /// be replayed or of unknown length, and to a WebSocket. Close the connection after it, or the
    /// unread body is taken for the next request.
    std::optional<Response> refuse(const Request& request) const {
        auto answer = gate_.refuse_unread(view_of(request));
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

    const Gate& gate_;
};

}  // namespace homeward::replay
