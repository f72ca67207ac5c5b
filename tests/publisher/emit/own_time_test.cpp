// Events that bring their own time, through every door: each is a row with that time, and what no
// consumer could read is refused at once, in words.

#include <fstream>
#include <thread>

#include <homeward.h>
#include <homeward/publisher.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace std::string_literals;
namespace fs = std::filesystem;

namespace {

constexpr const char* kTime = "2026-11-24T10:00:00.25Z";

std::string event(const std::string& actor, const std::string& more = "") {
    return R"({"type":"audit","actor":")" + actor +
           R"(","action":"order.view","resource":"order:1","outcome":"allowed")" + more + "}";
}
std::string timed(const std::string& actor) {
    return event(actor, ",\"time\":\"" + std::string(kTime) + "\"");
}

/// The one JSON event of a page that has a time.
std::string example_of(const std::string& page) {
    const std::size_t fence = page.find("```json\n{\"type\":\"audit\",\"time\":");
    REQUIRE(fence != std::string::npos);
    const std::size_t begin = page.find('{', fence);
    return page.substr(begin, page.find('\n', begin) - begin);
}

class Door {
  public:
    explicit Door(Bridge& bridge) : bridge_(bridge) {}

    CommandResult pipe(const std::string& input, const std::vector<std::string>& more = {}) const {
        const TempDir dir;
        std::ofstream(dir / "input", std::ios::binary) << input;
        ProcessOptions options;
        options.input = dir / "input";
        std::vector<std::string> words{HOMEWARD_EMIT_PROGRAM,
                                       "--server",
                                       bridge_.leaf().url(),
                                       "--region",
                                       "ams",
                                       "--app",
                                       "pipe"};
        words.insert(words.end(), more.begin(), more.end());
        return run_command(words, options);
    }

    /// What a socket answers to these lines.
    std::string socket(const std::string& lines) const {
        const TempDir dir;
        ProcessOptions options;
        options.log = dir / "log";
        Process sidecar({HOMEWARD_EMIT_PROGRAM, "--server", bridge_.leaf().url(), "--region", "ams",
                         "--app", "side", "--listen", "unix:" + (dir / "s").string()},
                        options);
        REQUIRE(wait_until(30s, [&] { return fs::exists(dir / "s"); }));
        std::ofstream(dir / "lines", std::ios::binary) << lines;
        ProcessOptions client;
        client.input = dir / "lines";
        const CommandResult answered =
            run_command({"socat", "-t", "10", "-", "UNIX-CONNECT:" + (dir / "s").string()}, client);
        CHECK(sidecar.stop(60s) == 0);
        return answered.output;
    }

    homeward::PublisherOptions options() const {
        homeward::PublisherOptions options;
        options.nats_urls = {bridge_.leaf().url()};
        options.region = "ams";
        options.app = "cpp";
        return options;
    }

  private:
    Bridge& bridge_;
};

void emit_from_cpp(const Door& door) {
    homeward::Publisher publisher(door.options());
    using homeward::EmitResult;
    const auto emit = [&](const std::string& json) {
        return publisher.emit_json("audit", homeward::EventClass::audit, json);
    };
    CHECK(emit(timed("cpp")) == EmitResult::accepted);
    CHECK(emit(event("cpp", R"(,"time":"soon")")) == EmitResult::invalid);
    CHECK(emit(R"({"actor":"cpp"})") == EmitResult::incomplete);
    CHECK(publisher.close(30s).done);
}

void emit_from_c(const Door& door) {
    const homeward::PublisherOptions wanted = door.options();
    homeward_options options{};
    options.size = sizeof options;
    options.region = "ams";
    options.app = "c";
    options.nats_urls = wanted.nats_urls[0].c_str();
    homeward_publisher* publisher = homeward_open(&options, nullptr, 0);
    REQUIRE(publisher != nullptr);
    const auto emit = [&](const std::string& json) {
        return homeward_emit_json(publisher, HOMEWARD_AUDIT, "audit", 5, json.data(), json.size(),
                                  0);
    };
    CHECK(emit(timed("c")) == HOMEWARD_ACCEPTED);
    CHECK(emit(event("c", R"(,"time":null)")) == HOMEWARD_INVALID);
    CHECK(homeward_close(publisher, 30'000, nullptr) == 1);
    homeward_free(publisher);
}

void emit_from_ruby(Bridge& bridge) {
    const TempDir dir;
    std::ofstream(dir / "emit.rb")
        << "require ENV.fetch('HOMEWARD_RUBY')\n"
           "publisher = Homeward::Publisher.new(region: 'ams', app: 'ruby',\n"
           "                                    nats_urls: ENV.fetch('NATS_URL'))\n"
           "puts publisher.emit_json('audit', "
        << "'" << timed("ruby") << "')\n"
        << "puts publisher.close(30)\n";
    ProcessOptions options;
    options.environment = {{"HOMEWARD_RUBY", HOMEWARD_RUBY_FILE},
                           {"RUBYLIB", std::filesystem::path(HOMEWARD_RUBY_FILE).parent_path()},
                           {"HOMEWARD_LIBRARY", HOMEWARD_C_LIBRARY},
                           {"NATS_URL", bridge.leaf().url()}};
    const CommandResult ran = run_command({"ruby", dir / "emit.rb"}, options);
    CHECK(ran.output == "accepted\n0\n");
}

}  // namespace

TEST_CASE("an event with its own time is a row with that time, through every door") {
    // Method: the same event by pipe, socket, C++, C and Ruby, and the page's own example; then
    // lines that no consumer could read, each of which must be refused where it was sent.
    BridgeOptions options;
    options.environment = {{"HOMEWARD_SCHEMA_PAST_MAX_DAYS", "36500"}};
    Bridge bridge(options);
    bridge.start_consumer();
    const Door door(bridge);
    const std::string example = example_of(read_file(HOMEWARD_SCHEMAS_PAGE));
    const std::string mark = "\xef\xbb\xbf";
    const CommandResult piped = door.pipe(mark + timed("pipe") + "\n" + example + "\n" +
                                          R"({"type":"metric","name":"m","kind":"gauge","value":1})"
                                          "\n");
    INFO(piped.output);
    CHECK(piped.exit_code == 0);
    const std::string metric = R"({"type":"metric","name":"m","kind":"gauge","value":1})";
    CHECK(door.pipe(metric + "\n", {"--class", "audit"}).exit_code == 0);
    const std::string answers = door.socket(
        timed("socket") + "\n" + event("socket", R"(,"time":"soon")") + "\n" + metric + "\n\n");
    CHECK_THAT(answers, Contains(R"({"line":2,"refused":"invalid","why":"\"time\" is \"soon\")") &&
                            Contains(R"({"lines":3,"taken":2,"dropped":0,"refused":1})"));
    emit_from_cpp(door);
    emit_from_c(door);
    if (!HOMEWARD_IS_SANITIZED) emit_from_ruby(bridge);

    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60", "--final"}, 90s);
    INFO(proof.output);
    CHECK(proof.exit_code == 0);
    for (const char* actor : {"pipe", "socket", "cpp", "c", "ruby"}) {
        if (actor == std::string("ruby") && HOMEWARD_IS_SANITIZED) continue;
        INFO(actor);
        CHECK(bridge.leader().number("SELECT count(*) FROM audit_events WHERE actor = '" +
                                     std::string(actor) + "' AND time = '" + kTime + "'") == 1);
    }
    CHECK(bridge.leader().number("SELECT count(*) FROM audit_events WHERE actor = 'user:42'"
                                 " AND time = '2026-11-24T10:00:00Z'") == 1);
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.dead_letter") == 0);
    // A metric on standard input is a metric, also with --class audit, as is one on a socket.
    CHECK(bridge.leader().number("SELECT count(*) FROM metric_events e JOIN homeward.known_origin o"
                                 " ON o.id = e.origin WHERE o.class = 'metric'") == 3);
    CHECK(bridge.leader().number("SELECT count(*) FROM metric_events") == 3);
}

TEST_CASE("a line that the leader could not read is refused with the reason, and counted") {
    // Nobody listens: what is taken here is never sent.
    const auto emit = [](const std::string& input, const std::vector<std::string>& more) {
        const TempDir dir;
        std::ofstream(dir / "input", std::ios::binary) << input;
        ProcessOptions options;
        options.input = dir / "input";
        std::vector<std::string> words{HOMEWARD_EMIT_PROGRAM,
                                       "--server",
                                       "nats://127.0.0.1:1",
                                       "--region",
                                       "ams",
                                       "--app",
                                       "pipe",
                                       "--wait",
                                       "0"};
        words.insert(words.end(), more.begin(), more.end());
        return run_command(words, options);
    };
    const std::string metric = R"({"type":"metric","name":"m","kind":"gauge","value":1})";
    CHECK_THAT(emit(metric + "\n", {"--type", "audit"}).output,
               Contains("line 1 left out: its type is \"metric\", but --type is \"audit\""));
    CHECK_THAT(emit(R"({"type":"a\nb"})"
                    "\n",
                    {"--type", "audit"})
                   .output,
               Contains(R"(its type is "a\x0ab", but)"));
    CHECK_THAT(emit(event("a", R"(,"a":1,"a":2)") + "\n", {}).output, Contains("duplicate key"));
    CHECK_THAT(emit(event("a", R"(,"a":"\ud800")") + "\n", {}).output, Contains("lone surrogate"));
    CHECK_THAT(emit(event("a", ",\"a\":NaN") + "\n", {}).output, Contains("NaN"));
    CHECK_THAT(emit(R"({"type":"homeward.tombstone","count":100,"reason":"x"})"
                    "\n",
                    {})
                   .output,
               Contains("reserved"));
    CHECK_THAT(emit(R"({"type":"audit","actor":"a"})"
                    "\n",
                    {})
                   .output,
               Contains("\"action\" is missing"));
    const CommandResult own = emit(
        "{\"type\":\"log_line\"}\n{\"type\":\"log_line\",\"line\":null}\n"
        "{\"type\":\"log_line\",\"line\":\"a\"}\n",
        {"--types", HOMEWARD_LOG_LINE_TYPES});
    CHECK_THAT(own.output, Contains("line 1 left out: field \"line\" is missing, but required") &&
                               Contains("line 2 left out: field \"line\" is missing") &&
                               Contains("emitted=1 dropped=0 left_out=2"));
    CHECK_THAT(
        emit("caf\xe9\nna\xefve \xfc\n", {"--type", "log_line", "--text-field", "line"}).output,
        Contains("emitted=2") && Contains("replaced=3"));
    const CommandResult lines =
        emit(std::string(2'000'000, 'x') + "\nshort\r\n", {"--type", "a", "--text-field", "line"});
    CHECK_THAT(lines.output, Contains("line 1 left out: longer than 256 KiB") &&
                                 Contains("lines=2 emitted=1 dropped=0 left_out=1"));
    const CommandResult wide = emit("\xff\xfe{\0}\0"s, {});
    CHECK(wide.exit_code == 2);
    CHECK_THAT(wide.output, Contains("UTF-16"));
    CHECK_THAT(emit("", {"--type", "metric", "--class", "audit"}).output,
               Contains("type \"metric\" is of class metric"));
    CHECK_THAT(emit("", {"--metrics", "audit"}).output, Contains("of class audit"));
    CHECK_THAT(emit("", {"--type", "homeward.tombstone"}).output,
               Contains("is not a valid event type name"));
}

TEST_CASE("standard input takes bounded memory, and its errors are no end of it") {
    const std::string command = std::string(HOMEWARD_EMIT_PROGRAM) +
                                " --server nats://127.0.0.1:1 --region ams --app pipe --wait 0";
    if (!HOMEWARD_IS_SANITIZED) {
        const CommandResult endless =
            run_command({"sh", "-c", "ulimit -d 262144; head -c 500000000 /dev/zero | " + command});
        INFO(endless.output);
        CHECK(endless.exit_code == 1);
        CHECK_THAT(endless.output, Contains("line 1 left out: longer than 256 KiB"));
    }
    const CommandResult directory = run_command({"sh", "-c", command + " < /"});
    CHECK(directory.exit_code == 1);
    CHECK_THAT(directory.output, Contains("standard input cannot be read: Is a directory"));
}
