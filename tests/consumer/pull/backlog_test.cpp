// A long backlog, a leader that is away, and a leader that is slow: memory stays bounded, and
// nothing is delivered a second time.

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "schemas/nats/subject.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kFrameEvents = 400;

// What a sanitizer keeps beside the program's own memory is not the consumer's.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::int64_t kPeakMaxMiB = 2'560;
#else
constexpr std::int64_t kPeakMaxMiB = 256;
#endif

bool is_full() {
    return std::getenv("HOMEWARD_FULL") != nullptr;
}

/// The most memory that a process has ever had resident.
std::int64_t peak_mib(pid_t pid) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string word; status >> word;) {
        if (word != "VmHWM:") continue;
        std::int64_t kib = 0;
        status >> kib;
        return kib / 1024;
    }
    return -1;
}

void expect_clean(Bridge& bridge) {
    const CommandResult proof =
        bridge.consumer_command({"proof", "--wait", "1200", "--final"}, 1300s);
    INFO(proof.output << bridge.consumer_log());
    CHECK(proof.exit_code == 0);
}

/// How many messages the stream has delivered and not seen acknowledged.
std::int64_t in_hand(Bridge& bridge) {
    NatsClient client(bridge.leaf().port());
    const std::string durable = durable_name(StreamKind::audit, "ams");
    const auto info = nlohmann::json::parse(
        client.request("$JS.API.CONSUMER.INFO.HOMEWARD_AUDIT_ams." + durable, ""));
    return info.at("num_ack_pending").get<std::int64_t>();
}

}  // namespace

TEST_CASE("a long backlog and an outage of the leader in its midst stay below 256 MiB") {
    // Method: 500,000 events wait (10 million with --full); the leader goes away while they are
    // drained, for longer than ack_wait. Whatever is in hand must be spoken for all the while.
    const std::uint64_t events = is_full() ? 10'000'000 : 500'000;
    const auto outage = is_full() ? 60s : 6s;
    BridgeOptions options;
    options.environment = {{"HOMEWARD_PULL_ACK_WAIT_MS", "4000"}};
    Bridge bridge(options);
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    for (std::uint64_t seq = 1; seq <= events; seq += kFrameEvents) {
        sender.send(sender.frame(seq, kFrameEvents));
    }
    bridge.start_consumer();
    CHECK(wait_until(60s, [&] { return bridge.metric("homeward_rows_total") > 0; }));
    bridge.leader().stop();
    CHECK(bridge.metric("homeward_rows_total") < static_cast<double>(events));
    sleep_ms(static_cast<int>(std::chrono::milliseconds(outage).count()));
    bridge.leader().start();
    expect_clean(bridge);
    CHECK(bridge.leader().number("SELECT count(*) FROM audit_events") ==
          static_cast<std::int64_t>(events));
    CHECK(bridge.metric("homeward_redelivered_total") == 0);
    const std::int64_t peak = peak_mib(bridge.consumer().pid());
    std::printf("%llu events, outage of %lld s: at most %lld MiB resident\n",
                static_cast<unsigned long long>(events), static_cast<long long>(outage.count()),
                static_cast<long long>(peak));
    CHECK(peak > 0);
    if (kIsSanitized) {
        WARN("peak not judged: a sanitizer keeps what was freed");
    } else {
        CHECK(peak <= kPeakMaxMiB);
    }
    CHECK(bridge.stop_consumer() == 0);
}

TEST_CASE("from a slow leader no more is fetched than it can commit in time") {
    // Method: each COPY takes half a second, for 64 frames of one event at most: 128 frames a
    // second, and fifteen times as many in 15 s. Without that bound all of them would be in hand at
    // once. Most of these wait for longer than ack_wait.
    BridgeOptions options;
    options.environment = {{"HOMEWARD_PULL_ACK_WAIT_MS", "4000"},
                           {"HOMEWARD_BATCH_ROWS_MAX", "64"},
                           {"HOMEWARD_BATCH_WRITERS", "1"}};
    Bridge bridge(options);
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    bridge.leader().query(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$");
    bridge.leader().query(
        "CREATE TRIGGER slow AFTER INSERT ON audit_events FOR EACH STATEMENT"
        " EXECUTE FUNCTION slow()");
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    constexpr std::uint64_t kFrames = 6'000;
    for (std::uint64_t seq = 1; seq <= kFrames; ++seq) sender.send(sender.frame(seq, 1));
    bridge.start_consumer();
    CHECK(wait_until(60s, [&] { return bridge.metric("homeward_rows_total") >= 1'200; }));
    CHECK(in_hand(bridge) < 2'500);
    bridge.leader().query("DROP TRIGGER slow ON audit_events");
    expect_clean(bridge);
    CHECK(bridge.metric("homeward_redelivered_total") == 0);
    CHECK(bridge.stop_consumer() == 0);
}
