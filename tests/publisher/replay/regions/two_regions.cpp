#include "tests/publisher/replay/regions/two_regions.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

namespace homeward::testing {
namespace {

using namespace std::chrono_literals;

httplib::Client client_of(int port) {
    httplib::Client client("127.0.0.1", port);
    client.set_read_timeout(60s);
    client.set_keep_alive(true);
    return client;
}

void replace_all(std::string& text, const std::string& what, const std::string& by) {
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
        text.replace(at, what.size(), by);
    }
}

bool answers(int port) {
    httplib::Client client = client_of(port);
    client.set_connection_timeout(1s);
    client.set_read_timeout(1s);
    return static_cast<bool>(client.Get("/metrics"));
}

}  // namespace

Databases::Databases() {
    leader.query(
        "CREATE TABLE orders (id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text)");
    leader.query("INSERT INTO orders (item) VALUES ('first')");
    replica = PostgresServer::standby_of(leader);
    catch_up();
}

void Databases::catch_up() const {
    const std::string lsn = leader.query("SELECT pg_current_wal_lsn()").at(0).at(0);
    const bool caught_up = wait_until(30s, [&] {
        return replica->query("SELECT pg_last_wal_replay_lsn() >= '" + lsn + "'").at(0).at(0) ==
               "t";
    });
    if (!caught_up) throw std::runtime_error("the replica does not catch up:\n" + replica->log());
}

TwoRegions::TwoRegions(const AppOptions& ams, const AppOptions& scl) {
    restart("ams", ams);
    restart("scl", scl);
    start_nginx();
}

void TwoRegions::restart(const std::string& region, const AppOptions& options) {
    ProcessOptions process_options;
    process_options.log = dir_ / region;
    process_options.environment = options.environment;
    auto& environment = process_options.environment;
    environment["PORT"] = std::to_string(of(region).port);
    environment["PRIMARY_REGION"] = options.primary_region;
    environment["FLY_REGION"] = options.region;
    environment["DATABASE_URL"] = options.database_url;
    environment["DATABASE_REPLICA_URL"] = options.replica_url;
    environment["HOMEWARD_REPLAY_KEYS"] = "test:" + std::string(64, 'a');
    environment.emplace("REPLAY_ACCEL_PREFIX", "@homeward_replay_");
    Process& process = of(region).process;
    process = Process();
    const bool has_started = wait_until(30s, [&] {
        // A stranger's connection may have the port for a moment: the app says so and ends.
        if (!process.is_running()) process = Process({options.program}, process_options);
        return answers(of(region).port);
    });
    if (!has_started) {
        throw std::runtime_error(options.program + " did not start, and is " +
                                 (process.is_running() ? "running" : "gone") + ":\n" + log(region));
    }
}

void TwoRegions::start_nginx() {
    std::string conf = read_file(HOMEWARD_NGINX_CONF);
    const std::pair<const char*, std::string> values[] = {
        {"@DIR@", dir_.path().string()},
        {"@AMS_PORT@", std::to_string(of("ams").port)},
        {"@SCL_PORT@", std::to_string(of("scl").port)},
        {"@SCL_WAN_PORT@", std::to_string(of("scl").port)},
        {"@EDGE_AMS_PORT@", std::to_string(of("ams").edge_port)},
        {"@EDGE_SCL_PORT@", std::to_string(of("scl").edge_port)},
        {"@REPLAY_TIMEOUT@", "2s"},
    };
    for (const auto& [name, value] : values) replace_all(conf, name, value);
    std::ofstream(dir_ / "nginx.conf") << conf;
    std::filesystem::create_directory(dir_ / "passthrough");
    std::ofstream(dir_ / "passthrough" / "uploads.conf")
        << "location ^~ /uploads/ { client_max_body_size 0; proxy_ignore_headers X-Accel-Redirect;"
           " proxy_pass http://ams; }\n";
    const char* path = std::getenv("PATH");
    ProcessOptions options;
    options.log = dir_ / "nginx.log";
    options.environment["PATH"] = std::string(path == nullptr ? "" : path) + ":/usr/sbin";
    nginx_ = Process(
        {"nginx", "-p", dir_.path(), "-e", dir_ / "nginx.log", "-c", dir_ / "nginx.conf"}, options);
    if (!wait_until(30s, [&] { return answers(of("ams").edge_port); })) {
        throw std::runtime_error("nginx did not start:\n" + read_file(dir_ / "nginx.log"));
    }
}

std::string TwoRegions::edge_url(const std::string& region) const {
    return "http://127.0.0.1:" + std::to_string(of(region).edge_port);
}

std::string TwoRegions::app_url(const std::string& region) const {
    return "http://127.0.0.1:" + std::to_string(of(region).port);
}

httplib::Client TwoRegions::edge(const std::string& region) const {
    return client_of(of(region).edge_port);
}

httplib::Client TwoRegions::app(const std::string& region) const {
    return client_of(of(region).port);
}

std::string TwoRegions::talk(const std::string& region, const std::string& bytes) const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(of(region).port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    std::string said;
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
        ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
        char buffer[4096];
        for (ssize_t n; (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) {
            said.append(buffer, static_cast<std::size_t>(n));
        }
    }
    ::close(fd);
    return said;
}

double TwoRegions::metric(const std::string& region, const std::string& series) const {
    const auto answer = app(region).Get("/metrics");
    if (!answer) return -1;
    const std::size_t at = answer->body.find("\n" + series + " ");
    return at == std::string::npos ? -1 : std::stod(answer->body.substr(at + series.size() + 2));
}

}  // namespace homeward::testing
