// homeward-wan-proxy: TCP on loopback that is as slow as a link between two continents.
//
//   homeward-wan-proxy --delay-ms 75 LISTEN=TARGET [LISTEN=TARGET …]     ports on 127.0.0.1
//
// Until SIGTERM or SIGINT, or until whoever started it has ended.

#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <list>
#include <string>
#include <vector>

#include "schemas/cli/command_line.hpp"
#include "schemas/cli/options.hpp"
#include "tests/support/faults/tcp_proxy.hpp"

using homeward::testing::TcpProxy;

namespace {

constexpr homeward::cli::Range kPorts{1, 65'535};

/// "LISTEN=TARGET"
void add_route(const std::string& route, std::chrono::milliseconds delay,
               std::list<TcpProxy>& proxies) {
    const std::size_t equals = route.find('=');
    if (equals == std::string::npos) {
        throw homeward::cli::UsageError("\"" + route + "\" is not LISTEN=TARGET, two ports");
    }
    const auto port = [](const std::string& text) {
        return static_cast<int>(homeward::cli::whole_number(text, "a port", kPorts));
    };
    const int listen = port(route.substr(0, equals));
    proxies.emplace_back(port(route.substr(equals + 1)), listen).delay(delay);
}

}  // namespace

int main(int argc, char** argv) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);

    homeward::cli::CommandLine line(
        "homeward-wan-proxy", "TCP on loopback that is as slow as a link between two continents.",
        HOMEWARD_VERSION);
    std::chrono::milliseconds delay{75};
    std::vector<std::string> routes;
    homeward::cli::add_number(
        line.app(), "--delay-ms", {0, 10'000},
        [&](std::int64_t number) { delay = std::chrono::milliseconds(number); },
        "how long each byte takes in each direction");
    line.app()
        .add_option("routes", routes, "ports on 127.0.0.1")
        ->type_name("LISTEN=TARGET")
        ->required();
    if (const auto status = line.parse(argc, argv)) return *status;
    std::list<TcpProxy> proxies;
    try {
        for (const std::string& route : routes) add_route(route, delay, proxies);
    } catch (const homeward::cli::UsageError& error) {
        return line.report(error);
    } catch (const CLI::ValidationError& error) {
        return line.report(homeward::cli::UsageError(error.what()));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "homeward-wan-proxy: %s\n", error.what());
        return 1;
    }
    int signal = 0;
    ::sigwait(&ends, &signal);
}
