// A small shop. It reads from its region's replica; audits, counts and times every request without
// touching the database; has true writes replayed to the primary region; and lets each session read
// its own writes. Environment: PORT, and what <homeward/app.hpp> names.

#include <homeward/app.hpp>
#include <homeward/replay/httplib.hpp>
#include <homeward/replay/libpqxx.hpp>

#include <csignal>
#include <iostream>
#include <thread>

#include <audit.event.hpp>

using namespace homeward;
using namespace homeward::events;
using namespace homeward::replay;
using namespace std::chrono_literals;
using httplib::Request, httplib::Response;

std::string read_order(const std::string& url, const std::string& id) {
    pqxx::read_transaction work(thread_connection(url));
    const pqxx::result rows = work.exec_params("SELECT item FROM orders WHERE id = $1::int8", id);
    return rows.empty() ? "" : rows[0][0].as<std::string>();
}

/// On a replica the INSERT throws SQLSTATE 25006, and the request is replayed.
std::string add_order(const std::string& url, const std::string& item) {
    pqxx::work work(thread_connection(url));
    const auto row = work.exec_params1("INSERT INTO orders (item) VALUES ($1) RETURNING id", item);
    work.commit();
    return row[0].as<std::string>();
}

/// What every request leaves behind, however its handler ends: an emit and a measurement, without
/// I/O. Of a request that is replayed both are dropped: the primary region has them.
struct Trail {
    App& app;
    const Request& request;
    const Response& response;
    Histogram seconds;
    std::string action{}, resource{};  // without an action there is no audit event
    std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();

    ~Trail() {
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
        app.when_answered([took, seconds = seconds]() mutable { seconds.record(took.count()); });
        if (action.empty()) return;
        Audit event{.actor = "user:demo", .action = action, .resource = resource};
        const bool is_done = response.status == 200 || response.status == 201;
        event.outcome = is_done ? Audit::Outcome::allowed : Audit::Outcome::failed;
        const std::string id = request.get_header_value("X-Request-Id");
        if (!id.empty()) event.request_id = id;
        if (app.publisher().emit(event) != EmitResult::held) std::cerr << "audit event refused\n";
    }
};

void count_replay(App& app, const Decision& decision) {
    app.meter().counter("homeward.replays", {{"reason", name_of(decision.reason)}}).add(1);
}

int main() try {
    sigset_t stop;  // blocked before any thread is made, so that only sigwait() takes it
    sigemptyset(&stop), sigaddset(&stop, SIGTERM), pthread_sigmask(SIG_BLOCK, &stop, nullptr);
    App app("shop", {.replay = {.request_handler = {.cause_of = libpqxx_cause}},
                     .on_replay = count_replay,
                     .meter = {.interval = 1s}});
    const auto seconds_of = [&app](std::string_view route) {  // a histogram counts, too
        return app.meter().histogram("http.server.request.duration", {{"route", route}}, {"s"});
    };
    const auto reads = seconds_of("read"), writes = seconds_of("write"), sync = seconds_of("sync");
    const std::string database = app.database_url().url;
    httplib::Server server;
    server.new_task_queue = [] { return new httplib::ThreadPool(64); };
    server.set_tcp_nodelay(true).set_keep_alive_max_count(1'000'000);
    const HttplibReplay replay = install(server, app);
    server.Get(R"(/orders/(\d+))", replay.wrap([&](const Request& request, Response& response) {
        const std::string id = request.matches[1];
        const Trail trail{app, request, response, reads, "order.view", "order:" + id};
        const std::string item = read_order(database, id);
        response.status = item.empty() ? 404 : 200;
        response.set_content(item + "\n", "text/plain");
    }));
    server.Post("/orders", replay.wrap([&](auto& request, auto& response, HandlerResult& result) {
        Trail trail{app, request, response, writes, "order.create", "order:new"};
        const std::string id = add_order(database, request.body.substr(0, 200));
        note_commit(app, thread_connection(database), result);
        response.status = 201, trail.resource = "order:" + id;
        response.set_content(id + "\n", "text/plain");
    }));
    // The same read, with its audit row written to the leader before the answer: what it costs.
    server.Get(R"(/sync/orders/(\d+))", [&](const Request& request, Response& response) {
        const Trail trail{app, request, response, sync};
        response.set_content(read_order(database, request.matches[1]) + "\n", "text/plain");
        pqxx::nontransaction work(thread_connection(std::getenv("DATABASE_URL")));
        work.exec_params("INSERT INTO sync_audit VALUES (DEFAULT, now(), $1, $2, $3, $4)",
                         "user:demo", "order.view", "order:" + request.matches[1].str(), "allowed");
    });
    server.Get("/metrics", [&](auto&, auto& r) { r.set_content(app.prometheus(), "text/plain"); });
    const char* port = std::getenv("PORT");
    const bool can_listen = port != nullptr && server.bind_to_port("127.0.0.1", std::atoi(port));
    if (!can_listen) throw std::runtime_error("cannot listen; set PORT to a free port");
    std::thread listener([&] { server.listen_after_bind(); });
    int caught = 0;
    sigwait(&stop, &caught), server.stop(), listener.join();
    return app.close(10s).done ? 0 : 1;
} catch (const std::exception& error) {
    return std::cerr << error.what() << '\n', 2;
}
