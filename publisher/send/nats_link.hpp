#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <homeward/publisher.hpp>

#include "schemas/nats/jetstream_reply.hpp"

namespace homeward {

/// The reply to one message: the stream's PubAck, or why there is none.
struct PublishReply {
    std::string token;          ///< of the publish() that it is for
    std::optional<PubAck> ack;  ///< well-formed; its stream and sequence are not checked
    std::string reason;         ///< of a refusal, for an operator; empty with an ack
};

/// The server cannot be reached, or refuses us. The text says where, why and what to do; trying
/// again may help.
class ConnectError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// One connection to one NATS server, from login to loss. It never reconnects; its owner makes
/// another, which reads all credential files again. publish() by one thread; nats.c's threads run
/// the callbacks, which must not block.
class NatsLink {
  public:
    using OnAnswer = std::function<void(const PublishReply&)>;
    using OnLog = std::function<void(std::string_view)>;

    /// `url`: one of options.nats_urls, or of another server of that cluster. `wants_cause`: find
    /// out why a connection fails, which takes up to 1 s more. Throws SetupError for options that
    /// cannot work (files that are not there, bad URLs), ConnectError when there is no connection.
    NatsLink(const PublisherOptions& options, const std::string& url, bool wants_cause,
             OnAnswer on_answer, OnLog on_log);
    /// Does not wait for the server. No callback runs after it.
    ~NatsLink();
    NatsLink(const NatsLink&) = delete;
    NatsLink& operator=(const NatsLink&) = delete;

    bool is_connected() const;
    /// Changes whenever a server is started.
    const std::string& server_id() const;
    /// Other servers of its cluster, as the server announces them.
    std::vector<std::string> other_servers() const;
    /// Hands the message to the connection; a reply carries `token`, and may never arrive. False if
    /// there is no connection. May block for the write deadline (1 s) if the server does not read.
    bool publish(const std::string& subject, const std::string& message_id,
                 std::span<const std::byte> bytes, const std::string& token);

  private:
    class Listener;
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace homeward
