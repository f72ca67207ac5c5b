#include "tests/support/servers/nats_server.hpp"

#include <fstream>
#include <stdexcept>

namespace homeward::testing {

using namespace std::chrono_literals;

NatsServer::NatsServer(NatsOptions options) : options_(std::move(options)) {
    configure();
    start();
}

void NatsServer::configure() const {
    std::ofstream conf(dir_ / "nats.conf");
    conf << "listen: 127.0.0.1:" << port_ << "\nserver_name: test-" << port_ << "\n";
    if (options_.jetstream) {
        conf << "jetstream { store_dir: \"" << (dir_ / "store").string() << "\"";
        if (!options_.domain.empty()) conf << ", domain: " << options_.domain;
        conf << " }\n";
    }
    if (options_.hub_leafnode_port != 0) {
        conf << "leafnodes { reconnect: 1, remotes: [ { url: \"nats://127.0.0.1:"
             << options_.hub_leafnode_port << "\" } ] }\n";
    } else {
        conf << "leafnodes { listen: 127.0.0.1:" << leafnode_port_ << " }\n";
    }
    conf << options_.more << "\n";
}

void NatsServer::reload(const std::string& more) {
    options_.more = more;
    configure();
    const auto reloads = [this] {
        const std::string text = log();
        std::size_t count = 0;
        constexpr std::string_view kSign = "Reloaded server configuration";
        for (auto at = text.find(kSign); at != text.npos; at = text.find(kSign, at + 1)) ++count;
        return count;
    };
    const std::size_t before = reloads();
    process_.signal(1);  // SIGHUP
    if (!wait_until(60s, [&] { return reloads() > before; })) {
        throw std::runtime_error("nats-server did not reload:\n" + log());
    }
}

void NatsServer::start(Until until) {
    std::filesystem::remove(dir_ / "log");
    ProcessOptions options;
    options.log = dir_ / "log";
    process_ = Process({"nats-server", "-c", dir_ / "nats.conf"}, options);
    const bool is_leaf = options_.hub_leafnode_port != 0 && until == Until::linked;
    const char* sign = is_leaf ? "Leafnode connection created" : "Server is ready";
    const bool up = wait_until(
        60s, [&] { return log().find(sign) != std::string::npos || !process_.is_running(); });
    if (!up || !process_.is_running()) {
        throw std::runtime_error("nats-server did not start:\n" + log());
    }
}

}  // namespace homeward::testing
