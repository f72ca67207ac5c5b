#pragma once

#include <string>

#include "tests/support/process.hpp"
#include "tests/support/servers/postgres_server.hpp"
#include "tests/support/temp_dir.hpp"

namespace homeward::testing {

/// A private pgbouncer on 127.0.0.1 in front of a PostgresServer, letting everybody in as postgres.
class Pooler {
  public:
    /// `mode`: transaction, session or statement. `connections`: that all of its clients share.
    Pooler(const PostgresServer& server, const std::string& mode, int connections);

    std::string url() const {
        return "postgresql://postgres@127.0.0.1:" + std::to_string(port_) + "/postgres";
    }
    /// As an app would ask, over a connection of its own.
    Rows query(const std::string& sql) const { return query_at(url(), sql); }

  private:
    TempDir dir_;
    int port_ = free_port();
    Process process_;
};

}  // namespace homeward::testing
