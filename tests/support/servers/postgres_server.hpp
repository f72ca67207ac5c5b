#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace homeward::testing {

/// Rows as text; empty strings for NULL.
using Rows = std::vector<std::vector<std::string>>;

/// Servers that root starts run as user postgres, and want files of their own.
void give_to_postgres(const std::filesystem::path& path);

/// Over a connection of its own; throws std::runtime_error with the server's message.
Rows query_at(const std::string& url, const std::string& sql);

/// A private PostgreSQL on 127.0.0.1, trusting everybody; a leader, or a streaming standby of one.
/// Not synced to disk unless asked: tests kill processes, not machines.
class PostgresServer {
  public:
    explicit PostgresServer(const std::vector<std::string>& settings = {});
    /// A standby of `leader`, streaming; `port`: where to reach the leader, 0: directly.
    static std::unique_ptr<PostgresServer> standby_of(const PostgresServer& leader, int port = 0);
    ~PostgresServer();

    void start();
    void stop();    ///< fast shutdown
    void kill();    ///< as a power cut of the process
    void freeze();  ///< SIGSTOP to all of it
    void thaw();
    void promote();

    /// A base backup, and back to it: whatever was committed since is lost. Leaves it stopped.
    void back_up();
    void restore();

    /// From now on this user needs this password, everybody else still none.
    void require_password(const std::string& user, const std::string& password);

    int port() const { return port_; }
    std::string log() const { return read_file(dir_ / "log"); }
    std::string url(const std::string& user = "postgres") const;
    /// Over a connection of its own; throws std::runtime_error with the server's message.
    Rows query(const std::string& sql) const;
    std::int64_t number(const std::string& sql) const;

  private:
    struct Standby {};
    explicit PostgresServer(Standby) : port_(free_port()) {}
    void configure(const std::vector<std::string>& settings);

    TempDir dir_;
    int port_;
    Process process_;
};

}  // namespace homeward::testing
