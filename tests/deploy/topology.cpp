#include "tests/deploy/topology.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace homeward::testing {
namespace {

using namespace std::chrono_literals;

constexpr const char* kLine =
    R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed"})";

void replace(std::string& text, const std::string& what, const std::string& by) {
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
        text.replace(at, what.size(), by);
    }
}

/// A CA of its own and one certificate for every server, as the [tls] of a list wants them.
void make_certificates(const std::filesystem::path& dir) {
    const CommandResult made = run_command(
        {"sh", "-ec",
         "cd \"$0\"; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
         " -subj /CN=ca -keyout ca.key -out ca.pem;"
         " openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=nats"
         " -keyout server.key -out server.csr;"
         " printf 'subjectAltName=IP:127.0.0.1' >ext;"
         " openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2"
         " -extfile ext -out server.pem",
         dir});
    if (made.exit_code != 0) throw std::runtime_error("openssl:\n" + made.output);
}

}  // namespace

Topology::Topology(TopologyOptions options) : options_(std::move(options)) {
    if (options_.tls) make_certificates(dir_.path());
    write_list();
    generate();
    for (const auto& [name, port] : ports_) start(name);

    environment_ = read_env(dir_ / "out/consumer.env");
    environment_["HOMEWARD_POSTGRES_URL"] = leader_.url();
    environment_["HOMEWARD_ADMIN_LISTEN"] = "127.0.0.1:" + std::to_string(free_port());
    environment_["HOMEWARD_PULL_ACK_WAIT_MS"] = "2000";
    if (options_.auth == "nkey") {
        environment_["HOMEWARD_NATS_NKEY_FILE"] = dir_ / "out/consumer.nk";
    }
    apply_streams();
}

std::vector<std::string> Topology::names() const {
    std::vector<std::string> names{"hub"};
    names.insert(names.end(), options_.regions.begin(), options_.regions.end());
    return names;
}

void Topology::write_list() {
    std::ofstream list(dir_ / "regions.toml");
    list << "auth = \"" << options_.auth << "\"\nregions = [";
    for (const std::string& region : options_.regions) list << "\"" << region << "\", ";
    list << "]\napps = [";
    for (const std::string& app : options_.apps) list << "\"" << app << "\", ";
    list << "]\n";
    for (const std::string& name : names()) {
        const int count = options_.servers.count(name) == 1 ? options_.servers.at(name) : 1;
        ports_[name] = free_port();
        list << (name == "hub" ? "[hub]" : "[region." + name + "]") << "\n"
             << "client_listen = \"127.0.0.1:" << ports_[name] << "\"\nstore_dir = \""
             << store(name).string() << "\"\nstore_bytes_max = 1073741824\nservers = [";
        for (int i = 0; i < count; ++i) list << "\"127.0.0.1:" << free_port() << "\", ";
        list << "]\n";
        if (name == "hub") {
            list << "region = \"scl\"\ndomain = \"hub\"\nleaf_listen = \"127.0.0.1:" << leaf_port_
                 << "\"\nleaf_hosts = [\"127.0.0.1:" << leaf_port_ << "\"]\n";
        }
        // The others of several servers, which on machines of their own would have the same port.
        for (int i = 2; i <= count; ++i) ports_[name + "-" + std::to_string(i)] = free_port();
    }
    if (options_.tls) {
        list << "[tls]\nca_file = \"" << (dir_ / "ca.pem").string() << "\"\ncert_file = \""
             << (dir_ / "server.pem").string() << "\"\nkey_file = \""
             << (dir_ / "server.key").string() << "\"\n";
    }
}

void Topology::generate() {
    if (!options_.secrets.empty()) {
        std::filesystem::create_directories(dir_ / "out");
        std::ofstream(dir_ / "out/secrets.json") << options_.secrets;
    }
    const CommandResult made = run_command(
        {HOMEWARD_NATS_GENERATE, "--inbox", options_.inbox, dir_ / "regions.toml", dir_ / "out"});
    if (made.exit_code != 0) throw std::runtime_error(made.output);
    // What machines of their own would have each: a way to the hub, a port and a disk.
    for (const std::string& region : options_.regions) {
        links_[region] = std::make_unique<TcpProxy>(leaf_port_);
    }
    for (const auto& [name, port] : ports_) {
        const std::string first = name.substr(0, name.find('-'));
        std::string text = read_file(conf(name));
        if (links_.count(first) == 1) {
            replace(text, "@127.0.0.1:" + std::to_string(leaf_port_),
                    "@127.0.0.1:" + std::to_string(links_[first]->port()));
        }
        // Only the way that a test can cut, not the one that the hub tells of.
        replace(text, "advertise: \"127.0.0.1:" + std::to_string(leaf_port_),
                "advertise: \"127.0.0.1:1");
        if (name != first) {
            replace(text, "127.0.0.1:" + std::to_string(ports_[first]),
                    "127.0.0.1:" + std::to_string(port));
            replace(text, store(first), store(name));
            // Leaves connect to the first of the hub's servers only.
            replace(text, "listen: \"127.0.0.1:" + std::to_string(leaf_port_),
                    "listen: \"127.0.0.1:" + std::to_string(free_port()));
        }
        std::ofstream(conf(name)) << text;
    }
}

std::filesystem::path Topology::conf(const std::string& name) const {
    const std::string first = name.substr(0, name.find('-'));
    const bool is_alone = options_.servers.count(first) == 0 || options_.servers.at(first) == 1;
    const std::string number = name == first ? "1" : name.substr(first.size() + 1);
    return dir_ / ("out/" + first + (is_alone ? "/nats.conf" : "/nats-" + number + ".conf"));
}

std::map<std::string, std::string> Topology::read_env(const std::filesystem::path& file) const {
    std::map<std::string, std::string> values;
    std::istringstream lines(read_file(file));
    for (std::string line; std::getline(lines, line);) {
        values[line.substr(0, line.find('='))] = line.substr(line.find('=') + 1);
    }
    return values;
}

std::map<std::string, std::string> Topology::app_env(const std::string& name) const {
    auto values = read_env(dir_ / ("out/" + name + "/app-shop.env"));
    if (options_.auth == "nkey") {
        values["HOMEWARD_NATS_NKEY_FILE"] = dir_ / ("out/" + name + "/app-shop.nk");
    }
    return values;
}

void Topology::apply_streams() {
    CommandResult applied;
    wait_until(40s, [&] {
        applied = consumer_command({"streams", "apply"});
        return applied.exit_code == 0;
    });
    if (applied.exit_code == 0) return;
    std::string logs;
    for (const auto& [name, port] : ports_) logs += name + ":\n" + log(name);
    throw std::runtime_error(applied.output + logs);
}

void Topology::start(const std::string& name) {
    ProcessOptions options;
    options.log = dir_ / (name + ".log");
    std::filesystem::remove(options.log);
    servers_[name] = Process({"nats-server", "-c", conf(name)}, options);
    wait_until(60s, [&] {
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

NatsClient Topology::app(const std::string& name, const std::string& app) const {
    const std::string region = region_of(name);
    return NatsClient(ports_.at(name), "app-" + app, secret("app-" + region + "." + app),
                      "_INBOX.homeward." + region + "." + app + ".test");
}

NatsClient Topology::as(const std::string& name, const std::string& user,
                        const std::string& domain) const {
    return NatsClient(ports_.at(name), user, secret(user),
                      "_INBOX.homeward.consumer." + domain + ".test");
}

void Topology::emit(const std::string& name, int count) {
    NatsClient client = app(name);
    const std::string region = region_of(name);
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
