#include "tests/support/bridge.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <stdexcept>

namespace homeward::testing {
namespace {

using namespace std::chrono_literals;

NatsOptions hub_options() {
    NatsOptions options;
    options.domain = "hub";
    return options;
}

NatsOptions leaf_options(const NatsServer& hub) {
    NatsOptions options;
    options.domain = "ams";
    options.hub_leafnode_port = hub.leafnode_port();
    return options;
}

std::string http_get(int port, const std::string& path) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{5, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    std::string answer;
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
        const std::string request =
            "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
            char buffer[4096];
            for (ssize_t n; (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) {
                answer.append(buffer, static_cast<std::size_t>(n));
            }
        }
    }
    ::close(fd);
    return answer;
}

}  // namespace

Bridge::Bridge(const BridgeOptions& options)
    : hub_(hub_options()), leaf_(leaf_options(hub_)), leader_(options.leader_settings) {
    environment_ = {
        {"HOMEWARD_NATS_URLS", hub_.url()},
        {"HOMEWARD_POSTGRES_URL", leader_.url()},
        {"HOMEWARD_SOURCES", "ams@ams"},
        {"HOMEWARD_ADMIN_LISTEN", "127.0.0.1:" + std::to_string(admin_port_)},
    };
    for (const auto& [name, value] : options.environment) environment_[name] = value;
    const CommandResult made = consumer_command({"streams", "apply"});
    if (made.exit_code != 0) throw std::runtime_error("streams apply:\n" + made.output);
}

void Bridge::start_consumer() {
    ProcessOptions options;
    options.environment = environment_;
    options.log = dir_ / "consumer.log";
    consumer_ = Process({HOMEWARD_CONSUMER_PROGRAM, "run"}, options);
    const bool up =
        wait_until(30s, [this] { return !admin("/livez").empty() || !consumer_.is_running(); });
    if (!up || !consumer_.is_running()) {
        throw std::runtime_error("homeward-consumer did not start:\n" + consumer_log());
    }
}

CommandResult Bridge::consumer_command(const std::vector<std::string>& words,
                                       std::chrono::milliseconds time) const {
    std::vector<std::string> command{HOMEWARD_CONSUMER_PROGRAM};
    command.insert(command.end(), words.begin(), words.end());
    ProcessOptions options;
    options.environment = environment_;
    return run_command(command, options, time);
}

std::string Bridge::admin(const std::string& path) const {
    return http_get(admin_port_, path);
}

double Bridge::metric(const std::string& series) const {
    const std::string text = admin("/metrics");
    const std::size_t at = text.find("\n" + series + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
}

}  // namespace homeward::testing
