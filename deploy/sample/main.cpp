// A small shop. It reads from its region's replica, writes an audit event and a metric on every
// request without touching the database, has true writes replayed to the primary region, and lets
// each session read its own writes.
//
// Environment: PORT, NATS_URL, SPOOL_DIR, PRIMARY_REGION, FLY_REGION, DATABASE_URL,
// DATABASE_REPLICA_URL, HOMEWARD_REPLAY_KEYS ("k1:" and 64 hexadecimal digits), and
// REPLAY_ACCEL_PREFIX where nginx stands in for the platform's proxy.

#include <homeward/prometheus.hpp>
#include <homeward/replay/connection_url.hpp>
#include <homeward/replay/httplib.hpp>
#include <homeward/replay/libpq.hpp>
#include <homeward/replay/libpqxx.hpp>
#include <homeward/request_scope.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include <audit.event.hpp>
#include <metric.event.hpp>

namespace {

using namespace homeward::replay;
using homeward::Publisher;
using homeward::events::Audit;
using homeward::events::Metric;
using httplib::Request;
using httplib::Response;

std::string env(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

void say(std::string_view line) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
}

/// One connection a server thread and database, made when first needed and again when it broke.
pqxx::connection& connection(const std::string& url) {
    thread_local std::map<std::string, std::unique_ptr<pqxx::connection>> open;
    auto& found = open[url];
    if (found == nullptr || !found->is_open()) found = std::make_unique<pqxx::connection>(url);
    return *found;
}

std::string read_order(const std::string& url, const std::string& id) {
    pqxx::read_transaction work(connection(url));
    const pqxx::result rows = work.exec_params("SELECT item FROM orders WHERE id = $1::int8", id);
    return rows.empty() ? "" : rows[0][0].as<std::string>();
}

/// On a replica the INSERT throws SQLSTATE 25006, and the request is replayed.
std::string add_order(const std::string& url, const std::string& item) {
    pqxx::work work(connection(url));
    const auto row = work.exec_params1("INSERT INTO orders (item) VALUES ($1) RETURNING id", item);
    work.commit();
    return row[0].as<std::string>();
}

struct Tag {
    std::string_view name, value;
};

void count(Publisher& publisher, std::string_view name, Metric::Kind kind, double value, Tag tag) {
    homeward::JsonObject tags;
    tags.add(tag.name, tag.value);
    Metric metric;
    metric.name = name;
    metric.kind = kind;
    metric.value = value;
    metric.tags = tags;
    publisher.emit(metric);
}

/// What every request leaves behind, however its handler ends: two emits, tens of nanoseconds each,
/// no I/O. Of a request that is replayed the request scope drops them: the primary emits them.
struct Trail {
    Publisher& publisher;
    const Request& request;
    std::string route;
    std::string action{};  ///< empty: no audit event
    std::string resource{};
    bool is_allowed = false;
    std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();

    ~Trail() {
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
        count(publisher, "request_duration_seconds", Metric::Kind::histogram, took.count(),
              {"route", route});
        if (action.empty()) return;
        const std::string request_id = request.get_header_value("X-Request-Id");
        Audit audit;
        audit.actor = "user:demo";
        audit.action = action;
        audit.resource = resource;
        audit.outcome = is_allowed ? Audit::Outcome::allowed : Audit::Outcome::failed;
        if (!request_id.empty()) audit.request_id = request_id;
        if (publisher.emit(audit) != homeward::EmitResult::held) say("audit event refused");
    }
};

int serve(int port, const sigset_t& signals) {
    const Regions regions = regions_from_environment();
    const RegionalUrl database = url_from_environment();
    if (database.error) return say(database.error->what), 2;
    Publisher publisher({.nats_urls = {env("NATS_URL")},
                         .region = regions.current,
                         .app = "shop",
                         .spool_dir = env("SPOOL_DIR"),
                         .on_log = say});
    std::unique_ptr<ReplicaPoller> poller;  // the primary region has nothing to wait for
    auto source = std::make_unique<LibpqPositionSource>(database.url);
    if (database.is_replica) poller = std::make_unique<ReplicaPoller>(std::move(source));
    const ReadGate reads(TokenSigner(keys_from_text(env("HOMEWARD_REPLAY_KEYS")).keys),
                         poller.get());
    GateOptions options;
    options.answer.accel_prefix = env("REPLAY_ACCEL_PREFIX");
    options.cause_of = [](const std::exception& error) { return cause_of(error); };
    options.look = look_with(reads);
    options.on_begin = [&] {
        auto scope = std::make_shared<homeward::RequestScope>(publisher);
        return [scope](bool is_kept) { is_kept ? void(scope->publish()) : scope->drop(); };
    };
    options.on_decision = [&](const Decision& decision, std::string_view line) {
        say(line);
        count(publisher, "homeward_replay", Metric::Kind::counter, 1,
              {"reason", name_of(decision.reason)});
    };
    const Gate gate(regions, options);
    const HttplibReplay replay(gate);
    httplib::Server server;
    server.new_task_queue = [] { return new httplib::ThreadPool(64); };
    server.set_tcp_nodelay(true).set_keep_alive_max_count(1'000'000);
    replay.guard(server);
    server.Get(R"(/orders/(\d+))", replay.wrap([&](const Request& request, Response& response) {
        const std::string id = request.matches[1];
        Trail trail{publisher, request, "read", "order.view", "order:" + id};
        const std::string item = read_order(database.url, id);
        response.status = item.empty() ? 404 : 200;
        response.set_content(item + "\n", "text/plain");
        trail.is_allowed = !item.empty();
    }));
    const auto add = [&](const Request& request, Response& response, Visit& visit) {
        Trail trail{publisher, request, "write", "order.create", "order:new"};
        const std::string id = add_order(database.url, request.body.substr(0, 200));
        visit.has_committed = true;
        remember(reads, committed_position(connection(database.url)).value(), visit);
        response.status = 201;
        response.set_content(id + "\n", "text/plain");
        trail.resource = "order:" + id;
        trail.is_allowed = true;
    };
    server.Post("/orders", replay.wrap(add));
    // The same read, with its audit row written to the leader before the answer: what it costs.
    server.Get(R"(/sync/orders/(\d+))", [&](const Request& request, Response& response) {
        const Trail trail{publisher, request, "sync"};
        const std::string id = request.matches[1];
        response.set_content(read_order(database.url, id) + "\n", "text/plain");
        pqxx::nontransaction work(connection(env("DATABASE_URL")));
        work.exec_params(
            "INSERT INTO sync_audit VALUES (DEFAULT, now(), 'user:demo', 'order.view',"
            " $1, 'allowed')",
            "order:" + id);
    });
    server.Get("/metrics", [&](const Request&, Response& response) {
        response.set_content(homeward::prometheus(publisher.stats()) + gate.counters().prometheus(),
                             "text/plain");
    });

    std::thread stopper([&] {
        int caught = 0;
        sigwait(&signals, &caught);
        server.stop();
    });
    const bool served = server.listen("127.0.0.1", port);
    if (!served) say("cannot listen on PORT"), raise(SIGTERM);
    stopper.join();
    return served && publisher.close(std::chrono::seconds(10)).done ? 0 : 1;
}

}  // namespace

int main() {
    // Blocked before any thread is made, so that only the stopper hears it.
    sigset_t signals;
    sigemptyset(&signals), sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    try {
        return serve(std::atoi(env("PORT").c_str()), signals);
    } catch (const std::exception& error) {
        return say(error.what()), 2;
    }
}
