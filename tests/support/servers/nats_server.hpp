#pragma once

#include <cstdint>
#include <string>

#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace homeward::testing {

struct NatsOptions {
    std::string domain;         ///< of its JetStream; empty: none
    int hub_leafnode_port = 0;  ///< set: this is a leaf of the hub there
    bool jetstream = true;
    std::string more;  ///< further lines of its configuration
};

/// A private nats-server on 127.0.0.1, with its store. Keeps port and store over a restart.
class NatsServer {
  public:
    explicit NatsServer(NatsOptions options = {});

    /// What start() waits for: clients may connect, or a leaf has its hub, too (a second or two).
    enum class Until : std::uint8_t { serving, linked };
    void start(Until until = Until::linked);
    /// Other further lines, taken over by the running server.
    void reload(const std::string& more);
    void stop() { process_.stop(); }
    void kill() { process_.kill(); }
    void freeze() { process_.signal(19); }  // SIGSTOP
    void thaw() { process_.signal(18); }    // SIGCONT

    pid_t pid() const { return process_.pid(); }
    int port() const { return port_; }
    int leafnode_port() const { return leafnode_port_; }
    std::string url() const { return "nats://127.0.0.1:" + std::to_string(port_); }
    std::string log() const { return read_file(dir_ / "log"); }

  private:
    void configure() const;

    TempDir dir_;
    NatsOptions options_;
    int port_ = free_port();
    int leafnode_port_ = free_port();
    Process process_;
};

}  // namespace homeward::testing
