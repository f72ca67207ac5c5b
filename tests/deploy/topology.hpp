#pragma once

#include <map>
#include <memory>
#include <string>

#include "tests/support/nats_client.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace homeward::testing {

/// A hub and its leaves as deploy/nats/generate makes them, a leader, and homeward-consumer beside
/// the hub; all on 127.0.0.1. One thread.
class Topology {
  public:
    /// `regions`: replica regions; the hub's own is scl.
    explicit Topology(const std::vector<std::string>& regions);

    void start(const std::string& name);
    void kill(const std::string& name) { servers_.at(name).kill(); }
    Process& server(const std::string& name) { return servers_.at(name); }
    void start_consumer();
    CommandResult consumer_command(const std::vector<std::string>& words) const;

    /// As the app of a region that may be another than that of the server.
    NatsClient app(const std::string& name) const;
    NatsClient as(const std::string& name, const std::string& user) const;
    /// Publishes so many audit events into the region's own stream.
    void emit(const std::string& name, int count);

    /// A server of the attacker's: he has stolen the login of this region's leaf, and may do
    /// anything on his own machine. Returns its client port.
    int start_rogue(const std::string& region);

    std::string secret(const std::string& name) const;
    std::string log(const std::string& name) const { return read_file(dir_ / (name + ".log")); }
    std::string consumer_log() const { return log("consumer"); }
    PostgresServer& leader() { return leader_; }

  private:
    TempDir dir_;
    PostgresServer leader_;
    int leaf_port_ = free_port();
    std::map<std::string, int> ports_;
    std::map<std::string, Process> servers_;
    std::map<std::string, std::string> environment_;
    Process consumer_;
};

}  // namespace homeward::testing
