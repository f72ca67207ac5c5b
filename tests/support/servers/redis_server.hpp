#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace homeward::testing {

/// A private Redis on 127.0.0.1: a primary, or a replica of one.
class RedisServer {
  public:
    /// @param settings more of redis.conf, "name value" each
    explicit RedisServer(const std::vector<std::string>& settings = {});
    /// A replica whose first synchronization is complete.
    static std::unique_ptr<RedisServer> replica_of(const RedisServer& primary,
                                                   const std::vector<std::string>& settings = {});
    ~RedisServer();

    void start();
    void kill();
    void freeze() { process_.signal(19); }
    void thaw() { process_.signal(18); }

    int port() const { return port_; }
    std::string log() const { return read_file(dir_ / "log"); }
    /// Over a connection of its own: a string, a number as text, or an error with its '-'. Throws
    /// std::runtime_error if the server does not answer.
    std::string ask(const std::vector<std::string>& words) const;

  private:
    TempDir dir_;
    int port_;
    Process process_;
};

}  // namespace homeward::testing
