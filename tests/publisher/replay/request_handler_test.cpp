#include <homeward/replay/postgres.hpp>
#include <homeward/replay/request_handler.hpp>

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"

using namespace homeward::replay;

namespace {

/// An SQL error as a database library would throw it.
struct SqlError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Asked {
    std::string method = "GET";
    std::string target = "/orders/1?card=4711";
    std::map<std::string, std::string> headers;

    RequestView view() const {
        return {method, target, 0, [this](std::string_view name) {
                    const auto found = headers.find(std::string(name));
                    return found == headers.end() ? "" : found->second;
                }};
    }
};

/// A request handler in ams that writes down what it was told.
struct Case {
    std::vector<std::string> lines;
    std::vector<bool> settled;
    ReplicaStatus status;
    RequestHandlerOptions options;

    Case() {
        options.cause_of = [](const std::exception& error) {
            return dynamic_cast<const SqlError*>(&error) != nullptr
                       ? cause_of_sqlstate(error.what())
                       : Cause::none;
        };
        options.on_decision = [this](const Decision&, std::string_view line) {
            lines.emplace_back(line);
        };
        options.on_begin = [this] {
            return [this](bool is_answered) { settled.push_back(is_answered); };
        };
        options.look = [this](const RequestView&) { return status; };
    }
    RequestHandler request_handler(const std::string& region = "ams") const {
        return {{"scl", region}, options};
    }
};

std::string cookie_of(const Outcome& outcome) {
    for (const auto& [name, value] : outcome.headers) {
        if (name == "Set-Cookie") return value;
    }
    return "";
}

void serve(HandlerResult& result) {
    result.set_cookie = "seen=1";
}

void write_to_standby(HandlerResult& result) {
    result.set_cookie = "seen=1";
    throw SqlError("25006");
}

}  // namespace

TEST_CASE("what the handler answers goes out with its cookie, and what it began is kept") {
    Case test;
    const Outcome outcome = test.request_handler().run(Asked().view(), serve);
    CHECK_FALSE(outcome.instead);
    CHECK(cookie_of(outcome) == "seen=1");
    CHECK(test.settled == std::vector<bool>{true});
    CHECK(test.lines.empty());
}

TEST_CASE("a replay throws away cookie and side effects of the half-done answer") {
    Case test;
    const RequestHandler request_handler = test.request_handler();
    const Outcome outcome = request_handler.run(Asked().view(), write_to_standby);
    REQUIRE(outcome.instead);
    CHECK(outcome.instead->status == 409);
    CHECK(cookie_of(outcome).empty());
    CHECK(test.settled == std::vector<bool>{false});
    CHECK(request_handler.counters().replayed(Reason::read_only_error) == 1);
    REQUIRE(test.lines.size() == 1);
    CHECK(test.lines[0].find("4711") == std::string::npos);
}

TEST_CASE("a refusal throws away side effects too") {
    Case test;
    const RequestHandler request_handler = test.request_handler("scl");
    const Outcome outcome = request_handler.run(Asked().view(), write_to_standby);
    REQUIRE(outcome.instead);
    CHECK(outcome.instead->status == 503);
    CHECK(test.settled == std::vector<bool>{false});
    CHECK(request_handler.counters().refused(Reason::primary_is_read_only) == 1);
}

TEST_CASE("an error that is no matter of replicas is the app's own, and what it began is kept") {
    Case test;
    const RequestHandler request_handler = test.request_handler();
    CHECK_THROWS_AS(
        request_handler.run(Asked().view(), [](HandlerResult&) { throw SqlError("23505"); }),
        SqlError);
    CHECK_THROWS_AS(request_handler.run(Asked().view(),
                                        [](HandlerResult&) { throw std::logic_error("25006"); }),
                    std::logic_error);
    CHECK_THROWS_AS(request_handler.run(Asked().view(), [](HandlerResult&) { throw 1; }), int);
    CHECK(test.settled == std::vector<bool>{true, true, true});
    CHECK(test.lines.empty());
}

TEST_CASE("an error after a commit is the app's own, and nobody is told to come again") {
    Case test;
    for (const char* sqlstate : {"08006", "25006"}) {
        const auto commit_then_fail = [&](HandlerResult& result) {
            result.has_committed = true;
            throw SqlError(sqlstate);
        };
        CHECK_THROWS_AS(test.request_handler("scl").run(Asked().view(), commit_then_fail),
                        SqlError);
        CHECK_THROWS_AS(test.request_handler("ams").run(Asked().view(), commit_then_fail),
                        SqlError);
    }
    CHECK(test.settled == std::vector<bool>(4, true));
}

TEST_CASE("a read without an answer is sent elsewhere, a write without one is in doubt") {
    Case one;
    const auto lose = [](HandlerResult& result) { result.cause = Cause::outcome_unknown; };
    for (const char* method : {"GET", "HEAD", "OPTIONS", "TRACE"}) {
        const Outcome outcome = one.request_handler().run(Asked{method, "/", {}}.view(), lose);
        REQUIRE(outcome.instead);
        CHECK(outcome.instead->status == 409);
    }
    for (const char* method : {"POST", "PUT", "PATCH", "DELETE"}) {
        for (const char* region : {"ams", "scl"}) {
            const Asked asked{method, "/", {}};
            CHECK_FALSE(one.request_handler(region).run(asked.view(), lose).instead);
        }
    }
}

TEST_CASE("a handler without exceptions says what it met") {
    Case test;
    const Outcome outcome = test.request_handler().run(
        Asked().view(), [](HandlerResult& result) { result.cause = Cause::read_only; });
    REQUIRE(outcome.instead);
    CHECK(outcome.instead->status == 409);
}

TEST_CASE("the role of the server that the handler used tells a full disk from a standby") {
    Case test;
    const Outcome outcome = test.request_handler().run(Asked().view(), [](HandlerResult& result) {
        result.server_role = ServerRole::read_only_primary;
        throw SqlError("25006");
    });
    REQUIRE(outcome.instead);
    CHECK(outcome.instead->status == 503);
}

TEST_CASE("a write in the app's own READ ONLY transaction on a primary is the app's own error") {
    Case test;
    for (const char* region : {"scl", "ams"}) {
        CHECK_THROWS_AS(test.request_handler(region).run(Asked().view(),
                                                         [](HandlerResult& result) {
                                                             result.server_role =
                                                                 ServerRole::primary;
                                                             throw SqlError("25006");
                                                         }),
                        SqlError);
    }
}

TEST_CASE("a passthrough path is the app's alone, and no path that only looks like one is") {
    Case test;
    test.options.passthrough = {"/cable", "/assets/*", "*.png"};
    const RequestHandler request_handler = test.request_handler();
    for (const char* target : {"/cable", "/cable?id=1", "/assets/a/b.js", "/x/y.png"}) {
        Asked asked;
        asked.headers["upgrade"] = "websocket";
        RequestView view = asked.view();
        view.target = target;
        INFO(target);
        CHECK_FALSE(request_handler.refuse_unread(view));
        CHECK_THROWS_AS(request_handler.run(view, write_to_standby), SqlError);
    }
    for (const char* target : {"/cable/x", "/orders", "/assets/../orders", "/assets/%2e%2e/orders",
                               "/assets//orders", "/orders?x=/assets/a", "/orders?.png", "/"}) {
        Asked asked;
        RequestView view = asked.view();
        view.target = target;
        INFO(target);
        CHECK(request_handler.run(view, write_to_standby).instead);
    }
    CHECK(test.settled.size() == 12);
}

TEST_CASE(
    "where the role matters the request handler asks for the one that the handler did not tell, "
    "and only "
    "then") {
    Case test;
    int asked = 0;
    test.options.ask_role = [&] {
        ++asked;
        return ServerRole::read_only_primary;
    };
    const RequestHandler request_handler = test.request_handler();
    CHECK_FALSE(request_handler.run(Asked().view(), serve).instead);
    CHECK_THROWS_AS(
        request_handler.run(Asked().view(), [](HandlerResult&) { throw SqlError("23505"); }),
        SqlError);
    CHECK(asked == 0);
    const Outcome outcome = request_handler.run(Asked().view(), write_to_standby);
    REQUIRE(outcome.instead);
    CHECK(outcome.instead->status == 503);
    CHECK(asked == 1);
    // The server's role is what makes this one the app's own.
    CHECK_THROWS_AS(
        request_handler.run(Asked().view(), [](HandlerResult&) { throw SqlError("40001"); }),
        SqlError);
    CHECK(asked == 2);
}

TEST_CASE("a read that is not covered never reaches its handler") {
    Case test;
    test.status.coverage = Coverage::behind;
    const RequestHandler request_handler = test.request_handler();
    bool has_run = false;
    const Outcome outcome =
        request_handler.run(Asked().view(), [&](HandlerResult&) { has_run = true; });
    CHECK_FALSE(has_run);
    REQUIRE(outcome.instead);
    CHECK(outcome.instead->status == 409);
    CHECK(test.settled.empty());
    CHECK(request_handler.counters().stale_avoided() == 1);
}

TEST_CASE("a read that has waited is served and counted") {
    Case test;
    test.status = {Coverage::covered, ServerRole::standby, true};
    const RequestHandler request_handler = test.request_handler();
    CHECK_FALSE(request_handler.run(Asked().view(), serve).instead);
    CHECK(request_handler.counters().waited() == 1);
    CHECK(request_handler.counters().stale_avoided() == 1);
}

TEST_CASE("headers of the request are heeded, of any value") {
    for (const char* header : {"fly-replay-src", "fly-replay-failed"}) {
        Case test;
        Asked asked;
        asked.headers[header] = "\xff;;";
        const Outcome outcome = test.request_handler().run(asked.view(), write_to_standby);
        REQUIRE(outcome.instead);
        CHECK(outcome.instead->status == 503);
    }
}

TEST_CASE("the log line says where a refused request has been") {
    Case test;
    Asked asked;
    asked.headers = {{"fly-replay-src", "instance=x;region=gru"},
                     {"fly-replay-failed", "no\nhealthy machine"}};
    test.request_handler().run(asked.view(), write_to_standby);
    REQUIRE(test.lines.size() == 1);
    CHECK(test.lines[0] ==
          "homeward: GET /orders/1: the primary region was not reached; try again (503, "
          "replay_failed); came from gru; the platform says: no?healthy machine");
}

TEST_CASE("only what is large, of unknown length or a WebSocket is answered unread") {
    Case test;
    const RequestHandler request_handler = test.request_handler();
    Asked asked;
    asked.method = "POST";
    asked.headers["content-length"] = "1000000";
    CHECK_FALSE(request_handler.refuse_unread(asked.view()));
    for (const char* length : {"1000001", "99999999999999999999999", "-1", "1, 1", "0x1"}) {
        asked.headers["content-length"] = length;
        INFO(length);
        const auto answer = request_handler.refuse_unread(asked.view());
        REQUIRE(answer);
        CHECK(answer->status == 413);
    }
    asked.headers = {{"transfer-encoding", "chunked"}};
    REQUIRE(request_handler.refuse_unread(asked.view()));
    CHECK(request_handler.refuse_unread(asked.view())->status == 409);
    // Once it was read its length is known.
    CHECK_FALSE(request_handler.run(asked.view(), serve).instead);
    asked.method = "GET";
    asked.headers = {{"upgrade", "websocket"}};
    REQUIRE(request_handler.refuse_unread(asked.view()));
    CHECK(request_handler.refuse_unread(asked.view())->status == 403);
    CHECK_FALSE(test.request_handler("scl").refuse_unread(asked.view()));
}
