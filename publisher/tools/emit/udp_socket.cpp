#include "publisher/tools/emit/udp_socket.hpp"

#include <arpa/inet.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace homeward {
namespace {

constexpr int kReceiveBytes = 4 << 20;

bool parse_port(const std::string& text, in_port_t& port) {
    std::uint16_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    port = htons(number);
    return error == std::errc() && stop == end;
}

sockaddr_in& as_v4(sockaddr_storage& address) {
    return reinterpret_cast<sockaddr_in&>(address);
}
sockaddr_in6& as_v6(sockaddr_storage& address) {
    return reinterpret_cast<sockaddr_in6&>(address);
}

}  // namespace

bool UdpAddress::parse(const std::string& text, UdpAddress& result) {
    result = {};
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos || colon == 0) return false;
    const std::string host = text.substr(0, colon);
    const std::string port = text.substr(colon + 1);
    if (host.front() == '[' && host.back() == ']') {
        sockaddr_in6& address = as_v6(result.address);
        address.sin6_family = AF_INET6;
        result.bytes = sizeof address;
        return ::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &address.sin6_addr) ==
                   1 &&
               parse_port(port, address.sin6_port);
    }
    sockaddr_in& address = as_v4(result.address);
    address.sin_family = AF_INET;
    result.bytes = sizeof address;
    return ::inet_pton(AF_INET, host.c_str(), &address.sin_addr) == 1 &&
           parse_port(port, address.sin_port);
}

bool UdpAddress::is_loopback() const {
    sockaddr_storage copy = address;
    if (address.ss_family == AF_INET6) return IN6_IS_ADDR_LOOPBACK(&as_v6(copy).sin6_addr) != 0;
    return (ntohl(as_v4(copy).sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
}

std::string UdpAddress::text() const {
    sockaddr_storage copy = address;
    std::array<char, INET6_ADDRSTRLEN> host{};
    if (address.ss_family == AF_INET6) {
        const sockaddr_in6& v6 = as_v6(copy);
        ::inet_ntop(AF_INET6, &v6.sin6_addr, host.data(), host.size());
        return "[" + std::string(host.data()) + "]:" + std::to_string(ntohs(v6.sin6_port));
    }
    const sockaddr_in& v4 = as_v4(copy);
    ::inet_ntop(AF_INET, &v4.sin_addr, host.data(), host.size());
    return std::string(host.data()) + ":" + std::to_string(ntohs(v4.sin_port));
}

UdpSocket::UdpSocket(const UdpAddress& address)
    : socket_(::socket(address.address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    if (socket_ < 0) throw SetupError(address.text() + ": no socket: " + std::strerror(errno));
    // Beyond net.core.rmem_max only with CAP_NET_ADMIN; else as much as that.
    if (::setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBytes, sizeof kReceiveBytes) !=
        0) {
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &kReceiveBytes, sizeof kReceiveBytes);
    }
    if (::bind(socket_, reinterpret_cast<const sockaddr*>(&address.address), address.bytes) != 0) {
        const int error = errno;
        ::close(socket_);
        throw SetupError(address.text() + ": cannot be bound: " + std::strerror(error));
    }
    UdpAddress bound;
    bound.bytes = sizeof bound.address;
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&bound.address), &bound.bytes);
    name_ = bound.text();
}

UdpSocket::~UdpSocket() {
    ::close(socket_);
}

}  // namespace homeward
