#include "publisher/replay/examples/own_adapter.hpp"

#include <homeward/replay/postgres.hpp>

#include <algorithm>
#include <stdexcept>

#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"

using namespace own;

namespace {

RequestHandlerOptions options() {
    RequestHandlerOptions options;
    options.cause_of = [](const std::exception& error) { return cause_of_sqlstate(error.what()); };
    return options;
}

/// Sets a cookie and a body, and then meets the replica.
void half_done(const Request&, Response& response, HandlerResult& result) {
    response.status = 201;
    response.headers.emplace_back("Set-Cookie", "half=done");
    response.body = "half done";
    result.set_cookie = "seen=1";
    throw std::runtime_error("25006");
}

}  // namespace

TEST_CASE("the README's adapter is the one that is built here") {
    const std::string source = homeward::testing::read_file(HOMEWARD_OWN_ADAPTER);
    const std::size_t begin = source.find("class OwnReplay");
    const std::size_t end =
        source.find("};\n", source.find("const RequestHandler& request_handler_;")) + 3;
    REQUIRE(begin < end);
    const std::string adapter = source.substr(begin, end - begin);
    const std::string readme = homeward::testing::read_file(HOMEWARD_REPLAY_README);
    CHECK(readme.find("```cpp\n" + adapter + "```\n") != std::string::npos);
    const auto lines = std::count(adapter.begin(), adapter.end(), '\n');
    const auto blank = [&] {
        std::ptrdiff_t count = 0;
        for (std::size_t at = 0; (at = adapter.find("\n\n", at)) != std::string::npos; ++at)
            ++count;
        return count;
    }();
    CHECK(lines - blank <= 30);
}

TEST_CASE("an adapter of one's own replays, and throws the half-done answer away") {
    const RequestHandler request_handler({"scl", "ams"}, options());
    const OwnReplay replay(request_handler);
    Response response;
    replay.serve({"POST", "/orders", {}, "an item"}, response, half_done);
    CHECK(response.status == 409);
    CHECK(response.body.empty());
    for (const auto& [name, value] : response.headers) CHECK(name != "Set-Cookie");
    CHECK(request_handler.counters().replayed(Reason::read_only_error) == 1);
}

TEST_CASE("an adapter of one's own lets an answer and its cookie pass") {
    const RequestHandler request_handler({"scl", "ams"}, options());
    Response response;
    OwnReplay(request_handler)
        .serve({"GET", "/", {}, ""}, response,
               [](const Request&, Response& answer, HandlerResult& result) {
                   answer.body = "here";
                   result.set_cookie = "seen=1";
               });
    CHECK(response.status == 200);
    CHECK(response.body == "here");
    REQUIRE(response.headers.size() == 1);
    CHECK(response.headers[0].second == "seen=1");
}

TEST_CASE("an adapter of one's own answers what must not be read, and heeds the platform") {
    const RequestHandler request_handler({"scl", "ams"}, options());
    const OwnReplay replay(request_handler);
    Response response;
    CHECK_FALSE(replay.refuse({"POST", "/", {{"content-length", "10"}}, ""}, response));
    CHECK(replay.refuse({"POST", "/", {{"content-length", "2000000"}}, ""}, response));
    CHECK(response.status == 413);
    replay.serve({"POST", "/", {{"fly-replay-src", "region=ams"}}, ""}, response, half_done);
    CHECK(response.status == 503);
}
