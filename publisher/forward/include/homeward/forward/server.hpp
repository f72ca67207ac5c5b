#pragma once

/// @file
/// The server side of forwarded calls, in the primary region. It needs libpqxx 6.4 or newer.

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
/// once. The server cannot undo effects outside the transaction.
/// @param tx the transaction
/// @param call borrowed
/// @return the reply's body
using Handler = std::function<std::string(pqxx::work& tx, const Call& call)>;

/// Settings of a server; region and app of the connection and the database's URL have no default.
struct ServerOptions {
    /// The primary region's NATS server, region, app, login and on_log.
    PublisherOptions connection{};
    /// The leader's connection string; several hosts are tried in turn. Defaults are added:
    /// target_session_attrs=read-write, connect_timeout=2, tcp_user_timeout=5000.
    std::string database_url{};
    /// Threads, each with its own connection; the number of calls that run concurrently.
    std::size_t workers = 4;
    /// Calls that wait for a worker; when it is full, calls are answered `busy` at once. A larger
    /// queue absorbs bursts, but its last call waits longer.
    std::size_t queue_max = 64;
    /// A larger reply fails with the code `reply_too_large`. At most the NATS servers' max_payload
    /// less 1 KiB.
    std::size_t reply_bytes_max = 512u << 10;
    /// The upper bound of callers' deadlines. The NATS login permits answers for 10 minutes.
    std::chrono::milliseconds deadline_max{60'000};
    /// Signs session tokens; the same keys as in the replica regions. Empty: replies have none.
    std::vector<replay::TokenKey> token_keys{};
    /// How long tokens are valid.
    replay::TokenOptions token{};
};

/// Counters of a server, since it was made.
struct ServerStats {
    std::array<std::uint64_t, kOutcomes> answered{};  ///< by Outcome
    std::uint64_t joined = 0;    ///< of these, repeated messages of a queued or running call
    std::size_t queued = 0;      ///< now
    std::size_t running = 0;     ///< now
    std::uint64_t retried = 0;   ///< transactions run again: deadlock, lost connection, failover
    std::uint64_t in_doubt = 0;  ///< COMMITs whose result was lost; each key was then looked up

    /// The count of one outcome.
    /// @param outcome any
    /// @return answers
    std::uint64_t of(Outcome outcome) const { return answered[static_cast<std::size_t>(outcome)]; }
};

/// Serves operations of one app. Any number of servers share the calls. It runs `workers` threads
/// for handlers, and two more. In the child of a process that forked it is the parent's: close()
/// returns false, and the destructor does nothing.
class Server {
  public:
    /// Checks the options; start() connects.
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
    /// @throws SetupError for a name that is not valid or is there already, an empty handler, or
    ///     after start()
    void on(std::string operation, Handler handler);

    /// Starts the threads and subscribes. An unreachable database or NATS server is not an error:
    /// the server connects later.
    /// @throws SetupError for options that can never work, or if it was started or closed before
    void start();

    /// Accepts no further calls, finishes those it has accepted, and stops. Any thread, once.
    /// @param deadline in milliseconds; close() still waits for handlers that run longer
    /// @return true if every call was finished and answered; false also if NATS was lost meanwhile
    bool close(std::chrono::milliseconds deadline);

    /// Counts. Any thread.
    /// @return since the server was made
    ServerStats stats() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace homeward::forward
