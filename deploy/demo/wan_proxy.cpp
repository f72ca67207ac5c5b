// homeward-wan-proxy: TCP on loopback as slow as an ocean is wide.
//
//   homeward-wan-proxy --delay-ms 75 LISTEN=TARGET [LISTEN=TARGET …]     ports on 127.0.0.1
//
// Every byte is held for the delay in each direction, and the first ones for a round trip more, as
// a handshake would. Reading goes on meanwhile, so bandwidth does not suffer; what is held is
// bounded. One thread, poll(2).

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kHeldBytesMax = 64u << 20;  // of one direction of one connection
constexpr std::size_t kReadBytes = 256u << 10;

struct Piece {
    Clock::time_point due;
    std::string bytes;
    std::size_t sent = 0;
};

/// One direction of a connection.
struct Pipe {
    int from, to;
    std::deque<Piece> held;
    std::size_t held_bytes = 0;
    bool ended = false;  // the sender has closed its side
    bool shut = false;   // and the receiver knows
};

struct Link {
    Pipe up, down;
    bool is_dead = false;
};

struct Route {
    int listener;
    std::uint16_t target;
};

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "homeward-wan-proxy: %s: %s\n", what.c_str(), std::strerror(errno));
    std::exit(1);
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

int listen_on(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = loopback(port);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd, 128) != 0) {
        die("cannot listen on port " + std::to_string(port));
    }
    return fd;
}

void set_no_delay(int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void accept_link(const Route& route, std::chrono::milliseconds delay, std::list<Link>& links) {
    const int client = ::accept4(route.listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(route.target);
    if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(client);
        ::close(server);
        return;
    }
    ::fcntl(server, F_SETFL, O_NONBLOCK);
    set_no_delay(client);
    set_no_delay(server);
    Link link{{client, server, {}, 0}, {server, client, {}, 0}};
    link.up.held.push_back({Clock::now() + 2 * delay, "", 0});  // the handshake's round trip
    links.push_back(std::move(link));
}

bool read_piece(Pipe& pipe, std::chrono::milliseconds delay) {
    static std::vector<char> buffer(kReadBytes);
    const ssize_t got = ::read(pipe.from, buffer.data(), buffer.size());
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) {
        pipe.ended = true;
        return true;
    }
    // Nothing overtakes what is held already.
    auto due = Clock::now() + delay;
    if (!pipe.held.empty()) due = std::max(due, pipe.held.back().due);
    pipe.held.push_back({due, std::string(buffer.data(), static_cast<std::size_t>(got)), 0});
    pipe.held_bytes += static_cast<std::size_t>(got);
    return true;
}

bool write_due(Pipe& pipe) {
    const auto now = Clock::now();
    while (!pipe.held.empty() && pipe.held.front().due <= now) {
        Piece& piece = pipe.held.front();
        while (piece.sent < piece.bytes.size()) {
            const ssize_t sent = ::send(pipe.to, piece.bytes.data() + piece.sent,
                                        piece.bytes.size() - piece.sent, MSG_NOSIGNAL);
            if (sent < 0) return errno == EAGAIN || errno == EINTR;
            piece.sent += static_cast<std::size_t>(sent);
        }
        pipe.held_bytes -= piece.bytes.size();
        pipe.held.pop_front();
    }
    if (pipe.ended && pipe.held.empty() && !pipe.shut) {
        ::shutdown(pipe.to, SHUT_WR);
        pipe.shut = true;
    }
    return true;
}

/// How poll() should look at the pipe's two ends, and when it is to be looked at again.
void watch(const Pipe& pipe, std::vector<pollfd>& polls, Clock::time_point& next) {
    const bool may_read = !pipe.ended && pipe.held_bytes < kHeldBytesMax;
    polls.push_back({may_read ? pipe.from : -1, POLLIN, 0});
    const bool is_due = !pipe.held.empty() && pipe.held.front().due <= Clock::now();
    polls.push_back({is_due ? pipe.to : -1, POLLOUT, 0});
    if (!pipe.held.empty() && !is_due) next = std::min(next, pipe.held.front().due);
}

void run(const std::vector<Route>& routes, std::chrono::milliseconds delay) {
    std::list<Link> links;
    std::vector<pollfd> polls;
    for (;;) {
        polls.clear();
        auto next = Clock::now() + std::chrono::seconds(1);
        for (const Route& route : routes) polls.push_back({route.listener, POLLIN, 0});
        for (const Link& link : links) {
            watch(link.up, polls, next);
            watch(link.down, polls, next);
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
        ::poll(polls.data(), polls.size(), std::max(0, static_cast<int>(left.count())));
        std::size_t at = routes.size();
        for (Link& link : links) {
            for (Pipe* pipe : {&link.up, &link.down}) {
                const bool readable = polls[at].revents != 0;
                at += 2;
                if (readable && !read_piece(*pipe, delay)) link.is_dead = true;
                if (!write_due(*pipe)) link.is_dead = true;
            }
            link.is_dead = link.is_dead || (link.up.shut && link.down.shut);
        }
        links.remove_if([](const Link& link) {
            if (!link.is_dead) return false;
            ::close(link.up.from);
            ::close(link.up.to);
            return true;
        });
        for (std::size_t i = 0; i < routes.size(); ++i) {
            if (polls[i].revents != 0) accept_link(routes[i], delay, links);
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::chrono::milliseconds delay{75};
    std::vector<Route> routes;
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const std::size_t equals = word.find('=');
        if (word == "--delay-ms" && i + 1 < argc) {
            delay = std::chrono::milliseconds(std::atoi(argv[++i]));
        } else if (equals != std::string::npos) {
            routes.push_back({listen_on(static_cast<std::uint16_t>(std::atoi(word.c_str()))),
                              static_cast<std::uint16_t>(std::atoi(word.c_str() + equals + 1))});
        } else {
            std::fprintf(stderr, "usage: homeward-wan-proxy --delay-ms N LISTEN=TARGET ...\n");
            return 2;
        }
    }
    run(routes, delay);
}
