// deploy/DATA.md typed anew: known events of two regions become rows, and each of the page's
// commands must show on them what the page shows. HOMEWARD_WRITE_PAGES=1 puts there what comes.

#include <cstdlib>
#include <homeward/metrics.hpp>
#include <homeward/publisher.hpp>
#include <iostream>

#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// One run of the shop's app in a region: audit events of orders, metrics of routes.
class Shop {
  public:
    Shop(const NatsServer& nats, const std::string& region) : publisher_(options(nats, region)) {}
    ~Shop() { CHECK(publisher_.close(20s).done); }

    void view(int order, int times) {
        for (int i = 0; i < times; ++i) {
            emit("audit", EventClass::audit,
                 R"({"actor":"user:)" + std::to_string(order % 7) +
                     R"(","action":"order.view","resource":"order:)" + std::to_string(order) +
                     R"(","outcome":"allowed"})");
        }
    }
    /// As many calls, the first of a millisecond and each slower by one.
    void call(const std::string& route, int times) {
        for (int ms = 1; ms <= times; ++ms) {
            emit("metric", EventClass::metric,
                 R"({"name":"request_duration_seconds","kind":"gauge","value":)" +
                     std::to_string(ms / 1000.0) + R"(,"tags":{"route":")" + route + "\"}}");
        }
    }

    /// As many requests of a route, added up, the first of a millisecond and each slower by one.
    void count(const std::string& route, int times) {
        Meter meter(publisher_);
        Counter requests = meter.counter("http.server.requests", {{"route", route}});
        Histogram seconds =
            meter.histogram("http.server.request.duration", {{"route", route}}, {.unit = "s"});
        for (int ms = 1; ms <= times; ++ms) {
            requests.add(1);
            seconds.record(ms / 1000.0);
        }
    }

  private:
    static PublisherOptions options(const NatsServer& nats, const std::string& region) {
        PublisherOptions options;
        options.nats_urls = {nats.url()};
        options.region = region;
        options.app = "shop";
        return options;
    }
    void emit(const std::string& type, EventClass event_class, const std::string& line) {
        REQUIRE(publisher_.emit_json(type, event_class, line) == EmitResult::accepted);
    }
    Publisher publisher_;
};

void open_shops(Bridge& bridge) {
    Shop shop(bridge.leaf(), "ams");
    Shop primary(bridge.hub(), "scl");
    for (int order = 1; order <= 40; ++order) shop.view(order, 3);
    shop.view(33, 7);
    primary.view(19, 6);
    shop.call("read", 200);
    shop.call("sync", 20);
    primary.call("read", 80);
    primary.call("write", 10);
    shop.count("/orders", 1'000);
    primary.count("/orders", 500);
    primary.count("/login", 40);
}

}  // namespace

TEST_CASE("every command of deploy/DATA.md shows what the page says that it shows") {
    Bridge bridge;
    bridge.leader().query("CREATE DATABASE app");
    const std::string url = bridge.leader().url();
    const std::string app = url.substr(0, url.rfind('/')) + "/app";
    query_at(app, read_file(HOMEWARD_SAMPLE_SQL));
    bridge.environment()["HOMEWARD_POSTGRES_URL"] = app;
    bridge.environment()["HOMEWARD_SOURCES"] = "ams@ams,scl@hub";
    REQUIRE(bridge.consumer_command({"streams", "apply"}).exit_code == 0);
    bridge.start_consumer();
    open_shops(bridge);
    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60", "--final"});
    INFO(proof.output);
    REQUIRE(proof.exit_code == 0);

    ProcessOptions options;
    options.environment = {
        {"PGHOST", "127.0.0.1"}, {"PGPORT", std::to_string(bridge.leader().port())},
        {"PGUSER", "postgres"},  {"PAGER", "cat"},
        {"PGTZ", "UTC"},         {"LC_ALL", "C.UTF-8"}};
    std::vector<std::string> command{"python3", HOMEWARD_DATA_PAGE_SCRIPT, HOMEWARD_DATA_PAGE};
    if (std::getenv("HOMEWARD_WRITE_PAGES") != nullptr) command.emplace_back("--write");
    const CommandResult typed = run_command(command, options, 120s);
    std::cout << typed.output;
    CHECK(typed.exit_code == 0);
}
