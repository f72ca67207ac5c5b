#include "tests/consumer/status/traffic.hpp"

#include <chrono>
#include <cmath>
#include <homeward/publisher.hpp>

namespace homeward::testing {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr auto kStep = 10ms;
/// From quiet to busy and back.
constexpr double kWaveSeconds = 50;
constexpr double kWaveHeight = 0.5;
constexpr double kTurn = 6.283185307;

std::string audit_json(std::uint64_t number) {
    return R"({"actor":"user:)" + std::to_string(number * 7919 % 9000) +
           R"(","action":"order.view","resource":"order:)" + std::to_string(number) +
           R"(","outcome":"allowed","request_id":"req-)" + std::to_string(number) +
           R"(","detail":{"status":200,"duration_ms":)" + std::to_string(number % 60) + "}}";
}

std::string metric_json(std::uint64_t number) {
    return R"({"name":"request_duration_seconds","kind":"gauge","value":0.0)" +
           std::to_string(number % 90 + 10) + R"(,"tags":{"route":"/orders"}})";
}

}  // namespace

Traffic::Traffic(Bridge& bridge, double events_per_second) {
    const struct {
        std::string url, region, app;
        double share;
    } apps[] = {{bridge.leaf().url(), "ams", "shop", 0.5},
                {bridge.leaf().url(), "ams", "api", 0.2},
                {bridge.hub().url(), "scl", "shop", 0.3}};
    for (const auto& app : apps) {
        threads_.emplace_back([this, app, events_per_second] {
            emit(app.url, app.region, app.app, app.share * events_per_second);
        });
    }
}

Traffic::~Traffic() {
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
}

void Traffic::emit(const std::string& nats_url, const std::string& region, const std::string& app,
                   double events_per_second) {
    PublisherOptions options;
    options.nats_urls = {nats_url};
    options.region = region;
    options.app = app;
    Publisher publisher(options);
    const auto began = SteadyClock::now();
    double due = 0;
    for (std::uint64_t number = 0; !stopping_;) {
        std::this_thread::sleep_for(kStep);
        const double at = std::chrono::duration<double>(SteadyClock::now() - began).count();
        const double wave = 1 + kWaveHeight * std::sin(kTurn * at / kWaveSeconds);
        due += events_per_second * wave * std::chrono::duration<double>(kStep).count();
        for (; static_cast<double>(number) < due; ++number) {
            // What is not taken is not traffic.
            static_cast<void>(publisher.emit_json("audit", EventClass::audit, audit_json(number)));
            if (number % 2 != 0) continue;
            static_cast<void>(
                publisher.emit_json("metric", EventClass::metric, metric_json(number)));
        }
    }
    publisher.close(5s);
}

}  // namespace homeward::testing
