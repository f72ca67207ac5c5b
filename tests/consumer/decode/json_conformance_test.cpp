// What a reader of JSON may be given, good, bad and in between, through the whole line: each text
// is one row or one dead letter, whichever way it comes, and no good event beside it suffers.

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "consumer/base/plain_text.hpp"
#include "schemas/nats/subject.hpp"
#include "tests/consumer/decode/json_texts.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/servers/bridge.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

std::vector<JsonText> all_texts() {
    std::vector<JsonText> texts = json_documents();
    for (const JsonText& value : json_values()) {
        texts.push_back({R"({"type":"audit","actor":"a","action":"b","resource":"value",)"
                         R"("outcome":"allowed","more":)" +
                             value.text + "}",
                         value.fate});
    }
    return texts;
}

bool is_one_line(const std::string& text) {
    return text.find('\n') == std::string::npos &&
           text.find_first_not_of(" \t\r") != std::string::npos;
}

std::string hex(const std::string& bytes) {
    constexpr const char* kDigits = "0123456789abcdef";
    std::string text;
    for (unsigned char c : bytes) {
        text += kDigits[c >> 4];
        text += kDigits[c & 15];
    }
    return text;
}

std::set<std::int64_t> seqs(const PostgresServer& leader, const std::string& query) {
    std::set<std::int64_t> found;
    for (const auto& row : leader.query(query)) found.insert(std::stoll(row[0]));
    return found;
}

/// How often each text became a letter, by its bytes.
std::map<std::string, int> letters(const PostgresServer& leader, const std::string& of_class) {
    std::map<std::string, int> counts;
    for (const auto& row :
         leader.query("SELECT encode(d.payload, 'hex') FROM homeward.dead_letter d"
                      " JOIN homeward.known_origin o ON o.id = d.origin WHERE o.class = '" +
                      of_class + "'")) {
        ++counts[row[0]];
    }
    return counts;
}

std::int64_t rows_of(const PostgresServer& leader, const std::string& of_class) {
    return leader.number(
        "SELECT count(*) FROM audit_events e JOIN homeward.known_origin o ON o.id = e.origin"
        " WHERE o.class = '" +
        of_class + "'");
}

void expect_accounted(const Bridge& bridge) {
    const CommandResult proof =
        bridge.consumer_command({"proof", "--wait", "120", "--final"}, 180s);
    INFO(proof.output << bridge.consumer_log());
    REQUIRE(proof.exit_code == 0);
}

BridgeOptions patient() {
    BridgeOptions options;
    options.environment = {{"HOMEWARD_BATCH_BAD_EVENTS_MAX", "100000"}};
    return options;
}

}  // namespace

TEST_CASE("each text of JSON, and each that is none, becomes one row or one dead letter") {
    const std::vector<JsonText> texts = all_texts();
    Bridge bridge(patient());
    bridge.start_consumer();
    const PostgresServer& leader = bridge.leader();

    // In frames: the text has the second of three seqs, so its fate can be looked up.
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    const std::string good = audit_line("good");
    std::vector<JsonText> framed;
    std::copy_if(texts.begin(), texts.end(), std::back_inserter(framed),
                 [](const JsonText& one) { return is_one_line(one.text); });
    for (std::size_t i = 0; i < framed.size(); ++i) {
        sender.send(sender.frame_of(3 * i + 1, {good, framed[i].text, good}));
    }
    expect_accounted(bridge);
    const auto rows = seqs(leader, "SELECT seq FROM audit_events WHERE resource <> 'good'");
    const auto dead = seqs(leader, "SELECT seq FROM homeward.dead_letter");
    CHECK(leader.number("SELECT count(*) FROM audit_events WHERE resource = 'good'") ==
          static_cast<std::int64_t>(2 * framed.size()));
    CHECK(rows.size() + dead.size() == framed.size());
    std::map<std::string, Fate> fates;
    for (std::size_t i = 0; i < framed.size(); ++i) {
        const auto& [text, fate] = framed[i];
        const auto seq = static_cast<std::int64_t>(3 * i + 2);
        INFO(text.substr(0, 300));
        const bool is_row = rows.count(seq) == 1;
        CHECK(is_row != (dead.count(seq) == 1));
        CHECK((fate == Fate::either || is_row == (fate == Fate::row)));
        fates[text] = is_row ? Fate::row : Fate::letter;
    }
    for (const auto& [payload, count] : letters(leader, "audit")) {
        INFO(payload.substr(0, 300));
        CHECK(count == std::count_if(framed.begin(), framed.end(), [&](const JsonText& one) {
                  return hex(one.text) == payload;
              }));
    }

    // From any client: as a message of its own, and as a line between two good ones.
    NatsClient client(bridge.leaf().port());
    std::map<std::string, int> expected;
    std::int64_t expected_rows = 0;
    const auto expect = [&](const JsonText& one) {
        const auto known = fates.find(one.text);
        const Fate fate = known == fates.end() ? one.fate : known->second;
        fate == Fate::row ? ++expected_rows : ++expected[hex(one.text)];
    };
    for (const JsonText& one : texts) {
        client.publish(plain_subject("ams", "web"), one.text);
        expect(one);
        if (!is_one_line(one.text)) continue;
        client.publish(plain_subject("ams", "web"), good + "\n" + one.text + "\n" + good + "\n");
        expect(one);
        expected_rows += 2;
    }
    expect_accounted(bridge);
    CHECK(rows_of(leader, "plain") == expected_rows);
    CHECK(letters(leader, "plain") == expected);
    CHECK(leader.number("SELECT count(*) FROM homeward.dead_letter WHERE reason = ''") == 0);
    // Nothing had to be refused by PostgreSQL itself, which costs a batch its speed.
    CHECK(leader.number("SELECT count(*) FROM homeward.dead_letter WHERE sqlstate IS NOT NULL") ==
          0);
    std::printf("%zu texts, %zu of them rows\n", texts.size(), rows.size());
    CHECK(bridge.consumer().is_running());
    CHECK(bridge.stop_consumer() == 0);
}

TEST_CASE("a value that is a row is what PostgreSQL itself reads from the same text") {
    Bridge bridge(patient());
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    std::vector<std::string> lines, values;
    for (const JsonText& value : json_values()) {
        if (value.fate != Fate::row) continue;
        values.push_back(value.text);
        lines.push_back(
            R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed","more":)" +
            value.text + "}");
    }
    REQUIRE(values.size() > 100);
    sender.send(sender.frame_of(1, lines));
    expect_accounted(bridge);
    for (std::size_t i = 0; i < values.size(); ++i) {
        INFO(values[i].substr(0, 300));
        CHECK(bridge.leader().query("SELECT extra -> 'more' = $json$" + values[i] +
                                    "$json$::jsonb FROM audit_events WHERE seq = " +
                                    std::to_string(i + 1)) == Rows{{"t"}});
    }
}
