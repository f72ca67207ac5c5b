#include "publisher/platform/fork_guard.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "publisher/platform/file.hpp"

namespace homeward {
namespace {

struct KeptSocket {
    const void* owner;
    int descriptor;
    ino_t inode;  ///< tells it from what has the same number after it
};

struct ForkLock {
    std::mutex mutex;
    std::vector<KeptSocket> sockets;
    std::atomic<bool> waits_at_fork{false};
};
ForkLock& fork_lock() {
    static auto* lock =
        new ForkLock;  // for ever: another thread may fork while statics are destroyed
    return *lock;
}

std::optional<ino_t> socket_inode(int descriptor) {
    struct stat status {};
    if (::fstat(descriptor, &status) != 0 || !S_ISSOCK(status.st_mode)) return std::nullopt;
    return status.st_ino;
}

bool is_connected_from(int descriptor, const std::string& ip, int port) {
    sockaddr_storage address{};
    sockaddr_storage peer{};
    socklen_t bytes = sizeof address;
    socklen_t peer_bytes = sizeof peer;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (::getsockname(descriptor, any, &bytes) != 0 ||
        ::getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &peer_bytes) != 0) {
        return false;
    }
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (address.ss_family == AF_INET) {
        const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
        return ntohs(v4->sin_port) == port &&
               ip == ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    }
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address);
    return address.ss_family == AF_INET6 && ntohs(v6->sin6_port) == port &&
           ip == ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
}

/// -1 if there is none, or more than one: then nobody can say which is whose.
int find_connected(const std::string& ip, int port) {
    int found = -1;
    for (const auto& entry : entries_of("/proc/self/fd")) {
        const std::string name = entry.filename();
        int descriptor = -1;
        std::from_chars(name.data(), name.data() + name.size(), descriptor);
        if (!is_connected_from(descriptor, ip, port)) continue;
        if (found >= 0) return -1;
        found = descriptor;
    }
    return found;
}

void lock_before_fork() {
    fork_lock().mutex.lock();
    if (fork_lock().waits_at_fork) std::this_thread::sleep_for(std::chrono::microseconds(500));
}

void unlock_in_parent() {
    fork_lock().mutex.unlock();
}

/// In a child, where only system calls are safe. Closing a copy sends nothing, since the parent has
/// the socket still. Its number stays taken, or what the library left here in memory would name a
/// file that the app opens next.
void unlock_in_child() {
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (KeptSocket& socket : fork_lock().sockets) {
        if (socket_inode(socket.descriptor) == socket.inode) {
            if (nothing < 0 || ::dup3(nothing, socket.descriptor, O_CLOEXEC) < 0) {
                ::close(socket.descriptor);
            }
        }
        socket.owner = nullptr;
    }
    if (nothing >= 0) ::close(nothing);
    fork_lock().mutex.unlock();
}

}  // namespace

void ForkGuard::watch() {
    static const int once =
        ::pthread_atfork(&lock_before_fork, &unlock_in_parent, &unlock_in_child);
    static_cast<void>(once);
}

std::unique_lock<std::mutex> ForkGuard::hold() {
    return std::unique_lock(fork_lock().mutex);
}

void ForkGuard::wait_at_fork() {
    fork_lock().waits_at_fork = true;
}

void ForkGuard::keep_socket(const void* owner, const std::string& local_ip, int local_port) {
    const int descriptor = find_connected(local_ip, local_port);
    const auto inode = socket_inode(descriptor);
    if (!inode) return;
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    const auto lock = hold();
    std::erase_if(fork_lock().sockets, [&](const KeptSocket& kept) {
        return kept.owner == owner || kept.owner == nullptr;
    });
    fork_lock().sockets.push_back({owner, descriptor, *inode});
}

void ForkGuard::forget_socket(const void* owner) {
    const auto lock = hold();
    std::erase_if(fork_lock().sockets, [&](const KeptSocket& kept) { return kept.owner == owner; });
}

}  // namespace homeward
