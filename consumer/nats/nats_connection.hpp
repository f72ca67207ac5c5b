#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "consumer/base/config.hpp"
#include "consumer/nats/message.hpp"

namespace homeward::consumer {

/// What arrives on a pull's inbox: a message of the stream, or a word about the pull itself.
struct Arrival {
    std::optional<Message> message;
    int status = 0;           ///< 100, 404, 408, 409 … if there is no message
    std::string description;  ///< of the status
    std::string inbox;        ///< where a status arrived: names the pull
};

/// Name and value of each header of a message, in the order of their names; a name may come more
/// than once. Parses them: for the few messages whose headers somebody wants. One thread a message.
std::vector<std::pair<std::string, std::string>> read_headers(const Message& message);

class NatsError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};
/// A file or URL that cannot be used, or a login that the server refuses.
class NatsSetupError : public NatsError {
  public:
    using NatsError::NatsError;
};

/// The connection to NATS; with nats_link the one place that knows nats.c. Whatever ends it, a
/// login that is refused included, another is made, for ever; each attempt reads credentials and
/// certificates anew. Inboxes live on. Any thread.
class NatsConnection {
  public:
    using OnLog = std::function<void(std::string_view)>;
    using OnArrivals = std::function<void(std::vector<Arrival>&)>;
    /// Waits for the first connection for `patience`; throws NatsError that says what to check; a
    /// NatsSetupError at once.
    NatsConnection(const Config::Nats& config, std::chrono::milliseconds patience, OnLog on_log);
    ~NatsConnection();
    NatsConnection(const NatsConnection&) = delete;
    NatsConnection& operator=(const NatsConnection&) = delete;

    bool is_connected() const;
    /// Grows with every reconnect: what was asked for before may never be answered.
    std::uint64_t connects() const;

    /// A request to the JetStream API of a domain; nullopt when nobody answers in time.
    std::optional<std::string> request(const std::string& domain, const std::string& subject,
                                       const std::string& body, std::chrono::milliseconds patience);
    bool publish(const std::string& subject, std::string_view body);
    /// The same body to each.
    void publish_all(const std::vector<std::string>& subjects, std::string_view body);
    bool publish(const std::string& subject, const std::string& reply, std::string_view body);

    /// A fresh inbox "_INBOX.homeward.consumer.<domain>.….": deploy/nats lets a domain's leaf
    /// send to no other. `on_arrivals` is called by one thread for everything below it, until it
    /// is unsubscribed: which waits for a call that is under way, so hold no lock that it takes. It
    /// gets what has come meanwhile, in order, at least one; may move it away. Both by one thread
    /// at a time.
    std::string subscribe(const std::string& domain, OnArrivals on_arrivals);
    void unsubscribe(const std::string& inbox);

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace homeward::consumer
