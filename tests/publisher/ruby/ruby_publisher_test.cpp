// Ruby as apps run it: scripts that just end, forked workers, Puma with preload. Real NATS; what
// was accepted is counted in the stream, or on the leader.

#include <cstdlib>
#include <sstream>

#include <nlohmann/json.hpp>

#include "tests/publisher/send/streams.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/servers/bridge.hpp"
#include "tests/support/servers/nats_client.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

const bool kIsFull = std::getenv("HOMEWARD_FULL") != nullptr;

std::map<std::string, std::string> environment_of(const NatsServer& nats) {
    return {{"NATS_URL", nats.url()},
            {"HOMEWARD_LIBRARY", HOMEWARD_C_LIBRARY},
            {"RUBYLIB", HOMEWARD_RUBY_DIR}};
}

std::vector<std::string> ruby(const std::string& script, std::vector<std::string> words = {}) {
    words.insert(words.begin(), {"ruby", "-w", std::string(HOMEWARD_RUBY_TESTS) + "/" + script});
    return words;
}

CommandResult run_ruby(const NatsServer& nats, const std::string& script,
                       const std::vector<std::string>& words = {}) {
    ProcessOptions options;
    options.environment = environment_of(nats);
    return run_command(ruby(script, words), options, 120s);
}

/// Messages of the region's audit stream; each script below sends its few events in frames.
std::int64_t messages_in_stream(const NatsServer& nats) {
    NatsClient client(nats.port());
    const auto info =
        nlohmann::json::parse(client.request("$JS.API.STREAM.INFO.HOMEWARD_AUDIT_ams", ""));
    return info.at("state").at("messages").get<std::int64_t>();
}

}  // namespace

TEST_CASE("a script that just ends has sent all that it emitted, and never crashes") {
    NatsServer nats;
    make_stream(nats, StreamKind::audit);
    const int rounds = kIsFull ? 200 : 16;
    for (int i = 0; i < rounds; ++i) {
        const std::int64_t before = messages_in_stream(nats);
        const char* const how[] = {"", "thread", "raise"};
        const CommandResult ran = run_ruby(nats, "short_script.rb", {"3", how[i % 3]});
        INFO(i << ": " << ran.exit_code << "\n" << ran.output);
        REQUIRE(ran.exit_code == (i % 3 == 2 ? 1 : 0));
        CHECK(messages_in_stream(nats) > before);
    }
}

TEST_CASE("at exit a Ruby app flushes what it has no spool for: 1,000 events are 1,000 rows") {
    Bridge bridge;
    bridge.start_consumer();
    const CommandResult ran = run_ruby(bridge.leaf(), "short_script.rb", {"1000"});
    INFO(ran.output);
    REQUIRE(ran.exit_code == 0);
    const std::string count = "SELECT count(*) FROM audit_events WHERE actor = 'script'";
    wait_until(20s, [&] { return bridge.leader().number(count) == 1000; });
    CHECK(bridge.leader().number(count) == 1000);
}

TEST_CASE("no value that a request can hold makes an emit raise, nor does a signal handler") {
    Bridge bridge;
    bridge.start_consumer();
    const CommandResult ran = run_ruby(bridge.leaf(), "odd_values.rb");
    INFO(ran.output);
    CHECK(ran.exit_code == 0);
    const std::string bad = "\xef\xbf\xbd";
    const std::vector<std::vector<std::string>> rows{{"Latin-1", "café"},
                                                     {"UTF-16", "café"},
                                                     {"binary", bad + bad + bad},
                                                     {"binary that is UTF-8", "café"},
                                                     {"half of a pair", bad + bad + bad},
                                                     {"invalid UTF-8", "caf" + bad}};
    const auto scrubbed = [&] {
        return bridge.leader().query(
            "SELECT resource, actor FROM audit_events"
            " WHERE action = 'scrub' ORDER BY resource COLLATE \"C\"");
    };
    wait_until(30s, [&] { return scrubbed().size() == rows.size(); });
    CHECK(scrubbed() == rows);
}

TEST_CASE("a Ruby app without on_log is warned on standard error") {
    ProcessOptions options;
    const int port = free_port();
    options.environment = {{"NATS_URL", "nats://127.0.0.1:" + std::to_string(port)},
                           {"HOMEWARD_LIBRARY", HOMEWARD_C_LIBRARY},
                           {"RUBYLIB", HOMEWARD_RUBY_DIR}};
    const CommandResult ran = run_command(ruby("short_script.rb", {"1"}), options, 60s);
    INFO(ran.output);
    CHECK(ran.output.find("homeward: warning: no connection to NATS at 127.0.0.1:" +
                          std::to_string(port)) != std::string::npos);
}

TEST_CASE("what Ruby threads and a forked child count and time are rows that add up") {
    Bridge bridge;
    bridge.start_consumer();
    const CommandResult ran = run_ruby(bridge.leaf(), "meter.rb");
    INFO(ran.output);
    REQUIRE(ran.exit_code == 0);
    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60", "--final"}, 90s);
    INFO(proof.output);
    CHECK(proof.exit_code == 0);
    const auto one = [&](const std::string& what, const std::string& name) {
        return bridge.leader().query("SELECT " + what + " FROM metric_points WHERE name = '" +
                                     name + "'")[0][0];
    };
    CHECK(one("sum(sum)::int8 || ' ' || count(DISTINCT origin)", "rb.requests") == "12107 2");
    CHECK(one("min(sum)::int8", "rb.requests") == "7");
    CHECK(one("min(attributes ->> 'route') || min(attributes ->> 'method') || min(unit)",
              "rb.requests") == "/ordersGET{request}");
    CHECK(one("sum(sum)::int8", "rb.open") == "2000");
    CHECK(one("sum(count) || ' ' || floor(sum(sum)) || ' ' || max(max)", "rb.seconds") ==
          "4002 6000 3");
    CHECK(one("max(value) || min(attributes ->> 'place')", "rb.heat") == "21.5caf\xef\xbf\xbd");
    CHECK(one("sum(sum)::int8", "rb.short") == "2020");
}

TEST_CASE("Ruby's decide() passes rules.json, and its middleware sends what was decided") {
    ProcessOptions options;
    options.environment = {{"HOMEWARD_LIBRARY", HOMEWARD_C_LIBRARY},
                           {"RUBYLIB", HOMEWARD_RUBY_DIR}};
    const CommandResult ran =
        run_command(ruby("replay_rules.rb", {HOMEWARD_REPLAY_RULES_JSON}), options, 60s);
    INFO(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(ran.output.empty());  // not even a warning
}

TEST_CASE("a forked worker's first emit does not wait for a NATS that does not answer") {
    NatsServer nats;
    make_stream(nats, StreamKind::audit);
    ProcessOptions options;
    options.environment = environment_of(nats);
    options.environment["NATS_PID"] = std::to_string(nats.pid());
    const CommandResult ran = run_command(ruby("forked_emit.rb"), options, 60s);
    nats.thaw();
    INFO(ran.output);
    REQUIRE(ran.exit_code == 0);
    std::istringstream lines(ran.output);
    int emits = 0;
    int ends = 0;
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string what;
        std::string value;
        words >> what >> value;
        if (what == "accepted") {
            ++emits;
            CHECK(std::stoi(value) < 500);  // 3,200 when it opened a publisher anew
        }
        if (line == "end 0 nil") ++ends;
    }
    CHECK(emits == 4);
    CHECK(ends == 4);
}

TEST_CASE("Puma with preload ends by TERM without a crash, and what its workers emitted is sent") {
    Bridge bridge;
    bridge.start_consumer();
    const auto rows_of = [&](const std::string& actor) {
        return bridge.leader().number("SELECT count(*) FROM audit_events WHERE actor = '" + actor +
                                      "'");
    };
    const int rounds = kIsFull ? 40 : 8;
    for (int i = 0; i < rounds; ++i) {
        const TempDir dir;
        const int port = free_port();
        ProcessOptions options;
        options.environment = environment_of(bridge.leaf());
        options.log = dir / "log";
        Process puma({"puma", "--preload", "-w", "2", "-t", "1:2", "-b",
                      "tcp://127.0.0.1:" + std::to_string(port),
                      std::string(HOMEWARD_RUBY_TESTS) + "/config.ru"},
                     options);
        const std::string url = "http://127.0.0.1:" + std::to_string(port) + "/";
        std::string answer;
        const bool is_up = wait_until(30s, [&] {
            answer = run_command({"curl", "-s", url}).output;
            return !answer.empty();
        });
        INFO(i << ":\n" << read_file(dir / "log"));
        REQUIRE(is_up);
        CHECK(answer == "accepted");
        const int code = puma.stop(20s);
        CHECK((code == 0 || code == 143));
        CHECK(wait_until(20s, [&] { return rows_of("master") == i + 1; }));
        CHECK(wait_until(20s, [&] { return rows_of("worker") == i + 1; }));
        const std::string log = read_file(dir / "log");
        CHECK(log.find("SEGV") == std::string::npos);
        CHECK(log.find("Segmentation") == std::string::npos);
    }
}
