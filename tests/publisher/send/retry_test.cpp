// When a frame that the stream refuses is sent again.

#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include <homeward/publisher.hpp>

#include "schemas/nats/subject.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/servers/nats_client.hpp"
#include "tests/support/servers/nats_server.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

namespace {

/// 100 ms × 2^n, at most 5 s; half of it fixed, half random.
constexpr double kFirstMs = 100;
constexpr double kMostMs = 5'000;
/// The frame sender looks at what is due every 50 ms; what a loaded machine adds has room besides.
constexpr double kSlackMs = 1'500;
/// The last gap would be 6.4 to 12.8 s if nothing bounded it.
constexpr std::size_t kSendsMax = 9;

/// A frame is known by the subject on which it wants its answer; times in ms.
using Sends = std::map<std::string, std::vector<double>>;

/// Plays a stream that refuses everything, until each of two frames was sent that often.
Sends refuse_all(NatsClient& stream, std::size_t sends_max) {
    Sends sends;
    const auto began = SteadyClock::now();
    const auto is_enough = [&] {
        std::size_t enough = 0;
        for (const auto& [frame, times] : sends) enough += times.size() >= sends_max ? 1 : 0;
        return enough >= 2;
    };
    while (!is_enough()) {
        const std::string reply = stream.next_reply();
        const std::chrono::duration<double, std::milli> now = SteadyClock::now() - began;
        sends[reply].push_back(now.count());
        stream.send_to(reply, R"({"error":{"code":503,"description":"insufficient resources"}})");
    }
    return sends;
}

std::vector<double> gaps_of(const std::vector<double>& times) {
    std::vector<double> gaps;
    for (std::size_t i = 1; i < times.size(); ++i) gaps.push_back(times[i] - times[i - 1]);
    return gaps;
}

PublisherOptions shop_at(const NatsServer& server) {
    PublisherOptions options;
    options.nats_urls = {server.url()};
    options.region = "ams";
    options.app = "shop";
    return options;
}

NatsServer plain_server() {
    NatsOptions options;
    options.jetstream = false;
    return NatsServer(options);
}

}  // namespace

TEST_CASE("whatever bytes come for an acknowledgement, the frame is kept and the host lives") {
    NatsServer server = plain_server();
    NatsClient stream(server.port());
    stream.subscribe(frame_subject(EventClass::audit, "ams", "shop"));
    Publisher publisher(shop_at(server));
    REQUIRE(
        publisher.emit_json("audit", EventClass::audit,
                            R"({"actor":"a","action":"b","resource":"c","outcome":"allowed"})") ==
        EmitResult::accepted);
    for (const std::string& nonsense : std::vector<std::string>{
             R"({"error":{"code":503,"description":7}})", R"({"stream":7,"seq":1})", "[[[[", "",
             std::string("\0\xff", 2), R"({"stream":"HOMEWARD_AUDIT_ams"})"}) {
        INFO(nonsense);
        stream.send_to(stream.next_reply(), nonsense);
        CHECK(publisher.stats().audit.acked == 0);
    }
    // The heartbeat of an origin that falls idle may come between.
    for (int seq = 1; seq < 10 && publisher.stats().audit.acked == 0; ++seq) {
        stream.send_to(stream.next_reply(),
                       R"({"stream":"HOMEWARD_AUDIT_ams","seq":)" + std::to_string(seq) + "}");
        publisher.flush(50ms);
    }
    CHECK(publisher.flush(10s).done);
    publisher.close(0ms);
}

TEST_CASE("a refused frame is sent again ever more rarely, up to a bound, and not in step") {
    NatsServer server = plain_server();
    NatsClient stream(server.port());
    stream.subscribe(frame_subject(EventClass::audit, "ams", "shop"));
    Publisher publisher(shop_at(server));
    for (int frame = 0; frame < 2; ++frame) {
        REQUIRE(publisher.emit_json(
                    "audit", EventClass::audit,
                    R"({"actor":"a","action":"b","resource":"r","outcome":"allowed"})") ==
                EmitResult::accepted);
        REQUIRE(publisher.flush(30s, FlushUntil::logged).done);
    }

    Sends sends = refuse_all(stream, kSendsMax);
    // The heartbeat of an origin that falls idle comes between, is refused too, and has fewer
    // sends.
    std::erase_if(sends, [](const auto& frame) { return frame.second.size() < kSendsMax; });
    REQUIRE(sends.size() >= 2);
    double apart = 0;
    const std::vector<double> others = gaps_of(sends.begin()->second);
    for (const auto& [frame, times] : sends) {
        const std::vector<double> gaps = gaps_of(times);
        double wanted = kFirstMs;
        for (std::size_t i = 0; i + 1 < kSendsMax; ++i) {
            wanted = std::min(kMostMs, 2 * wanted);
            INFO(frame << " was sent again after " << gaps[i] << " ms, not " << wanted);
            CHECK(gaps[i] >= wanted / 2 - 1);
            CHECK(gaps[i] <= wanted + kSlackMs);
            apart = std::max(apart, std::abs(gaps[i] - others[i]));
        }
        for (const double gap : gaps) std::printf("%.0f ", gap);
        std::printf("ms\n");
    }
    CHECK(apart > 60);  // more than the pace of looking
    CHECK(publisher.stats().audit.retries >= 2 * (kSendsMax - 1));
    publisher.close(0ms);
}
