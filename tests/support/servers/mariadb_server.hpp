#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/servers/postgres_server.hpp"
#include "tests/support/temp_dir.hpp"

namespace homeward::testing {

/// A private MariaDB on 127.0.0.1 with a binary log: a leader, or a read-only replica of one.
/// Nobody needs a password: `admin` may do anything, `app` what it likes in the schema `shop`, but
/// never write on a server that is read-only.
class MariadbServer {
  public:
    MariadbServer();
    /// A replica of `leader` by GTID.
    static std::unique_ptr<MariadbServer> replica_of(const MariadbServer& leader);
    ~MariadbServer();

    void start();
    void stop();  ///< shutdown
    void kill();  ///< as a power cut of the process
    void freeze() { process_.signal(19); }
    void thaw() { process_.signal(18); }

    int port() const { return port_; }
    std::string log() const { return read_file(dir_ / "log"); }
    /// As admin, over a connection of its own; throws std::runtime_error with the server's message.
    Rows query(const std::string& sql) const;

  private:
    explicit MariadbServer(int server_id);
    void run(const std::vector<std::string>& more);

    TempDir dir_;
    int port_;
    int server_id_;
    std::vector<std::string> more_{};
    Process process_;
};

}  // namespace homeward::testing
