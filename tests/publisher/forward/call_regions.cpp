#include "tests/publisher/forward/call_regions.hpp"

#include <fcntl.h>
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

}  // namespace

CallRegions::CallRegions(const std::vector<std::string>& leader_settings)
    : hub_(hub_options()), leaf_(leaf_options(hub_)), leader_(leader_settings) {
    ProcessOptions options;
    options.environment = {{"HOMEWARD_NATS_URLS", hub_.url()},
                           {"HOMEWARD_POSTGRES_URL", leader_.url()},
                           {"HOMEWARD_SOURCES", "ams@ams"}};
    const CommandResult made = run_command({HOMEWARD_CONSUMER_PROGRAM, "schema", "apply"}, options);
    if (made.exit_code != 0) throw std::runtime_error("schema apply:\n" + made.output);
    leader_.query("CREATE TABLE orders (key text, item text)");
}

std::function<void(std::string_view)> CallRegions::logger() const {
    return [path = (dir_ / "log").string()](std::string_view line) {
        const std::string text = std::string(line) + "\n";
        const int file = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        static_cast<void>(!::write(file, text.data(), text.size()));
        ::close(file);
    };
}

forward::ClientOptions CallRegions::client_options() const {
    forward::ClientOptions options;
    options.connection.nats_urls = {leaf_.url()};
    options.connection.region = "ams";
    options.connection.app = "shop";
    options.connection.on_log = logger();
    options.deadline = 10s;
    return options;
}

forward::ServerOptions CallRegions::server_options() const {
    forward::ServerOptions options;
    options.connection.nats_urls = {hub_.url()};
    options.connection.region = "scl";
    options.connection.app = "shop";
    options.connection.on_log = logger();
    options.database_url = leader_.url();
    return options;
}

std::int64_t CallRegions::orders(const std::string& key) const {
    return leader_.number("SELECT count(*) FROM orders WHERE key = '" + key + "'");
}

std::string place_order(pqxx::work& tx, const forward::Call& call) {
    tx.exec("INSERT INTO orders VALUES (" + tx.quote(std::string(call.key)) + ", " +
            tx.quote(std::string(call.body)) + ")");
    return "placed " + std::string(call.body);
}

forward::Handler HeldOrders::handler() {
    return [this](pqxx::work& tx, const forward::Call& call) {
        std::unique_lock lock(mutex_);
        ++calls_;
        changed_.notify_all();
        changed_.wait_for(lock, 60s, [this] { return is_released_; });
        return place_order(tx, call);
    };
}

void HeldOrders::release() {
    const std::lock_guard lock(mutex_);
    is_released_ = true;
    changed_.notify_all();
}

void HeldOrders::wait_for(int calls) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, 30s, [&] { return calls_ >= calls; })) {
        throw std::runtime_error("fewer than " + std::to_string(calls) + " calls have come");
    }
}

OrderServer::OrderServer(CallRegions& regions, const forward::ServerOptions& options,
                         forward::Handler handler)
    : server_(options) {
    server_.on("order.place", std::move(handler));
    server_.start();
    forward::Client probe(regions.client_options());
    const bool is_served = wait_until(20s, [&] {
        return probe.outcome("served", 1s).outcome != forward::Outcome::no_responders;
    });
    if (!is_served)
        throw std::runtime_error("the leaf does not hear of the server:\n" + regions.log());
}

}  // namespace homeward::testing
