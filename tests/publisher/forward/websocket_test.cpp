// A WebSocket in ams whose messages are calls to scl, met by a plain client: what is answered, what
// is refused, every limit, and the end. Leaf, hub and leader are real; the case that breaks one has
// its own.

#include <homeward/forward/beast_websocket.hpp>
#include <homeward/replay/beast_server.hpp>

#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/thread_pool.hpp>
#include <set>
#include <thread>

#include "tests/publisher/forward/call_regions.hpp"
#include "tests/publisher/forward/websocket_client.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::forward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

CallRegions& regions() {
    static CallRegions regions;
    return regions;
}

WebSocketOptions with_orders(WebSocketOptions options = {}) {
    options.operations = {"order.place"};
    return options;
}

/// Of an app without regions, whose database nobody asks.
replay::HelperOptions no_database() {
    replay::HelperOptions options;
    options.regions = replay::Regions{};
    options.database.emplace();
    options.database->url = "postgres:///none";
    options.keys.emplace();
    return options;
}

/// An app in ams that serves WebSockets.
class App {
  public:
    App(const ClientOptions& client, WebSocketOptions options)
        : helper_(no_database()), primary_(client), calls(primary_, std::move(options)) {
        replay::BeastServerOptions server;
        server.on_upgrade = [this](auto stream, auto request) {
            return calls.serve(std::move(stream), std::move(request));
        };
        const auto handler = [](const auto& request, auto&) {
            return replay::BeastReplay::Response(boost::beast::http::status::ok, request.version());
        };
        const boost::asio::ip::tcp::endpoint here(boost::asio::ip::make_address("127.0.0.1"),
                                                  static_cast<std::uint16_t>(port));
        replay::install({threads_, here}, helper_, handler, server);
    }
    explicit App(WebSocketOptions options = {})
        : App(regions().client_options(), with_orders(std::move(options))) {}
    ~App() {
        calls.close(1s);
        threads_.stop();
        threads_.join();
    }
    App(const App&) = delete;
    App& operator=(const App&) = delete;

    const int port = free_port();

  private:
    boost::asio::thread_pool threads_{2};
    const replay::Helper helper_;
    Client primary_;

  public:
    WebSocketCalls calls;
};

json order(int id, const std::string& key, const std::string& item = "tea") {
    return {{"id", id}, {"call", "order.place"}, {"key", key}, {"body", item}};
}

}  // namespace

TEST_CASE("an order over a WebSocket is placed once, and its key tells so on any connection") {
    const OrderServer server(regions());
    const App app;
    WebSocketClient page(app.port);
    CHECK(page.ask(order(1, "web-1")) ==
          json{{"id", 1}, {"outcome", "ok"}, {"key", "web-1"}, {"body", "placed tea"}});
    WebSocketClient other(app.port);
    CHECK(other.ask({{"id", "x"}, {"outcome", "web-1"}}) == json{{"id", "x"},
                                                                 {"outcome", "ok"},
                                                                 {"key", "web-1"},
                                                                 {"body", "placed tea"},
                                                                 {"was_stored", true}});
    CHECK(other.ask(order(2, "web-1"))["was_stored"] == true);
    CHECK(other.ask(order(3, "web-1", "milk"))["outcome"] == "refused");
    CHECK(regions().orders("web-1") == 1);

    CHECK(page.ask({{"id", 4}, {"outcome", "web-2"}})["outcome"] == "not_found");
    CHECK(page.ask({{"id", 5}, {"abandon", "web-2"}})["outcome"] == "abandoned");
    CHECK(page.ask(order(6, "web-2"))["outcome"] == "abandoned");
    CHECK(regions().orders("web-2") == 0);
}

TEST_CASE("what the handler refuses has its code, and replies come as they are ready") {
    HeldOrders held;
    const OrderServer server(regions(), regions().server_options(),
                             [&](pqxx::work& tx, const Call& call) {
                                 if (call.body == "gold") throw CallFailed("sold_out", "no gold");
                                 return held.handler()(tx, call);
                             });
    const App app;
    WebSocketClient page(app.port);
    page.send(order(1, "slow-1"));
    held.wait_for(1);
    CHECK(page.ask(order(2, "gold-1", "gold")) == json{{"id", 2},
                                                       {"outcome", "failed"},
                                                       {"key", "gold-1"},
                                                       {"code", "sold_out"},
                                                       {"body", "no gold"}});
    held.release();
    CHECK(page.receive()["id"] == 1);
}

TEST_CASE("a message that is no request is refused with the reason, and the connection stays") {
    const OrderServer server(regions());
    const App app;
    WebSocketClient page(app.port);
    for (const char* text : {"", "{", "tea", R"({"call":"order.place"})"}) {
        INFO(text);
        page.send(std::string(text));
        const json reply = page.receive();
        CHECK(reply["id"].is_null());
        CHECK(reply["outcome"] == "refused");
        CHECK(reply["code"] == "bad_message");
        CHECK_FALSE(reply["body"].get<std::string>().empty());
    }
    page.send_binary("{}");
    CHECK_THAT(page.receive()["body"].get<std::string>(), Contains("binary"));
    CHECK(page.ask(order(1, "stays-1"))["outcome"] == "ok");
}

TEST_CASE("a message that is too large ends its connection with 1009, and no other") {
    const OrderServer server(regions());
    const App app({.message_bytes_max = 1'000});
    WebSocketClient other(app.port);
    WebSocketClient page(app.port);
    CHECK(page.ask(order(1, "large-1", std::string(900, 'x')))["outcome"] == "ok");
    page.send(order(2, "large-2", std::string(1'000, 'x')));
    CHECK(page.wait_for_close() == 1009);
    CHECK(other.ask({{"id", 1}, {"outcome", "large-2"}})["outcome"] == "not_found");
}

TEST_CASE("only listed operations are called, and one that nobody serves says so") {
    const OrderServer server(regions());
    const App app(regions().client_options(), {.operations = {"order.cancel"}});
    WebSocketClient page(app.port);
    const json unlisted = page.ask(order(1, "unlisted-1"));
    CHECK(unlisted["outcome"] == "refused");
    CHECK(unlisted["code"] == "unknown_operation");
    CHECK(regions().orders("unlisted-1") == 0);
    const json unserved =
        page.ask({{"id", 2}, {"call", "order.cancel"}, {"key", "unserved-1"}, {"body", ""}});
    CHECK(unserved["outcome"] == "no_responders");
    CHECK_THROWS_AS(App(regions().client_options(), {}), SetupError);
}

TEST_CASE("calls beyond the limit of a connection, or of all, are busy at once") {
    HeldOrders held;
    const OrderServer server(regions(), regions().server_options(), held.handler());
    const App app({.connection_calls_max = 2, .calls_max = 3});
    WebSocketClient first(app.port);
    WebSocketClient second(app.port);
    first.send(order(1, "many-1"));
    first.send(order(2, "many-2"));
    held.wait_for(2);
    const json third = first.ask(order(3, "many-3"));
    CHECK(third["outcome"] == "busy");
    CHECK(third["code"] == "too_many_calls");
    CHECK(third["retry_after_ms"] == 1'000);
    second.send(order(4, "many-4"));
    held.wait_for(3);
    CHECK(app.calls.calls() == 3);
    CHECK(second.ask(order(5, "many-5"))["outcome"] == "busy");
    held.release();
    CHECK(std::set<json>{first.receive()["id"], first.receive()["id"]} == std::set<json>{1, 2});
    CHECK(second.receive()["id"] == 4);
    CHECK(first.ask(order(6, "many-6"))["outcome"] == "ok");
    CHECK(regions().orders("many-3") + regions().orders("many-5") == 0);
}

TEST_CASE("without NATS a call is unavailable by its deadline, and its key is free for later") {
    CallRegions own;
    const OrderServer server(own);
    const App app(own.client_options(), with_orders());
    WebSocketClient page(app.port);
    CHECK(page.ask(order(1, "nats-1"))["outcome"] == "ok");
    own.leaf().kill();
    json message = order(2, "nats-2");
    message["deadline_ms"] = 500;
    // A message into a connection that is dying may have left: then nobody knows.
    REQUIRE(wait_until(30s, [&] { return page.ask(message)["outcome"] == "unavailable"; }));
    own.leaf().start();
    message["deadline_ms"] = 10'000;
    CHECK(wait_until(60s, [&] { return page.ask(message)["outcome"] == "ok"; }));
    CHECK(own.orders("nats-2") == 1);
}

TEST_CASE("pages of other origins, strangers and connections beyond the limit are not let in") {
    const App app({.connections_max = 2});
    const std::string here = "127.0.0.1:" + std::to_string(app.port);
    const auto status = [](const App& to, const WebSocketClient::Headers& headers) {
        return WebSocketClient(to.port, headers).status();
    };
    CHECK(status(app, {{"Origin", "http://" + here}}) == 101);
    CHECK(status(app, {{"Origin", "HTTPS://" + here}}) == 101);
    CHECK(status(app, {{"Origin", "http://127.0.0.1"}}) == 403);
    CHECK(status(app, {{"Origin", "http://evil.example"}}) == 403);
    CHECK(status(app, {{"Origin", "http://" + here + ".evil.example"}}) == 403);
    CHECK(status(app, {{"Origin", "null"}}) == 403);
    REQUIRE(wait_until(30s, [&] { return app.calls.connections() == 0; }));
    const WebSocketClient first(app.port);
    const WebSocketClient second(app.port);
    CHECK(status(app, {}) == 503);

    const App strict({.origins = {"https://shop.example"}, .admit = [](const auto& request) {
                          const std::string name(request["X-User"]);
                          return name.empty() ? std::nullopt : std::optional(name);
                      }});
    const std::pair<std::string, std::string> shop{"Origin", "https://shop.example"};
    CHECK(status(strict, {shop, {"X-User", "ann"}}) == 101);
    CHECK(status(strict, {shop}) == 403);
    CHECK(status(strict, {shop, {"X-User", "ann:x"}}) == 403);
    CHECK(status(strict, {{"Origin", "https://shop.example.evil"}, {"X-User", "ann"}}) == 403);
}

namespace {

/// A connection with its request sent, for which its server has no file descriptor left. -1 where
/// another thread freed one meanwhile, which the server may have got.
int connect_to_server_without_descriptors(int port) {
    std::vector<int> taken;  // more than there are holes between descriptors in use
    while (taken.size() < 200) taken.push_back(::dup(STDERR_FILENO));
    // The client gets the last one. The kernel accepts for the server, which has none.
    const int last = taken.back() + 1;
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlimit low{static_cast<rlim_t>(last + 1), limit.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in there{};
    there.sin_family = AF_INET;
    there.sin_port = htons(static_cast<std::uint16_t>(port));
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool is_connected =
        ::connect(client, reinterpret_cast<const sockaddr*>(&there), sizeof there) == 0;
    constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";
    const auto sent = ::send(client, kRequest.data(), kRequest.size(), MSG_NOSIGNAL);
    pollfd answer{client, POLLIN, 0};
    const bool is_answered = ::poll(&answer, 1, 500) != 0;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (const int each : taken) ::close(each);
    if (client == last && !is_answered) {
        CHECK(is_connected);
        CHECK(sent == static_cast<ssize_t>(kRequest.size()));
        return client;
    }
    ::close(client);
    return -1;
}

}  // namespace

TEST_CASE("a server that had no free file descriptor accepts again when it has one") {
    const App app;
    int client = -1;
    for (int i = 0; i < 20 && client < 0; ++i)
        client = connect_to_server_without_descriptors(app.port);
    REQUIRE(client >= 0);
    pollfd answer{client, POLLIN, 0};
    CHECK(::poll(&answer, 1, 30'000) == 1);
    ::close(client);
}

TEST_CASE("callers do not reach each other's keys, and the handler knows who calls") {
    std::string key;  // of the last call; read after its reply
    const OrderServer server(regions(), regions().server_options(),
                             [&](pqxx::work& tx, const Call& call) {
                                 key = call.key;
                                 return place_order(tx, call);
                             });
    const App app({.admit = [](const auto& request) {
        return std::optional(std::string(request["X-User"]));
    }});
    WebSocketClient ann(app.port, {{"X-User", "ann"}});
    WebSocketClient bob(app.port, {{"X-User", "bob"}});
    const json reply = ann.ask(order(1, "mine-1"));
    CHECK(reply["outcome"] == "ok");
    CHECK(reply["key"] == "mine-1");
    CHECK(key == "ann:mine-1");
    CHECK(bob.ask({{"id", 1}, {"outcome", "mine-1"}})["outcome"] == "not_found");
    CHECK(bob.ask({{"id", 2}, {"outcome", "ann:mine-1"}})["outcome"] == "not_found");
    CHECK(ann.ask({{"id", 2}, {"outcome", "mine-1"}})["outcome"] == "ok");
}

TEST_CASE("closing finishes the calls under way, refuses others, and ends with 1001") {
    HeldOrders held;
    const OrderServer server(regions(), regions().server_options(), held.handler());
    App app;
    WebSocketClient idle(app.port);
    WebSocketClient page(app.port);
    page.send(order(1, "drain-1"));
    held.wait_for(1);
    bool is_whole = false;
    std::thread closing([&] { is_whole = app.calls.close(60s); });
    CHECK(idle.wait_for_close() == 1001);
    CHECK(WebSocketClient(app.port).status() == 503);
    const json late = page.ask(order(2, "drain-2"));
    CHECK(late["outcome"] == "unavailable");
    CHECK(late["code"] == "draining");
    held.release();
    CHECK(page.receive()["outcome"] == "ok");
    CHECK(page.wait_for_close() == 1001);
    closing.join();
    CHECK(is_whole);
    CHECK(regions().orders("drain-1") == 1);
}

TEST_CASE("a call goes on when its connection is lost, and its key tells how it ended") {
    HeldOrders held;
    const OrderServer server(regions(), regions().server_options(), held.handler());
    const App app;
    {
        WebSocketClient page(app.port);
        page.send(order(1, "lost-1"));
        held.wait_for(1);
        page.cut();
    }
    held.release();
    WebSocketClient again(app.port);
    CHECK(wait_until(30s, [&] {
        return again.ask({{"id", 1}, {"outcome", "lost-1"}})["outcome"] == "ok";
    }));
    CHECK(regions().orders("lost-1") == 1);
    CHECK(wait_until(30s, [&] { return app.calls.connections() == 1; }));
}

TEST_CASE("who answers pings stays, who does not is gone, and who is idle is told so") {
    App app({.pong_max = 1s});
    WebSocketClient alive(app.port);
    const WebSocketClient dead(app.port);  // it never reads, so that it answers nothing
    CHECK(app.calls.connections() == 2);
    int code = 0;
    std::thread reader([&] { code = alive.wait_for_close(); });
    CHECK(wait_until(30s, [&] { return app.calls.connections() == 1; }));
    sleep_ms(2'000);
    app.calls.close(10s);
    reader.join();
    CHECK(code == 1001);  // so it was open until now

    const App brief({.idle_max = 1s});
    WebSocketClient page(brief.port);
    CHECK(page.wait_for_close() == 1000);
    CHECK(wait_until(30s, [&] { return brief.calls.connections() == 0; }));
}

TEST_CASE("a peer that reads no replies is not read from, and then cut") {
    const App app({.pong_max = 2s});
    WebSocketClient page(app.port);
    page.shrink_receive_buffer();
    const std::string message = R"({"id":")" + std::string(120, 'x') + R"("})";
    constexpr std::size_t kMessages = 200'000;  // some 50 MB of replies
    std::size_t sent = 0;
    while (sent < kMessages && !page.try_send(message, 2s)) ++sent;
    CHECK(sent < kMessages);
    CHECK(wait_until(60s, [&] { return app.calls.connections() == 0; }));
}
