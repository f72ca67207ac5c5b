// homeward-spool on what killed apps have left, through the whole line to the leader.

#include <nlohmann/json.hpp>

#include "schemas/nats/subject.hpp"
#include "tests/fault/load.hpp"
#include "tests/publisher/buffer/left_spool.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

CommandResult spool_command(const std::vector<std::string>& words) {
    std::vector<std::string> command{HOMEWARD_SPOOL_PROGRAM};
    command.insert(command.end(), words.begin(), words.end());
    return run_command(command);
}

nlohmann::json inspect(const std::filesystem::path& spool) {
    const CommandResult result = spool_command({"inspect", spool, "--json"});
    REQUIRE(result.exit_code == 0);
    return nlohmann::json::parse(result.output).at("runs");
}

/// Of the one origin of class audit that has this publisher.
nlohmann::json proof_of(const Bridge& bridge, const std::string& publisher) {
    const CommandResult proof = bridge.consumer_command({"proof", "--json", "--final"});
    const auto json = nlohmann::json::parse(proof.output);
    for (const auto& origin : json.at("origins")) {
        const auto id = PublisherId::parse(origin.at("publisher").get<std::string>());
        if (id->hex() == publisher && origin.at("class") == "audit") return origin;
    }
    return {};
}

}  // namespace

TEST_CASE("what a killed app has left is shown and drained by the tool, and nothing lands twice") {
    // Method: the leaf dies, so that the app's events pile up in its log; then the app is killed;
    // then the leaf is back, the tool drains, and the journal judges.
    Bridge bridge;
    bridge.start_consumer();
    Load load(bridge);
    const auto spool = bridge.dir() / "spool";
    load.start();
    REQUIRE(wait_until(120s, [&] { return bridge.metric("homeward_rows_total") > 500; }));
    bridge.leaf().kill();
    nlohmann::json alive;
    REQUIRE(wait_until(60s, [&] {
        alive = inspect(spool);
        return alive.size() == 1 && alive[0].at("events") > 1500;
    }));
    CHECK(alive[0].at("state") == "alive");
    load.kill();

    const auto left = inspect(spool);
    REQUIRE(left.size() == 1);
    CHECK(left[0].at("state") == "left");
    CHECK(left[0].at("region") == "ams");
    CHECK(left[0].at("events") > 1000);
    CHECK(left[0].at("possible_duplicates") == false);
    CHECK(left[0].at("audit").at("lost_events") == 0);
    const CommandResult text = spool_command({"inspect", spool});
    CHECK(text.output.find("its process is gone") != std::string::npos);

    const std::vector<std::string> drain{"drain", spool, "--server", bridge.leaf().url()};
    auto impatient = drain;
    impatient.insert(impatient.end(), {"--wait", "1"});
    const CommandResult failed = spool_command(impatient);
    CHECK(failed.exit_code == 1);
    CHECK(failed.output.find("1 publishers' events are still here") != std::string::npos);
    CHECK(inspect(spool)[0].at("events") == left[0].at("events"));

    bridge.leaf().start();
    const CommandResult drained = spool_command(drain);
    INFO(drained.output);
    CHECK(drained.exit_code == 0);
    CHECK(inspect(spool).empty());
    CHECK(spool_command(drain).exit_code == 0);  // nothing to do is no error

    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60", "--final"}, 90s);
    const Verdict verdict = load.verdict();
    INFO(proof.output << verdict.to_string());
    CHECK(proof.exit_code == 0);
    CHECK(verdict.is_clean());
    CHECK(verdict.accepted > 1000);
}

TEST_CASE("after a restart of the machine lanes come under a new origin, and both declare it") {
    // Method: a spool as a power cut leaves it: most frames have left and are on the leader, one
    // is damaged in the log, and events wait in a lane. The boot id is not this machine's.
    Bridge bridge;
    bridge.start_consumer();
    LeftSpool left;
    left.restart_machine();
    std::string log = left.bytes_of(left.log_file());
    log[log.size() - 40] ^= 1;  // in the body of the last frame: events 309 and 310
    left.put_back(left.log_file(), log);
    NatsClient client(bridge.leaf().port());
    for (const std::string& frame : left.released_frames()) {
        client.publish(frame_subject(EventClass::audit, "ams", "shop"), frame);
    }
    CHECK(inspect(left.spool())[0].at("possible_duplicates") == true);

    const CommandResult drained =
        spool_command({"drain", left.spool(), "--server", bridge.leaf().url()});
    INFO(drained.output);
    CHECK(drained.exit_code == 0);
    CHECK(drained.output.find("the machine has restarted since") != std::string::npos);
    const std::string before = left.identity().publisher.hex();
    const std::size_t at = drained.output.find("goes out as publisher ");
    REQUIRE(at != std::string::npos);
    const std::string after = drained.output.substr(at + 22, 32);

    REQUIRE(wait_until(60s, [&] {
        return bridge.leader().number("SELECT count(*) FROM audit_events") == 308 + 5 &&
               bridge.leader().number("SELECT count(*) FROM homeward.possible_duplicate") >= 2;
    }));
    const auto old_origin = proof_of(bridge, before);
    CHECK(old_origin.at("state") == "interrupted");
    CHECK(old_origin.at("possible_duplicates") == true);
    CHECK(old_origin.at("accepted") == 310);
    CHECK(old_origin.at("committed") == 308);
    CHECK(old_origin.at("missing") == 2);  // lost with the machine, and said so
    const auto new_origin = proof_of(bridge, after);
    CHECK(new_origin.at("state") == "complete");
    CHECK(new_origin.at("possible_duplicates") == true);
    CHECK(new_origin.at("committed") == 5);
    CHECK(new_origin.at("region") == "ams");
    CHECK(new_origin.at("duplicated") == 0);
}
