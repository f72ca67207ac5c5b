// The replay helper in a cpp-httplib app. Environment: PORT, PRIMARY_REGION, FLY_REGION,
// DATABASE_URL, DATABASE_REPLICA_URL, HOMEWARD_REPLAY_KEYS, and REPLAY_ACCEL_PREFIX behind nginx.

#include <homeward/replay/connection_url.hpp>
#include <homeward/replay/httplib.hpp>
#include <homeward/replay/libpq.hpp>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

#include "publisher/replay/examples/orders.hpp"

namespace {

using namespace homeward::replay;
using httplib::Request;
using httplib::Response;

std::string env(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

void say(const Decision&, std::string_view line) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
}

int serve() {
    const Regions regions = regions_from_environment();
    const RegionalUrl database = url_from_environment();
    const Orders orders(database.url);
    std::unique_ptr<ReplicaPoller> poller;  // the primary region has nothing to wait for
    if (database.is_replica) {
        poller =
            std::make_unique<ReplicaPoller>(std::make_unique<LibpqPositionSource>(database.url));
    }
    const ReadGate reads(TokenSigner(keys_from_text(env("HOMEWARD_REPLAY_KEYS")).keys),
                         poller.get());
    const Gate gate(regions, {.answer = {.accel_prefix = env("REPLAY_ACCEL_PREFIX")},
                              .passthrough = {"/uploads/*"},
                              .cause_of = [](const auto& error) { return cause_of(error); },
                              .look = look_with(reads),
                              .ask_role = [&] { return orders.role(); },
                              .on_decision = say});
    const HttplibReplay replay(gate);

    httplib::Server server;
    replay.guard(server);
    server.Get(R"(/orders/(\d+))", replay.wrap([&](const Request& request, Response& response) {
        const auto item = orders.find(request.matches[1]);
        response.status = item ? 200 : 404;
        response.set_content(item.value_or("no such order"), "text/plain");
    }));
    server.Post("/orders",
                replay.wrap([&](const Request& request, Response& response, Visit& visit) {
                    response.set_header("Set-Cookie", "served_by=" + regions.current);
                    const auto id = orders.add(request.body);
                    response.status = id ? 201 : 409;  // a conflict of the app's own, and no replay
                    response.set_content(id.value_or("ordered already"), "text/plain");
                    visit.has_committed = id.has_value();
                    if (id) remember(reads, orders.seen(), visit);
                }));
    server.Get("/metrics", [&](const Request&, Response& response) {
        response.set_content(gate.counters().prometheus(), "text/plain; version=0.0.4");
    });
    if (server.listen("127.0.0.1", std::atoi(env("PORT").c_str()))) return 0;
    throw std::runtime_error("can't listen on 127.0.0.1, PORT " + env("PORT"));
}

}  // namespace

int main() {
    try {
        return serve();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}
