#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace homeward::testing {

/// What a scripted server answers to one statement.
struct ScriptedAnswer {
    std::vector<std::string> row{};  ///< one row of text columns
    std::string sqlstate{};          ///< an error instead, if set
    bool is_silent = false;          ///< nothing at all instead
    bool is_in_transaction = false;  ///< as the server says it is, after the statement
};

/// PostgreSQL's protocol (version 3, simple queries) on 127.0.0.1, by which libpq takes it for a
/// server of any version. One connection at a time; has a thread of its own.
class ScriptedPostgres {
  public:
    using Script = std::function<ScriptedAnswer(const std::string& sql)>;

    /// @param version as server_version, "19beta1"
    /// @param script called from the server's thread
    ScriptedPostgres(std::string version, Script script);
    ~ScriptedPostgres();
    ScriptedPostgres(const ScriptedPostgres&) = delete;
    ScriptedPostgres& operator=(const ScriptedPostgres&) = delete;

    std::string url() const;
    /// All statements so far.
    std::vector<std::string> statements() const;
    int connections() const { return connections_; }

  private:
    void run();
    void serve(int client);
    bool greet(int client) const;

    const std::string version_;
    const Script script_;
    int listener_;
    int port_ = 0;
    std::atomic<int> client_{-1};
    std::atomic<int> connections_{0};
    std::atomic<bool> is_ending_{false};
    mutable std::mutex mutex_;
    std::vector<std::string> statements_;
    std::thread thread_;
};

}  // namespace homeward::testing
