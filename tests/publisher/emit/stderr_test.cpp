// What homeward-emit says on standard error: why nothing arrives, and which datagrams it refuses.

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string_view>

#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

int times(const std::string& text, const std::string& part) {
    int count = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
    return count;
}

std::vector<std::string> emit_to(int port, std::vector<std::string> more) {
    more.insert(more.begin(), {HOMEWARD_EMIT_PROGRAM, "--region", "ams", "--app", "shop",
                               "--server", "nats://127.0.0.1:" + std::to_string(port)});
    return more;
}

}  // namespace

TEST_CASE("homeward-emit says once why nothing arrives, and from where") {
    const TempDir dir;
    std::ofstream(dir / "events") << R"({"type":"metric","name":"m","kind":"gauge","value":1})"
                                  << "\n";
    ProcessOptions options;
    options.input = dir / "events";
    const int port = free_port();
    const CommandResult ran = run_command(emit_to(port, {"--wait", "2"}), options);
    INFO(ran.output);
    CHECK(ran.exit_code == 1);
    CHECK(times(ran.output, "homeward-emit: no connection to NATS at 127.0.0.1:" +
                                std::to_string(port) + ": Connection refused") == 1);
    CHECK(times(ran.output, "no connection to NATS") == 1);
    CHECK(times(ran.output, "emitted=1 dropped=0 left_out=0 unacknowledged=1") == 1);
}

TEST_CASE("of refused datagrams the first of each reason is printed, and all are counted") {
    const TempDir dir;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = dir / "emit.dgram";
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    ProcessOptions options;
    options.log = dir / "log";
    Process sidecar(emit_to(free_port(), {"--wait", "0", "--types", HOMEWARD_LOG_LINE_TYPES,
                                          "--listen", "unixgram:" + path}),
                    options);
    const int client = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    REQUIRE(wait_until(30s, [&] {
        return ::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }));
    for (const std::string_view datagram :
         {"no JSON\n[1]\n\n", "{\"type\":\"log_line\"}\n", "{}",
          "{\"type\":\"log_line\",\"line\":\"a\"}\n{\"type\":\"log_line\",\"text\":\"b\"}"}) {
        REQUIRE(::send(client, datagram.data(), datagram.size(), 0) ==
                static_cast<ssize_t>(datagram.size()));
    }
    ::close(client);
    CHECK(sidecar.stop(60s) == 1);  // the event is not acknowledged
    const std::string log = read_file(dir / "log");
    INFO(log);
    CHECK(times(log, path + ": line refused: not a JSON object on one line"
                            " (further ones are only counted: invalid)\n") == 1);
    CHECK(times(log, path + ": line refused: field \"line\" is missing, but required"
                            " (further ones are only counted: incomplete)\n") == 1);
    CHECK(times(log, "line refused") == 2);
    CHECK(times(log, "lines=6 emitted=1 dropped=0 left_out=5") == 1);
}
