#include "tests/support/nats_server.hpp"

#include <fstream>
#include <stdexcept>

namespace homeward::testing {

using namespace std::chrono_literals;

NatsServer::NatsServer(NatsOptions options) : options_(std::move(options)) {
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
    conf.close();
    start();
}

void NatsServer::start() {
    std::filesystem::remove(dir_ / "log");
    ProcessOptions options;
    options.log = dir_ / "log";
    process_ = Process({"nats-server", "-c", dir_ / "nats.conf"}, options);
    const char* sign =
        options_.hub_leafnode_port != 0 ? "Leafnode connection created" : "Server is ready";
    const bool up = wait_until(
        15s, [&] { return log().find(sign) != std::string::npos || !process_.is_running(); });
    if (!up || !process_.is_running()) {
        throw std::runtime_error("nats-server did not start:\n" + log());
    }
}

}  // namespace homeward::testing
