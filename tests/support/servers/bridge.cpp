#include "tests/support/servers/bridge.hpp"

#include <stdexcept>

#include "tests/support/http_text.hpp"

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
        wait_until(60s, [this] { return !admin("/livez").empty() || !consumer_.is_running(); });
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
    return http_answer(admin_port_, path);
}

double Bridge::metric(const std::string& series) const {
    const std::string text = admin("/metrics");
    const std::size_t at = text.find("\n" + series + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
}

}  // namespace homeward::testing
