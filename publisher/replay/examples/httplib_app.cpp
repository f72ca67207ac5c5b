// The replay helper in a cpp-httplib app. Environment: PORT and that of
// <homeward/replay/helper.hpp>. An app that emits events has a homeward::App in the place of the
// Helper.

#include <homeward/replay/httplib.hpp>
#include <homeward/replay/libpq.hpp>

#include <iostream>
#include <stdexcept>
#include <string>

#include "publisher/replay/examples/orders.hpp"

using namespace homeward::replay;
using httplib::Request;
using httplib::Response;

int main() try {
    const Orders orders(url_from_environment().url);
    HelperOptions options;
    options.position_source = libpq_position_source;
    options.request_handler.passthrough = {"/uploads/*"};
    options.request_handler.cause_of = libpqxx_cause;
    options.request_handler.on_decision = [](const auto&, auto line) {
        std::cerr << line << std::endl;
    };
    const Helper helper(std::move(options));

    httplib::Server server;
    const HttplibReplay replay = install(server, helper);
    server.Get(R"(/orders/(\d+))", replay.wrap([&](const Request& request, Response& response) {
        const auto item = orders.find(request.matches[1]);
        response.status = item ? 200 : 404;
        response.set_content(item.value_or("no such order"), "text/plain");
    }));
    const auto add = [&](const Request& request, Response& response, HandlerResult& result) {
        response.set_header("Set-Cookie", "served_by=" + helper.regions().current);
        const auto id = orders.add(request.body);
        response.status = id ? 201 : 409;  // a conflict of the app's own, and no replay
        response.set_content(id.value_or("ordered already"), "text/plain");
        if (id) note_commit(helper, orders.connection(), result);
    };
    server.Post("/orders", replay.wrap(add));
    server.Get("/metrics", [&](const Request&, Response& response) {
        response.set_content(helper.request_handler().counters().prometheus(),
                             "text/plain; version=0.0.4");
    });
    if (server.listen("127.0.0.1", port())) return 0;
    throw std::runtime_error("can't listen on 127.0.0.1 at PORT");
} catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return 2;
}
