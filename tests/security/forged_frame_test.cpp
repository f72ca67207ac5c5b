// Boundary: who may write under an origin's id. The attacker has a login that may publish frames of
// the victim's region and app, and knows the victim's publisher id and next seqs. Each forged frame
// is sent before the true one.

#include <sys/wait.h>
#include <unistd.h>

#include <homeward/publisher.hpp>

#include "publisher/spool/run.hpp"
#include "schemas/nats/subject.hpp"
#include "schemas/wire/byte_order.hpp"
#include "schemas/wire/envelope.hpp"
#include "schemas/wire/frame.hpp"
#include "schemas/wire/frame_signature.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kEvents = 10;

FrameContent content_of(const std::string& actor, std::uint32_t events) {
    FrameContent content;
    for (std::uint32_t i = 0; i < events; ++i) {
        content.body += R"({"type":"audit","actor":")" + actor +
                        R"(","action":"b","resource":"r","outcome":"allowed"})" + "\n";
    }
    return content;
}

/// Sends what it is told, signed by `key` or not at all, under any id.
class Attacker {
  public:
    explicit Attacker(Bridge& bridge) : client_(bridge.leaf().port()) {}

    FrameHeader header_of(const PublisherId& publisher, std::uint64_t seq_first) const {
        FrameHeader header;
        header.version = envelope::kVersion;
        header.publisher = publisher;
        header.seq_first = seq_first;
        header.seq_count = header.line_count = kEvents;
        header.accepted = header.seq_last();
        return header;
    }
    void send(std::span<const std::byte> frame) {
        client_.publish(frame_subject(EventClass::audit, "ams", "shop"),
                        {reinterpret_cast<const char*>(frame.data()), frame.size()});
    }
    void send(const FrameHeader& header, const FrameContent& content, const SigningKey* key) {
        std::vector<std::byte> frame;
        REQUIRE(FrameEncoder().encode(header, content, key, frame));
        send(frame);
    }
    void send_version_1(FrameHeader header, const FrameContent& content) {
        header.version = 1;
        std::vector<std::byte> frame;
        REQUIRE(FrameEncoder().encode(header, content.body, frame));
        send(frame);
    }

  private:
    NatsClient client_;
};

std::int64_t count(Bridge& bridge, const std::string& from) {
    return bridge.leader().number("SELECT count(*) FROM " + from);
}

void expect_clean_proof(Bridge& bridge) {
    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60"}, 90s);
    INFO(proof.output << bridge.consumer_log());
    CHECK(proof.exit_code == 0);
    CHECK(proof.output.find("missing=0 duplicated=0") != std::string::npos);
}

constexpr const char* kEvent =
    R"({"actor":"victim","action":"b","resource":"r","outcome":"allowed"})";

PublisherOptions options_of(Bridge& bridge, const std::string& spool, std::uint8_t version) {
    PublisherOptions options;
    options.nats_urls = {bridge.leaf().url()};
    options.region = "ams";
    options.app = "shop";
    options.spool_dir = spool;
    options.frame_version = version;
    options.on_log = [](std::string_view) {};
    return options;
}

RunIdentity run_identity(const std::string& lane_dir) {
    RunIdentity identity;
    identity.region = "ams";
    identity.app = "shop";
    identity.lane_dir = lane_dir + "/lanes";
    return identity;
}

/// Emits into the spool, and dies before anything can have been sent.
[[noreturn]] void emit_and_die(PublisherOptions options, int events) {
    options.nats_urls = {"nats://127.0.0.1:1"};
    Publisher publisher(options);
    for (int i = 0; i < events; ++i) {
        if (publisher.emit_json("audit", EventClass::audit, kEvent) != EmitResult::accepted) {
            ::_exit(1);
        }
    }
    ::kill(::getpid(), SIGKILL);
    ::_exit(1);
}

}  // namespace

TEST_CASE("forged frames of a self-certifying origin settle none of its seqs") {
    Bridge bridge;
    bridge.start_consumer();
    Attacker sender(bridge);
    const SigningKey victim = SigningKey::generate();
    const SigningKey attacker = SigningKey::generate();
    const FrameHeader header = sender.header_of(victim.publisher(), 1);
    const FrameContent forged = content_of("attacker", kEvents);

    sender.send(header, forged, nullptr);
    sender.send_version_1(header, forged);
    {
        FrameHeader theirs = header;
        theirs.publisher = attacker.publisher();
        std::vector<std::byte> frame;
        REQUIRE(FrameEncoder().encode(theirs, forged, &attacker, frame));
        store(frame.data(), 16, victim.publisher().bytes);
        attacker.sign(frame);
        sender.send(frame);
        // The true frame, with one byte of its body changed.
        REQUIRE(FrameEncoder().encode(header, content_of("victim", kEvents), &victim, frame));
        frame.back() ^= std::byte{1};
        envelope::seal(frame);
        sender.send(frame);
    }
    REQUIRE(wait_until(30s, [&] { return count(bridge, "homeward.dead_letter") == 4; }));
    CHECK(count(bridge, "audit_events") == 0);
    // Nothing that they say of an origin is believed, not even that there is one.
    CHECK(count(bridge, "homeward.origin WHERE class = 'audit'") == 0);

    sender.send(header, content_of("victim", kEvents), &victim);
    REQUIRE(wait_until(30s, [&] { return count(bridge, "audit_events") == kEvents; }));
    CHECK(count(bridge, "audit_events WHERE actor = 'victim'") == kEvents);
    CHECK(count(bridge, "homeward.dead_letter WHERE reason LIKE '%not signed%'") == 2);
    CHECK(count(bridge, "homeward.dead_letter WHERE reason LIKE '%not its publisher''s%'") == 1);
    CHECK(count(bridge, "homeward.dead_letter WHERE reason LIKE '%does not fit%'") == 1);
    expect_clean_proof(bridge);
}

TEST_CASE("signed frames land in any order, with what they declare lost, and once") {
    Bridge bridge;
    Attacker sender(bridge);
    const SigningKey key = SigningKey::generate();
    for (int round = 0; round < 2; ++round) {
        for (const std::uint64_t seq_first : {21u, 1u, 11u}) {
            FrameHeader header = sender.header_of(key.publisher(), seq_first);
            FrameContent content = content_of("victim", kEvents);
            if (seq_first == 11) {
                content = content_of("victim", kEvents - 4);
                content.tombstones = {{0, 1, "damaged"}, {4, 3, "dropped"}};
                header.line_count = kEvents - 4;
            }
            sender.send(header, content, &key);
        }
    }
    bridge.start_consumer();
    REQUIRE(wait_until(30s, [&] { return count(bridge, "audit_events") == 26; }));
    CHECK(count(bridge, "audit_events WHERE seq IN (11, 15, 16, 17)") == 0);
    CHECK(bridge.leader().number("SELECT sum(seq_last - seq_first + 1) FROM homeward.tombstone") ==
          4);
    CHECK(count(bridge, "homeward.dead_letter") == 0);
    expect_clean_proof(bridge);
}

TEST_CASE("a frame of a newer version waits in its stream for a newer consumer") {
    Bridge bridge;
    bridge.environment()["HOMEWARD_PULL_ACK_WAIT_MS"] = "1000";
    bridge.start_consumer();
    Attacker sender(bridge);
    const FrameHeader header = sender.header_of(PublisherId{}, 1);
    std::vector<std::byte> frame;
    REQUIRE(FrameEncoder().encode(header, content_of("a", kEvents), nullptr, frame));
    frame[4] = std::byte{3};
    sender.send(frame);
    REQUIRE(wait_until(30s, [&] { return bridge.metric("homeward_newer_frames_total") >= 2; }));
    CHECK(count(bridge, "homeward.dead_letter") == 0);
    CHECK(bridge.consumer_log().find("newer version") != std::string::npos);
    // Others are not held up, and this one is still there at the end.
    FramePublisher other(bridge.leaf().port(), "ams", "shop");
    other.send(other.frame(1, kEvents));
    REQUIRE(wait_until(30s, [&] { return count(bridge, "audit_events") == kEvents; }));
    REQUIRE(wait_until(30s, [&] {
        return bridge.metric("homeward_stream_bytes{stream=\"HOMEWARD_AUDIT_ams\"}") > 0;
    }));
}

TEST_CASE("an event that poses as a tombstone buries no event but itself") {
    Bridge bridge;
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    std::vector<std::string> lines(101, audit_line("r"));
    lines[50] = R"({"type":"homeward.tombstone","reason":"x","count":50,"time":1700000000000000})";
    sender.send(sender.frame_of(1, lines));
    // In version 2 no line is a tombstone.
    Attacker raw(bridge);
    FrameHeader header = raw.header_of(PublisherId{}, 1);
    FrameContent content = content_of("a", kEvents - 1);
    content.body += R"({"type":"homeward.tombstone","reason":"x","count":1,"time":1})"
                    "\n";
    raw.send(header, content, nullptr);
    REQUIRE(wait_until(30s, [&] { return count(bridge, "audit_events") == 100 + kEvents - 1; }));
    CHECK(count(bridge, "homeward.dead_letter WHERE reason LIKE '%tombstone%'") == 2);
    CHECK(count(bridge, "homeward.tombstone") == 0);
    expect_clean_proof(bridge);
}

TEST_CASE("a forged frame of an unsigned origin that comes first is told from the true one") {
    BridgeOptions options;
    options.environment = {{"HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "3600000"}};
    SECTION("in another batch") {}
    SECTION("in the same batch") {
        options.environment["HOMEWARD_BATCH_DELAY_MS"] = "500";
        options.environment["HOMEWARD_BATCH_ADAPTIVE_DELAY"] = "false";
    }
    const bool is_one_batch = options.environment.size() > 1;
    Bridge bridge(options);
    bridge.start_consumer();
    FramePublisher victim(bridge.leaf().port(), "ams", "shop");
    Attacker attacker(bridge);
    attacker.send_version_1(attacker.header_of(victim.publisher, 1),
                            content_of("attacker", kEvents));
    if (!is_one_batch) {
        REQUIRE(wait_until(30s, [&] { return count(bridge, "audit_events") == kEvents; }));
    }
    const std::string true_frame = victim.frame(1, kEvents);
    victim.send(true_frame);
    const bool is_told_apart =
        wait_until(30s, [&] { return count(bridge, "homeward.conflict") == 1; });
    INFO(bridge.consumer_log());
    INFO(count(bridge, "homeward.conflict")
         << " conflicts, " << count(bridge, "audit_events") << " rows");
    REQUIRE(is_told_apart);
    CHECK(count(bridge,
                "homeward.conflict WHERE reason LIKE '%other bytes%'"
                " AND frame_bytes = " +
                    std::to_string(true_frame.size())) == 1);
    CHECK(wait_until(30s, [&] { return count(bridge, "audit_events") == kEvents; }));
    // A frame that comes again is the same to the byte.
    victim.send(victim.frame(kEvents + 1, kEvents));
    victim.send(victim.frame(kEvents + 1, kEvents));
    REQUIRE(wait_until(30s,
                       [&] { return count(bridge, "audit_events") == std::int64_t{kEvents} * 2; }));
    REQUIRE(
        wait_until(30s, [&] { return bridge.metric("homeward_skipped_events_total") == kEvents; }));
    CHECK(count(bridge, "homeward.conflict") == 1);
}

TEST_CASE("a frame whose seqs no publisher reaches leaves nothing in flight") {
    // A known publisher's and a stranger's, unsigned and signed, and a mark that only counts.
    Bridge bridge;
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, kEvents));
    REQUIRE(wait_until(30s, [&] { return count(bridge, "audit_events") == kEvents; }));
    constexpr std::uint64_t kHigh = INT64_MAX - 100;
    sender.send(sender.frame(kHigh, kEvents));
    sender.send(sender.frame(kEvents + 1, kEvents, kHigh));
    sender.send(sender.closing_mark(kHigh));
    Attacker stranger(bridge);
    const SigningKey key = SigningKey::generate();
    stranger.send(stranger.header_of(key.publisher(), kHigh), content_of("a", kEvents), &key);
    REQUIRE(wait_until(30s, [&] { return count(bridge, "homeward.dead_letter") == 4; }));
    CHECK(count(bridge, "homeward.dead_letter WHERE reason LIKE '%beyond 2^48%'") == 4);
    CHECK(count(bridge, "audit_events") == kEvents);
    CHECK(count(bridge, "homeward.origin WHERE class = 'audit'") == 1);
    // The publisher goes on, and its account is whole.
    sender.send(sender.frame(kEvents + 1, kEvents));
    REQUIRE(wait_until(30s,
                       [&] { return count(bridge, "audit_events") == std::int64_t{kEvents} * 2; }));
    CHECK(bridge.leader().query("SELECT accepted, in_flight FROM homeward.proof"
                                " WHERE class = 'audit'") == Rows{{"20", "0"}});
    expect_clean_proof(bridge);
}

TEST_CASE("a tombstone of 2^32 - 1 seqs buries none beyond its frame") {
    Bridge bridge;
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    std::vector<std::string> lines(12, audit_line("r"));
    const auto tombstone = [](const std::string& count) {
        return R"({"type":"homeward.tombstone","reason":"x","time":1700000000000000,"count":)" +
               count + "}";
    };
    // Three seqs are lost, and the header says so.
    lines[3] = tombstone("3");
    lines[4] = tombstone("4294967295");
    sender.send(sender.frame_of(1, lines, 0, 0, 2));
    sender.send(sender.frame(15, 6));
    REQUIRE(wait_until(30s, [&] { return count(bridge, "audit_events") == 16; }));
    CHECK(bridge.leader().query("SELECT seq_first, seq_last FROM homeward.tombstone") ==
          Rows{{"4", "6"}});
    CHECK(bridge.leader().query("SELECT seq FROM homeward.dead_letter") == Rows{{"7"}});
    CHECK(bridge.leader().query("SELECT accepted, in_flight FROM homeward.proof") ==
          Rows{{"20", "0"}});
    expect_clean_proof(bridge);
}

TEST_CASE("a publisher's run is signed to its end, also when another process sends what it left") {
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    // Method: a publisher of frame version 2 is killed with its events in lanes and log; another
    // process sends them, then the attacker goes on where they end.
    constexpr int kLeft = 500;
    Bridge bridge;
    bridge.start_consumer();
    TempDir spool;
    const pid_t child = ::fork();
    if (child == 0) emit_and_die(options_of(bridge, spool.path(), 2), kLeft);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    SECTION("a publisher of version 1") {
        Publisher publisher(options_of(bridge, spool.path(), 1));
        CHECK(wait_until(30s, [&] { return count(bridge, "audit_events") == kLeft; }));
        CHECK(publisher.close(20s).done);
    }
    SECTION("homeward-spool drain") {
        const CommandResult drained = run_command(
            {HOMEWARD_SPOOL_PROGRAM, "drain", spool.path(), "--server", bridge.leaf().url()});
        INFO(drained.output);
        CHECK(drained.exit_code == 0);
        CHECK(wait_until(30s, [&] { return count(bridge, "audit_events") == kLeft; }));
    }
    const auto publisher = PublisherId::parse(
        bridge.leader().query("SELECT publisher FROM homeward.origin").at(0).at(0));
    REQUIRE(publisher.has_value());
    CHECK(publisher->is_self_certifying());
    Attacker attacker(bridge);
    attacker.send_version_1(attacker.header_of(*publisher, kLeft + 1),
                            content_of("attacker", kEvents));
    REQUIRE(wait_until(30s, [&] { return count(bridge, "homeward.dead_letter") == 1; }));
    CHECK(count(bridge, "audit_events WHERE actor = 'victim'") == kLeft);
    expect_clean_proof(bridge);
}

TEST_CASE("a signed publisher sends what it drops and what it emits, and ends whole") {
    constexpr int kRounds = 3'000;
    Bridge bridge;
    bridge.start_consumer();
    Publisher publisher(options_of(bridge, "", 2));
    for (int i = 0; i < kRounds; ++i) {
        REQUIRE(publisher.emit_json("audit", EventClass::audit, kEvent) == EmitResult::accepted);
    }
    REQUIRE(publisher.close(30s).done);
    REQUIRE(wait_until(30s, [&] { return count(bridge, "audit_events") == kRounds; }));
    CHECK(count(bridge, "homeward.dead_letter") == 0);
    expect_clean_proof(bridge);
}

TEST_CASE("a run without the key that signs its frames is left alone") {
    TempDir spool;
    {
        const auto run =
            Run::create(spool.path(), run_identity(spool.path()), SigningKey::generate());
        CHECK(run->signing_key()->publisher() == run->identity().publisher);
        const auto key = run->directory() / "key";
        CHECK((std::filesystem::status(key).permissions() & std::filesystem::perms::all) ==
              (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
        CHECK(Run::inspect(run->directory()).finding == Run::Finding::alive);
        std::filesystem::resize_file(key, 31);
        CHECK(Run::inspect(run->directory()).finding == Run::Finding::damaged);
    }
}
