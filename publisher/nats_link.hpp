#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <homeward/publisher.hpp>

namespace homeward {

/// What the stream said of one message.
struct PublishAnswer {
    std::uint64_t token = 0;
    bool stored = false;  ///< also when the stream had it already
    std::string reason;   ///< of a refusal, for a person
};

/// The connection to NATS; the one place that knows nats.c. Reconnects for ever. publish() by one
/// thread; the callbacks come from nats.c's threads and must not block.
class NatsLink {
  public:
    using OnAnswer = std::function<void(const PublishAnswer&)>;
    using OnLog = std::function<void(std::string_view)>;

    /// Throws SetupError for options that can never work (files that are not there, bad URLs).
    /// A server that is away is none of those.
    NatsLink(const PublisherOptions& options, OnAnswer on_answer, OnLog on_log);
    /// Does not wait for the server. No callback comes after it.
    ~NatsLink();
    NatsLink(const NatsLink&) = delete;
    NatsLink& operator=(const NatsLink&) = delete;

    bool is_connected() const;
    /// Hands the message to the connection; the answer comes with `token`, or never. False when
    /// there is no connection. May block for the write deadline (1 s) when the server has stopped.
    bool publish(const std::string& subject, const std::string& message_id,
                 std::span<const std::byte> bytes, std::uint64_t token);

  private:
    class Listener;
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace homeward
