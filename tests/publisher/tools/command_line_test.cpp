// What the command lines of homeward-emit and homeward-spool show to others: the size and the bound
// of a spool, and no password; and which of the publisher's options they reach.

#include <unistd.h>

#include <fstream>

#include <nlohmann/json.hpp>

#include "publisher/spool/run.hpp"
#include "tests/publisher/send/streams.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/servers/nats_client.hpp"
#include "tests/support/servers/nats_server.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// A run that a process without any event has left; one without run.json besides.
void leave_runs(const TempDir& dir) {
    RunIdentity identity;
    identity.publisher = PublisherId::random();
    identity.region = "ams";
    identity.app = "shop";
    identity.lane_dir = dir / "lanes";
    identity.spool_bytes_max = 100u << 20;
    const auto run = Run::create(dir / "spool", identity);
    File file = run->create_lane_file(0);
    REQUIRE(LaneMapping::create(std::move(file), EventClass::audit, 64u << 10).ring() != nullptr);
    std::filesystem::create_directories(dir / "spool" / PublisherId::random().hex());
}

std::string words_of(pid_t pid) {
    return read_file("/proc/" + std::to_string(pid) + "/cmdline");
}

}  // namespace

TEST_CASE("inspect shows ended runs, unfinished directories, the size and the bound of a spool") {
    const TempDir dir;
    leave_runs(dir);
    const CommandResult text = run_command({HOMEWARD_SPOOL_PROGRAM, "inspect", dir / "spool"});
    INFO(text.output);
    CHECK(text.output.find("1 publishers, 1 of them ended with nothing left to send") !=
          std::string::npos);
    CHECK(text.output.find("of at most 100") != std::string::npos);
    CHECK(text.output.find("1 directories are half made or half removed") != std::string::npos);
    const CommandResult result =
        run_command({HOMEWARD_SPOOL_PROGRAM, "inspect", dir / "spool", "--json"});
    const auto json = nlohmann::json::parse(result.output);
    CHECK(json.at("unfinished") == 1);
    CHECK(json.at("spool_bytes_max") == 100u << 20);
    CHECK(json.at("disk_bytes") > 0);
    REQUIRE(json.at("runs").size() == 1);
    CHECK(json.at("runs")[0].at("ended") == true);
    CHECK(json.at("runs")[0].at("lane_bytes") >= 68u << 10);
    CHECK(json.at("runs")[0].at("lane_dir") == (dir / "lanes").string());
}

TEST_CASE("homeward-emit without standard descriptors writes its log into none of its files") {
    const TempDir dir;
    const std::string socket = (dir / "emit.sock").string();
    Process emit({"sh", "-c",
                  std::string("exec ") + HOMEWARD_EMIT_PROGRAM +
                      " --server nats://127.0.0.1:1 --region ams --app shop --wait 0 --spool " +
                      (dir / "spool").string() + " --listen unix:" + socket + " <&- >&- 2>&-"});
    REQUIRE(wait_until(30s, [&] { return std::filesystem::exists(socket); }));
    for (const char* descriptor : {"0", "1", "2"}) {
        const std::string at = "/proc/" + std::to_string(emit.pid()) + "/fd/" + descriptor;
        CHECK(std::filesystem::read_symlink(at) == "/dev/null");
    }
    emit.stop();
}

TEST_CASE("the list of processes does not show the password in --server") {
    const TempDir dir;
    std::ofstream(dir / "url") << "nats://user:s3cret@127.0.0.1:1\n";
    std::ofstream(dir / "event") << R"({"type":"metric","name":"m","kind":"gauge","value":1})"
                                    "\n";
    // An event that cannot be sent, or `drain` would end at once.
    const std::string leave = std::string(HOMEWARD_EMIT_PROGRAM) +
                              " --region ams --app shop --server nats://127.0.0.1:1 --wait 0"
                              " --spool " +
                              (dir / "spool").string() + " < " + (dir / "event").string();
    REQUIRE(run_command({"sh", "-c", leave}).output.find("emitted=1") != std::string::npos);
    const std::string url = "nats://user:s3cret@127.0.0.1:1,nats://s3cret@localhost:1/a@b";
    std::vector<std::string> emit{HOMEWARD_EMIT_PROGRAM,
                                  "--region",
                                  "ams",
                                  "--app",
                                  "shop",
                                  "--listen",
                                  "unix:" + (dir / "socket").string()};
    std::vector<std::string> spool{HOMEWARD_SPOOL_PROGRAM, "drain", dir / "spool", "--wait", "30"};
    for (auto& command : {&emit, &spool}) {
        command->insert(command->end(), {"--server", url});
        Process process(*command);
        INFO(command->at(0));
        CHECK(wait_until(20s, [&] {
            const std::string words = words_of(process.pid());
            return words.find("@127.0.0.1:1,") != std::string::npos &&
                   words.find("s3cret") == std::string::npos;
        }));
        // The port and what follows it are no secret.
        CHECK(words_of(process.pid()).find("@localhost:1/a@b") != std::string::npos);
        CHECK(process.is_running());
        process.kill();
    }
}

TEST_CASE("a URL with a password may come from a file") {
    const TempDir dir;
    std::ofstream(dir / "url") << "nats://user:s3cret@127.0.0.1:1\n";
    std::filesystem::create_directory(dir / "spool");
    const CommandResult given = run_command({HOMEWARD_SPOOL_PROGRAM, "drain", dir / "spool",
                                             "--server-file", dir / "url", "--wait", "0"});
    INFO(given.output);
    CHECK(given.exit_code == 0);  // nothing is left there
    CHECK(given.output.find("s3cret") == std::string::npos);
    const CommandResult missing = run_command(
        {HOMEWARD_SPOOL_PROGRAM, "drain", dir / "spool", "--server-file", dir / "none"});
    CHECK(missing.exit_code == 2);
}

TEST_CASE(
    "homeward-emit and homeward-spool acknowledge below the inbox prefix that they are given") {
    const NatsServer nats;
    make_stream(nats, StreamKind::audit);
    NatsClient stream(nats.port());
    stream.subscribe("homeward.frame.audit.ams.shop");
    const TempDir dir;
    std::ofstream(dir / "events")
        << R"({"type":"audit","actor":"a","action":"b","resource":"c","outcome":"allowed"})"
        << "\n";
    ProcessOptions input;
    input.input = dir / "events";
    const std::vector<std::string> emit{
        HOMEWARD_EMIT_PROGRAM,   "--region", "ams", "--app", "shop", "--spool",
        (dir / "spool").string()};
    const auto emit_with = [&](std::vector<std::string> words) {
        words.insert(words.begin(), emit.begin(), emit.end());
        return run_command(words, input);
    };
    const CommandResult sent =
        emit_with({"--server", nats.url(), "--inbox-prefix", "_INBOX.mine", "--resend-seconds", "0",
                   "--resend-mib", "1", "--spool-mib", "64"});
    INFO(sent.output);
    CHECK(sent.exit_code == 0);
    CHECK(stream.next_reply().rfind("_INBOX.mine.", 0) == 0);

    // What it could not send, the tool sends, by the same prefix.
    CHECK(emit_with({"--server", "nats://127.0.0.1:1", "--wait", "0"}).exit_code == 1);
    const CommandResult drained =
        run_command({HOMEWARD_SPOOL_PROGRAM, "drain", dir / "spool", "--server", nats.url(),
                     "--inbox-prefix", "_INBOX.mine.drain"});
    INFO(drained.output);
    CHECK(drained.exit_code == 0);
    std::string reply;  // the end of the first run comes before
    for (int i = 0; i < 5 && reply.rfind("_INBOX.mine.drain.", 0) != 0; ++i) {
        reply = stream.next_reply();
    }
    CHECK(reply.rfind("_INBOX.mine.drain.", 0) == 0);

    const auto refusal = [&](const std::string& option, const std::string& value) {
        const CommandResult refused = emit_with({option, value});
        CHECK(refused.exit_code != 0);
        return refused.output;
    };
    CHECK(refusal("--resend-seconds", "-1").find("from 0 to 86400") != std::string::npos);
    CHECK(refusal("--resend-mib", "0").find("from 1 to 1000") != std::string::npos);
    CHECK(refusal("--spool-mib", "63").find("from 64 to") != std::string::npos);
    CHECK(refusal("--inbox-prefix", "a.>").find("inbox_prefix is \"a.>\"") != std::string::npos);
}

TEST_CASE("a mistake in a command line is named, with what was meant, and exits with 2") {
    struct Mistake {
        std::vector<std::string> words;
        std::string said;
    };
    const std::string emit = HOMEWARD_EMIT_PROGRAM;
    const std::string spool = HOMEWARD_SPOOL_PROGRAM;
    for (const auto& [words, said] : std::vector<Mistake>{
             {{emit, "--regoin", "ams"}, "unknown option --regoin; did you mean --region?"},
             {{emit, "--regoin=ams"}, "unknown option --regoin; did you mean --region?"},
             {{emit, "--app", "shop", "--region"}, "--region needs a value"},
             {{emit, "--app", "shop"}, "--region is missing"},
             {{emit, "-a", "shop", "-r", "ams", "extra"}, "unexpected argument extra"},
             {{emit, "-a", "shop", "-r", "ams", "--lanes", "disk"},
              "--lanes: expected memory or spool, not \"disk\""},
             {{emit, "-a", "shop", "-r", "ams", "--wait", "1.5"},
              "--wait: expected a whole number from 0 to 86400, not \"1.5\""},
             {{emit, "-a", "shop", "-r", "ams", "--socket-mode", "0999"},
              "--socket-mode: expected an octal number from 0 to 0777"},
             {{emit, "-a", "shop", "-r", "ams", "--listen", "tcp:1"},
              "statsd+udp:ADDRESS:PORT, not \"tcp:1\""},
             {{emit, "-a", "shop", "-r", "ams", "--text-field", "line"},
              "--text-field needs --type"},
             {{emit, "nats://user:s3cret@127.0.0.1"}, "nats://xxxxxxxxxxx@127.0.0.1"},
             {{spool}, "a command is missing; expected inspect, drain"},
             {{spool, "drian", "/tmp"}, "unknown command drian; did you mean drain?"},
             {{spool, "inspect"}, "DIR is required"},
             {{spool, "inspect", "/tmp", "--jsno"}, "unknown option --jsno; did you mean --json?"},
             {{spool, "drain", "/tmp", "--wait", "-1"}, "from 0 to 86400, not \"-1\""}}) {
        const CommandResult result = run_command(words);
        INFO(words.back() << "\n" << result.output);
        CHECK(result.exit_code == 2);
        CHECK(result.output.find(said) != std::string::npos);
        CHECK(result.output.find("--help'") != std::string::npos);
    }
    // The hint names the command in question.
    CHECK(run_command({spool, "inspect"}).output.find("Try 'homeward-spool inspect --help'.") !=
          std::string::npos);
}

TEST_CASE("help and version win over everything else in a command line") {
    for (const std::string word : {"-h", "--help"}) {
        const CommandResult emit = run_command({HOMEWARD_EMIT_PROGRAM, word});
        CHECK(emit.exit_code == 0);
        CHECK(emit.output.find("(default: 256)") != std::string::npos);
        CHECK(emit.output.find("HOMEWARD_REGION)") != std::string::npos);
        const CommandResult drain = run_command({HOMEWARD_SPOOL_PROGRAM, "drain", word});
        CHECK(drain.exit_code == 0);
        CHECK(drain.output.find("homeward-spool drain [OPTIONS] DIR") != std::string::npos);
        CHECK(drain.output.find("--server") != std::string::npos);
        CHECK(run_command({HOMEWARD_EMIT_PROGRAM, "--wait", "soon", word}).exit_code == 0);
    }
    for (const char* program : {HOMEWARD_EMIT_PROGRAM, HOMEWARD_SPOOL_PROGRAM}) {
        const CommandResult version = run_command({program, "--version"});
        CHECK(version.exit_code == 0);
        CHECK(version.output.rfind("homeward-", 0) == 0);
        CHECK(run_command({program, "-V"}).output == version.output);
    }
}

TEST_CASE("an option of the command line wins over its environment variable") {
    const TempDir dir;
    std::ofstream(dir / "none") << "";
    ProcessOptions options;
    options.environment = {{"HOMEWARD_NATS_URL", "nats://127.0.0.1:1"},
                           {"HOMEWARD_NATS_URL_FILE", dir / "none"}};
    std::filesystem::create_directory(dir / "spool");
    const auto drain = [&](std::vector<std::string> words) {
        words.insert(words.begin(), {HOMEWARD_SPOOL_PROGRAM, "drain", dir / "spool", "-w", "0"});
        return run_command(words, options).exit_code;
    };
    CHECK(drain({}) == 2);  // the file names no server
    CHECK(drain({"--server", "nats://127.0.0.1:1"}) == 0);
    CHECK(drain({"--server", "nats://127.0.0.1:1", "--server-file", dir / "none"}) == 2);
    CHECK(drain({"--server-file", dir / "none", "--server", "nats://127.0.0.1:1"}) == 0);
}
