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

/// Keeps a connection to one of the NATS servers: when it is lost, or refused, whatever the reason,
/// it makes another, for ever, with exponential backoff and jitter. Each attempt reads
/// certificates and credentials anew, so replaced files are taken over. Says why there is no
/// connection once, then at a doubling interval, and when it is back. One thread.
class Reconnector {
  public:
    using SteadyClock = std::chrono::steady_clock;

    /// `options` is borrowed. `on_log` gets an empty line when a connection was just lost.
    Reconnector(const PublisherOptions& options, NatsLink::OnAnswer on_answer,
                NatsLink::OnLog on_log);

    /// Tries every server once. Throws SetupError for options that can never work; that nobody
    /// answers is no error.
    void connect_first();
    /// Replaces a lost connection, if a try is due. True when there is a new one. May block as long
    /// as a connection may take (3 s), and to find out why it fails (1 s).
    bool maintain();
    /// Gives the connection up, as one that has fallen silent.
    void drop();

    /// nullptr when there is no connection.
    NatsLink* link() const { return link_ && link_->is_connected() ? link_.get() : nullptr; }
    /// Of the last connection.
    const std::string& server_id() const { return server_id_; }

  private:
    /// `url`: a copy, since urls_ grows here by the servers that this one names.
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
