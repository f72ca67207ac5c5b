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

/// Waits until the local replica has replayed a session token's commit. replica.hpp makes one from
/// a ReplicaPoller. If it throws, the reply says `away`, and the log why, at growing intervals.
/// @param session_token of the commit
/// @param wait_max upper bound
/// @return whether the replica has replayed it
using ReplicaWait = std::function<ReplicaState(const std::string& session_token,
                                               std::chrono::milliseconds wait_max)>;

/// Settings of a client; only region and app of the connection have no default.
struct ClientOptions {
    /// The region's NATS server, region, app, login and on_log; other fields are ignored.
    PublisherOptions connection{};
    /// The default of CallOptions::deadline.
    std::chrono::milliseconds deadline{2'000};
    /// How long to wait for an answer before sending the call again; doubles each time. A shorter
    /// time recovers lost answers sooner, but sends more messages while a handler is slow.
    std::chrono::milliseconds retry_after{500};
    /// How long call() waits for the local replica after the commit.
    std::chrono::milliseconds replica_wait_max{100};
    /// How to wait for the replica; empty: call() does not wait.
    ReplicaWait replica_wait{};
};

/// Settings of one call.
struct CallOptions {
    /// The same for every retry of one call, in any process. Empty: a random key.
    std::string key{};
    /// 0: ClientOptions::deadline. Negative: it has passed, and nothing is sent.
    std::chrono::milliseconds deadline{0};
    /// Whether to wait for the local replica.
    bool wait_for_replica = true;
};

/// Calls operations of the same app in the primary region. Any thread. After fork() the child must
/// make its own client: the parent's client answers `unavailable` there and sends nothing.
class Client {
  public:
    /// Starts a thread that maintains the connection. An unreachable server is not an error: the
    /// thread tries again.
    /// @param options with region and app
    /// @throws SetupError for options that can never work
    explicit Client(ClientOptions options);
    /// Closes the connection. No call may be in progress.
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    /// Runs an operation once, however often it is sent. It retries with the same key when an
    /// answer is lost, the servers are busy, or after a failover. It blocks until the outcome is
    /// known or the deadline has passed, then up to `replica_wait_max`.
    /// @param operation "order.place"
    /// @param body any bytes, up to the NATS servers' max_payload less 1 KiB
    /// @param options key and deadline
    /// @return how it ended; the only exception is std::bad_alloc
    Reply call(std::string_view operation, std::string_view body, CallOptions options = {});

    /// Queries how a call ended, after in_doubt or in another process. It waits for a running
    /// transaction of that key.
    /// @param key of the call
    /// @param deadline how long to try; 0: ClientOptions::deadline; negative: it has passed
    /// @return ok, failed or abandoned; not_found if none has ended; else why it is not known
    Reply outcome(std::string_view key, std::chrono::milliseconds deadline = {});

    /// Prevents a call that has not committed from ever committing. The outcome is then final.
    /// @param key of the call
    /// @param deadline how long to try; 0: ClientOptions::deadline; negative: it has passed
    /// @return abandoned; ok or failed if the call ended first; else why it is not known
    Reply abandon(std::string_view key, std::chrono::milliseconds deadline = {});

    /// Whether there is a connection to NATS.
    /// @return as of now
    bool is_connected() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace homeward::forward
