#pragma once

#include <map>
#include <memory>
#include <string>

#include "tests/support/faults/tcp_proxy.hpp"
#include "tests/support/process.hpp"
#include "tests/support/servers/nats_client.hpp"
#include "tests/support/servers/postgres_server.hpp"
#include "tests/support/temp_dir.hpp"

namespace homeward::testing {

struct TopologyOptions {
    std::vector<std::string> regions{};  ///< replica regions; the hub's own is scl
    std::string auth = "password";
    bool tls = false;
    std::map<std::string, int> servers{};   ///< "hub" or a region: 3 instead of one
    std::vector<std::string> apps{"shop"};  ///< in every region
    std::string inbox = "own";              ///< or "both", as for clients of 0.1.0
    std::string secrets{};                  ///< what an earlier version of generate has left
};

/// A hub and its leaves as deploy/nats/generate makes them, a leader, and homeward-consumer beside
/// the hub; all on 127.0.0.1. Each leaf reaches the hub through a proxy of its own. A name is "hub"
/// or a region's; of several servers the second is "hub-2". One thread.
class Topology {
  public:
    explicit Topology(const std::vector<std::string>& regions)
        : Topology(TopologyOptions{.regions = regions}) {}
    explicit Topology(TopologyOptions options);

    void start(const std::string& name);
    void kill(const std::string& name) { servers_.at(name).kill(); }
    Process& server(const std::string& name) { return servers_.at(name); }
    TcpProxy& link(const std::string& region) { return *links_.at(region); }
    /// Its disk is lost; the server must not be running.
    void wipe(const std::string& name) { std::filesystem::remove_all(store(name)); }
    void start_consumer();
    /// Anything the consumer's streams lack is made; throws what is wrong when that does not work
    /// in good time.
    void apply_streams();
    CommandResult consumer_command(const std::vector<std::string>& words) const;

    /// As the app of a region that may be another than that of the server.
    NatsClient app(const std::string& name, const std::string& app = "shop") const;
    /// `domain`: whose leaf may answer.
    NatsClient as(const std::string& name, const std::string& user,
                  const std::string& domain = "hub") const;
    /// What deploy/nats/generate gives the app "shop" there, as it lies in its app-shop.env.
    std::map<std::string, std::string> app_env(const std::string& name) const;
    /// "hub" and the regions.
    std::vector<std::string> names() const;
    std::string conf_text(const std::string& name) const { return read_file(conf(name)); }
    int port(const std::string& name) const { return ports_.at(name); }
    /// Publishes so many audit events into the region's own stream.
    void emit(const std::string& name, int count);

    /// A server of the attacker's: he has stolen the login of this region's leaf, and may do
    /// anything on his own machine. Returns its client port.
    int start_rogue(const std::string& region);

    std::string secret(const std::string& name) const;
    std::string log(const std::string& name) const { return read_file(dir_ / (name + ".log")); }
    std::string consumer_log() const { return log("consumer"); }
    PostgresServer& leader() { return leader_; }
    /// Of every homeward-consumer.
    std::map<std::string, std::string>& environment() { return environment_; }

  private:
    void write_list();
    void generate();
    std::string region_of(const std::string& name) const { return name == "hub" ? "scl" : name; }
    std::filesystem::path conf(const std::string& name) const;
    std::filesystem::path store(const std::string& name) const { return dir_ / ("store-" + name); }
    std::map<std::string, std::string> read_env(const std::filesystem::path& file) const;

    TopologyOptions options_;
    TempDir dir_;
    PostgresServer leader_;
    int leaf_port_ = free_port();
    std::map<std::string, std::unique_ptr<TcpProxy>> links_;
    std::map<std::string, int> ports_;  // of clients, for every server
    std::map<std::string, Process> servers_;
    std::map<std::string, std::string> environment_;
    Process consumer_;
};

}  // namespace homeward::testing
