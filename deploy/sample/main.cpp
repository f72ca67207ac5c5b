// A small shop. It reads from its region's replica, writes an audit event and a metric on every
// request without touching the database, and has true writes replayed to the primary region.
//
// Environment: PORT, NATS_URL, SPOOL_DIR, PRIMARY_REGION, FLY_REGION, DATABASE_URL,
// DATABASE_REPLICA_URL, and REPLAY_ACCEL_PREFIX where nginx stands in for the platform's proxy.

#include <homeward/publisher.hpp>
#include <homeward/replay/connection_url.hpp>
#include <homeward/replay/httplib.hpp>
#include <pqxx/pqxx>

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

using homeward::events::Audit;
using homeward::events::Metric;
using httplib::Request;
using httplib::Response;

std::string env(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

/// One connection a server thread and database, made when first needed and again when it broke.
pqxx::connection& connection(const std::string& url) {
    thread_local std::map<std::string, std::unique_ptr<pqxx::connection>> open;
    auto& found = open[url];
    if (found == nullptr || !found->is_open()) found = std::make_unique<pqxx::connection>(url);
    return *found;
}

std::string read_order(pqxx::transaction_base& work, const std::string& id) {
    const pqxx::result rows = work.exec_params("SELECT item FROM orders WHERE id = $1::int8", id);
    return rows.empty() ? "" : rows[0][0].as<std::string>();
}

/// What every request leaves behind. Two emits: tens of nanoseconds each, no I/O.
class Trail {
  public:
    Trail(homeward::Publisher& publisher, std::string route, const Request& request)
        : publisher_(publisher),
          route_(std::move(route)),
          request_id_(request.get_header_value("X-Request-Id")) {}

    void write(const std::string& action, const std::string& resource, int status) {
        Audit audit;
        audit.actor = "user:demo";
        audit.action = action;
        audit.resource = resource;
        audit.outcome = status < 400 ? Audit::Outcome::allowed : Audit::Outcome::failed;
        if (!request_id_.empty()) audit.request_id = request_id_;
        if (publisher_.emit(audit) != homeward::EmitResult::accepted) {
            std::fputs("audit event refused: no room\n", stderr);
        }
        measure();
    }

    void measure() {
        const std::string tags = "{\"route\":\"" + route_ + "\"}";
        Metric metric;
        metric.name = "request_duration_seconds";
        metric.kind = Metric::Kind::histogram;
        metric.value = std::chrono::duration<double>(Clock::now() - started_).count();
        metric.tags = homeward::JsonText{tags};
        publisher_.emit(metric);
    }

  private:
    using Clock = std::chrono::steady_clock;
    homeward::Publisher& publisher_;
    std::string route_;
    std::string request_id_;
    Clock::time_point started_ = Clock::now();
};

homeward::PublisherOptions publisher_options(const homeward::replay::Regions& regions) {
    homeward::PublisherOptions options;
    options.nats_urls = {env("NATS_URL")};
    options.region = regions.current;
    options.app = "shop";
    options.spool_dir = env("SPOOL_DIR");
    options.on_log = [](std::string_view line) {
        std::fprintf(stderr, "publisher: %.*s\n", static_cast<int>(line.size()), line.data());
    };
    return options;
}

std::string stats_json(const homeward::Stats& stats) {
    const auto of_class = [](const homeward::ClassStats& s) {
        return "{\"accepted\":" + std::to_string(s.accepted) +
               ",\"in_lanes\":" + std::to_string(s.in_lanes) +
               ",\"in_log\":" + std::to_string(s.in_log) + ",\"acked\":" + std::to_string(s.acked) +
               ",\"tombstoned\":" + std::to_string(s.tombstoned) +
               ",\"refused\":" + std::to_string(s.refused) + "}";
    };
    return "{\"audit\":" + of_class(stats.audit) + ",\"metric\":" + of_class(stats.metric) + "}\n";
}

std::string sqlstate_of(const std::exception& error) {
    const auto* sql = dynamic_cast<const pqxx::sql_error*>(&error);
    return sql == nullptr ? "" : sql->sqlstate();
}

int serve(int port) {
    const auto regions = homeward::replay::regions_from_environment();
    const auto database = homeward::replay::url_from_environment();
    if (database.error) {
        std::fprintf(stderr, "%s\n", database.error->what.c_str());
        return 2;
    }
    homeward::Publisher publisher(publisher_options(regions));
    const homeward::replay::Gate gate(
        regions,
        {.answer = {.accel_prefix = env("REPLAY_ACCEL_PREFIX")}, .sqlstate_of = sqlstate_of});
    const homeward::replay::HttplibReplay replay(gate);
    httplib::Server server;
    replay.guard(server);
    server.new_task_queue = [] { return new httplib::ThreadPool(64); };
    server.set_tcp_nodelay(true).set_keep_alive_max_count(1'000'000);

    server.Get(R"(/orders/(\d+))", replay.wrap([&](const Request& request, Response& response) {
        Trail trail(publisher, "read", request);
        pqxx::read_transaction work(connection(database.url));
        const std::string item = read_order(work, request.matches[1]);
        response.status = item.empty() ? 404 : 200;
        response.set_content(item + "\n", "text/plain");
        trail.write("order.view", "order:" + request.matches[1].str(), response.status);
    }));
    server.Post("/orders", replay.wrap([&](const Request& request, Response& response) {
        Trail trail(publisher, "write", request);
        pqxx::work work(connection(database.url));  // on a replica the INSERT throws 25006
        const auto row = work.exec_params1("INSERT INTO orders (item) VALUES ($1) RETURNING id",
                                           request.body.substr(0, 200));
        work.commit();
        response.status = 201;
        response.set_content(row[0].as<std::string>() + "\n", "text/plain");
        trail.write("order.create", "order:" + row[0].as<std::string>(), 201);
    }));
    // The same read, with its audit row written to the leader before the answer: what it costs.
    server.Get(R"(/sync/orders/(\d+))", [&](const Request& request, Response& response) {
        Trail trail(publisher, "sync", request);
        {
            pqxx::read_transaction work(connection(database.url));
            response.set_content(read_order(work, request.matches[1]) + "\n", "text/plain");
        }
        pqxx::nontransaction work(connection(env("DATABASE_URL")));
        work.exec_params(
            "INSERT INTO sync_audit (actor, action, resource, outcome)"
            " VALUES ('user:demo', 'order.view', $1, 'allowed')",
            "order:" + request.matches[1].str());
        trail.measure();
    });
    server.Get("/healthz", [](const Request&, Response& response) {
        response.set_content("ok\n", "text/plain");
    });
    server.Get("/stats", [&](const Request&, Response& response) {
        response.set_content(stats_json(publisher.stats()), "application/json");
    });

    std::thread stopper([&server] {
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        int caught = 0;
        sigwait(&signals, &caught);
        server.stop();
    });
    const bool served = server.listen("127.0.0.1", port);
    if (!served) std::fprintf(stderr, "cannot listen on port %d\n", port), raise(SIGTERM);
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
        return serve(std::atoi(env("PORT").c_str()));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "homeward-sample: %s\n", error.what());
        return 2;
    }
}
