// Garbage into the streams, through the whole line: each message becomes rows or dead letters with
// a reason that a person understands, the consumer goes on, and the proof adds up.

#include <chrono>
#include <cstring>
#include <map>
#include <random>

#include "schemas/nats/subject.hpp"
#include "schemas/wire/crc32c.hpp"
#include "schemas/wire/frame.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/servers/bridge.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr const char* kGoodLine =
    R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed"})";

std::string to_text(const std::vector<std::byte>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A whole frame of a fresh publisher, all of whose lines are `body`.
std::string frame_of(const std::string& body, std::uint32_t lines, std::uint32_t seqs = 0) {
    FrameHeader header;
    header.publisher = PublisherId::random();
    header.seq_count = seqs == 0 ? lines : seqs;
    header.line_count = lines;
    header.accepted = header.seq_count;
    header.cut_time_us = 1'700'000'000'000'000;
    std::vector<std::byte> frame;
    FrameEncoder encoder;
    REQUIRE(encoder.encode(header, body, frame));
    return to_text(frame);
}

/// Gives a frame that was tampered with a right checksum again.
std::string with_checksum(std::string frame) {
    const auto bytes = std::as_bytes(std::span<const char>(frame));
    const std::uint32_t sum = crc32c(bytes.subspan(kFrameHeaderBytes), crc32c(bytes.first(64)));
    std::memcpy(frame.data() + 64, &sum, sizeof sum);
    return frame;
}

std::string with_field(std::string frame, std::size_t offset, std::uint32_t value) {
    std::memcpy(frame.data() + offset, &value, sizeof value);
    return with_checksum(std::move(frame));
}

class Garbage {
  public:
    explicit Garbage(Bridge& bridge) : bridge_(bridge), client_(bridge.leaf().port()) {}

    void frame(const std::string& data) {
        client_.publish(frame_subject(EventClass::audit, "ams", "shop"), data);
    }
    void plain(const std::string& data) { client_.publish(plain_subject("ams", "web"), data); }

    /// Waits until the proof has nothing in flight; it must be clean.
    void settle() {
        const CommandResult proof =
            bridge_.consumer_command({"proof", "--wait", "30", "--final"}, 60s);
        INFO(proof.output << bridge_.consumer_log());
        CHECK(proof.exit_code == 0);
    }
    std::int64_t rows() { return bridge_.leader().number("SELECT count(*) FROM audit_events"); }
    /// The only dead letter's reason; it is discarded then.
    std::string take_reason() {
        const Rows found = bridge_.leader().query("SELECT reason FROM homeward.dead_letter");
        INFO(bridge_.consumer_log());
        REQUIRE(found.size() == 1);
        bridge_.leader().query(
            "WITH gone AS (DELETE FROM homeward.dead_letter RETURNING *)"
            " INSERT INTO homeward.tombstone (origin, seq_first, seq_last, reason)"
            " SELECT origin, seq, seq, 'looked_at' FROM gone");
        return found[0][0];
    }

  private:
    Bridge& bridge_;
    NatsClient client_;
};

}  // namespace

TEST_CASE("whatever arrives becomes a row or a dead letter with a reason, and the proof is clean") {
    // Method: real servers and a plain NATS client that publishes what no publisher of ours would.
    Bridge bridge;
    bridge.start_consumer();
    Garbage garbage(bridge);
    const auto reason_of = [&](auto&& send) {
        send();
        garbage.settle();
        return garbage.take_reason();
    };
    const auto plain = [&](const std::string& data) {
        return reason_of([&] { garbage.plain(data); });
    };
    const auto frame = [&](const std::string& data) {
        return reason_of([&] { garbage.frame(data); });
    };
    using Catch::Matchers::Contains;

    // Events from a plain client, without any header.
    CHECK_THAT(plain("{\"type\":\"audit\",\"actor\":"), Contains("not valid JSON"));
    CHECK_THAT(plain("not JSON at all"), Contains("not valid JSON"));
    CHECK_THAT(plain(""), Contains("empty"));
    CHECK_THAT(plain("[1,2]"), Contains("not a JSON object"));
    CHECK_THAT(plain(R"({"actor":"a"})"), Contains("type"));
    CHECK_THAT(plain(R"({"type":"no_such","a":1})"), Contains("unknown event type"));
    CHECK_THAT(plain(R"({"type":"\"; drop table audit_events; --"})"),
               Contains("can never be an event type"));
    CHECK_THAT(plain(R"({"type":"audit","actor":"a","action":"b","outcome":"allowed"})"),
               Contains("\"resource\" is missing"));
    CHECK_THAT(
        plain(R"({"type":"audit","actor":7,"action":"b","resource":"r","outcome":"allowed"})"),
        Contains("\"actor\" is not a string"));
    CHECK_THAT(
        plain(R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"perhaps"})"),
        Contains("enum"));
    CHECK_THAT(plain(R"({"type":"metric","name":"m","kind":"gauge","value":"ten"})"),
               Contains("\"value\" is not a number"));
    CHECK_THAT(plain("{\"type\":\"audit\",\"actor\":\"\xff\xfe\"}"), Contains("not valid JSON"));
    CHECK(garbage.rows() == 0);

    // What is odd, but an event.
    garbage.plain(kGoodLine);
    garbage.plain(std::string(kGoodLine) + "\n" + kGoodLine + "\n");
    garbage.plain(
        R"({"type":"audit","actor":"a\u0000b","action":"b","resource":"r","outcome":"allowed"})");
    garbage.settle();
    CHECK(garbage.rows() == 4);
    CHECK(bridge.leader().number("SELECT count(*) FROM audit_events WHERE actor = E'a\\uFFFDb'") ==
          1);

    // Frames.
    const std::string good = frame_of(std::string(kGoodLine) + "\n", 1);
    CHECK_THAT(frame(good.substr(0, good.size() - 7)), Contains("cut short"));
    CHECK_THAT(frame(good.substr(0, 20)), Contains("cut short"));
    CHECK_THAT(frame("HWF"), Contains("cut short"));
    CHECK_THAT(frame(kGoodLine), Contains("does not begin with HWF1"));
    std::string damaged = good;
    damaged[damaged.size() - 3] ^= 0x10;
    CHECK_THAT(frame(damaged), Contains("checksum"));
    CHECK_THAT(frame(good + "x"), Contains("longer than its frame header says"));
    CHECK_THAT(frame(with_field(good, 56, 0xffffffff)), Contains("size caps"));  // claims 4 GB
    CHECK_THAT(frame(with_field(good, 56, 60)), Contains("does not decompress"));
    CHECK_THAT(frame(with_field(good, 56, 4u << 20)), Contains("size caps"));  // a bomb
    CHECK_THAT(frame(frame_of(std::string(kGoodLine) + "\n", 1, 9)), Contains("do not add up"));
    CHECK_THAT(frame(frame_of("{\"type\":\"audit\"\n", 1)), Contains("not valid JSON"));
    CHECK(garbage.rows() == 4);

    // And after all this an honest frame still lands.
    garbage.frame(frame_of(std::string(kGoodLine) + "\n", 1));
    garbage.settle();
    CHECK(garbage.rows() == 5);
    CHECK(bridge.stop_consumer() == 0);
}

TEST_CASE("the odd and the monstrous become rows or dead letters side by side, in one frame each") {
    // Method: lines with what breaks parsers and databases, good ones between them; the leader
    // itself must take every row, and every reason.
    Bridge bridge;
    bridge.start_consumer();
    Garbage garbage(bridge);
    std::mt19937_64 random(7);
    const auto noise = [&](std::size_t bytes) {  // compresses little, or it would be a bomb
        std::string text(bytes, ' ');
        for (char& c : text) c = "0123456789abcdefghijklmnopqrstuv"[random() % 32];
        return text;
    };
    const auto with_detail = [](const std::string& json) {
        return R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed",)"
               R"("value":)" +
               json + "}";
    };
    const auto with_more = [](const std::string& fields) {
        return R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed",)" +
               fields + "}";
    };
    std::string keys = "{";
    for (int i = 0; i < 100'000; ++i) keys += "\"" + std::to_string(i) + "\":1,";
    const std::vector<std::pair<std::string, std::string>> lines{
        // what it is, the reason of its dead letter; none: it is a row
        {with_detail(std::string(1'000, '[') + std::string(1'000, ']')), ""},
        {with_detail(std::string(5'000, '[') + std::string(5'000, ']')), "not valid JSON"},
        {with_detail(keys + "\"k\":2}"), ""},
        {with_detail("{\"a\":1,\"a\":2}"), ""},
        {with_detail("[-0,0e1,1E+2,5e-324,1e-400,18446744073709551615]"), ""},
        {with_detail("\"\\u0000\\ud83d\\ude00\\u2028\""), ""},
        {with_detail("\"\xe2\x80\xa8\xef\xbb\xbf\\/\""), ""},
        {with_detail("[1e400]"), ""},
        {with_detail("[NaN]"), "not valid JSON"},
        {with_detail("\"\\ud800\""), "not valid JSON"},
        {with_detail("\"\xc0\x80\""), "not valid JSON"},
        {with_detail("{\"a\":01}"), "not valid JSON"},
        {with_detail("{\"a\":1,}"), "not valid JSON"},
        {with_detail("{} {}"), "not valid JSON"},
        {"\xef\xbb\xbf" + with_detail("1"), "not valid JSON"},
        {with_more("\"actor\":\"b\""), "duplicate key"},
        {with_more("\"time\":\"294277-01-09T04:00:54Z\""), "is not RFC 3339"},
        {with_more("\"time\":9223372036854775807"), "looks like nanoseconds"},
        {with_more("\"more\":\"" + noise(1'300'000) + "\""), "larger than 1 MiB"},
        {with_more("\"request_id\":\"" + noise(100'000) + "\""), "longer than 64 KiB"},
        {with_more("\"more\":\"" + noise(500'000) + "\""), ""},
        {R"({"type":"\"; drop table audit_events; --","a":1})", "can never be an event type"},
    };
    std::int64_t good = 0;
    for (const auto& [line, reason] : lines) {
        garbage.frame(frame_of(std::string(kGoodLine) + "\n" + line + "\n" + kGoodLine + "\n", 3));
        good += reason.empty() ? 3 : 2;
    }
    garbage.settle();
    CHECK(garbage.rows() == good);
    std::map<std::string, std::int64_t> reasons;
    for (const auto& [line, reason] : lines) {
        if (!reason.empty()) ++reasons[reason];
    }
    for (const auto& [reason, count] : reasons) {
        INFO(reason);
        CHECK(bridge.leader().number(
                  "SELECT count(*) FROM homeward.dead_letter WHERE reason LIKE '%" + reason +
                  "%'") == count);
    }
    CHECK(bridge.leader().number(
              "SELECT count(*) FROM audit_events WHERE extra::text LIKE '%\xef\xbf\xbd😀%'") == 1);
    CHECK(bridge.stop_consumer() == 0);
}

TEST_CASE(
    "fields of 8 MB and whatever a server lets through become dead letters, in bounded memory") {
    // Method: servers that take 16 MiB a message, and a client that uses it, again and again.
    Bridge bridge;
    for (NatsServer* server : {&bridge.hub(), &bridge.leaf()})
        server->reload("max_payload: 16777216");
    bridge.start_consumer();
    Garbage garbage(bridge);
    const std::string large(8u << 20, 'x');
    constexpr int kRounds = 5;
    for (int i = 0; i < kRounds; ++i) {
        garbage.plain(R"({"type":"audit","actor":")" + large +
                      R"(","action":"b","resource":"r","outcome":"allowed"})");
        garbage.plain(R"({"type":"audit",")" + large + R"(":1})");
        garbage.plain(large);
        garbage.plain(kGoodLine);
    }
    const auto letters = [&] {
        return bridge.leader().number(
            "SELECT count(*) FROM homeward.dead_letter WHERE octet_length(payload) >= 8388608"
            " AND reason = 'larger than 1 MiB'");
    };
    // Of 120 MB; with a sanitizer that takes minutes.
    CHECK(wait_until(300s, [&] { return garbage.rows() == kRounds && letters() == 3 * kRounds; }));
    garbage.settle();
    CHECK(garbage.rows() == kRounds);
    CHECK(letters() == 3 * kRounds);
    const std::string status =
        read_file("/proc/" + std::to_string(bridge.consumer().pid()) + "/status");
    const std::size_t at = status.find("VmHWM:");
    REQUIRE(at != std::string::npos);
    if (!kIsSanitized) CHECK(std::stol(status.substr(at + 6)) < 512 * 1024);
    CHECK(bridge.stop_consumer() == 0);
}

TEST_CASE("three bad events among five thousand leave the others alone") {
    // Method: what only PostgreSQL can refuse - a constraint of the user's own, jsonb that it
    // cannot hold, a trigger - in one batch with good events.
    BridgeOptions options;
    options.environment = {{"HOMEWARD_BATCH_DELAY_MS", "300"},
                           {"HOMEWARD_BATCH_ADAPTIVE_DELAY", "false"}};
    Bridge bridge(options);
    const CommandResult applied = bridge.consumer_command({"schema", "apply"});
    REQUIRE(applied.exit_code == 0);
    bridge.leader().query(
        "ALTER TABLE audit_events ADD CONSTRAINT no_root CHECK (actor <> 'root')");
    bridge.leader().query("CREATE UNIQUE INDEX ON audit_events (request_id, time)");
    bridge.leader().query(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no such resource'; END $$");
    bridge.leader().query(
        "CREATE TRIGGER refuse BEFORE INSERT ON audit_events FOR EACH ROW"
        " WHEN (new.resource = 'nowhere') EXECUTE FUNCTION refuse()");
    bridge.start_consumer();
    Garbage garbage(bridge);
    const std::string time_us =
        std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(
                           std::chrono::system_clock::now().time_since_epoch())
                           .count());
    const auto line = [&](int i) {
        const char* actor = i == 777 ? "root" : "a";
        const std::string resource = i == 2'222 ? "nowhere" : "r" + std::to_string(i);
        const std::string request = std::to_string(i == 4'444 ? 4'443 : i);
        return std::string(R"({"type":"audit","time":)") + time_us + R"(,"actor":")" + actor +
               R"(","action":"b","resource":")" + resource +
               R"(","outcome":"allowed","request_id":")" + request + "\"}\n";
    };
    for (int from = 0; from < 5'000; from += 500) {
        std::string body;
        for (int i = from; i < from + 500; ++i) body += line(i);
        garbage.frame(frame_of(body, 500));
    }
    garbage.settle();
    CHECK(garbage.rows() == 4'997);
    const Rows dead = bridge.leader().query(
        "SELECT sqlstate, convert_from(payload, 'UTF8')::jsonb ->> 'resource'"
        " FROM homeward.dead_letter ORDER BY 2");
    CHECK(dead == Rows{{"P0001", "nowhere"}, {"23505", "r4444"}, {"23514", "r777"}});
    CHECK(bridge.stop_consumer() == 0);
}
