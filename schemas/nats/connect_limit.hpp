#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string_view>
#include <thread>

namespace homeward {

/// What a server does whose connection a ConnectLimit has ended, for an error text.
inline constexpr std::string_view kLoginStalls =
    "it accepts connections, but stalls in the TLS handshake or the login";

/// Ends an attempt of nats.c to connect that takes longer than `limit` with one server. By itself
/// it can take for ever: before 3.8 it spins and takes memory when a server greets and then stops
/// answering (nats.c's issue 706), and no release bounds the TLS handshake. A thread watches
/// meanwhile, and shuts the connection down; nats.c may go on to other servers of the cluster then.
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
    using Clock = std::chrono::steady_clock;
    class Connection;

    void watch();
    void look();
    static void for_each_connection(const std::function<void(const Connection&)>& found);

    const int port_;
    const std::chrono::milliseconds limit_;
    std::set<ino_t> others_;                   ///< sockets that are not of this attempt
    std::map<ino_t, Clock::time_point> seen_;  ///< those that are, and since when
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool is_over_ = false;
    bool is_exceeded_ = false;
    std::thread thread_;
};

}  // namespace homeward
