#include "schemas/nats/connect_limit.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <numeric>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "schemas/nats/nats_probe.hpp"

namespace homeward {
namespace {

constexpr std::chrono::milliseconds kLookInterval{250};
/// Of those that are tried where /proc does not say which there are.
constexpr rlim_t kDescriptorsMax = 65'536;

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

/// Of this process: all that are open, and perhaps more.
std::vector<int> descriptors() {
    std::vector<int> numbers;
    std::error_code error;
    std::filesystem::directory_iterator entry("/proc/self/fd", error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        numbers.push_back(to_number(entry->path().filename().native()));
    }
    if (!error) return numbers;
    // No /proc, or no descriptor is left for it.
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    numbers.resize(std::min<rlim_t>(limit.rlim_cur, kDescriptorsMax));
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
}

}  // namespace

/// Holds on to what a descriptor names, since its number may name something else a moment later.
class ConnectLimit::Connection {
  public:
    explicit Connection(int descriptor)
        : copy_(::fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)),
          descriptor_(copy_ < 0 ? descriptor : copy_),
          port_(peer_port(descriptor_)) {
        struct stat status {};
        if (port_ >= 0 && resets_when_closed(descriptor_) && ::fstat(descriptor_, &status) == 0) {
            inode_ = status.st_ino;
        }
    }
    ~Connection() {
        if (copy_ >= 0) ::close(copy_);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// nullopt if nats.c has not made it.
    std::optional<ino_t> inode() const { return inode_; }
    int port() const { return port_; }
    void shut_down() const { ::shutdown(descriptor_, SHUT_RDWR); }

  private:
    const int copy_;
    const int descriptor_;
    const int port_;
    std::optional<ino_t> inode_;
};

namespace {

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
    : port_(to_number(parse_nats_url(url).port)), limit_(limit) {
    for_each_connection([&](const Connection& one) { others_.insert(*one.inode()); });
    thread_ = start_without_signals([this] { watch(); });
}

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

void ConnectLimit::watch() {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, std::min(limit_, kLookInterval), [this] { return is_over_; })) {
        try {
            look();
        } catch (const std::exception&) {
            // Out of memory: the next look may succeed.
        }
    }
}

void ConnectLimit::look() {
    const auto now = Clock::now();
    for_each_connection([&](const Connection& one) {
        const ino_t inode = *one.inode();
        if (others_.count(inode) == 1) return;
        // Behind a server that stalls, nats.c goes on to those that it has announced.
        if (one.port() != port_ && !is_exceeded_) {
            others_.insert(inode);
            return;
        }
        const auto since = seen_.try_emplace(inode, now).first->second;
        if (now - since < limit_) return;
        one.shut_down();
        is_exceeded_ = true;
    });
}

void ConnectLimit::for_each_connection(const std::function<void(const Connection&)>& found) {
    for (const int descriptor : descriptors()) {
        if (peer_port(descriptor) < 0) continue;  // which most are
        const Connection one(descriptor);
        if (one.inode()) found(one);
    }
}

}  // namespace homeward
