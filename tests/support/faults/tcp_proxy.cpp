#include "tests/support/faults/tcp_proxy.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace homeward::testing {
namespace {

/// Of one direction of one connection; beyond it the sender has to wait, as on any network.
constexpr std::size_t kHeldBytesMax = 8u << 20;
constexpr std::size_t kReadBytes = 64u << 10;
constexpr auto kIdle = std::chrono::seconds(1);

sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

int listen_on(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = loopback(port);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd, 128) != 0) {
        throw std::system_error(errno, std::generic_category(),
                                "a proxy cannot listen on port " + std::to_string(port));
    }
    return fd;
}

int port_of(int listener) {
    sockaddr_in address{};
    socklen_t bytes = sizeof address;
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes);
    return ntohs(address.sin_port);
}

/// -1 when nobody listens there.
int connect_to(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(fd);
        return -1;
    }
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

void close_with_reset(int fd) {
    const linger at_once{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(fd);
}

void set_no_delay(int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool try_again() {
    return errno == EAGAIN || errno == EINTR;
}

}  // namespace

TcpProxy::TcpProxy(int target_port, int port)
    : listener_(listen_on(port)),
      port_(port_of(listener_)),
      changed_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      target_port_(target_port),
      thread_([this] { run(); }) {}

TcpProxy::~TcpProxy() {
    change([this] { is_ending_ = true; });
    thread_.join();
    for (const Link& link : links_) {
        close_with_reset(link.up.from);
        close_with_reset(link.up.to);
    }
    ::close(listener_);
    ::close(changed_);
}

template <typename Change>
void TcpProxy::change(Change change) {
    const std::lock_guard lock(mutex_);
    change();
    ::eventfd_write(changed_, 1);
}

void TcpProxy::set_target(int port) {
    change([&] { target_port_ = port; });
}
void TcpProxy::delay(std::chrono::milliseconds time) {
    change([&] { delay_ = time; });
}
void TcpProxy::slice(std::size_t bytes) {
    change([&] { slice_bytes_ = bytes; });
}
void TcpProxy::stop() {
    change([&] { is_stopped_ = true; });
}
void TcpProxy::drop() {
    change([&] { is_dropping_ = true; });
}
void TcpProxy::resume() {
    change([&] {
        is_stopped_ = is_dropping_ = false;
        for (Link& link : links_) link.is_held = false;
    });
}
void TcpProxy::reset() {
    change([&] { is_resetting_ = true; });
    std::unique_lock lock(mutex_);
    reset_done_.wait(lock, [this] { return !is_resetting_; });
}
void TcpProxy::refuse(bool on) {
    change([&] { is_refusing_ = on; });
}
void TcpProxy::watch(Watch watch) {
    change([&] { watch_ = std::move(watch); });
}

std::size_t TcpProxy::links() const {
    const std::lock_guard lock(mutex_);
    return links_.size();
}
std::uint64_t TcpProxy::links_made() const {
    const std::lock_guard lock(mutex_);
    return links_made_;
}
std::uint64_t TcpProxy::bytes_up() const {
    const std::lock_guard lock(mutex_);
    return bytes_up_;
}
std::uint64_t TcpProxy::bytes_down() const {
    const std::lock_guard lock(mutex_);
    return bytes_down_;
}

void TcpProxy::run() {
    for (;;) {
        poll_once();
        const std::lock_guard lock(mutex_);
        if (is_ending_) return;
    }
}

void TcpProxy::poll_once() {
    std::vector<pollfd> polls{{listener_, POLLIN, 0}, {changed_, POLLIN, 0}};
    auto next = Clock::now() + kIdle;
    {
        const std::lock_guard lock(mutex_);
        for (const Link& link : links_) {
            watch(link, link.up, polls, next);
            watch(link, link.down, polls, next);
        }
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
    ::poll(polls.data(), polls.size(), std::max(0, static_cast<int>(left.count())));
    eventfd_t changes;
    ::eventfd_read(changed_, &changes);
    // Only this thread makes and ends links, so they are still those that were polled.
    const std::lock_guard lock(mutex_);
    std::size_t at = 2;
    for (Link& link : links_) {
        serve(link, polls[at].revents, polls[at + 2].revents);
        at += 4;
    }
    remove_links();
    if (polls[0].revents != 0) accept_link();
}

/// How poll() looks at the pipe's two ends, and when it is looked at again in any case.
void TcpProxy::watch(const Link& link, const Pipe& pipe, std::vector<pollfd>& polls,
                     Clock::time_point& next) const {
    const bool is_waiting = may_write(link, pipe) && !pipe.held.empty();
    const bool is_due = is_waiting && pipe.held.front().due <= Clock::now();
    polls.push_back({may_read(link, pipe) ? pipe.from : -1, POLLIN, 0});
    polls.push_back({is_due ? pipe.to : -1, POLLOUT, 0});
    if (is_waiting && !is_due) next = std::min(next, pipe.held.front().due);
}

void TcpProxy::remove_links() {
    links_.remove_if([this](const Link& link) {
        const bool is_reset = link.is_dead || is_resetting_;
        if (!is_reset && !link.is_over) return false;
        for (const int fd : {link.up.from, link.up.to})
            is_reset ? close_with_reset(fd) : void(::close(fd));
        return true;
    });
    if (!is_resetting_) return;
    is_resetting_ = false;
    reset_done_.notify_all();
}

void TcpProxy::serve(Link& link, short up_events, short down_events) {
    if (up_events != 0) read_up(link);
    if (down_events != 0 && !link.is_dead) read_down(link);
    if (link.is_dead || is_stopped_) return;
    const bool is_alive =
        write_due(link.up, bytes_up_) && (link.is_held || write_due(link.down, bytes_down_));
    const bool is_cut = link.is_cut_behind && link.up.held.empty();
    link.is_dead = !is_alive || is_cut;
    link.is_over = link.up.is_shut && link.down.is_shut;
}

void TcpProxy::accept_link() {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = is_refusing_ ? -1 : connect_to(target_port_);
    if (server < 0) {
        close_with_reset(client);
        return;
    }
    set_no_delay(client);
    set_no_delay(server);
    links_.push_back({{client, server}, {server, client}});
    if (delay_.count() > 0) links_.back().up.held.push_back({Clock::now() + 2 * delay_, ""});
    ++links_made_;
}

bool TcpProxy::may_read(const Link& link, const Pipe& pipe) const {
    return !is_stopped_ && !link.is_held && !pipe.has_ended && pipe.held_bytes < kHeldBytesMax;
}

/// As serve() does.
bool TcpProxy::may_write(const Link& link, const Pipe& pipe) const {
    return !is_stopped_ && (!link.is_held || &pipe == &link.up);
}

void TcpProxy::read_up(Link& link) {
    std::string bytes;
    if (!read_piece(link.up, bytes)) link.is_dead = true;
    if (bytes.empty() || is_dropping_) return;
    switch (watch_ ? watch_(bytes) : Act::pass) {
        case Act::pass:
            break;
        case Act::cut:
            link.is_dead = true;
            return;
        case Act::cut_behind:
            link.is_cut_behind = true;
            break;
        case Act::cut_at_answer:
            link.is_cut_at_answer = true;
            break;
        case Act::hold:
            link.is_held = true;
            break;
    }
    hold(link.up, std::move(bytes));
}

void TcpProxy::read_down(Link& link) {
    std::string bytes;
    if (!read_piece(link.down, bytes) || (link.is_cut_at_answer && !bytes.empty())) {
        link.is_dead = true;
        return;
    }
    if (!bytes.empty() && !is_dropping_) hold(link.down, std::move(bytes));
}

/// False when the connection is broken. Nothing is read from one that has merely ended.
bool TcpProxy::read_piece(Pipe& pipe, std::string& bytes) {
    std::array<char, kReadBytes> buffer;
    const ssize_t got = ::recv(pipe.from, buffer.data(), buffer.size(), 0);
    if (got < 0) return try_again();
    if (got == 0) pipe.has_ended = true;
    bytes.assign(buffer.data(), static_cast<std::size_t>(got));
    return true;
}

void TcpProxy::hold(Pipe& pipe, std::string bytes) {
    auto due = Clock::now() + delay_;
    if (!pipe.held.empty()) due = std::max(due, pipe.held.back().due);  // nothing overtakes
    pipe.held_bytes += bytes.size();
    pipe.held.push_back({due, std::move(bytes)});
}

/// False when the receiver is gone.
bool TcpProxy::write_due(Pipe& pipe, std::uint64_t& passed) {
    const auto now = Clock::now();
    while (!pipe.held.empty() && pipe.held.front().due <= now) {
        std::string& bytes = pipe.held.front().bytes;
        const std::size_t wanted =
            slice_bytes_ == 0 ? bytes.size() : std::min(bytes.size(), slice_bytes_);
        const ssize_t sent = ::send(pipe.to, bytes.data(), wanted, MSG_NOSIGNAL);
        if (sent < 0) return try_again();
        passed += static_cast<std::uint64_t>(sent);
        pipe.held_bytes -= static_cast<std::size_t>(sent);
        bytes.erase(0, static_cast<std::size_t>(sent));
        if (bytes.empty()) pipe.held.pop_front();
    }
    if (pipe.has_ended && pipe.held.empty() && !pipe.is_shut) {
        ::shutdown(pipe.to, SHUT_WR);
        pipe.is_shut = true;
    }
    return true;
}

}  // namespace homeward::testing
