#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/servers/nats_server.hpp"
#include "tests/support/servers/postgres_server.hpp"
#include "tests/support/temp_dir.hpp"

namespace homeward::testing {

struct BridgeOptions {
    std::vector<std::string> leader_settings;
    /// For every homeward-consumer, e.g. {"HOMEWARD_BATCH_ROWS_MAX", "100"}.
    std::map<std::string, std::string> environment;
};

/// The whole line but for the app: a NATS hub, the leaf of region ams with its own domain, a
/// leader, and homeward-consumer, all private. Streams are made; the consumer is started by
/// start_consumer(). One thread.
class Bridge {
  public:
    explicit Bridge(const BridgeOptions& options = {});

    /// Waits until it consumes, so that a kill meets it at work.
    void start_consumer();
    void kill_consumer() { consumer_.kill(); }
    int stop_consumer() { return consumer_.stop(); }
    Process& consumer() { return consumer_; }
    std::string consumer_log() const { return read_file(dir_ / "consumer.log"); }

    /// homeward-consumer with these words, to its end.
    CommandResult consumer_command(const std::vector<std::string>& words,
                                   std::chrono::milliseconds time = std::chrono::seconds(60)) const;
    /// What it says at GET `path` of its admin endpoint; empty when it does not answer.
    std::string admin(const std::string& path) const;
    int admin_port() const { return admin_port_; }
    /// The value of a series of /metrics, labels included in the name; -1 when it is not there.
    double metric(const std::string& series) const;

    NatsServer& hub() { return hub_; }
    NatsServer& leaf() { return leaf_; }
    PostgresServer& leader() { return leader_; }
    std::map<std::string, std::string>& environment() { return environment_; }
    const TempDir& dir() const { return dir_; }

  private:
    TempDir dir_;
    NatsServer hub_;
    NatsServer leaf_;
    PostgresServer leader_;
    int admin_port_ = free_port();
    std::map<std::string, std::string> environment_;
    Process consumer_;
};

}  // namespace homeward::testing
