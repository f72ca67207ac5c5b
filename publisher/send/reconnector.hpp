#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <homeward/publisher.hpp>

#include "publisher/send/nats_link.hpp"
#include "schemas/nats/outage_log.hpp"

namespace homeward {

/// Maintains a connection to one of the NATS servers. It replaces a lost or refused connection
/// forever, with exponential backoff and jitter. Each attempt reads certificates and credentials
/// again, so it uses replaced files. Logs why there is no connection once, then at a doubling
/// interval, and when the connection is back. One thread.
class Reconnector {
  public:
    using SteadyClock = std::chrono::steady_clock;

    /// `options` is borrowed. `on_log` gets an empty line when a connection was just lost.
    Reconnector(const PublisherOptions& options, NatsLink::OnAnswer on_answer,
                NatsLink::OnLog on_log);

    /// Tries every server once. It succeeds if no server answers; maintain() then tries again.
    /// Throws SetupError for options that can never work.
    void connect_first();
    /// Replaces a lost connection if an attempt is due. True if there is a new one. May block for
    /// the connect timeout (3 s), and to find out why the attempt fails (1 s).
    bool maintain();
    /// Drops a connection that has become silent.
    void drop();

    /// nullptr when there is no connection.
    NatsLink* link() const { return link_ && link_->is_connected() ? link_.get() : nullptr; }
    /// The server of the last connection.
    const std::string& server_id() const { return server_id_; }

  private:
    /// `url`: a copy, since this call appends the servers that this one announces to urls_.
    bool try_server(std::string url, bool wants_cause);
    void lose_link();
    void say(const std::optional<std::string>& line) const;
    SteadyClock::duration backoff();

    const PublisherOptions& options_;
    NatsLink::OnAnswer on_answer_;
    NatsLink::OnLog on_log_;
    std::vector<std::string> urls_;  // nats_urls, then the other servers of the cluster
    std::size_t next_url_ = 0;
    std::string connected_url_;
    std::string server_id_;
    int attempts_ = 0;
    bool was_lost_ = false;
    SteadyClock::time_point next_attempt_{};
    SteadyClock::time_point connected_at_{};
    OutageLog outage_;
    std::minstd_rand random_{std::random_device{}()};
    std::unique_ptr<NatsLink> link_;
};

}  // namespace homeward
