#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/support/servers/nats_server.hpp"
#include "tests/support/servers/postgres_server.hpp"

namespace homeward::bench {

using Environment = std::map<std::string, std::string>;

/// The line behind the app: one nats-server, one leader that syncs its WAL to the disk as a user's
/// does, and homeward-consumer with its defaults. Streams, ledger and tables are there from the
/// start. One thread.
class Line {
  public:
    /// `nats_more`: further lines of the server's configuration. `made_with`: what differs from
    /// the defaults when streams and durables are made.
    explicit Line(const std::string& nats_more = "", const Environment& made_with = {});

    /// Makes what is missing of streams and durables; throws std::runtime_error.
    void apply_streams(const Environment& made_with) const {
        command({"streams", "apply"}, made_with);
    }
    /// Brings ledger and tables up to date.
    void apply_schema(const Environment& differing) const {
        command({"schema", "apply"}, differing);
    }
    /// Returns at once. `differing`: what is not a default, e.g. {"HOMEWARD_BATCH_WRITERS", "1"}.
    void start_consumer(const Environment& differing = {});
    /// With SIGTERM; throws std::runtime_error with its log when it does not end well.
    void stop_consumer();
    void kill_consumer() { consumer_.kill(); }
    /// Processor time since it started.
    double consumer_cpu_seconds() const;

    /// The value of a series without labels at /metrics; 0 before it answers.
    double metric(const std::string& name) const;
    /// Waits for a metric to reach a value; throws std::runtime_error when it stands still for a
    /// minute, or the consumer has died.
    void wait_for_metric(const std::string& name, double value);

    /// An empty table, or the empty tables of a packed type, and no dirty pages that somebody else
    /// has left to write.
    void empty_table(const std::string& table);

    testing::NatsServer& nats() { return nats_; }
    testing::PostgresServer& leader() { return leader_; }
    const testing::TempDir& dir() const { return dir_; }

  private:
    testing::ProcessOptions process_options(const Environment& differing) const;
    void command(const std::vector<std::string>& words, const Environment& differing) const;

    testing::TempDir dir_;
    testing::NatsServer nats_;
    testing::PostgresServer leader_;
    int admin_port_ = testing::free_port();
    testing::Process consumer_;
};

}  // namespace homeward::bench
