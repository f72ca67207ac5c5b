#include "schemas/nats/connect_limit.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <string>
#include <system_error>

#include "schemas/nats/nats_probe.hpp"

namespace homeward {
namespace {

/// A socket may only come to be connected after the limit.
constexpr std::chrono::milliseconds kLookAgain{100};

int to_number(std::string_view text) {
    int number = -1;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

int peer_port(int descriptor) {
    sockaddr_storage peer{};
    socklen_t bytes = sizeof peer;
    if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &bytes) != 0) return -1;
    if (peer.ss_family == AF_INET) {
        return ntohs(reinterpret_cast<const sockaddr_in*>(&peer)->sin_port);
    }
    if (peer.ss_family == AF_INET6) {
        return ntohs(reinterpret_cast<const sockaddr_in6*>(&peer)->sin6_port);
    }
    return -1;
}

/// nats.c's own connections reset their peer when they are closed.
bool resets_when_closed(int descriptor) {
    linger setting{};
    socklen_t bytes = sizeof setting;
    return ::getsockopt(descriptor, SOL_SOCKET, SO_LINGER, &setting, &bytes) == 0 &&
           setting.l_onoff != 0 && setting.l_linger == 0;
}

/// 0 if it is nothing that is open.
ino_t inode_of(int descriptor) {
    struct stat status {};
    return ::fstat(descriptor, &status) == 0 ? status.st_ino : 0;
}

/// Calls `found(descriptor)` for each socket of nats.c that is connected to `port`.
void for_each_connection(int port, const std::function<void(int)>& found) {
    std::error_code error;
    std::filesystem::directory_iterator entry("/proc/self/fd", error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        const int descriptor = to_number(entry->path().filename().native());
        if (peer_port(descriptor) == port && resets_when_closed(descriptor)) found(descriptor);
    }
}

std::vector<ino_t> connections_to(int port) {
    std::vector<ino_t> inodes;
    for_each_connection(port, [&](int descriptor) { inodes.push_back(inode_of(descriptor)); });
    return inodes;
}

/// Shuts down the connections to `port` but the `earlier`. Whether there was one.
bool shut_down_connections(int port, const std::vector<ino_t>& earlier) {
    bool is_any = false;
    for_each_connection(port, [&](int number) {
        // The number may name another file by now: so a copy is examined, which stays what it is.
        const int descriptor = ::fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (descriptor < 0) return;
        const bool is_new =
            std::find(earlier.begin(), earlier.end(), inode_of(descriptor)) == earlier.end();
        if (is_new && peer_port(descriptor) == port && resets_when_closed(descriptor)) {
            is_any = ::shutdown(descriptor, SHUT_RDWR) == 0 || is_any;
        }
        ::close(descriptor);
    });
    return is_any;
}

/// The thread takes none of the process's signals.
template <typename Body>
std::thread start_without_signals(Body body) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    struct Restore {
        const sigset_t& mask;
        ~Restore() { ::pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
    } const restore{before};
    return std::thread(std::move(body));
}

}  // namespace

ConnectLimit::ConnectLimit(std::string_view url, std::chrono::milliseconds limit)
    : port_(to_number(parse_nats_url(url).port)),
      earlier_(connections_to(port_)),
      thread_(start_without_signals([this, limit] { watch(limit); })) {}

ConnectLimit::~ConnectLimit() {
    {
        const std::lock_guard lock(mutex_);
        is_over_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

bool ConnectLimit::is_exceeded() const {
    const std::lock_guard lock(mutex_);
    return is_exceeded_;
}

void ConnectLimit::watch(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, limit, [this] { return is_over_; })) {
        is_exceeded_ = shut_down_connections(port_, earlier_) || is_exceeded_;
        limit = kLookAgain;
    }
}

}  // namespace homeward
