#pragma once

// The replay helper for cpp-httplib. Header only, so that only those who use that library need it.
//
//   homeward::replay::HttplibReplay replay(homeward::replay::regions_from_environment());
//   server.Post("/orders", replay.wrap([](const auto& request, auto& response) { … }));

#include <httplib.h>

#include <cstdlib>
#include <exception>
#include <functional>
#include <string>
#include <utility>

#include <homeward/replay/decide.hpp>

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

    /// Off the platform: set this to what deploy/nginx/ expects, and nginx replays the request.
    std::string accel_prefix;

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

  private:
    static Situation situation_of(const httplib::Request& request) {
        Situation situation;
        situation.method = request.method;
        situation.was_replayed = request.has_header("fly-replay-src");
        situation.is_websocket = request.get_header_value("Upgrade") == "websocket";
        situation.body_bytes = request.body.size();
        return situation;
    }

    bool answer(const Decision& decision, const httplib::Request& request,
                httplib::Response& response) const {
        if (decision.verdict == Verdict::proceed) return false;
        // Nothing of the half-done answer may reach the client: no cookie, no body.
        response = httplib::Response();
        response.status = decision.status;
        response.set_header("cache-control", "no-store");
        if (decision.verdict == Verdict::replay) {
            response.set_header("fly-replay", replay_to(regions_.primary));
            if (!accel_prefix.empty()) {
                response.set_header("x-accel-redirect", accel_prefix + regions_.primary);
            }
        } else {
            response.set_content(std::string(explain(decision.reason)) + "\n", "text/plain");
        }
        if (decision.retry_after_s > 0) {
            response.set_header("retry-after", std::to_string(decision.retry_after_s));
        }
        if (on_decision) on_decision(decision, request);
        return true;
    }

    Regions regions_;
    SqlstateOf sqlstate_of_;
    Policy policy_;
};

}  // namespace homeward::replay
