#include "schemas/nats/connect_limit.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <stdexcept>
#include <vector>

#include "tests/support/catch.hpp"

using namespace homeward;
using namespace std::chrono_literals;

namespace {

/// A socket on loopback.
class LoopbackSocket {
  public:
    LoopbackSocket() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
    ~LoopbackSocket() { ::close(descriptor_); }
    LoopbackSocket(const LoopbackSocket&) = delete;
    LoopbackSocket& operator=(const LoopbackSocket&) = delete;

    /// Its port.
    int listen() {
        sockaddr_in address = loopback(0);
        socklen_t bytes = sizeof address;
        auto* any = reinterpret_cast<sockaddr*>(&address);
        if (::bind(descriptor_, any, bytes) != 0 || ::listen(descriptor_, 8) != 0 ||
            ::getsockname(descriptor_, any, &bytes) != 0) {
            throw std::runtime_error("no port on loopback");
        }
        return ntohs(address.sin_port);
    }
    void connect(int port) {
        const sockaddr_in address = loopback(port);
        if (::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
            0) {
            throw std::runtime_error("no connection on loopback");
        }
    }
    /// As nats.c does.
    void reset_when_closed() {
        const linger setting{1, 0};
        ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &setting, sizeof setting);
    }
    bool is_shut_down() const {
        pollfd state{descriptor_, POLLIN, 0};
        ::poll(&state, 1, 0);
        return (state.revents & POLLHUP) != 0;
    }

  private:
    static sockaddr_in loopback(int port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        return address;
    }

    int descriptor_;
};

/// As nats.c has one.
class NatsSocket : public LoopbackSocket {
  public:
    explicit NatsSocket(int port) {
        connect(port);
        reset_when_closed();
    }
};

}  // namespace

TEST_CASE("a connect limit shuts down the connection of its attempt, and no other") {
    LoopbackSocket server;
    LoopbackSocket other_server;
    const int port = server.listen();
    const int other_port = other_server.listen();
    const std::string url = "nats://127.0.0.1:" + std::to_string(port);
    const NatsSocket before(port);

    const ConnectLimit limit(url, 50ms);
    const NatsSocket ours(port);
    const NatsSocket elsewhere(other_port);
    LoopbackSocket of_the_app;
    of_the_app.connect(port);
    for (int i = 0; i < 200 && !limit.is_exceeded(); ++i) ::usleep(50'000);
    CHECK(limit.is_exceeded());
    CHECK(ours.is_shut_down());
    CHECK_FALSE(before.is_shut_down());
    CHECK_FALSE(elsewhere.is_shut_down());
    CHECK_FALSE(of_the_app.is_shut_down());
}

TEST_CASE("a connect limit that is not reached does nothing, and waits for nothing") {
    LoopbackSocket server;
    const int port = server.listen();
    const auto began = std::chrono::steady_clock::now();
    std::optional<ConnectLimit> limit;
    limit.emplace("nats://127.0.0.1:" + std::to_string(port), 60s);
    const NatsSocket ours(port);
    CHECK_FALSE(limit->is_exceeded());
    limit.reset();
    CHECK_FALSE(ours.is_shut_down());
    CHECK(std::chrono::steady_clock::now() - began < 20s);
}

TEST_CASE("a connect limit ends a connection that comes after it") {
    LoopbackSocket server;
    const int port = server.listen();
    const ConnectLimit limit("nats://127.0.0.1:" + std::to_string(port), 1ms);
    ::usleep(20'000);
    CHECK_FALSE(limit.is_exceeded());
    const NatsSocket ours(port);
    for (int i = 0; i < 200 && !ours.is_shut_down(); ++i) ::usleep(50'000);
    CHECK(ours.is_shut_down());
    CHECK(limit.is_exceeded());
}

TEST_CASE("a connect limit follows nats.c to other servers of the cluster, each in its own time") {
    LoopbackSocket server;
    LoopbackSocket announced;
    const int port = server.listen();
    const int other_port = announced.listen();
    const ConnectLimit limit("nats://127.0.0.1:" + std::to_string(port), 500ms);
    const NatsSocket first(port);
    const NatsSocket of_the_app(other_port);
    for (int i = 0; i < 200 && !first.is_shut_down(); ++i) ::usleep(50'000);
    CHECK(first.is_shut_down());
    const auto began = std::chrono::steady_clock::now();
    const NatsSocket second(other_port);
    for (int i = 0; i < 200 && !second.is_shut_down(); ++i) ::usleep(10'000);
    CHECK(second.is_shut_down());
    CHECK(std::chrono::steady_clock::now() - began >= 450ms);
    CHECK_FALSE(of_the_app.is_shut_down());
}

TEST_CASE("a connect limit holds when no descriptor is left") {
    LoopbackSocket server;
    const int port = server.listen();
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const ConnectLimit limit("nats://127.0.0.1:" + std::to_string(port), 50ms);
    const NatsSocket ours(port);
    std::vector<int> taken;
    const rlimit few{64, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
    for (int next = ::dup(0); next >= 0; next = ::dup(0)) taken.push_back(next);
    for (int i = 0; i < 200 && !ours.is_shut_down(); ++i) ::usleep(50'000);
    CHECK(ours.is_shut_down());
    for (const int one : taken) ::close(one);
    ::setrlimit(RLIMIT_NOFILE, &before);
}
