// Adapters take an App: install() for cpp-httplib and for Boost.Beast, on real sockets.

#include <boost/asio/thread_pool.hpp>
#include <string>
#include <thread>

#include <homeward/app.hpp>
#include <homeward/replay/beast_server.hpp>
#include <homeward/replay/httplib.hpp>

#include "tests/publisher/app/environment.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"

using namespace homeward;
using namespace homeward::testing;

namespace {

void ignore(std::string_view) {}

void check_replays(int port) {
    httplib::Client client("127.0.0.1", port);
    REQUIRE(wait_until(std::chrono::seconds(10), [&] { return !!client.Get("/"); }));
    const auto read = client.Get("/");
    REQUIRE(read);
    CHECK(read->status == 200);
    CHECK(read->body == "read");
    const auto write = client.Post("/", "x", "text/plain");
    REQUIRE(write);
    CHECK(write->status == 409);
    CHECK(write->get_header_value("fly-replay") == "region=scl");
    // Refused by the header alone: install() brings the guard as well.
    const httplib::Headers upgrade = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}};
    const auto socket = client.Get("/", upgrade);
    REQUIRE(socket);
    CHECK(socket->status == 403);
}

}  // namespace

TEST_CASE("install() puts an App into a cpp-httplib server") {
    const Environment environment(kReplicaRegion);
    const App app("shop", {.on_log = ignore});
    httplib::Server server;
    {
        const auto replay = replay::install(server, app);  // need not outlive the routes
        server.Get("/", replay.wrap([](const auto&, auto& response) {
            response.set_content("read", "text/plain");
        }));
        server.Post("/", replay.wrap([](const auto&, auto&, replay::HandlerResult& result) {
            result.cause = replay::Cause::read_only;
        }));
    }
    const int port = server.bind_to_any_port("127.0.0.1");
    std::thread thread([&] { server.listen_after_bind(); });
    check_replays(port);
    server.stop();
    thread.join();
}

TEST_CASE("install() puts an App into a Boost.Beast server") {
    const Environment environment(kReplicaRegion);
    const App app("shop", {.on_log = ignore});
    boost::asio::thread_pool threads(2);
    boost::asio::ip::tcp::acceptor acceptor(threads,
                                            {boost::asio::ip::make_address("127.0.0.1"), 0});
    const int port = acceptor.local_endpoint().port();
    const auto handler = [](const replay::BeastReplay::Request& request,
                            replay::HandlerResult& result) {
        replay::BeastReplay::Response response(boost::beast::http::status::ok, 11);
        if (request.target() == "/throws") throw std::runtime_error("an error of the app");
        response.body() = "read";
        if (request.method() == boost::beast::http::verb::post) {
            result.cause = replay::Cause::read_only;
        }
        return response;
    };
    replay::BeastServerOptions options;
    options.on_error = [](const std::exception& error) {
        replay::BeastReplay::Response response(boost::beast::http::status::bad_gateway, 11);
        response.body() = error.what();
        return response;
    };
    replay::install(std::move(acceptor), app, handler, options);
    check_replays(port);
    httplib::Client client("127.0.0.1", port);
    const auto failed = client.Get("/throws");
    REQUIRE(failed);
    CHECK(failed->status == 502);
    CHECK(failed->body == "an error of the app");
    threads.stop();
    threads.join();
}
