// Frames that were quarantined, and the person who judges them: what is accepted lands once, what
// is given up is accounted for, and a stranger's frame can be thrown away without a trace.

#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

#include "schemas/wire/crc32c.hpp"
#include "tests/consumer/ledger/account.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

/// A line with a consumer, a publisher, and a person who judges.
class Court {
  public:
    explicit Court(const BridgeOptions& options = {})
        : bridge(options), sender(bridge.leaf().port(), "ams", "shop") {
        bridge.start_consumer();
    }

    CommandResult conflicts(std::vector<std::string> words) const {
        words.insert(words.begin(), "conflicts");
        return bridge.consumer_command(words);
    }
    std::string judged(const std::vector<std::string>& words) const {
        const CommandResult result = conflicts(words);
        INFO(result.output);
        CHECK(result.exit_code == 0);
        return result.output;
    }
    std::int64_t count(const std::string& state) const {
        return leader().number("SELECT count(*) FROM homeward.conflict WHERE state = '" + state +
                               "'");
    }
    /// Waits until so many frames were quarantined in all.
    void expect_aside(std::int64_t frames) const {
        std::int64_t found = 0;
        const bool is_there = wait_until(30s, [&] {
            found = leader().number("SELECT count(*) FROM homeward.conflict");
            return found == frames;
        });
        INFO(found << " frames are quarantined\n" << bridge.consumer_log());
        REQUIRE(is_there);
    }
    /// The seqs 1 to 10 and 16 to 20 are rows, 11 to 15 are only in a frame that also has 6 to 10.
    void make_overlap() {
        sender.send(sender.frame(1, 10));
        expect_clean(bridge);
        sender.send(sender.frame(6, 10));
        expect_aside(1);
        sender.send(sender.frame(16, 5));
        REQUIRE(wait_until(30s, [&] { return rows(leader()) == 15; }));
    }
    /// A hole would be waited for, so only a clean one is.
    std::string proof(int exit_code) const {
        const std::string patience = exit_code == 0 ? "60" : "0";
        const CommandResult result =
            bridge.consumer_command({"proof", "--wait", patience, "--final"}, 90s);
        INFO(result.output);
        CHECK(result.exit_code == exit_code);
        return result.output;
    }
    const PostgresServer& leader() const { return bridge.leader(); }

    mutable Bridge bridge;
    FramePublisher sender;
};

/// Asked while the consumer itself compacts, compact() leaves it to that.
void compact_all(const PostgresServer& leader) {
    REQUIRE(wait_until(30s, [&] {
        leader.query("SELECT homeward.compact()");
        return leader.number("SELECT count(*) FROM homeward.ledger_frame") == 0;
    }));
}

/// With the right checksum, and a size that its body does not have.
std::string with_false_size(std::string frame) {
    const std::uint32_t bytes = 60;
    std::memcpy(frame.data() + 56, &bytes, sizeof bytes);
    const auto whole = std::as_bytes(std::span<const char>(frame));
    const std::uint32_t sum = crc32c(whole.subspan(kFrameHeaderBytes), crc32c(whole.first(64)));
    std::memcpy(frame.data() + 64, &sum, sizeof sum);
    return frame;
}

}  // namespace

TEST_CASE("of an accepted frame lands what the ledger lacks, once, and the proof is clean") {
    Court court;
    court.make_overlap();
    SECTION("before the compaction") {}
    SECTION("after the compaction") {
        compact_all(court.leader());
    }
    CHECK_THAT(court.proof(1), Contains(" missing=5 "));
    const auto listed = nlohmann::json::parse(court.judged({"list", "--json"}));
    REQUIRE(listed.size() == 1);
    CHECK(listed[0]["unsettled"] == 5);
    CHECK(listed[0]["seq_first"] == 6);

    CHECK(court.judged({"accept", "--all"}) ==
          "accepted=1 dead_letters=0 found=1 rows=5 there_already=5 tombstoned=0 unreadable=0\n");
    CHECK(rows(court.leader()) == 20);
    CHECK(distinct_rows(court.leader()) == 20);
    CHECK(court.leader().number("SELECT sum(seq) FROM audit_events WHERE seq::text = resource") ==
          210);
    CHECK_THAT(court.proof(0), Contains(" missing=0 "));
    compact_all(court.leader());
    CHECK_THAT(court.proof(0), Contains(" missing=0 "));

    // Again, by number; and the stream brings the same frame once more.
    CHECK_THAT(court.judged({"accept", std::to_string(listed[0]["id"].get<int>())}),
               Contains("accepted=0 "));
    court.sender.send(court.sender.frame(6, 10));
    CHECK(wait_until(30s,
                     [&] { return court.bridge.metric("homeward_skipped_events_total") >= 10; }));
    CHECK(court.count("open") == 0);
    CHECK(rows(court.leader()) == 20);
    CHECK(court.leader().query("SELECT state, frame_bytes, closed_at IS NOT NULL"
                               " FROM homeward.conflict") == Rows{{"accepted", "0", "t"}});
}

TEST_CASE(
    "a stranger's frame that is accepted counts for the origin; the true one is then skipped") {
    Court court;
    court.sender.send(court.sender.frame(1, 10));
    expect_clean(court.bridge);
    court.sender.send_as("ams", "moved", court.sender.frame(11, 10));
    court.sender.send_as("ams", "moved", court.sender.closing_mark(20));
    court.expect_aside(2);
    CHECK(rows(court.leader()) == 10);
    CHECK_THAT(court.judged({"accept", "--app", "shop"}), Contains("found=0 "));
    CHECK_THAT(court.judged({"accept", "--app", "moved", "--region", "ams"}),
               Contains("accepted=2 ") && Contains(" rows=10 "));
    court.sender.send(court.sender.frame(11, 10));
    expect_clean(court.bridge);
    CHECK(rows(court.leader()) == 20);
    CHECK(distinct_rows(court.leader()) == 20);
    // The mark was accepted as well.
    CHECK(court.leader().query("SELECT state, app FROM homeward.proof") ==
          Rows{{"complete", "shop"}});
}

TEST_CASE("a stranger's frame that is discarded leaves no trace: the true events still land") {
    Court court;
    court.sender.send(court.sender.frame(1, 10));
    expect_clean(court.bridge);
    court.sender.send_as("ams", "thief", court.sender.frame(11, 10));
    court.expect_aside(1);
    CHECK(court.judged({"discard", "--all"}) == "discarded=1 found=1 tombstoned=0\n");
    CHECK(court.judged({"discard", "--all"}) == "discarded=0 found=0 tombstoned=0\n");
    court.sender.send(court.sender.frame(11, 10));
    expect_clean(court.bridge);
    CHECK(rows(court.leader()) == 20);
    // What was thrown away does not come back by coming again.
    court.sender.send_as("ams", "thief", court.sender.frame(11, 10));
    CHECK(wait_until(30s, [&] { return court.bridge.metric("homeward_conflicts_total") >= 2; }));
    CHECK(court.count("open") == 0);
    CHECK(court.leader().query("SELECT state, frame_bytes FROM homeward.conflict") ==
          Rows{{"discarded", "0"}});
}

TEST_CASE("what an origin's own frame had and is given up becomes tombstones, to the event") {
    Court court;
    court.make_overlap();
    CHECK(court.judged({"discard", "--reason", "SETTLED a part"}) ==
          "discarded=1 found=1 tombstoned=5\n");
    CHECK_THAT(court.proof(0), Contains(" committed=15 dead=0 dropped=5 missing=0 "));
    CHECK(court.leader().query("SELECT seq_first, seq_last, reason FROM homeward.tombstone") ==
          Rows{{"11", "15", "discarded"}});
    CHECK(rows(court.leader()) == 15);
}

TEST_CASE("bad events and tombstones of an accepted frame count where they are not settled yet") {
    Court court;
    court.sender.send(court.sender.frame(1, 10));
    expect_clean(court.bridge);
    // Of 9 to 16: 9, 10 are there; 11 good, 12 bad, 13 of an unknown type, 14 to 16 lost.
    FrameHeader header;
    header.publisher = court.sender.publisher;
    header.seq_first = 9;
    header.seq_count = 8;
    header.line_count = 6;
    header.accepted = 16;
    const std::string body = audit_line("9") + "\nbad of a settled seq\n" + audit_line("11") +
                             "\nbad\n" + R"({"type":"later","a":1})" + "\n" +
                             R"({"type":"homeward.tombstone","count":3,"reason":"damaged"})" + "\n";
    std::vector<std::byte> frame;
    REQUIRE(FrameEncoder().encode(header, body, frame));
    court.sender.send({reinterpret_cast<const char*>(frame.data()), frame.size()});
    court.expect_aside(1);
    CHECK(court.judged({"accept", "--all"}) ==
          "accepted=1 dead_letters=2 found=1 rows=1 there_already=2 tombstoned=3 unreadable=0\n");
    CHECK(court.leader().query("SELECT seq, state FROM homeward.dead_letter ORDER BY seq") ==
          Rows{{"12", "open"}, {"13", "parked"}});
    CHECK(court.leader().query("SELECT seq_first, seq_last, reason FROM homeward.tombstone") ==
          Rows{{"14", "16", "damaged"}});
    CHECK_THAT(court.proof(0), Contains(" committed=11 dead=2 dropped=3 missing=0 "));
}

TEST_CASE("a frame whose body cannot be read is not accepted, and can be discarded") {
    Court court;
    court.sender.send(court.sender.frame(1, 10));
    expect_clean(court.bridge);
    court.sender.send(with_false_size(court.sender.frame(6, 10)));
    court.expect_aside(1);
    const CommandResult refused = court.conflicts({"accept", "--all"});
    CHECK(refused.exit_code == 1);
    CHECK_THAT(refused.output, Contains("accepted=0 ") && Contains("unreadable=1"));
    CHECK(court.count("open") == 1);
    CHECK(rows(court.leader()) == 10);
    CHECK_THAT(court.judged({"show", "1"}), Contains("does not decompress"));
    CHECK(court.judged({"discard", "1", "--json"}) ==
          "{\"discarded\":1,\"found\":1,\"tombstoned\":5}\n");
    CHECK_THAT(court.proof(0), Contains(" dropped=5 missing=0 "));
}

TEST_CASE("accepting is one transaction: what fails leaves rows, ledger and frame as they were") {
    Court court;
    court.make_overlap();
    court.leader().query(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no room on the disk' USING ERRCODE = '53100'; END $$");
    court.leader().query(
        "CREATE TRIGGER refuse BEFORE INSERT ON audit_events FOR EACH ROW"
        " WHEN (new.resource = '13') EXECUTE FUNCTION refuse()");
    const CommandResult failed = court.conflicts({"accept", "--all"});
    CHECK(failed.exit_code == 2);
    CHECK_THAT(failed.output, Contains("no room on the disk"));
    CHECK(rows(court.leader()) == 15);
    CHECK(court.count("open") == 1);
    CHECK_THAT(court.proof(1), Contains(" missing=5 "));
    court.leader().query("DROP TRIGGER refuse ON audit_events");
    CHECK_THAT(court.judged({"accept", "--all"}), Contains(" rows=5 "));
    CHECK_THAT(court.proof(0), Contains(" missing=0 "));
}

TEST_CASE("four people accept while the consumer settles the same seqs: each lands once") {
    // Method: of every ten seqs the first five are rows, a frame of the 3rd to the 8th is aside,
    // and while people accept those, the stream brings the 6th to the 10th: they overlap with what
    // is being accepted, under another first seq. Who comes second keeps his frame aside.
    Court court;
    constexpr std::uint64_t kTens = 60;
    for (std::uint64_t ten = 0; ten < kTens; ++ten) {
        court.sender.send(court.sender.frame(10 * ten + 1, 5));
    }
    REQUIRE(wait_until(60s, [&] { return rows(court.leader()) == 5 * kTens; }));
    for (std::uint64_t ten = 0; ten < kTens; ++ten) {
        court.sender.send(court.sender.frame(10 * ten + 3, 6));
    }
    court.expect_aside(kTens);
    std::vector<std::thread> people;
    std::vector<CommandResult> results(4);
    for (CommandResult& result : results) {
        people.emplace_back([&] { result = court.conflicts({"accept", "--all"}); });
    }
    for (std::uint64_t ten = kTens; ten-- > 0;) {
        court.sender.send(court.sender.frame(10 * ten + 6, 5));
        sleep_ms(10);
    }
    for (std::thread& person : people) person.join();
    for (const CommandResult& result : results) {
        INFO(result.output);
        CHECK(result.exit_code == 0);
    }
    REQUIRE(wait_until(
        60s, [&] { return court.bridge.metric("homeward_messages_total") >= 3 * kTens; }));
    court.judged({"accept", "--all"});
    CHECK_THAT(court.proof(0), Contains(" missing=0 duplicated=0"));
    CHECK(rows(court.leader()) == 10 * kTens);
    CHECK(distinct_rows(court.leader()) == 10 * kTens);
    CHECK(court.count("accepted") >= static_cast<std::int64_t>(kTens));
}

TEST_CASE("in an origin with too many holes a frame can be accepted, and discarding adds none") {
    Court court;
    court.sender.send(court.sender.frame(1, 10));
    expect_clean(court.bridge);
    compact_all(court.leader());
    court.leader().query("UPDATE homeward.ledger SET is_fragmented = true");
    court.sender.send(court.sender.frame(101, 10));
    court.sender.send(court.sender.frame(201, 10));
    court.expect_aside(2);
    CHECK_THAT(court.judged({"discard", "1"}), Contains("tombstoned=0"));
    CHECK(court.leader().number(
              "SELECT homeward.range_count(settled) FROM homeward.origin_status") == 1);
    CHECK_THAT(court.judged({"accept", "2"}), Contains(" rows=10 "));
    CHECK(court.leader().number(
              "SELECT homeward.range_count(settled) FROM homeward.origin_status") == 2);
    CHECK(rows(court.leader()) == 20);
}

TEST_CASE("an origin of which a frame waits is not forgotten, and when it is, its frames are too") {
    Court court;
    court.sender.send(court.sender.frame(1, 10));
    court.sender.send(court.sender.closing_mark(10));
    expect_clean(court.bridge);
    court.sender.send_as("ams", "thief", court.sender.frame(5, 10));
    court.expect_aside(1);
    compact_all(court.leader());
    REQUIRE(wait_until(30s, [&] {
        court.leader().query("SELECT homeward.complete_origins('0 s')");
        return court.leader().number("SELECT count(*) FROM homeward.completed_origin") == 1;
    }));
    court.leader().query("UPDATE homeward.completed_origin SET completed_on = completed_on - 400");
    CHECK(court.leader().number("SELECT homeward.forget(30)") == 0);
    // Also of one that is put away the ledger knows what is settled: 5 to 10.
    CHECK_THAT(court.judged({"accept", "--all"}), Contains(" rows=4 there_already=6 "));
    CHECK(court.leader().number("SELECT homeward.forget(30)") == 1);
    CHECK(court.leader().number("SELECT count(*) FROM homeward.conflict") == 0);
}

TEST_CASE("conflicts are listed and shown, as text and as JSON; what makes no sense is refused") {
    Court court;
    court.make_overlap();
    court.sender.send_as("ams", "thief", court.sender.frame_of(30, {"\x1b[31m red"}));
    court.expect_aside(2);
    const std::string list = court.judged({"list"});
    CHECK_THAT(list, Contains("ams/thief") && Contains("its origin belongs to region ams") &&
                         Contains("30-30") && Contains("2 of 2\n"));
    CHECK_THAT(court.judged({"list", "--limit", "1"}), Contains("1 of 2\n"));
    const auto shown = nlohmann::json::parse(court.judged({"show", "1", "--json"}));
    CHECK(shown["origin_app"] == "shop");
    CHECK(shown["body"].get<std::string>().find(R"("resource":"15")") != std::string::npos);
    const std::string text = court.judged({"show", "2"});
    CHECK_THAT(text, Contains("[31m red"));
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(court.conflicts({"show", "9"}).exit_code == 1);
    for (const auto& words : std::vector<std::vector<std::string>>{{},
                                                                   {"burn"},
                                                                   {"accept"},
                                                                   {"discard"},
                                                                   {"show"},
                                                                   {"show", "one"},
                                                                   {"list", "--state", "lost"},
                                                                   {"list", "--colour"},
                                                                   {"list", "--app"}}) {
        const CommandResult result = court.conflicts(words);
        INFO(result.output);
        CHECK(result.exit_code == 2);
        CHECK_THAT(result.output, Contains("--help"));
    }
}

TEST_CASE("frames that contradict and come at once take no more room than there is") {
    BridgeOptions options;
    options.environment = {{"HOMEWARD_DEAD_LETTERS_LETTERS_MAX", "3"},
                           {"HOMEWARD_BATCH_DELAY_MS", "500"}};
    Court court(options);
    court.sender.send(court.sender.frame(1, 30));
    expect_clean(court.bridge);
    for (std::uint64_t first = 2; first < 30; ++first) {
        court.sender.send(court.sender.frame(first, 40));
    }
    court.expect_aside(3);
    REQUIRE(
        wait_until(30s, [&] { return court.bridge.metric("homeward_delayed_naks_total") >= 25; }));
    CHECK(court.count("open") == 3);
}

TEST_CASE("when there is no room for it, a frame that contradicts waits in its stream") {
    BridgeOptions options;
    options.environment = {{"HOMEWARD_DEAD_LETTERS_LETTERS_MAX", "2"},
                           {"HOMEWARD_PULL_ACK_WAIT_MS", "2000"},
                           {"HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "100"}};
    Court court(options);
    court.sender.send(court.sender.frame(1, 30));
    expect_clean(court.bridge);
    // Each has a part that the ledger has, and one of a seq to come.
    court.sender.send(court.sender.frame(10, 40));
    court.expect_aside(1);
    court.sender.send(court.sender.frame(11, 40));
    court.expect_aside(2);
    court.sender.send(court.sender.frame(12, 40));
    REQUIRE(
        wait_until(30s, [&] { return court.bridge.metric("homeward_delayed_naks_total") >= 2; }));
    CHECK(court.count("open") == 2);
    CHECK(court.bridge.metric("homeward_dead_letter_quota_full") == 1);
    court.sender.send(court.sender.frame(52, 1));  // the others go on
    CHECK(wait_until(30s, [&] { return rows(court.leader()) == 31; }));

    // A person makes room; after its delay the stream brings it again.
    CHECK_THAT(court.judged({"accept", "--all"}), Contains("accepted=2 "));
    CHECK(wait_until(
        30s, [&] { return court.leader().number("SELECT count(*) FROM homeward.conflict") == 3; }));
    CHECK_THAT(court.judged({"accept", "--all"}), Contains("accepted=1 "));
    CHECK(rows(court.leader()) == 52);
    CHECK(distinct_rows(court.leader()) == 52);
    CHECK_THAT(court.proof(0), Contains(" missing=0 "));
}
