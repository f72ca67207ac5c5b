#include "tests/support/servers/nats_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <stdexcept>

namespace homeward::testing {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr const char* kSilence = "no answer from nats-server within 10 s";

void expect_ack(const std::string& subject, const std::string& answer) {
    if (answer.find("\"seq\"") != std::string::npos) return;
    throw std::runtime_error("no acknowledgement for " + subject + ": " + answer);
}

}  // namespace

NatsClient::NatsClient(int port, const std::string& user, const std::string& password,
                       const std::string& inbox)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{kPatience.count(), 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    // A message goes in three pieces, which would wait for one another's acknowledgement.
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        throw std::runtime_error("cannot connect to nats-server at port " + std::to_string(port));
    }
    const std::string info = read_line();
    constexpr std::string_view kId = "\"server_id\":\"";
    const std::size_t id = info.find(kId) + kId.size();
    server_id_ = info.substr(id, info.find('"', id) - id);
    inbox_ = inbox + std::to_string(std::random_device()());
    const std::string login =
        user.empty() ? "" : ",\"user\":\"" + user + "\",\"pass\":\"" + password + "\"";
    send("CONNECT {\"verbose\":false,\"headers\":true,\"name\":\"plain\"" + login + "}\r\nSUB " +
         inbox_ + ".* 1\r\n");
}

NatsClient::~NatsClient() {
    ::close(socket_);
}

void NatsClient::publish(const std::string& subject, std::string_view data) {
    expect_ack(subject, request(subject, data));
}

void NatsClient::publish(const std::string& subject, const std::string& headers,
                         std::string_view data) {
    expect_ack(subject, request(subject, headers, data));
}

std::string NatsClient::request(const std::string& subject, const std::string& headers,
                                std::string_view data) {
    const std::string reply = inbox_ + "." + std::to_string(++inbox_next_);
    const std::string head = "NATS/1.0\r\n" + headers + "\r\n";
    send("HPUB " + subject + " " + reply + " " + std::to_string(head.size()) + " " +
         std::to_string(head.size() + data.size()) + "\r\n" + head);
    send(data);
    send("\r\n");
    return next_to(reply);
}

std::string NatsClient::request(const std::string& subject, std::string_view data) {
    const std::string reply = inbox_ + "." + std::to_string(++inbox_next_);
    send("PUB " + subject + " " + reply + " " + std::to_string(data.size()) + "\r\n");
    send(data);
    send("\r\n");
    return next_to(reply);
}

void NatsClient::send_to(const std::string& subject, std::string_view data,
                         const std::string& reply) {
    send("PUB " + subject + " " + (reply.empty() ? "" : reply + " ") + std::to_string(data.size()) +
         "\r\n");
    send(data);
    send("\r\n");
}

std::string NatsClient::receive() {
    return next_to(inbox());
}

std::string NatsClient::next_to(const std::string& subject) {
    // The server's own PINGs keep the socket from timing out.
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
        if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error(kSilence);
        const std::string line = read_line();
        if (line == "PING") send("PONG\r\n");
        if (line.compare(0, 4, "-ERR") == 0) throw std::runtime_error("nats-server: " + line);
        if (line.compare(0, 4, "MSG ") != 0) continue;
        const std::size_t bytes = std::stoul(line.substr(line.rfind(' ') + 1));
        const std::string payload = read_bytes(bytes + 2);
        if (line.find(subject + " ") != std::string::npos) return payload.substr(0, bytes);
    }
}

void NatsClient::subscribe(const std::string& subject) {
    send("SUB " + subject + " 2\r\n");
}

std::string NatsClient::next_reply() {
    for (;;) {
        const std::string line = read_line();
        if (line == "PING") send("PONG\r\n");
        if (line.compare(0, 4, "-ERR") == 0) throw std::runtime_error("nats-server: " + line);
        const bool has_headers = line.compare(0, 5, "HMSG ") == 0;
        if (!has_headers && line.compare(0, 4, "MSG ") != 0) continue;
        // [H]MSG <subject> <subscription> [reply] [bytes of headers] <bytes>
        std::size_t end = line.rfind(' ');
        read_bytes(std::stoul(line.substr(end + 1)) + 2);
        if (has_headers) end = line.rfind(' ', end - 1);
        const std::size_t reply = line.rfind(' ', end - 1);
        if (line.find(" 2 ") < reply) return line.substr(reply + 1, end - reply - 1);
    }
}

void NatsClient::publish_status(const std::string& subject, const std::string& status) {
    const std::string headers = "NATS/1.0 " + status + "\r\n\r\n";
    const std::string bytes = std::to_string(headers.size());
    send("HPUB " + subject + " " + bytes + " " + bytes + "\r\n" + headers + "\r\n");
}

void NatsClient::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) throw std::runtime_error("nats-server closed the connection");
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

std::string NatsClient::read_line() {
    for (;;) {
        const std::size_t end = buffer_.find("\r\n");
        if (end != std::string::npos) {
            std::string line = buffer_.substr(0, end);
            buffer_.erase(0, end + 2);
            return line;
        }
        fill();
    }
}

std::string NatsClient::read_bytes(std::size_t count) {
    while (buffer_.size() < count) fill();
    std::string bytes = buffer_.substr(0, count);
    buffer_.erase(0, count);
    return bytes;
}

void NatsClient::fill() {
    char chunk[8192];
    const ssize_t got = ::recv(socket_, chunk, sizeof chunk, 0);
    if (got <= 0) throw std::runtime_error(kSilence);
    buffer_.append(chunk, static_cast<std::size_t>(got));
}

}  // namespace homeward::testing
