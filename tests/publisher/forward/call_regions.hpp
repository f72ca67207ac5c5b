#pragma once

#include <homeward/forward/client.hpp>
#include <homeward/forward/server.hpp>

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/servers/nats_server.hpp"
#include "tests/support/servers/postgres_server.hpp"
#include "tests/support/temp_dir.hpp"

namespace homeward::testing {

/// Two regions of the app "shop": a hub with the leader in scl, a leaf in ams; the leader has the
/// migrations, and a table without any unique index, so that a doubled effect shows.
class CallRegions {
  public:
    explicit CallRegions(const std::vector<std::string>& leader_settings = {});

    /// In ams, by the leaf.
    forward::ClientOptions client_options() const;
    /// In scl, by the hub; it serves the leader.
    forward::ServerOptions server_options() const;
    /// Orders with this key.
    std::int64_t orders(const std::string& key) const;

    NatsServer& hub() { return hub_; }
    NatsServer& leaf() { return leaf_; }
    PostgresServer& leader() { return leader_; }
    /// What clients and servers have said.
    std::string log() const { return read_file(dir_ / "log"); }
    const TempDir& dir() const { return dir_; }

  private:
    std::function<void(std::string_view)> logger() const;

    TempDir dir_;
    NatsServer hub_;
    NatsServer leaf_;
    PostgresServer leader_;
};

/// Inserts an order: key and body.
std::string place_order(pqxx::work& tx, const forward::Call& call);

/// A handler whose calls wait before they place their orders, until release(). Any thread.
class HeldOrders {
  public:
    forward::Handler handler();
    void release();
    /// Until so many calls have come. Throws std::runtime_error after 30 s.
    void wait_for(int calls);

  private:
    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    int calls_ = 0;
    bool is_released_ = false;
};

/// A server of the operation "order.place", started; the leaf knows of it.
class OrderServer {
  public:
    OrderServer(CallRegions& regions, const forward::ServerOptions& options,
                forward::Handler handler = &place_order);
    explicit OrderServer(CallRegions& regions) : OrderServer(regions, regions.server_options()) {}

    forward::Server& operator*() { return server_; }
    forward::Server* operator->() { return &server_; }

  private:
    forward::Server server_;
};

}  // namespace homeward::testing
