// The messages of a WebSocket: what is a request, what is none and why, and how a reply reads.

#include <homeward/forward/websocket_message.hpp>
#include <nlohmann/json.hpp>

#include "tests/support/catch.hpp"

using namespace homeward::forward;
using namespace std::chrono_literals;
using Action = WebSocketRequest::Action;
using Catch::Matchers::Contains;
using nlohmann::json;

TEST_CASE("a call, an outcome and an abandon are read") {
    const auto call = parse_websocket_request(
        R"({"id":7,"call":"order.place","key":"k-1","body":"tea \u0000","deadline_ms":250})");
    CHECK(call.error.empty());
    CHECK(call.action == Action::call);
    CHECK(call.id == "7");
    CHECK(call.operation == "order.place");
    CHECK(call.key == "k-1");
    CHECK(call.body == std::string("tea \0", 5));
    CHECK(call.deadline == 250ms);

    const auto outcome = parse_websocket_request(R"({"id":"a\"b","outcome":"k-1"})");
    CHECK(outcome.error.empty());
    CHECK(outcome.action == Action::outcome);
    CHECK(outcome.id == R"("a\"b")");
    CHECK(outcome.key == "k-1");
    CHECK(outcome.deadline == 0ms);
    CHECK(parse_websocket_request(R"({"abandon":"k-1","id":-1})").action == Action::abandon);
}

TEST_CASE("what is no request says why, with the id if it has one") {
    const std::pair<const char*, const char*> wrong[] = {
        {"", "not valid JSON"},
        {"{", "not valid JSON"},
        {"{\"id\":1,\"outcome\":\"\xff\"}", "not valid JSON"},
        {"[]", "no JSON object"},
        {"7", "no JSON object"},
        {R"({"call":"order.place","key":"k"})", "\"id\" is missing"},
        {R"({"id":null,"outcome":"k"})", "\"id\" is no string or integer"},
        {R"({"id":1.5,"outcome":"k"})", "\"id\" is no string or integer"},
        {R"({"id":{},"outcome":"k"})", "\"id\" is no string or integer"},
        {R"({"id":1})", "one of \"call\", \"outcome\", \"abandon\""},
        {R"({"id":1,"call":"a","outcome":"k"})", "only one of"},
        {R"({"id":1,"call":7,"key":"k"})", "\"call\" is no string"},
        {R"({"id":1,"call":"Order Place","key":"k"})", "name of an operation"},
        {R"({"id":1,"call":"_outcome","key":"k"})", "name of an operation"},
        {R"({"id":1,"call":"order.place"})", "the key must have"},
        {R"({"id":1,"call":"order.place","key":""})", "the key must have"},
        {R"({"id":1,"call":"order.place","key":"a b"})", "the key must have"},
        {R"({"id":1,"outcome":"a b"})", "the key must have"},
        {R"({"id":1,"call":"order.place","key":"k","body":{}})", "\"body\" is no string"},
        {R"({"id":1,"outcome":"k","body":"x"})", "unknown field \"body\""},
        {R"({"id":1,"call":"order.place","key":"k","dead_line":1})", "unknown field"},
        {R"({"id":1,"outcome":"k","deadline_ms":0})", "\"deadline_ms\""},
        {R"({"id":1,"outcome":"k","deadline_ms":1e3})", "\"deadline_ms\""},
        {R"({"id":1,"outcome":"k","deadline_ms":18446744073709551615})", "\"deadline_ms\""},
    };
    for (const auto& [text, why] : wrong) {
        INFO(text);
        const json message = json::parse(text, nullptr, false);
        const bool has_id = message.is_object() && message.contains("id") && message["id"] == 1;
        const WebSocketRequest request = parse_websocket_request(text);
        CHECK_THAT(request.error, Contains(why));
        CHECK(request.id == (has_id ? "1" : "null"));
    }
    const std::string long_id(kRequestIdBytesMax, 'x');
    CHECK_THAT(parse_websocket_request(R"({"id":")" + long_id + R"(","outcome":"k"})").error,
               Contains("\"id\" has 130 bytes"));
    CHECK_FALSE(parse_websocket_request(std::string(100'000, '[')).error.empty());
}

TEST_CASE("a reply has what there is to say, and is JSON whatever the handler said") {
    WebSocketRequest request;
    request.id = "\"seven\"";
    request.key = "k-1";
    CHECK(json::parse(websocket_reply(request, {.outcome = Outcome::ok, .body = "17"})) ==
          json{{"id", "seven"}, {"outcome", "ok"}, {"key", "k-1"}, {"body", "17"}});
    const Reply full{.outcome = Outcome::busy,
                     .body = "\xff\"\n",
                     .code = "sold_out",
                     .retry_after = 70ms,
                     .was_stored = true,
                     .session_token = "token",
                     .replica = ReplicaState::behind};
    CHECK(json::parse(websocket_reply(request, full)) == json{{"id", "seven"},
                                                              {"outcome", "busy"},
                                                              {"key", "k-1"},
                                                              {"body", "\xef\xbf\xbd\"\n"},
                                                              {"code", "sold_out"},
                                                              {"retry_after_ms", 70},
                                                              {"was_stored", true},
                                                              {"session_token", "token"},
                                                              {"replica", "behind"}});
    CHECK(json::parse(websocket_reply({}, {})) ==
          json{{"id", nullptr}, {"outcome", "in_doubt"}, {"body", ""}});
}
