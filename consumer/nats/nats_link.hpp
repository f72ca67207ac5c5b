#pragma once

#include <nats/nats.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/base/config.hpp"

namespace homeward::consumer {

template <typename T, void (*destroy)(T*)>
struct NatsDestroyer {
    void operator()(T* object) const { destroy(object); }
};

/// One connection to one NATS server, from login to loss: it never reconnects. NatsConnection makes
/// another, which reads credentials and certificates anew. Any thread.
class NatsLink {
  public:
    using OnLog = std::function<void(std::string_view)>;

    /// `url`: one of config.urls, or of another server of that cluster. `wants_cause`: find out why
    /// a connection fails, which takes up to 1 s more. `on_closed` and `on_log` are called by
    /// threads of nats.c. Throws NatsError that says where, why and what to check.
    NatsLink(const Config::Nats& config, const std::string& url, bool wants_cause,
             std::function<void()> on_closed, OnLog on_log);
    /// Sends what is buffered, for 1 s at the most. No callback comes after it.
    ~NatsLink();
    NatsLink(const NatsLink&) = delete;
    NatsLink& operator=(const NatsLink&) = delete;

    natsConnection* handle() const { return connection_.get(); }
    /// Never waits; nats.c's own answer may, for a write that is stuck.
    bool is_connected() const;
    /// Other servers of its cluster, as the server announces them.
    std::vector<std::string> other_servers() const;

  private:
    class Listener;

    std::shared_ptr<Listener> listener_;
    std::unique_ptr<natsConnection, NatsDestroyer<natsConnection, natsConnection_Destroy>>
        connection_;
};

}  // namespace homeward::consumer
