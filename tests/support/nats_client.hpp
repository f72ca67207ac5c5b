#pragma once

#include <string>
#include <string_view>

namespace homeward::testing {

/// A NATS client in a hundred lines, as anybody might write one: speaks the text protocol over one
/// socket, without headers. Throws std::runtime_error when the server objects. One thread.
class NatsClient {
  public:
    explicit NatsClient(int port, const std::string& user = "", const std::string& password = "");
    ~NatsClient();
    NatsClient(const NatsClient&) = delete;
    NatsClient& operator=(const NatsClient&) = delete;

    /// Publishes and waits for JetStream's answer, which must be an acknowledgement.
    void publish(const std::string& subject, std::string_view data);
    /// Any request; the answer's payload.
    std::string request(const std::string& subject, std::string_view data);

  private:
    void send(std::string_view bytes);
    std::string read_line();
    std::string read_bytes(std::size_t count);
    void fill();

    int socket_;
    std::string buffer_;
    std::string inbox_;
    int inbox_next_ = 0;
};

}  // namespace homeward::testing
