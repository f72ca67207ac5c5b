#pragma once

#include <filesystem>
#include <string>

#include <homeward/publisher.hpp>

namespace homeward {

/// Where to listen: a stream socket whose clients get answers, or a datagram socket.
struct ListenAddress {
    bool is_datagram = false;
    bool is_statsd = false;        ///< datagrams are lines of StatsD, not events
    std::filesystem::path path{};  ///< of a Unix socket
    std::string udp{};             ///< of a UDP socket, "127.0.0.1:8125" or "[::1]:8125"

    /// "unix:PATH", "unixgram:PATH", "statsd+unixgram:PATH" or "statsd+udp:ADDRESS:PORT"; false for
    /// anything else.
    static bool parse(const std::string& text, ListenAddress& address);
};

/// A bound socket file; removed at the end. A file that a killed process left behind is replaced;
/// a lock beside it (PATH.lock) tells such a file from one that somebody listens on.
class ListenSocket {
  public:
    /// `mode`: permissions of the file; whoever may write to it may emit. Throws SetupError.
    ListenSocket(const ListenAddress& address, unsigned mode);
    ~ListenSocket();
    ListenSocket(const ListenSocket&) = delete;
    ListenSocket& operator=(const ListenSocket&) = delete;

    int descriptor() const { return socket_; }
    bool is_datagram() const { return address_.is_datagram; }
    const std::filesystem::path& path() const { return address_.path; }
    /// Takes no more; what clients have sent already can still be read.
    void close();

  private:
    void take_lock();
    void remove_stale() const;
    void bind(unsigned mode);

    ListenAddress address_;
    int lock_ = -1;
    int socket_ = -1;
};

}  // namespace homeward
