// The proof names plain messages that left their stream without having been written, also those
// that no consumer ever saw.

#include <nlohmann/json.hpp>

#include "schemas/nats/subject.hpp"
#include "tests/consumer/ledger/account.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

const std::string kStream = "HOMEWARD_PLAIN_ams";
const std::string kDurable = kStream + ".homeward_plain_ams";

BridgeOptions quick() {
    BridgeOptions options;
    options.environment = {{"HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "200"}};
    return options;
}

/// Messages of one app of region ams; each is one event.
class Sender {
  public:
    explicit Sender(Bridge& bridge) : bridge_(bridge), client_(bridge.leaf().port()) {}

    void send(int messages) {
        for (int i = 0; i < messages; ++i) {
            client_.publish(plain_subject("ams", "shop"), audit_line(std::to_string(++sent_)));
        }
    }
    /// As anybody may who has the right to: takes the next message, and acknowledges it.
    void acknowledge_unread() {
        const std::string inbox = "_INBOX.thief";
        client_.subscribe(inbox);
        client_.send_to("$JS.API.CONSUMER.MSG.NEXT." + kDurable, "1", inbox);
        client_.request(client_.next_reply(), "+ACK");
    }
    /// What the leader knows of the stream's ack floor.
    bool is_noted(int sequence) const {
        return wait_until(20s, [&] {
            return bridge_.leader().number(
                       "SELECT coalesce(max(seq_acked), 0)"
                       " FROM homeward.plain_acked_range") == sequence;
        });
    }

  private:
    Bridge& bridge_;
    NatsClient client_;
    int sent_ = 0;
};

}  // namespace

TEST_CASE("a plain message that somebody else acknowledged is missing, by its stream's sequence") {
    Bridge bridge(quick());
    bridge.start_consumer();
    Sender sender(bridge);
    sender.send(10);
    REQUIRE(wait_until(20s, [&] { return rows(bridge.leader()) == 10; }));
    REQUIRE(sender.is_noted(10));
    expect_clean(bridge);

    REQUIRE(bridge.stop_consumer() == 0);
    sender.send(3);
    sender.acknowledge_unread();
    bridge.start_consumer();
    REQUIRE(sender.is_noted(13));
    CHECK(rows(bridge.leader()) == 12);
    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "20"});
    INFO(proof.output);
    CHECK(proof.exit_code == 1);
    CHECK_THAT(proof.output, Contains("missing messages of HOMEWARD_PLAIN_ams: 11;") &&
                                 Contains("emitted=13 committed=12") && Contains("missing=1"));
    const auto json = nlohmann::json::parse(bridge.consumer_command({"proof", "--json"}).output);
    CHECK(json.at("missing_messages") ==
          nlohmann::json::array({{{"stream", kStream}, {"seq_first", 11}, {"seq_last", 11}}}));
    CHECK(wait_until(40s, [&] { return bridge.metric("homeward_holes_missing") == 1; }));

    const CommandResult given_up = bridge.consumer_command({"proof", "abandon", kStream});
    CHECK_THAT(given_up.output, Contains("1 missing messages of HOMEWARD_PLAIN_ams are given up"));
    expect_clean(bridge);
    CHECK(bridge.consumer_command({"proof", "abandon", kStream}).exit_code == 1);
}

TEST_CASE("a message whose run is lost is missing, until its run is forgotten by age") {
    Bridge bridge(quick());
    bridge.start_consumer();
    Sender sender(bridge);
    sender.send(5);
    REQUIRE(sender.is_noted(5));
    REQUIRE(bridge.stop_consumer() == 0);
    PostgresServer& leader = bridge.leader();
    leader.query("SELECT homeward.compact_plain()");
    REQUIRE(leader.number("SELECT count(*) FROM homeward.plain_run") == 1);
    const std::string gaps =
        "SELECT coalesce(string_agg(seq_first || '-' || seq_last, ' ' ORDER BY seq_first), '')"
        " FROM homeward.plain_gap";
    CHECK(leader.query(gaps) == Rows{{""}});
    const std::string cut =
        "UPDATE homeward.plain_run SET seq_last = 2;"
        "INSERT INTO homeward.plain_run (source, epoch, seq_first, seq_last, time_first, time_last,"
        " batch) SELECT source, epoch, 5, 5, time_last, time_last, batch FROM homeward.plain_run";

    SECTION("a part of a run") {
        leader.query(cut);
        CHECK(leader.query(gaps) == Rows{{"3-4"}});
        CHECK(bridge.consumer_command({"proof"}).exit_code == 1);
    }
    SECTION("what a consumer of v0.1.0 wrote beside is there") {
        leader.query(cut);
        leader.query(
            "INSERT INTO homeward.plain_stream (origin, stream, created)"
            " SELECT 1000, stream, created FROM homeward.plain_source;"
            "INSERT INTO homeward.plain_message VALUES (1000, 3, now(), 1, 1)");
        CHECK(leader.query(gaps) == Rows{{"4-4"}});
    }
    SECTION("runs that are forgotten leave no gap, and those after them still may") {
        leader.query(cut);
        leader.query(
            "UPDATE homeward.plain_run SET time_first = now() - interval '9 days',"
            " time_last = now() - interval '9 days' WHERE seq_last = 2;"
            "SELECT homeward.forget(7)");
        CHECK(leader.query(gaps) == Rows{{"3-4"}});
        leader.query(
            "UPDATE homeward.plain_run SET time_first = now() - interval '9 days',"
            " time_last = now() - interval '9 days';"
            "SELECT homeward.forget(7)");
        CHECK(leader.query(gaps) == Rows{{""}});
    }
    SECTION("a floor that goes back, and another stream of the name") {
        leader.query(
            "SELECT homeward.record_plain_acks(stream, (extract(epoch FROM created) * "
            "1000000)::int8,"
            " 1, 3), homeward.record_plain_acks(stream, 1, 1000, 1200) FROM homeward.plain_source");
        CHECK(leader.query(gaps) == Rows{{""}});
        leader.query("SELECT homeward.record_plain_acks('" + kStream + "', 1, 1000, 1203)");
        CHECK(leader.query(gaps) == Rows{{"1201-1203"}});
    }
}

TEST_CASE("the account of a stream that was used before begins with the first look") {
    // Method: the durable of an older stream, and a leader that knows nothing of either.
    Bridge bridge(quick());
    Sender sender(bridge);
    sender.send(3);
    sender.acknowledge_unread();
    sender.acknowledge_unread();
    bridge.start_consumer();
    REQUIRE(wait_until(20s, [&] { return rows(bridge.leader()) == 1; }));
    REQUIRE(sender.is_noted(3));
    expect_clean(bridge);
}
