// homeward-emit --listen: events from processes of any language, over Unix sockets.

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <thread>

#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

sockaddr_un address_of(const fs::path& path) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    return address;
}

int connect_to(const fs::path& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = address_of(path);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
    ::close(fd);
    return -1;
}

/// homeward-emit on a stream and a datagram socket in a directory of its own.
class Sidecar {
  public:
    explicit Sidecar(const std::string& nats, const std::vector<std::string>& more = {}) {
        std::vector<std::string> command{
            HOMEWARD_EMIT_PROGRAM, "--region", "ams", "--app", "side", "--server", nats, "--spool",
            dir_ / "spool"};
        command.insert(command.end(), {"--listen", "unix:" + stream().string(), "--listen",
                                       "unixgram:" + datagram().string()});
        command.insert(command.end(), more.begin(), more.end());
        options_.log = dir_ / "log";
        command_ = command;
        start();
    }

    void start() {
        process_ = Process(command_, options_);
        const bool up = wait_until(30s, [this] {
            const int probe = connect_to(stream());
            if (probe >= 0) ::close(probe);
            return probe >= 0 || !process_.is_running();
        });
        if (!up || !process_.is_running())
            throw std::runtime_error("it does not listen:\n" + log());
    }
    void kill() { process_.kill(); }
    int stop() { return process_.stop(60s); }
    /// How many descriptors it may have; more that it has already stay open.
    void limit_descriptors(rlim_t count) const {
        rlimit limit{};
        REQUIRE(::prlimit(process_.pid(), RLIMIT_NOFILE, nullptr, &limit) == 0);
        limit.rlim_cur = std::min(count, limit.rlim_max);
        REQUIRE(::prlimit(process_.pid(), RLIMIT_NOFILE, &limit, nullptr) == 0);
    }
    CommandResult start_second() const { return run_command(command_); }

    fs::path stream() const { return dir_ / "emit.sock"; }
    fs::path datagram() const { return dir_ / "emit.dgram"; }
    std::string log() const { return read_file(dir_ / "log"); }

  private:
    TempDir dir_;
    std::vector<std::string> command_;
    ProcessOptions options_;
    Process process_;
};

/// A client of the stream socket.
class Client {
  public:
    explicit Client(const Sidecar& sidecar) : socket_(connect_to(sidecar.stream())) {
        REQUIRE(socket_ >= 0);
        const timeval patience{30, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    ~Client() { ::close(socket_); }
    Client(const Client&) = delete;

    void send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            REQUIRE(sent > 0);
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
    }
    std::string read_line() {
        while (read_.find('\n') == std::string::npos && read_more()) {
        }
        const std::size_t end = read_.find('\n');
        std::string line = read_.substr(0, end);
        read_.erase(0, end == std::string::npos ? end : end + 1);
        return line;
    }
    /// Ends our side; all answers to the last.
    std::string finish() {
        ::shutdown(socket_, SHUT_WR);
        while (read_more()) {
        }
        return read_;
    }

  private:
    bool read_more() {
        char buffer[4096];
        const ssize_t got = ::recv(socket_, buffer, sizeof buffer, 0);
        if (got > 0) read_.append(buffer, static_cast<std::size_t>(got));
        return got > 0;
    }

    int socket_;
    std::string read_;
};

std::string event(const std::string& actor, const std::string& resource = "order:1") {
    return R"({"type":"audit","actor":")" + actor + R"(","action":"order.view","resource":")" +
           resource + R"(","outcome":"allowed"})";
}

std::string summary(int lines, int taken, int refused) {
    return "{\"lines\":" + std::to_string(lines) + ",\"taken\":" + std::to_string(taken) +
           ",\"dropped\":0,\"refused\":" + std::to_string(refused) + "}";
}

/// The blocks of a page that are in this language, as they stand there.
std::vector<std::string> examples(const std::string& page, const std::string& language) {
    std::vector<std::string> blocks;
    const std::string fence = "```" + language + "\n";
    for (std::size_t at = 0; (at = page.find(fence, at)) != std::string::npos;) {
        at += fence.size();
        blocks.push_back(page.substr(at, page.find("```", at) - at));
    }
    return blocks;
}

std::string run_example(const Sidecar& sidecar, const std::string& interpreter,
                        const std::string& script) {
    const TempDir dir;
    std::ofstream(dir / "example") << script;
    ProcessOptions options;
    options.environment = {{"SOCKET", sidecar.stream()}, {"DATAGRAM_SOCKET", sidecar.datagram()}};
    const CommandResult ran = run_command({interpreter, dir / "example"}, options);
    CHECK(ran.exit_code == 0);
    return ran.output;
}

std::int64_t rows_of(Bridge& bridge, const std::string& actor) {
    return bridge.leader().number("SELECT count(*) FROM audit_events WHERE actor = '" + actor +
                                  "'");
}

void expect_examples_to_work(const Sidecar& sidecar) {
    const std::string page = read_file(HOMEWARD_EMIT_PAGE);
    const std::vector<std::string> shell = examples(page, "sh");
    REQUIRE(shell.size() == 2);
    CHECK(run_example(sidecar, "sh", shell[0]) == summary(1, 1, 0) + "\n");
    CHECK(run_example(sidecar, "sh", shell[1]).empty());
    for (const auto& [language, interpreter] :
         {std::pair("ruby", "ruby"), std::pair("js", "node"), std::pair("python", "python3")}) {
        const std::vector<std::string> found = examples(page, language);
        REQUIRE(found.size() == 1);
        INFO(language);
        CHECK(run_example(sidecar, interpreter, found[0]) == summary(1, 1, 0) + "\n");
    }
}

void expect_bad_lines_to_be_answered(const Sidecar& sidecar) {
    Client client(sidecar);
    client.send(event("careful") + "\n" + "no JSON\n" + "[1]\n" + R"({"actor":"x"})" + "\n\r\n");
    CHECK(client.read_line() ==
          R"({"line":2,"refused":"invalid","why":"not a JSON object on one line"})");
    CHECK(client.read_line() ==
          R"({"line":3,"refused":"invalid","why":"not a JSON object on one line"})");
    CHECK(client.read_line() == R"({"line":4,"refused":"invalid","why":"it has no type"})");
    CHECK(client.read_line() == summary(4, 1, 3));
    // Longer than any event: refused once, in bounded memory, and the line after it is taken.
    client.send(event("careful", std::string(10'000'000, 'x')) + "\n" + event("careful") + "\n\n");
    CHECK(client.read_line() == R"({"line":5,"refused":"too_large","why":"longer than 256 KiB"})");
    CHECK(client.read_line() == summary(6, 2, 4));
    client.send(event("careful", std::string(270'000, 'x')) + "\n");
    CHECK(client.read_line() == R"({"line":7,"refused":"too_large","why":"longer than 256 KiB"})");
    // Cut in the middle; and whole, though without its end.
    Client killed(sidecar);
    killed.send(event("killed").substr(0, 40));
    CHECK(
        killed.finish() ==
        R"({"line":1,"refused":"invalid","why":"not a JSON object on one line: it ends before its)"
        R"+( object does (byte 40)"})+"
        "\n" +
            summary(1, 0, 1) + "\n");
    client.send(event("careful"));
    CHECK(client.finish() == summary(8, 3, 5) + "\n");
}

void expect_garbage_to_be_survived(const Sidecar& sidecar) {
    std::mt19937_64 random(std::random_device{}());
    Client client(sidecar);
    for (int i = 0; i < 100; ++i) {
        std::string garbage(random() % 20'000, '\0');
        for (char& c : garbage) c = static_cast<char>(random());
        client.send(garbage);
    }
    client.send("\n" + std::string(200'000, '[') + "\n");
    const std::string answers = client.finish();
    CHECK(answers.find("\"taken\":0,") != std::string::npos);
}

/// One that reads no answers, and one that goes away without reading any.
void expect_slow_clients_to_hold_nobody_up(const Sidecar& sidecar, std::unique_ptr<Client>& slow) {
    constexpr int kLines = 20'000;
    std::string lines;
    for (int i = 0; i < kLines; ++i) lines += "no event\n";
    slow = std::make_unique<Client>(sidecar);
    slow->send(lines);
    Client(sidecar).send(lines + event("gone") + "\n");
    Client quick(sidecar);
    quick.send(event("quick") + "\n\n");
    CHECK(quick.read_line() == summary(1, 1, 0));
    slow->send(event("slow") + "\n");
    const std::string answers = slow->finish();
    CHECK(answers.size() < 2UL * kLines * 80);
    CHECK(answers.substr(answers.size() - summary(kLines + 1, 1, kLines).size() - 1) ==
          summary(kLines + 1, 1, kLines) + "\n");
}

void emit_from_many(const Sidecar& sidecar, int clients, int events) {
    std::vector<std::unique_ptr<Client>> open;
    for (int i = 0; i < clients; ++i) open.push_back(std::make_unique<Client>(sidecar));
    for (int n = 0; n < events; ++n) {
        for (const auto& client : open) client->send(event("many") + "\n");
    }
    for (const auto& client : open) CHECK(client->finish() == summary(events, events, 0) + "\n");
}

}  // namespace

TEST_CASE("events from a socket become one row each, whatever else its clients do") {
    // Method: the page's examples, then clients that misbehave, then SIGTERM while a client's
    // lines are still unread; rows are counted by who sent them.
    Bridge bridge;
    bridge.start_consumer();
    Sidecar sidecar(bridge.leaf().url());
    expect_examples_to_work(sidecar);
    expect_bad_lines_to_be_answered(sidecar);
    expect_garbage_to_be_survived(sidecar);
    std::unique_ptr<Client> slow;
    expect_slow_clients_to_hold_nobody_up(sidecar, slow);
    emit_from_many(sidecar, 150, 20);

    Client last(sidecar);
    std::string lines;
    for (int i = 0; i < 1000; ++i) lines += event("last") + "\n";
    std::thread([&] { last.send(lines); }).join();
    const int exit_code = sidecar.stop();
    const std::string answers = last.finish();
    INFO(sidecar.log());
    CHECK(exit_code == 0);
    CHECK(answers == summary(1000, 1000, 0) + "\n");
    CHECK_FALSE(fs::exists(sidecar.stream()));
    CHECK_FALSE(fs::exists(sidecar.datagram()));

    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60", "--final"}, 90s);
    INFO(proof.output);
    CHECK(proof.exit_code == 0);
    for (const char* actor : {"shell", "ruby", "node", "python", "quick", "slow", "gone"}) {
        INFO(actor);
        CHECK(rows_of(bridge, actor) == 1);
    }
    CHECK(rows_of(bridge, "careful") == 3);
    CHECK(rows_of(bridge, "killed") == 0);
    CHECK(rows_of(bridge, "many") == 3000);
    CHECK(rows_of(bridge, "last") == 1000);
    CHECK(bridge.leader().number("SELECT count(*) FROM metric_events") == 1);
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.dead_letter") == 0);
}

TEST_CASE("who came while there was no descriptor left is heard when there is one again") {
    Sidecar sidecar("nats://127.0.0.1:1", {"--wait", "0"});
    REQUIRE(Client(sidecar).finish() == summary(0, 0, 0) + "\n");
    sidecar.limit_descriptors(3);
    Client early(sidecar);
    early.send("\n");
    sleep_ms(300);  // so that it has tried; too short, it would only miss what is wrong
    sidecar.limit_descriptors(1'000);
    INFO(sidecar.log());
    CHECK(early.read_line() == summary(0, 0, 0));
}

TEST_CASE("a socket that a killed process left is replaced, one in use or another file is not") {
    Sidecar sidecar("nats://127.0.0.1:1", {"--wait", "10", "--socket-mode", "0600"});
    struct stat status {};
    REQUIRE(::stat(sidecar.stream().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);

    const CommandResult second = sidecar.start_second();
    CHECK(second.exit_code == 2);
    CHECK(second.output.find("another homeward-emit listens there") != std::string::npos);
    CHECK(Client(sidecar).finish() == summary(0, 0, 0) + "\n");

    sidecar.kill();
    CHECK(fs::exists(sidecar.stream()));
    sidecar.start();
    CHECK(Client(sidecar).finish() == summary(0, 0, 0) + "\n");
    CHECK(sidecar.stop() == 0);

    std::ofstream(sidecar.stream()) << "precious";
    const CommandResult refused = sidecar.start_second();
    CHECK(refused.exit_code == 2);
    CHECK(refused.output.find("is no socket") != std::string::npos);
    CHECK(read_file(sidecar.stream()) == "precious");
}

TEST_CASE("a stranger's link, FIFO or stopped program beside a socket is refused at once") {
    TempDir dir;
    const std::string path = dir / "events.sock";
    const std::string lock = path + ".lock";
    const auto listen = [&] {
        return run_command({HOMEWARD_EMIT_PROGRAM, "--region", "ams", "--app", "side", "--server",
                            "nats://127.0.0.1:1", "--wait", "0", "--listen", "unix:" + path},
                           {}, 10s);
    };
    fs::create_symlink(dir / "victim", lock);
    const CommandResult link = listen();
    CHECK(link.exit_code == 2);
    CHECK_THAT(link.output, Catch::Matchers::Contains(lock));
    CHECK_FALSE(fs::exists(dir / "victim"));
    fs::remove(lock);
    REQUIRE(::mkfifo(lock.c_str(), 0600) == 0);
    const CommandResult fifo = listen();
    CHECK(fifo.exit_code == 2);
    CHECK_THAT(fifo.output, Catch::Matchers::Contains("is no regular file"));
    fs::remove(lock);
    const int stopped = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = address_of(path);
    REQUIRE(::bind(stopped, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(stopped, 0) == 0);  // it does not accept, and one who waits is all it may have
    REQUIRE(connect_to(path) >= 0);
    CHECK_THAT(listen().output, Catch::Matchers::Contains("another process listens there"));
}

TEST_CASE("without NATS a socket takes events until the log is full, and then refuses each aloud") {
    Sidecar sidecar("nats://127.0.0.1:1", {"--wait", "0", "--log-mib", "16"});
    Client client(sidecar);
    std::mt19937_64 random(1);
    std::string resource(900, ' ');
    std::string answer;
    for (int i = 0; i < 500 && answer.find("\"full\"") == std::string::npos; ++i) {
        for (int n = 0; n < 100; ++n) {
            for (char& c : resource) c = static_cast<char>('a' + random() % 26);
            client.send(event("patient", resource) + "\n");
        }
        client.send("\n");
        answer = client.read_line();
    }
    CHECK(answer.find(R"("refused":"full","why":"no room; try again later"})") !=
          std::string::npos);
    // Metrics have lanes and a log of their own.
    Client other(sidecar);
    other.send(R"({"type":"metric","name":"a","kind":"gauge","value":1})"
               "\n");
    CHECK(other.finish() == summary(1, 1, 0) + "\n");
    CHECK(sidecar.stop() == 1);
    CHECK(sidecar.log().find("the next start sends them") != std::string::npos);
}

TEST_CASE("a command line that can never work is refused with what to change") {
    const auto refusal = [](const std::vector<std::string>& more) {
        std::vector<std::string> words{HOMEWARD_EMIT_PROGRAM, "--region", "ams", "--app", "side"};
        words.insert(words.end(), more.begin(), more.end());
        const CommandResult result = run_command(words, {}, 30s);
        CHECK(result.exit_code == 2);
        return result.output;
    };
    CHECK_THAT(refusal({"--durability", "disk"}), Catch::Matchers::Contains("needs --spool"));
    CHECK_THAT(refusal({"--durability", "paper"}),
               Catch::Matchers::Contains("--durability: expected process or disk"));
    CHECK_THAT(refusal({"--wait", "long"}),
               Catch::Matchers::Contains("--wait: expected a whole number"));
    CHECK_THAT(refusal({"--tls-ca", "/nowhere/ca.pem"}),
               Catch::Matchers::Contains("/nowhere/ca.pem cannot be read"));
    CHECK_THAT(refusal({"--tls-cert", "/nowhere/us.pem", "--tls-key", "/nowhere/us.key"}),
               Catch::Matchers::Contains("/nowhere/us.pem cannot be read"));
}
