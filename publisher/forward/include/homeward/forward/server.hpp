#pragma once

/// @file
/// The server's side of forwarded calls, beside the leader. It needs libpqxx 6.4 or newer.

#include <array>
#include <functional>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include <homeward/forward/call.hpp>
#include <homeward/options.hpp>
#include <homeward/replay/token.hpp>

namespace homeward::forward {

/// Runs one call in its transaction, READ COMMITTED, which the server begins and commits. The
/// handler must not commit or abort it: that is detected, and the call fails with the code
/// `transaction_ended` or `transaction_aborted`. It may run several times for one key, but commits
/// once: effects outside of the transaction are its own concern.
/// @param tx the transaction
/// @param call borrowed
/// @return the reply's body
using Handler = std::function<std::string(pqxx::work& tx, const Call& call)>;

/// Settings of a server; region and app of the connection and the database's URL have no default.
struct ServerOptions {
    /// The primary region's NATS server, region, app, login and on_log.
    PublisherOptions connection{};
    /// The leader; several hosts are tried in turn. What it does not say is added:
    /// target_session_attrs=read-write, connect_timeout=2, tcp_user_timeout=5000.
    std::string database_url{};
    /// Threads, each with a connection of its own. Calls that run at the same time.
    std::size_t workers = 4;
    /// Calls that wait for a worker. Beyond it calls are answered `busy` at once. Larger: bursts
    /// pass, and the last of them waits longer.
    std::size_t queue_max = 64;
    /// A larger reply fails with the code `reply_too_large`. At most the NATS servers' max_payload
    /// less 1 KiB.
    std::size_t reply_bytes_max = 512u << 10;
    /// Longer deadlines of callers are cut to this. The NATS login may answer for 10 minutes.
    std::chrono::milliseconds deadline_max{60'000};
    /// Signs session tokens; the same keys as in the replica regions. Empty: replies have none.
    std::vector<replay::TokenKey> token_keys{};
    /// How long tokens count.
    replay::TokenOptions token{};
};

/// What a server has done since it was made.
struct ServerStats {
    std::array<std::uint64_t, kOutcomes> answered{};  ///< by Outcome
    std::uint64_t joined = 0;    ///< of these, sent again while the call was queued or ran
    std::size_t queued = 0;      ///< now
    std::size_t running = 0;     ///< now
    std::uint64_t retried = 0;   ///< transactions run again: deadlock, lost connection, failover
    std::uint64_t in_doubt = 0;  ///< COMMITs whose answer was lost; each was settled by looking

    /// The count of one outcome.
    /// @param outcome any
    /// @return answers
    std::uint64_t of(Outcome outcome) const { return answered[static_cast<std::size_t>(outcome)]; }
};

/// Serves operations of one app. Any number of servers share the calls. Threads as `workers` says,
/// and two more; handlers run on the workers.
class Server {
  public:
    /// Connects to nothing yet.
    /// @param options see there
    /// @throws SetupError for options that can never work
    explicit Server(ServerOptions options);
    /// Closes with a deadline of 10 s.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Adds an operation. Before start(); not thread-safe.
    /// @param operation "order.place"; see is_valid_operation()
    /// @param handler called by several threads at once
    /// @throws SetupError for a name that is not valid, or is there already
    void on(std::string operation, Handler handler);

    /// Starts the threads and subscribes. A database or NATS server that cannot be reached is no
    /// error: it is connected to later.
    /// @throws SetupError for options that can never work
    void start();

    /// Takes no further calls, finishes those that it has, and ends. Any thread, once.
    /// @param deadline in milliseconds; handlers that run longer are waited for all the same
    /// @return true if every call was finished and answered
    bool close(std::chrono::milliseconds deadline);

    /// Counts. Any thread.
    /// @return since the server was made
    ServerStats stats() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace homeward::forward
