// What we tell an operator to run is run, by a shell and exactly as it is printed. The consumer has
// a configuration whose name has a blank, a quote and a dollar; its program is found by name.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "consumer/base/log_format.hpp"
#include "consumer/base/printed_commands.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using consumer::kPrintedCommands;
using consumer::runnable;

namespace {

/// Somebody with a shell, on the machine of a consumer that was started with --config.
class Operator {
  public:
    Operator() {
        std::ofstream(config_) << "[batch]\nwriters = 1\nbad_events_max = 5\n";
        const std::string programs =
            std::filesystem::path(HOMEWARD_CONSUMER_PROGRAM).parent_path().string();
        bridge.environment()["PATH"] = programs + ":" + std::getenv("PATH");
        bridge.environment()["HOMEWARD_LEDGER_COMPACT_INTERVAL_MS"] = "500";
        REQUIRE(types(with_options("schema apply")).exit_code == 0);
    }

    std::string with_options(const std::string& words) const {
        return "homeward-consumer --config " + quoted_ + " " + words;
    }
    CommandResult types(const std::string& command) {
        ProcessOptions options;
        options.environment = bridge.environment();
        return run_command({"/bin/sh", "-c", command}, options);
    }
    void start_consumer() {
        ProcessOptions options;
        options.environment = bridge.environment();
        options.log = log_;
        consumer_ = Process({"/bin/sh", "-c", "exec " + with_options("run")}, options);
        REQUIRE(wait_until(30s, [&] { return !bridge.admin("/livez").empty(); }));
    }
    void stop_consumer() { REQUIRE(consumer_.stop() == 0); }
    std::string log() const { return read_file(log_); }
    /// The command of this reason on the status page, once it is there.
    std::string remedy_of(const std::string& title) const {
        std::string command;
        wait_until(30s, [&] {
            const std::string page = bridge.admin("/status.json");
            const std::size_t at = page.find("\"title\":\"" + title);
            if (at == std::string::npos) return false;
            // Keys are in the order of the alphabet.
            const std::string key = R"("command":")";
            const std::size_t begin = page.rfind(key, at) + key.size();
            command = page.substr(begin, page.find(R"(",")", begin) - begin);
            return true;
        });
        for (std::size_t at = 0; (at = command.find("\\\\", at)) != std::string::npos; ++at) {
            command.erase(at, 1);
        }
        return command;
    }

    /// The command that is printed behind these words; empty when it is none that we know.
    std::string printed(const std::string& text, const std::string& behind) const {
        const std::size_t at = text.find(behind);
        const std::size_t begin = text.find("homeward-consumer ", at);
        if (at == std::string::npos || begin == std::string::npos) return "";
        const auto is_here = [&](const char* command) {
            return text.compare(begin, as_printed(command).size(), as_printed(command)) == 0;
        };
        const auto* const found =
            std::find_if(kPrintedCommands.begin(), kPrintedCommands.end(), is_here);
        return found == kPrintedCommands.end() ? "" : as_printed(*found);
    }
    std::string as_printed(const char* command) const {
        return runnable(command, "homeward-consumer --config " + quoted_);
    }
    std::string check() { return types(with_options("check")).output; }

    Bridge bridge{{{}, {{"HOMEWARD_SOURCES", "ams@ams"}}}};

  private:
    const std::string config_ = bridge.dir() / "a 'b' $1 config.toml";
    const std::string quoted_ =
        "'" + (bridge.dir() / "a '\\''b'\\'' $1 config.toml").string() + "'";
    const std::string log_ = bridge.dir() / "operator.log";
    Process consumer_;
};

/// Runs what was printed: it must be this command, and end well.
std::string run_printed(Operator& person, const std::string& printed, const char* command,
                        int exit_code = 0) {
    CHECK(printed == person.as_printed(command));
    const CommandResult result = person.types(printed);
    INFO(printed << "\n" << result.output);
    CHECK(result.exit_code == exit_code);
    CHECK_THAT(result.output, !Contains("Try 'homeward-consumer --help'"));
    return result.output;
}

}  // namespace

TEST_CASE("every command that we print runs as printed, beside a consumer that is well") {
    Operator person;
    person.start_consumer();
    for (const char* const command : kPrintedCommands) {
        const CommandResult result = person.types(person.as_printed(command));
        INFO(person.as_printed(command) << "\n" << result.output << person.log());
        CHECK(result.exit_code == 0);
    }
    // What this test would say of a command that is none.
    CHECK(person.types(person.with_options("stream apply")).exit_code == 2);
    CHECK(person.types(person.with_options("dead-letters lst")).exit_code == 2);
}

TEST_CASE("what check prints mends what it found") {
    Operator person;
    PostgresServer& leader = person.bridge.leader();
    NatsClient leaf(person.bridge.leaf().port());
    REQUIRE(person.types(person.with_options("check")).exit_code == 0);

    leaf.request("$JS.API.STREAM.DELETE.HOMEWARD_METRIC_ams", "");
    run_printed(person, person.printed(person.check(), "HOMEWARD_METRIC_ams or its durable"),
                consumer::command::kStreamsApply);
    leaf.request("$JS.API.CONSUMER.DURABLE.CREATE.HOMEWARD_PLAIN_ams.homeward_plain_ams",
                 R"({"stream_name":"HOMEWARD_PLAIN_ams","config":{)"
                 R"("durable_name":"homeward_plain_ams","ack_policy":"explicit",)"
                 R"("deliver_policy":"all","max_deliver":1,"ack_wait":1000000000,)"
                 R"("max_ack_pending":16384,"replay_policy":"instant"}})");
    run_printed(person, person.printed(person.check(), "gives a message up after 1"),
                consumer::command::kStreamsApply);
    person.bridge.environment()["HOMEWARD_STREAMS_AUDIT_BYTES_MAX"] = "104857600";
    CHECK_THAT(run_printed(person, person.printed(person.check(), "changes of streams"),
                           consumer::command::kStreamsPlan),
               Contains("HOMEWARD_AUDIT_ams"));
    person.bridge.environment().erase("HOMEWARD_STREAMS_AUDIT_BYTES_MAX");

    leader.query("ALTER TABLE audit_events RENAME COLUMN actor TO who");
    run_printed(person, person.printed(person.check(), "lacks actor, and has who"),
                consumer::command::kSchemaApply);
    leader.query("ALTER TABLE audit_events DROP COLUMN who, DROP COLUMN request_id");
    CHECK_THAT(run_printed(person, person.printed(person.check(), "schema changes are due"),
                           consumer::command::kSchemaPlan),
               Contains("request_id"));
    leader.query("SET client_min_messages = warning; DROP SCHEMA homeward CASCADE");
    person.bridge.environment()["HOMEWARD_SCHEMA_AUTOMATIC"] = "false";
    run_printed(person, person.printed(person.check(), "schema homeward is not there"),
                consumer::command::kSchemaApply);
    CHECK_THAT(person.check(), !Contains("WRONG"));

    // SQL is printed to be run, too.
    person.bridge.environment()["HOMEWARD_POSTGRES_EVENT_SCHEMA"] = "order";
    const std::string said = person.check();
    const std::size_t begin = said.find("CREATE SCHEMA");
    INFO(said);
    REQUIRE(begin != std::string::npos);
    leader.query(said.substr(begin, said.find('\n', begin) - begin));
    CHECK_THAT(person.check(), !Contains("of postgres.event_schema is not there"));
}

TEST_CASE("what run prints when it gives up or waits for an operator runs as printed") {
    Operator person;
    NatsClient(person.bridge.leaf().port()).request("$JS.API.STREAM.DELETE.HOMEWARD_PLAIN_ams", "");
    const CommandResult refused = person.types(person.with_options("run"));
    CHECK(refused.exit_code == 2);
    run_printed(person, person.printed(refused.output, "HOMEWARD_PLAIN_ams"),
                consumer::command::kStreamsApply);

    person.start_consumer();
    FramePublisher sender(person.bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    REQUIRE(wait_until(30s, [&] { return person.bridge.metric("homeward_rows_total") == 10; }));
    person.stop_consumer();
    PostgresServer other;
    person.bridge.environment()["HOMEWARD_POSTGRES_URL"] = other.url();
    person.start_consumer();
    sender.send(sender.frame(11, 10));
    CHECK(run_printed(person, person.remedy_of("writing pauses"), consumer::command::kCheck) != "");
    run_printed(person, person.printed(person.log(), "this leader is refused"),
                consumer::command::kLeaderAccept);
    CHECK(wait_until(30s, [&] { return person.bridge.metric("homeward_rows_total") == 10; }));
    person.stop_consumer();
}

TEST_CASE("remedies of the status page and the log run as printed while what they mend lasts") {
    Operator person;
    person.start_consumer();
    NatsClient leaf(person.bridge.leaf().port());
    FramePublisher sender(person.bridge.leaf().port(), "ams", "shop");

    leaf.publish("homeward.plain.ams.shop", "no JSON");
    CHECK_THAT(run_printed(person, person.remedy_of("dead letters wait"),
                           consumer::command::kDeadLettersList),
               Contains("1 of 1"));
    CHECK(person.printed(person.log(), "1 dead letter of ams/shop") ==
          person.as_printed(consumer::command::kDeadLettersList));

    std::string flood = audit_line("good") + "\n";
    for (int i = 0; i < 20; ++i) flood += "{\"type\":\"audit\",\"actor\":7}\n";
    leaf.publish("homeward.plain.ams.flood", flood);
    REQUIRE(wait_until(
        30s, [&] { return person.log().find("ams/flood is held") != std::string::npos; }));
    CHECK_THAT(run_printed(person, person.printed(person.log(), "ams/flood is held"),
                           consumer::command::kDeadLettersSources),
               Contains("flood"));

    const double rows = person.bridge.metric("homeward_rows_total");
    sender.send(sender.frame(1, 10));
    REQUIRE(
        wait_until(30s, [&] { return person.bridge.metric("homeward_rows_total") == rows + 10; }));
    sender.send(sender.frame(6, 10));
    CHECK_THAT(run_printed(person, person.remedy_of("frames are quarantined"),
                           consumer::command::kConflictsList),
               Contains("shop"));

    person.bridge.leader().query(
        "ALTER TABLE audit_events ALTER COLUMN actor TYPE integer USING 0");
    sender.send(sender.frame(16, 5));
    CHECK_THAT(run_printed(person, person.remedy_of("events of type audit are held"),
                           consumer::command::kCheck, 1),
               Contains("column \"actor\""));
    CHECK(person.printed(person.log(), "event type \"audit\" is held") ==
          person.as_printed(consumer::command::kCheck));

    person.bridge.leaf().kill();
    CHECK_THAT(run_printed(person, person.remedy_of("region ams does not answer"),
                           consumer::command::kCheck, 1),
               Contains("WRONG"));
}
