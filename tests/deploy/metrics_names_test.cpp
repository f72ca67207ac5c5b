// Every series, and every label value, that dashboard and alerts name is in /metrics of a real
// consumer or of a real app; promtool finds nothing to say against these.

#include <fstream>
#include <regex>
#include <set>

#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/http_text.hpp"
#include "tests/support/servers/bridge.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// name{label="value",…} or name alone, as it stands in an expression.
struct Selector {
    std::string name;
    std::vector<std::string> labels;  // label="value"
    bool operator<(const Selector& other) const {
        return std::tie(name, labels) < std::tie(other.name, other.labels);
    }
};

std::set<Selector> selectors_of(const std::string& text) {
    // In JSON, quotes inside a string are escaped.
    static const std::regex kEscaped("\\\\\"");
    static const std::regex kSelector("\\b(homeward_[a-z0-9_]+)(\\{[^}]*\\})?");
    static const std::regex kLabel("[a-z_]+=\"[^\"]*\"");
    const std::string plain = std::regex_replace(text, kEscaped, "\"");
    std::set<Selector> found;
    for (std::sregex_iterator it(plain.begin(), plain.end(), kSelector), end; it != end; ++it) {
        Selector selector{(*it)[1], {}};
        const std::string labels = (*it)[2];
        for (std::sregex_iterator label(labels.begin(), labels.end(), kLabel); label != end;
             ++label) {
            selector.labels.push_back(label->str());
        }
        found.insert(selector);
    }
    return found;
}

/// Whether one line of a /metrics is a series of that name with all these labels.
bool is_in(const std::string& metrics, const Selector& selector) {
    std::istringstream lines(metrics);
    for (std::string line; std::getline(lines, line);) {
        const std::size_t end = line.find_first_of("{ ");
        if (end == std::string::npos || line.substr(0, end) != selector.name) continue;
        const bool has_all = std::all_of(
            selector.labels.begin(), selector.labels.end(),
            [&](const std::string& label) { return line.find(label) != std::string::npos; });
        if (has_all) return true;
    }
    return false;
}

void judge(const TempDir& dir, const std::string& metrics) {
    std::ofstream(dir / "metrics") << metrics;
    ProcessOptions options;
    options.input = dir / "metrics";
    const CommandResult judged = run_command({"promtool", "check", "metrics"}, options);
    INFO(judged.output);
    CHECK(judged.exit_code == 0);
}

}  // namespace

TEST_CASE("every series that dashboard and alerts name is one that a real service tells") {
    Bridge bridge;
    bridge.environment()["HOMEWARD_BATCH_BAD_EVENTS_MAX"] = "1";
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    // A source that is held, for the series that only then is there.
    NatsClient(bridge.leaf().port())
        .publish("homeward.plain.ams.bad", "{\"bad\":1}\n{\"bad\":2}\n{\"bad\":3}");
    TempDir dir;
    ProcessOptions options;
    const int port = free_port();
    options.log = dir / "sample.log";
    options.environment = {{"PORT", std::to_string(port)},
                           {"HOMEWARD_NATS_URL", bridge.leaf().url()},
                           {"HOMEWARD_SPOOL_DIR", dir / "spool"},
                           {"PRIMARY_REGION", "scl"},
                           {"FLY_REGION", "scl"},
                           {"DATABASE_URL", bridge.leader().url()},
                           {"HOMEWARD_REPLAY_KEYS", "k1:" + std::string(64, 'a')}};
    Process sample({HOMEWARD_SAMPLE_PROGRAM}, options);
    std::string of_app;
    const bool is_up = wait_until(30s, [&] {
        of_app = http_text(port, "/metrics");
        return of_app.find("homeward_publisher_connected 1") != std::string::npos;
    });
    INFO(read_file(dir / "sample.log"));
    REQUIRE(is_up);
    // The streams are asked only now and then, and freshness needs a row and a sample after it.
    REQUIRE(wait_until(30s, [&] {
        return bridge.metric("homeward_rows_total") == 10 &&
               bridge.metric("homeward_held{kind=\"source\",name=\"ams/bad\"}") == 1 &&
               bridge.metric("homeward_stream_bytes{stream=\"HOMEWARD_AUDIT_ams\"}") >= 0 &&
               http_text(bridge.admin_port(), "/metrics")
                       .find("homeward_freshness_quantile_seconds{") != std::string::npos;
    }));
    const std::string of_consumer = http_text(bridge.admin_port(), "/metrics");

    std::size_t named = 0;
    for (const char* file : {"alerts.yml", "dashboard.json"}) {
        const auto selectors =
            selectors_of(read_file(std::filesystem::path(HOMEWARD_MONITORING_DIR) / file));
        named += selectors.size();
        for (const Selector& selector : selectors) {
            INFO(file << " names " << selector.name);
            CHECK((is_in(of_consumer, selector) || is_in(of_app, selector)));
        }
    }
    CHECK(named > 25);  // else they were not read as they are written
    judge(dir, of_consumer);
    judge(dir, of_app);
    CHECK(sample.stop() == 0);
}
