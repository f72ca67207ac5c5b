// What a publisher tells Prometheus, with a server that is there, away and back; promtool judges
// the form.

#include <homeward/prometheus.hpp>

#include <fstream>

#include <audit.event.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/servers/nats_client.hpp"
#include "tests/support/servers/nats_server.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

double value_of(const std::string& text, const std::string& series) {
    const std::size_t at = text.find("\n" + series + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
}

void emit(homeward::Publisher& publisher, int count) {
    homeward::events::Audit event;
    event.actor = "user:1";
    event.action = "order.view";
    event.resource = "order:1";
    event.outcome = homeward::events::Audit::Outcome::allowed;
    for (int i = 0; i < count; ++i)
        REQUIRE(publisher.emit(event) == homeward::EmitResult::accepted);
}

}  // namespace

TEST_CASE("a publisher's text counts its events, and its log fills while the server is away") {
    NatsServer nats;
    NatsClient(nats.port())
        .request("$JS.API.STREAM.CREATE.HOMEWARD_AUDIT_ams",
                 R"({"name":"HOMEWARD_AUDIT_ams",)"
                 R"("subjects":["homeward.frame.audit.ams.>"]})");
    TempDir dir;
    homeward::PublisherOptions options;
    options.nats_urls = {nats.url()};
    options.region = "ams";
    options.app = "shop";
    options.spool_dir = dir / "spool";
    homeward::Publisher publisher(options);
    emit(publisher, 100);
    REQUIRE(publisher.flush(20s).done);
    const std::string well = homeward::prometheus(publisher.stats());
    CHECK(value_of(well, "homeward_publisher_accepted_total{class=\"audit\"}") == 100);
    CHECK(value_of(well, "homeward_publisher_acknowledged_total{class=\"audit\"}") == 100);
    CHECK(value_of(well, "homeward_publisher_accepted_total{class=\"metric\"}") == 0);
    CHECK(value_of(well, "homeward_publisher_connected") == 1);
    CHECK(value_of(well, "homeward_publisher_log_bytes_max{class=\"audit\"}") ==
          static_cast<double>(options.log_bytes_max));
    const double idle = value_of(well, "homeward_publisher_log_bytes{class=\"audit\"}");

    nats.stop();
    REQUIRE(wait_until(20s, [&] {
        return value_of(homeward::prometheus(publisher.stats()), "homeward_publisher_connected") ==
               0;
    }));
    // Full of what hardly compresses, so that it takes more than a segment.
    std::string noise;
    std::uint64_t state = 7;
    for (int i = 0; i < 60; ++i) {
        noise.clear();
        while (noise.size() < 200'000) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            noise += static_cast<char>('!' + (state >> 33) % 90);
            if (noise.back() == '"' || noise.back() == '\\') noise.back() = '-';
        }
        const auto result = publisher.emit_json("note", homeward::EventClass::audit,
                                                R"({"resource":")" + noise + "\"}");
        REQUIRE(result == homeward::EmitResult::accepted);
        REQUIRE(publisher.flush(20s, homeward::FlushUntil::logged).done);
    }
    const std::string away = homeward::prometheus(publisher.stats());
    CHECK(value_of(away, "homeward_publisher_log_events{class=\"audit\"}") == 60);
    CHECK(value_of(away, "homeward_publisher_log_bytes{class=\"audit\"}") > idle);

    std::ofstream(dir / "metrics") << well;
    ProcessOptions process;
    process.input = dir / "metrics";
    const CommandResult judged = run_command({"promtool", "check", "metrics"}, process);
    INFO(judged.output);
    CHECK(judged.exit_code == 0);

    nats.start();
    CHECK(publisher.flush(60s).done);
}
