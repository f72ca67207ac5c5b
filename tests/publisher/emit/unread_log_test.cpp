// homeward-emit --listen, whose standard error nobody reads any more.

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string_view>

#include "tests/support/catch.hpp"
#include "tests/support/faults/unread_pipe.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE("a sidecar whose standard error nobody reads takes events, and ends") {
    const TempDir dir;
    const UnreadPipe pipe;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = dir / "emit.sock";
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    ProcessOptions options;
    options.log = pipe.path();
    // Of the server that it does not reach it speaks again and again.
    Process sidecar({HOMEWARD_EMIT_PROGRAM, "--region", "ams", "--app", "side", "--server",
                     "nats://127.0.0.1:1", "--wait", "0", "--listen", "unix:" + path},
                    options);
    const int client = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(wait_until(30s, [&] {
        return ::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }));
    const std::string_view lines =
        R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed"})"
        "\n\n";
    CHECK(::send(client, lines.data(), lines.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(lines.size()));
    std::array<char, 200> answer{};
    CHECK(::recv(client, answer.data(), answer.size() - 1, 0) > 0);
    CHECK(std::string_view(answer.data()) ==
          "{\"lines\":1,\"taken\":1,\"dropped\":0,\"refused\":0}\n");
    ::close(client);
    sidecar.signal(SIGTERM);
    CHECK(sidecar.wait(20s) == 1);  // the event is not acknowledged
}
