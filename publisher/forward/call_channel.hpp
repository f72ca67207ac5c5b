#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <homeward/options.hpp>

namespace homeward::forward {

/// A received message. Borrowed for the callback.
struct Received {
    std::string_view subject;
    std::string_view reply;   ///< the subject for an answer; empty: none is expected
    std::string_view header;  ///< the value of the header that the channel reads
    std::string_view body;
    /// Sent by the NATS server: our message's subject has no subscriber.
    bool has_no_responders = false;
};

/// One connection to one NATS server, from login to loss. It never reconnects; its owner makes
/// another. Any thread. nats.c's threads run the callbacks, several at once.
class CallChannel {
  public:
    using OnMessage = std::function<void(const Received&)>;
    using OnLog = std::function<void(std::string_view)>;
    /// The server has discarded every message of this channel to this subject: the login may not
    /// publish there. It does not say which message, so one that passed before hides the others.
    using OnDenied = std::function<void(std::string_view subject)>;
    struct Callbacks {
        OnMessage on_message;
        OnDenied on_denied;             ///< may be empty
        OnLog on_log;                   ///< an error that the server reports
        std::function<void()> on_lost;  ///< connection lost; not called by the destructor
    };

    /// `header`: the name of the header that on_message receives. `wants_cause`: find out why a
    /// connection fails, for up to 1 s. Throws SetupError for options that cannot work,
    /// ConnectError if the connection fails.
    CallChannel(const PublisherOptions& options, const std::string& url, bool wants_cause,
                const char* header, Callbacks callbacks);
    /// Does not wait for the server. No callback runs after it.
    ~CallChannel();
    CallChannel(const CallChannel&) = delete;
    CallChannel& operator=(const CallChannel&) = delete;

    /// Subscribes in a queue group: one member gets each message. An empty `queue` is no group.
    /// Throws ConnectError.
    void subscribe(const std::string& subject, const std::string& queue);
    /// Unsubscribes, then delivers the messages that were received. False if that takes longer than
    /// `time` for any subscription.
    bool drain(std::chrono::milliseconds time);

    struct Message {
        const std::string& subject;
        const std::string& reply;  ///< empty: none
        const char* header_name;
        const std::string& header;
        std::string_view body;
    };
    enum class Published : std::uint8_t {
        sent,      ///< handed to the server's socket
        not_sent,  ///< no connection, or too large
        unknown,   ///< the connection broke while sending
    };
    /// May block for the write deadline (1 s) if the server does not read.
    Published publish(const Message& message);
    /// Waits until the server has received what was published. False: not within `time`.
    bool flush(std::chrono::milliseconds time);

    bool is_connected() const;
    /// The server's max_payload, headers included.
    std::size_t payload_bytes_max() const;

  private:
    class Listener;
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace homeward::forward
