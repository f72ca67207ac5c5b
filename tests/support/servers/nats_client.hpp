#pragma once

#include <string>
#include <string_view>

namespace homeward::testing {

/// A NATS client in a hundred lines, as anybody might write one: speaks the text protocol over one
/// socket. Throws std::runtime_error when the server objects. One thread.
class NatsClient {
  public:
    /// Answers come to subjects below `inbox`.
    explicit NatsClient(int port, const std::string& user = "", const std::string& password = "",
                        const std::string& inbox = "_INBOX.test");
    ~NatsClient();
    NatsClient(const NatsClient&) = delete;
    NatsClient& operator=(const NatsClient&) = delete;

    /// Publishes and waits for JetStream's answer, which must be an acknowledgement.
    void publish(const std::string& subject, std::string_view data);
    /// The same with headers, as their lines: "Source: billing\r\n".
    void publish(const std::string& subject, const std::string& headers, std::string_view data);
    /// Any request; the answer's payload.
    std::string request(const std::string& subject, std::string_view data);
    std::string request(const std::string& subject, const std::string& headers,
                        std::string_view data);
    /// Publishes, and waits for nothing; `reply` is where an answer would go.
    void send_to(const std::string& subject, std::string_view data, const std::string& reply = "");
    /// As the server's INFO has it.
    const std::string& server_id() const { return server_id_; }
    /// What comes to its inbox unasked within 10 s; throws when nothing does. `inbox()` is where.
    std::string receive();
    std::string inbox() const { return inbox_ + ".unasked"; }

    /// Everything published there from now on is for next_reply().
    void subscribe(const std::string& subject);
    /// Waits for the next message there; returns the subject that it wants its answer on.
    std::string next_reply();
    /// A message of nothing but a status, as servers send them: "404 No Messages".
    void publish_status(const std::string& subject, const std::string& status);

  private:
    void send(std::string_view bytes);
    std::string read_line();
    std::string read_bytes(std::size_t count);
    std::string next_to(const std::string& subject);
    void fill();

    int socket_;
    std::string buffer_;
    std::string inbox_;
    std::string server_id_;
    int inbox_next_ = 0;
};

}  // namespace homeward::testing
