// The ports that tests give to their servers.

#include "tests/support/process.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/catch.hpp"

using namespace homeward::testing;

namespace {

sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

int listen_on(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = loopback(port);
    REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd, 1) == 0);
    return fd;
}

}  // namespace

TEST_CASE("a port is free when neither a server nor what is left of a connection has it") {
    const int port = free_port();
    CHECK(is_port_free(port));
    const int server = listen_on(port);
    CHECK_FALSE(is_port_free(port));

    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port);
    REQUIRE(::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    const int accepted = ::accept4(server, nullptr, nullptr, SOCK_CLOEXEC);
    ::close(server);
    ::close(accepted);  // who closes first waits for what may still come
    ::close(client);
    CHECK_FALSE(is_port_free(port));
}

TEST_CASE("no port is given twice") {
    const int first = free_port();
    for (int i = 0; i < 100; ++i) CHECK(free_port() != first);
}
