// Orders over a WebSocket, in every region: the page calls "order.place" in the primary region, and
// reads its order from the local replica. Environment: PORT, what <homeward/replay/helper.hpp>
// names, and HOMEWARD_NATS_… of <homeward/app.hpp>.

#include <homeward/app.hpp>
#include <homeward/forward/beast_websocket.hpp>
#include <homeward/forward/server.hpp>
#include <homeward/replay/beast_server.hpp>
#include <homeward/replay/libpq.hpp>

#include <csignal>
#include <cstdlib>
#include <iostream>

#include "publisher/replay/examples/order_page.hpp"
#include "publisher/replay/examples/orders.hpp"

namespace http = boost::beast::http;
using namespace homeward::replay;
using namespace std::chrono_literals;
using homeward::forward::Call;
using homeward::forward::CallFailed;

BeastReplay::Response text(http::status status, std::string body, const char* type = "text/plain") {
    BeastReplay::Response response(status, 11);
    response.set(http::field::content_type, type);
    response.body() = std::move(body);
    return response;
}

std::string run_order(pqxx::work& tx, const Call& call) {
    if (call.body.empty()) throw CallFailed("no_item", "say what to order");
    const auto id = place_order(tx, std::string(call.body));
    if (!id) throw CallFailed("sold_out", std::string(call.body) + " is sold out");
    return *id;
}

/// In the primary region: runs the calls of all regions.
void serve_orders(std::optional<homeward::forward::Server>& server,
                  const homeward::PublisherOptions& connection, const std::string& leader_url) {
    const char* keys = std::getenv("HOMEWARD_REPLAY_KEYS");
    server.emplace(homeward::forward::ServerOptions{
        .connection = connection,
        .database_url = leader_url,
        .token_keys = keys_from_text(keys == nullptr ? "" : keys).keys});
    server->on("order.place", run_order);
    server->start();
}

int main() try {
    sigset_t stop;  // blocked before any thread is made, so that only sigwait() takes it
    sigemptyset(&stop), sigaddset(&stop, SIGTERM), pthread_sigmask(SIG_BLOCK, &stop, nullptr);
    HelperOptions options;
    options.position_source = libpq_position_source;
    options.request_handler.cause_of = libpqxx_cause;
    options.request_handler.policy.websockets_here = true;
    const Helper helper(std::move(options));
    const Orders orders(helper.database().url);
    const auto answer = [&](const BeastReplay::Request& request, HandlerResult&) {
        const std::string target(request.target());
        if (target == "/") return text(http::status::ok, kOrderPage, "text/html");
        if (target == "/metrics") {
            return text(http::status::ok, helper.request_handler().counters().prometheus());
        }
        const auto item =
            target.starts_with("/orders/") ? orders.find(target.substr(8)) : std::nullopt;
        return item ? text(http::status::ok, *item) : text(http::status::not_found, "nothing here");
    };

    const auto connection = homeward::publisher_options_from_environment("shop");
    std::optional<homeward::forward::Server> server;
    if (helper.regions().is_primary()) serve_orders(server, connection, helper.database().url);
    boost::asio::thread_pool threads(16);
    homeward::forward::Client primary({.connection = connection});
    homeward::forward::WebSocketCalls calls(primary, {.operations = {"order.place"}});
    BeastServerOptions server_options;
    server_options.on_upgrade = [&](auto stream, auto request) {
        return calls.serve(std::move(stream), std::move(request));
    };
    const boost::asio::ip::tcp::endpoint here(boost::asio::ip::make_address("127.0.0.1"), port());
    install({threads, here}, helper, answer, server_options);

    int caught = 0;
    sigwait(&stop, &caught);
    const bool is_done = calls.close(10s) && (!server || server->close(10s));
    threads.stop(), threads.join();
    return is_done ? 0 : 1;
} catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return 2;
}
