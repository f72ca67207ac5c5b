#include "tests/support/servers/bad_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <string_view>

namespace homeward::testing {
namespace {

constexpr int kPollMs = 50;

void say(int client, std::string_view text) {
    ::send(client, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

BadServer::BadServer(Manner manner)
    : manner_(manner), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &bytes) != 0 ||
        ::listen(listener_, 16) != 0) {
        ::close(listener_);
        throw std::runtime_error("no free port for a bad server");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
}

BadServer::~BadServer() {
    stopping_ = true;
    thread_.join();
    for (const int client : clients_) ::close(client);
    ::close(listener_);
}

void BadServer::run() {
    while (!stopping_) {
        pollfd waiting{listener_, POLLIN, 0};
        if (::poll(&waiting, 1, kPollMs) <= 0) continue;
        const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (client < 0) continue;
        clients_.push_back(client);
        greet(client);
    }
}

void BadServer::greet(int client) const {
    if (manner_ == Manner::garbage) {
        say(client, "HTTP/1.1 418 I'm a teapot\r\n\r\n\x01\x02\xff\xfe MSG -1 -1\r\n");
        return;
    }
    const std::string tls = manner_ == Manner::stops_at_tls ? ",\"tls_required\":true" : "";
    say(client,
        "INFO {\"server_id\":\"HOLE\",\"version\":\"2.9.10\",\"proto\":1,\"headers\":true,"
        "\"max_payload\":1048576,\"jetstream\":true" +
            tls + "}\r\n");
    if (manner_ != Manner::black_hole) return;
    std::string heard;
    std::array<char, 1024> chunk;
    while (heard.find("PING") == std::string::npos && !stopping_) {
        pollfd readable{client, POLLIN, 0};
        if (::poll(&readable, 1, kPollMs) <= 0) continue;
        const ssize_t got = ::recv(client, chunk.data(), chunk.size(), 0);
        if (got <= 0) return;
        heard.append(chunk.data(), static_cast<std::size_t>(got));
    }
    say(client, "PONG\r\n");
}

}  // namespace homeward::testing
