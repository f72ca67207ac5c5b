#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace homeward::testing {

/// Something on a port that is no good NATS server. Has a thread of its own.
class BadServer {
  public:
    enum class Manner : std::uint8_t {
        garbage,               ///< answers every connection with bytes that mean nothing
        black_hole,            ///< greets as a NATS server does, then never reads nor writes again
        stops_after_greeting,  ///< greets, and answers no login
        stops_at_tls,          ///< greets, demands TLS, and does not go on with it
    };
    explicit BadServer(Manner manner);
    ~BadServer();
    BadServer(const BadServer&) = delete;
    BadServer& operator=(const BadServer&) = delete;

    std::string url(const std::string& scheme = "nats") const {
        return scheme + "://127.0.0.1:" + std::to_string(port_);
    }

  private:
    void run();
    void greet(int client) const;

    Manner manner_;
    int listener_;
    int port_ = 0;
    std::vector<int> clients_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace homeward::testing
