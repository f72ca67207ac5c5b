#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <homeward/options.hpp>

namespace homeward::forward {

/// A message as it came. Borrowed for the callback.
struct Received {
    std::string_view subject;
    std::string_view reply;   ///< where its answer goes; empty: nobody waits for one
    std::string_view header;  ///< the value of the header that the channel reads
    std::string_view body;
    bool has_no_responders =
        false;  ///< it is the server's: nobody listens to our message's subject
};

/// One connection to one NATS server, from login to loss: it never reconnects, whoever owns it
/// makes another. Any thread. The callbacks come from nats.c's threads, several at once.
class CallChannel {
  public:
    using OnMessage = std::function<void(const Received&)>;
    using OnLog = std::function<void(std::string_view)>;
    /// The server has thrown a message away, for the login may not publish to this subject.
    using OnDenied = std::function<void(std::string_view subject)>;
    struct Callbacks {
        OnMessage on_message;
        OnDenied on_denied;             ///< may be empty
        OnLog on_log;                   ///< an error that the server reports
        std::function<void()> on_lost;  ///< the connection; not when it is destroyed
    };

    /// `header`: the one that on_message gets. Throws SetupError for options that cannot work,
    /// ConnectError when there is no connection; `wants_cause`: find out why, which takes up to 1
    /// s.
    CallChannel(const PublisherOptions& options, const std::string& url, bool wants_cause,
                const char* header, Callbacks callbacks);
    /// Does not wait for the server. No callback comes after it.
    ~CallChannel();
    CallChannel(const CallChannel&) = delete;
    CallChannel& operator=(const CallChannel&) = delete;

    /// With an empty `queue` every subscriber gets every message, otherwise one of the queue's.
    /// Throws ConnectError.
    void subscribe(const std::string& subject, const std::string& queue);
    /// Takes no further messages; those that have come are passed on first. False: not all of them
    /// in time.
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
        unknown,   ///< the connection broke on the way
    };
    /// May block for the write deadline (1 s) when the server has stopped.
    Published publish(const Message& message);
    /// Waits until the server has what was published.
    bool flush(std::chrono::milliseconds time);

    bool is_connected() const;
    /// What the server takes, headers included.
    std::size_t payload_bytes_max() const;

  private:
    class Listener;
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace homeward::forward
