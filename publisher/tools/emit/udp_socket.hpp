#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include <homeward/publisher.hpp>

namespace homeward {

/// An IP address and a port. Numeric: a name could mean another machine tomorrow.
struct UdpAddress {
    sockaddr_storage address{};
    socklen_t bytes = 0;

    /// "127.0.0.1:8125" or "[::1]:8125"; false for anything else.
    static bool parse(const std::string& text, UdpAddress& address);
    bool is_loopback() const;
    std::string text() const;
};

/// A bound UDP socket, which does not block. Its receive buffer has 4 MiB, or what the kernel
/// grants.
class UdpSocket {
  public:
    /// Port 0: a free one. Throws SetupError.
    explicit UdpSocket(const UdpAddress& address);
    ~UdpSocket();
    UdpSocket(const UdpSocket&) = delete;
    UdpSocket& operator=(const UdpSocket&) = delete;

    int descriptor() const { return socket_; }
    /// With its real port.
    const std::string& name() const { return name_; }

  private:
    int socket_;
    std::string name_;
};

}  // namespace homeward
