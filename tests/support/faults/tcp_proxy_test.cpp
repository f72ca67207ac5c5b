// The proxy that other tests make faults with: does each fault bite, and only while it is on?

#include "tests/support/faults/tcp_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#include "tests/support/catch.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// Sends back whatever it gets, to one client after the other, and counts it.
class EchoServer {
  public:
    EchoServer() {
        sockaddr_in address = loopback(0);
        socklen_t bytes = sizeof address;
        REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), bytes) == 0);
        REQUIRE(::listen(listener_, 8) == 0);
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &bytes);
        port = ntohs(address.sin_port);
        thread_ = std::thread([this] { run(); });
    }
    ~EchoServer() {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
    }
    int port = 0;
    std::atomic<std::size_t> got{0};

  private:
    void run() {
        for (int client; (client = ::accept(listener_, nullptr, nullptr)) >= 0;) {
            char buffer[4096];
            for (ssize_t n; (n = ::recv(client, buffer, sizeof buffer, 0)) > 0;) {
                got += static_cast<std::size_t>(n);
                ::send(client, buffer, static_cast<std::size_t>(n), MSG_NOSIGNAL);
            }
            ::close(client);
        }
    }
    int listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    std::thread thread_;
};

class Client {
  public:
    explicit Client(const TcpProxy& proxy) {
        const sockaddr_in address = loopback(proxy.port());
        REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    ~Client() { ::close(fd_); }
    void send(const std::string& text) { ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
    /// What comes back within the time; "reset" when the connection ends.
    std::string answer(std::chrono::milliseconds time) {
        pollfd one{fd_, POLLIN, 0};
        if (::poll(&one, 1, static_cast<int>(time.count())) == 0) return "nothing";
        char buffer[256];
        const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
        return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : "reset";
    }

  private:
    int fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

}  // namespace

TEST_CASE("bytes pass both ways, late when they are to be delayed") {
    EchoServer server;
    TcpProxy proxy(server.port);
    Client client(proxy);
    client.send("at once");
    CHECK(client.answer(5s) == "at once");
    proxy.delay(150ms);
    const auto started = std::chrono::steady_clock::now();
    client.send("late");
    CHECK(client.answer(5s) == "late");
    CHECK(std::chrono::steady_clock::now() - started >= 300ms);
}

TEST_CASE("the first bytes of a new connection come behind a handshake") {
    EchoServer server;
    TcpProxy proxy(server.port);
    proxy.delay(100ms);
    Client client(proxy);
    const auto connected = std::chrono::steady_clock::now();
    client.send("hello");
    CHECK(client.answer(5s) == "hello");
    CHECK(std::chrono::steady_clock::now() - connected >= 300ms);
}

TEST_CASE("it listens where it is told, unless another does") {
    EchoServer server;
    int port = 0;
    {
        TcpProxy proxy(server.port);
        port = proxy.port();
        CHECK_THROWS_WITH(TcpProxy(server.port, port),
                          Catch::Matchers::Contains("port " + std::to_string(port)));
    }
    TcpProxy proxy(server.port, port);
    Client client(proxy);
    client.send("there");
    CHECK(client.answer(5s) == "there");
}

TEST_CASE("slices come one by one, and all of them") {
    EchoServer server;
    TcpProxy proxy(server.port);
    proxy.slice(1);
    Client client(proxy);
    client.send("slices");
    std::string all;
    while (all.size() < 6) {
        const std::string more = client.answer(5s);
        REQUIRE(more != "nothing");
        all += more;
    }
    CHECK(all == "slices");
}

TEST_CASE("what is stopped comes later, what is dropped never") {
    EchoServer server;
    TcpProxy proxy(server.port);
    Client client(proxy);
    proxy.stop();
    client.send("stopped");
    CHECK(client.answer(200ms) == "nothing");
    proxy.resume();
    CHECK(client.answer(5s) == "stopped");
    proxy.drop();
    client.send("dropped");
    CHECK(client.answer(200ms) == "nothing");
    proxy.resume();
    CHECK(client.answer(200ms) == "nothing");
}

TEST_CASE("reset ends what there is, refuse what is made from then on") {
    EchoServer server;
    TcpProxy proxy(server.port);
    {
        Client client(proxy);
        client.send("x");
        CHECK(client.answer(5s) == "x");
        proxy.reset();
        CHECK(client.answer(5s) == "reset");
    }
    proxy.refuse(true);
    CHECK(Client(proxy).answer(5s) == "reset");
    proxy.refuse(false);
    Client client(proxy);
    client.send("again");
    CHECK(client.answer(5s) == "again");
}

TEST_CASE("a watch cuts before the server has the bytes, behind them, or at the answer") {
    EchoServer server;
    TcpProxy proxy(server.port);
    std::atomic<TcpProxy::Act> act{TcpProxy::Act::pass};
    proxy.watch(
        [&](std::string_view sent) { return sent == "now" ? act.load() : TcpProxy::Act::pass; });
    const auto cut = [&](TcpProxy::Act how) {
        act = how;
        Client client(proxy);
        client.send("a");
        CHECK(client.answer(5s) == "a");
        const std::size_t before = server.got;
        client.send("now");
        CHECK(client.answer(5s) == "reset");
        return server.got - before;
    };
    CHECK(cut(TcpProxy::Act::cut) == 0);
    CHECK(cut(TcpProxy::Act::cut_at_answer) == 3);
    act = TcpProxy::Act::hold;
    Client client(proxy);
    client.send("now");
    CHECK(client.answer(200ms) == "nothing");
    proxy.resume();
    CHECK(client.answer(5s) == "now");
}
