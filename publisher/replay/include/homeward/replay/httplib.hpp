#pragma once

// The replay helper for cpp-httplib. Header only, so that only those who use that library need it.
//
//   homeward::replay::HttplibReplay replay(homeward::replay::regions_from_environment());
//   server.Post("/orders", replay.wrap([](const auto& request, auto& response) { … }));

#include <httplib.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <string>
#include <utility>

#include <homeward/replay/answer.hpp>

namespace homeward::replay {

/// What a handler throws, or what SQLSTATE it stands for. An app that uses libpqxx returns
/// `sqlstate()` of pqxx::sql_error here; "" for what is not PostgreSQL's.
using SqlstateOf = std::function<std::string(const std::exception& error)>;

/// Wraps handlers so that a write that met a read replica is replayed in the primary region. Any
/// thread; must outlive the server.
class HttplibReplay {
  public:
    using Handler = std::function<void(const httplib::Request&, httplib::Response&)>;

    HttplibReplay(Regions regions, SqlstateOf sqlstate_of, Policy policy = {})
        : regions_(std::move(regions)), sqlstate_of_(std::move(sqlstate_of)), policy_(policy) {}

    /// How to answer; off the platform set accel_prefix to what deploy/nginx/ expects.
    AnswerOptions answer_options;

    /// Told of every decision but proceed; for logs and counters.
    std::function<void(const Decision& decision, const httplib::Request& request)> on_decision;

    Handler wrap(Handler handler) const {
        return [this, handler = std::move(handler)](const httplib::Request& request,
                                                    httplib::Response& response) {
            Situation situation = situation_of(request);
            if (answer(decide(situation, regions_, policy_), request, response)) return;
            situation.has_handler_run = true;
            try {
                handler(request, response);
            } catch (const std::exception& error) {
                const std::string sqlstate = sqlstate_of_(error);
                situation.sqlstate = sqlstate;
                if (!answer(decide(situation, regions_, policy_), request, response)) throw;
            }
        };
    }

    /// A write that is too large to be replayed is refused before its body is sent, when the
    /// client asks first (Expect: 100-continue, as curl does); otherwise after it was read.
    void refuse_before_body(httplib::Server& server) const {
        server.set_expect_100_continue_handler(
            [this](const httplib::Request& request, httplib::Response& response) {
                const Decision decision = decide(situation_of(request), regions_, policy_);
                return answer(decision, request, response) ? decision.status : 100;
            });
    }

  private:
    static Situation situation_of(const httplib::Request& request) {
        Situation situation;
        situation.method = request.method;
        situation.was_replayed = request.has_header("fly-replay-src");
        situation.has_replay_failed = request.has_header("fly-replay-failed");
        situation.is_websocket = names_websocket(request.get_header_value("Upgrade"));
        situation.body_bytes = request.get_header_value<std::uint64_t>("Content-Length");
        situation.body_bytes = std::max(situation.body_bytes, request.body.size());
        return situation;
    }

    bool answer(const Decision& decision, const httplib::Request& request,
                httplib::Response& response) const {
        if (decision.verdict == Verdict::proceed) return false;
        const Answer answer = answer_to(decision, regions_, answer_options);
        // Nothing of the half-done answer may reach the client: no cookie, no body.
        response = httplib::Response();
        response.status = answer.status;
        response.body = answer.body;
        for (const auto& [name, value] : answer.headers) response.set_header(name, value);
        if (on_decision) on_decision(decision, request);
        return true;
    }

    Regions regions_;
    SqlstateOf sqlstate_of_;
    Policy policy_;
};

}  // namespace homeward::replay
