#include "tests/deploy/topology.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace homeward::testing {
namespace {

using namespace std::chrono_literals;

constexpr const char* kLine =
    R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed"})";

}  // namespace

Topology::Topology(const std::vector<std::string>& regions) {
    std::ofstream list(dir_ / "regions.toml");
    list << "regions = [";
    for (const std::string& region : regions) list << "\"" << region << "\", ";
    ports_["hub"] = free_port();
    list << "]\n[hub]\nregion = \"scl\"\ndomain = \"hub\"\nleaf_listen = \"127.0.0.1:" << leaf_port_
         << "\"\nleaf_hosts = [\"127.0.0.1:" << leaf_port_
         << "\"]\nclient_listen = \"127.0.0.1:" << ports_["hub"] << "\"\nstore_dir = \""
         << (dir_ / "store-hub").string() << "\"\n";
    for (const std::string& region : regions) {
        ports_[region] = free_port();
        list << "[region." << region << "]\nclient_listen = \"127.0.0.1:" << ports_[region]
             << "\"\nstore_dir = \"" << (dir_ / ("store-" + region)).string() << "\"\n";
    }
    list.close();
    const CommandResult made =
        run_command({HOMEWARD_NATS_GENERATE, dir_ / "regions.toml", dir_ / "out"});
    if (made.exit_code != 0) throw std::runtime_error(made.output);
    for (const auto& [name, port] : ports_) start(name);

    std::istringstream lines(read_file(dir_ / "out/consumer.env"));
    for (std::string line; std::getline(lines, line);) {
        environment_[line.substr(0, line.find('='))] = line.substr(line.find('=') + 1);
    }
    environment_["HOMEWARD_POSTGRES_URL"] = leader_.url();
    environment_["HOMEWARD_ADMIN_LISTEN"] = "127.0.0.1:" + std::to_string(free_port());
    environment_["HOMEWARD_PULL_ACK_WAIT_MS"] = "2000";
    CommandResult applied;
    wait_until(20s, [&] {
        applied = consumer_command({"streams", "apply"});
        return applied.exit_code == 0;
    });
    if (applied.exit_code != 0) throw std::runtime_error(applied.output + log("ams") + log("hub"));
}

void Topology::start(const std::string& name) {
    ProcessOptions options;
    options.log = dir_ / (name + ".log");
    std::filesystem::remove(options.log);
    servers_[name] = Process({"nats-server", "-c", dir_ / ("out/" + name + "/nats.conf")}, options);
    wait_until(10s, [&] {
        return log(name).find("Server is ready") != std::string::npos ||
               !servers_[name].is_running();
    });
    if (!servers_[name].is_running()) throw std::runtime_error(name + ":\n" + log(name));
}

void Topology::start_consumer() {
    ProcessOptions options;
    options.environment = environment_;
    options.log = dir_ / "consumer.log";
    consumer_ = Process({HOMEWARD_CONSUMER_PROGRAM, "run"}, options);
    const bool up =
        wait_until(30s, [&] { return consumer_log().find("consuming") != std::string::npos; });
    if (!up) throw std::runtime_error("homeward-consumer did not start:\n" + consumer_log());
}

CommandResult Topology::consumer_command(const std::vector<std::string>& words) const {
    std::vector<std::string> command{HOMEWARD_CONSUMER_PROGRAM};
    command.insert(command.end(), words.begin(), words.end());
    ProcessOptions options;
    options.environment = environment_;
    return run_command(command, options);
}

std::string Topology::secret(const std::string& name) const {
    const std::string all = read_file(dir_ / "out/secrets.json");
    const std::string key = "\"" + name + "\": \"";
    const std::size_t at = all.find(key);
    if (at == std::string::npos) throw std::runtime_error("no secret of " + name);
    const std::size_t begin = at + key.size();
    return all.substr(begin, all.find('"', begin) - begin);
}

NatsClient Topology::app(const std::string& name) const {
    return NatsClient(ports_.at(name), "app", secret("app-" + (name == "hub" ? "scl" : name)));
}

NatsClient Topology::as(const std::string& name, const std::string& user) const {
    return NatsClient(ports_.at(name), user, secret(user));
}

void Topology::emit(const std::string& name, int count) {
    NatsClient client = app(name);
    const std::string region = name == "hub" ? "scl" : name;
    for (int i = 0; i < count; ++i) client.publish("homeward.plain." + region + ".shop", kLine);
}

int Topology::start_rogue(const std::string& region) {
    const int port = free_port();
    std::ofstream(dir_ / "rogue.conf")
        << "listen: 127.0.0.1:" << port << "\nserver_name: rogue\njetstream { domain: rogue, "
        << "store_dir: \"" << (dir_ / "store-rogue").string() << "\" }\n"
        << "leafnodes { reconnect: 1, remotes: [ { url: \"nats-leaf://leaf-" << region << ":"
        << secret("leaf-" + region) << "@127.0.0.1:" << leaf_port_ << "\" } ] }\n";
    ProcessOptions options;
    options.log = dir_ / "rogue.log";
    servers_["rogue"] = Process({"nats-server", "-c", dir_ / "rogue.conf"}, options);
    const bool up = wait_until(
        10s, [&] { return log("rogue").find("Leafnode connection created") != std::string::npos; });
    if (!up) throw std::runtime_error("the rogue leaf did not connect:\n" + log("rogue"));
    return port;
}

}  // namespace homeward::testing
