#include "tests/bench/compared/lean_puller.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <stdexcept>

namespace homeward::bench {
namespace {

constexpr std::uint64_t kPullMessages = 256;
/// As far ahead as our own puller.
constexpr std::uint64_t kAheadMessages = 1'024;
constexpr std::size_t kReadBytes = 64 * 1'024;
constexpr std::string_view kAckSubject = "$JS.ACK.";

/// The bytes behind a line that begins with MSG or HMSG.
std::size_t payload_bytes(std::string_view line) {
    std::size_t bytes = 0;
    const char* end = line.data() + line.size();
    std::from_chars(line.data() + line.rfind(' ') + 1, end, bytes);
    return bytes;
}

int connect_to(int port) {
    const int connected = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(connected, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(connected);
        throw std::runtime_error("no server at port " + std::to_string(port));
    }
    const int on = 1;
    ::setsockopt(connected, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const timeval patience{10, 0};
    ::setsockopt(connected, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return connected;
}

}  // namespace

LeanPuller::LeanPuller(int port, const std::string& stream, const std::string& durable)
    : socket_(connect_to(port)) {
    const std::string body =
        "{\"batch\":" + std::to_string(kPullMessages) + ",\"expires\":5000000000}";
    request_ = "PUB $JS.API.CONSUMER.MSG.NEXT." + stream + "." + durable + " _INBOX.lean " +
               std::to_string(body.size()) + "\r\n" + body + "\r\n";
    out_ =
        "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true}\r\nSUB _INBOX.lean 1\r\n";
}

LeanPuller::~LeanPuller() {
    ::close(socket_);
}

std::uint64_t LeanPuller::pull(std::uint64_t messages) {
    const std::uint64_t until = taken_ + messages;
    while (taken_ < until) {
        while (asked_ < taken_ + kAheadMessages) ask();
        write();
        read();
        take_arrived();
    }
    write();
    return messages;
}

void LeanPuller::ask() {
    out_ += request_;
    asked_ += kPullMessages;
}

void LeanPuller::write() {
    for (std::size_t at = 0; at < out_.size();) {
        const ssize_t written = ::write(socket_, out_.data() + at, out_.size() - at);
        if (written <= 0) throw std::runtime_error("the server takes nothing");
        at += static_cast<std::size_t>(written);
    }
    out_.clear();
}

void LeanPuller::read() {
    const std::size_t had = in_.size();
    in_.resize(had + kReadBytes);
    const ssize_t got = ::read(socket_, in_.data() + had, kReadBytes);
    if (got <= 0) throw std::runtime_error("no message comes");
    in_.resize(had + static_cast<std::size_t>(got));
}

void LeanPuller::take_arrived() {
    std::size_t at = 0;
    for (std::size_t end = 0; (end = in_.find("\r\n", at)) != std::string::npos;) {
        const std::string_view line(in_.data() + at, end - at);
        const bool is_message = line.starts_with("MSG ") || line.starts_with("HMSG ");
        const std::size_t next = end + 2 + (is_message ? payload_bytes(line) + 2 : 0);
        if (next > in_.size()) break;
        take_line(line);
        at = next;
    }
    in_.erase(0, at);
}

void LeanPuller::take_line(std::string_view line) {
    if (line.starts_with("PING")) out_ += "PONG\r\n";
    if (line.starts_with("-ERR")) throw std::runtime_error(std::string(line));
    const std::size_t ack = line.find(kAckSubject);
    if (ack == std::string_view::npos) return;
    out_.append("PUB ")
        .append(line.substr(ack, line.find(' ', ack) - ack))
        .append(" 4\r\n+ACK\r\n");
    ++taken_;
}

}  // namespace homeward::bench
