// The replay helper in a Boost.Beast app. Environment: PORT, and what <homeward/replay/helper.hpp>
// names. An app that emits events has a homeward::App in the place of the Helper.

#include <homeward/replay/beast_server.hpp>
#include <homeward/replay/libpq.hpp>

#include <boost/asio/thread_pool.hpp>
#include <iostream>

#include "publisher/replay/examples/orders.hpp"

namespace http = boost::beast::http;
using namespace homeward::replay;

BeastReplay::Response text(http::status status, std::string body) {
    BeastReplay::Response response(status, 11);
    response.set(http::field::content_type, "text/plain");
    response.body() = std::move(body);
    return response;
}

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

    const auto answer = [&](const BeastReplay::Request& request, HandlerResult& result) {
        const std::string target(request.target());
        if (target == "/orders" && request.method() == http::verb::post) {
            const auto id = orders.add(request.body());
            auto response = id ? text(http::status::created, *id)
                               : text(http::status::conflict, "ordered already");  // no replay
            response.set(http::field::set_cookie, "served_by=" + helper.regions().current);
            if (id) note_commit(helper, orders.connection(), result);
            return response;
        }
        if (target.starts_with("/orders/")) {
            const auto item = orders.find(target.substr(8));
            if (item) return text(http::status::ok, *item);
        }
        if (target != "/metrics") return text(http::status::not_found, "nothing here");
        return text(http::status::ok, helper.request_handler().counters().prometheus());
    };
    boost::asio::thread_pool threads(16);
    const boost::asio::ip::tcp::endpoint here(boost::asio::ip::make_address("127.0.0.1"), port());
    install({threads, here}, helper, answer);
    threads.join();
} catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return 2;
}
