#pragma once

/// @file
/// The caller's side of forwarded calls. It needs NATS only.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <homeward/forward/call.hpp>
#include <homeward/options.hpp>

namespace homeward::forward {

/// Waits until the local replica has what a session token names. replica.hpp makes one of a
/// ReplicaPoller.
/// @param session_token of the commit
/// @param wait_max upper bound
/// @return whether it has
using ReplicaWait = std::function<ReplicaState(const std::string& session_token,
                                               std::chrono::milliseconds wait_max)>;

/// Settings of a client; only region and app of the connection have no default.
struct ClientOptions {
    /// The region's NATS server, region, app, login and on_log; the rest of it is the publisher's.
    PublisherOptions connection{};
    /// Of a call that names none.
    std::chrono::milliseconds deadline{2'000};
    /// After which silence a call is sent again; doubles. Shorter: a lost answer costs less, and a
    /// slow handler's call is sent more often, which costs a message each.
    std::chrono::milliseconds retry_after{500};
    /// How long call() waits for the local replica after the commit.
    std::chrono::milliseconds replica_wait_max{100};
    /// How to wait; empty: nobody waits.
    ReplicaWait replica_wait{};
};

/// Settings of one call.
struct CallOptions {
    /// The same for every retry of one call, in any process. Empty: a random key.
    std::string key{};
    /// 0: ClientOptions::deadline.
    std::chrono::milliseconds deadline{0};
    /// Whether to wait for the local replica.
    bool wait_for_replica = true;
};

/// Calls operations of the same app in the primary region. Any thread; a blocking call needs no
/// thread of its own. A forked child makes its own client: in the child of the process that made it
/// every call is `unavailable`, and nothing is sent.
class Client {
  public:
    /// Starts a thread that keeps the connection. A server that cannot be reached is no error.
    /// @param options with region and app
    /// @throws SetupError for options that can never work
    explicit Client(ClientOptions options);
    /// Ends the connection. No call may be under way.
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    /// Runs an operation once, however often it is sent. It sends again by itself, with the same
    /// key, when an answer is lost, the servers are busy, or the leader has moved. It blocks until
    /// the outcome is known or the deadline has passed, then up to `replica_wait_max`.
    /// @param operation "order.place"
    /// @param body any bytes, up to the NATS servers' max_payload less 1 KiB
    /// @param options key and deadline
    /// @return how it ended; it does not throw but for want of memory
    Reply call(std::string_view operation, std::string_view body, CallOptions options = {});

    /// Queries how a call ended, after in_doubt or in another process. It waits for a transaction
    /// of that key which is under way.
    /// @param key of the call
    /// @param deadline how long to try; 0: ClientOptions::deadline
    /// @return ok, failed or abandoned; not_found if none has ended; else why it cannot be told
    Reply outcome(std::string_view key, std::chrono::milliseconds deadline = {});

    /// Makes sure that a call which has not committed never does. After it the outcome is final.
    /// @param key of the call
    /// @param deadline how long to try; 0: ClientOptions::deadline
    /// @return ok or failed if the call was faster; abandoned; else why it cannot be told
    Reply abandon(std::string_view key, std::chrono::milliseconds deadline = {});

    /// Whether there is a connection to NATS.
    /// @return as of now
    bool is_connected() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace homeward::forward
