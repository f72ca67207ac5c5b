// homeward-emit where the server wants to see a certificate of its clients.

#include <fstream>

#include "tests/publisher/send/certificate.hpp"
#include "tests/publisher/send/streams.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE("homeward-emit is let in by its own certificate, and not without it") {
    const TempDir dir;
    make_certificate(dir, "server");
    make_certificate(dir, "client");
    make_certificate(dir, "stranger");
    NatsServer server;
    make_stream(server, StreamKind::audit);
    server.reload(tls_lines(dir, "server", "client"));
    std::ofstream(dir / "events") << R"({"type":"note","actor":"user:1"})"
                                  << "\n";

    const auto emit = [&](const std::vector<std::string>& certificate) {
        std::vector<std::string> words{HOMEWARD_EMIT_PROGRAM,
                                       "--region",
                                       "ams",
                                       "--app",
                                       "side",
                                       "--server",
                                       "tls://127.0.0.1:" + std::to_string(server.port()),
                                       "--tls-ca",
                                       dir / "server.pem"};
        words.insert(words.end(), certificate.begin(), certificate.end());
        ProcessOptions options;
        options.input = dir / "events";
        return run_command(words, options, 90s);
    };
    const CommandResult let_in =
        emit({"--tls-cert", dir / "client.pem", "--tls-key", dir / "client.key"});
    INFO(let_in.output);
    CHECK(let_in.exit_code == 0);  // the stream has the event
    const CommandResult without = emit({"--wait", "3"});
    CHECK(without.exit_code == 1);
    const CommandResult strange = emit(
        {"--wait", "3", "--tls-cert", dir / "stranger.pem", "--tls-key", dir / "stranger.key"});
    CHECK(strange.exit_code == 1);
}
