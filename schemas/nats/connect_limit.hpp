#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

namespace homeward {

/// What a server does whose connection a ConnectLimit has ended, for an error text.
inline constexpr std::string_view kLoginStalls =
    "it accepts connections, but stalls in the TLS handshake or the login";

/// Ends an attempt of nats.c to connect that takes longer than `limit`. By itself it can take for
/// ever: before 3.8 it spins and takes memory when a server greets and then stops answering
/// (nats.c's issue 706), and no release bounds the TLS handshake. A thread watches meanwhile, and
/// shuts the connection down.
///
/// nats.c does not tell which socket it uses. It is each that came during the attempt, leads to the
/// server's port, and is reset when closed, as nats.c sets it up; another connection of the same
/// process that fits would have to connect anew.
class ConnectLimit {
  public:
    /// `url`: the server's. Starts the thread; throws std::system_error if there is none to be had.
    ConnectLimit(std::string_view url, std::chrono::milliseconds limit);
    /// Waits for the thread, not for the limit.
    ~ConnectLimit();
    ConnectLimit(const ConnectLimit&) = delete;
    ConnectLimit& operator=(const ConnectLimit&) = delete;

    /// Whether a connection has been shut down.
    bool is_exceeded() const;

  private:
    void watch(std::chrono::milliseconds limit);

    const int port_;
    const std::vector<ino_t> earlier_;  ///< sockets to that port that are not of this attempt
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool is_over_ = false;
    bool is_exceeded_ = false;
    std::thread thread_;
};

}  // namespace homeward
