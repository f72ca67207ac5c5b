#pragma once

#include <sys/types.h>

#include "tests/support/servers/postgres_server.hpp"

namespace homeward::bench {

/// Processor time of every process of one PostgreSQL since this was made: backends that have ended
/// meanwhile, checkpointer and WAL writer included. One thread.
class LeaderCpu {
  public:
    explicit LeaderCpu(const testing::PostgresServer& leader);
    double seconds() const;

  private:
    pid_t postmaster_;
    double at_start_;
};

}  // namespace homeward::bench
