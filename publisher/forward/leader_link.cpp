#include "publisher/forward/leader_link.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <string_view>
#include <utility>
#include <vector>

namespace homeward::forward {
namespace {

/// Skips standbys, and detects hosts that are down or no longer acknowledge data.
constexpr std::pair<std::string_view, std::string_view> kWanted[] = {
    {"target_session_attrs", "read-write"},
    {"connect_timeout", "2"},
    {"tcp_user_timeout", "5000"},
    {"keepalives_idle", "2"},
    {"keepalives_interval", "1"},
    {"keepalives_count", "3"},
    {"application_name", "homeward-forward"},
};

constexpr std::chrono::milliseconds kLookInterval{500};
/// A postmaster answers at once, whatever its backends do.
constexpr int kAnswerMaxMs = 2'000;
/// "May I use TLS?", which PostgreSQL answers before any login: its length and its code.
constexpr std::array<unsigned char, 8> kSslRequest = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};

struct Address {
    sockaddr_storage storage{};
    socklen_t bytes = sizeof storage;
    bool operator==(const Address& other) const {
        return bytes == other.bytes && std::memcmp(&storage, &other.storage, bytes) == 0;
    }
};

Address peer_of(int descriptor) {
    Address address;
    if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&address.storage), &address.bytes) !=
        0) {
        address.bytes = 0;
    }
    return address;
}

bool becomes(int descriptor, short events) {
    pollfd ready{descriptor, events, 0};
    return ::poll(&ready, 1, kAnswerMaxMs) == 1;
}

/// Whether what listens there says anything, or refuses. Up to 4 s.
bool answers(const Address& address) {
    const int descriptor =
        ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return true;  // nobody knows
    const bool is_connecting =
        ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address.storage), address.bytes) ==
            0 ||
        errno == EINPROGRESS;
    const bool is_answered =
        !is_connecting ||
        (becomes(descriptor, POLLOUT) &&
         (::send(descriptor, kSslRequest.data(), kSslRequest.size(), MSG_NOSIGNAL) < 0 ||
          becomes(descriptor, POLLIN)));
    ::close(descriptor);
    return is_answered;
}

}  // namespace

std::string leader_url(std::string url) {
    const bool is_uri = url.rfind("postgres://", 0) == 0 || url.rfind("postgresql://", 0) == 0;
    for (const auto& [name, value] : kWanted) {
        if (url.find(std::string(name) + "=") != std::string::npos) continue;
        const char* before = !is_uri ? " " : url.find('?') == std::string::npos ? "?" : "&";
        url.append(before).append(name).append("=").append(value);
    }
    return url;
}

LeaderWatch::LeaderWatch() : thread_([this] { run(); }) {}

LeaderWatch::~LeaderWatch() {
    {
        const std::lock_guard lock(mutex_);
        is_over_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void LeaderWatch::run() {
    std::unique_lock lock(mutex_);
    while (!is_over_) {
        changed_.wait_for(lock, kLookInterval);
        try {
            look(lock);
        } catch (const std::exception&) {
            // Out of memory: the next look may succeed.
        }
    }
}

void LeaderWatch::look(std::unique_lock<std::mutex>& lock) {
    std::vector<Address> silent;
    const auto now = Clock::now();
    for (const Watched& one : watched_) {
        if (one.until > now) continue;
        if (!one.may_be_idle) {
            ::shutdown(one.descriptor, SHUT_RDWR);
            continue;
        }
        const Address peer = peer_of(one.descriptor);
        if (peer.bytes > 0 && std::find(silent.begin(), silent.end(), peer) == silent.end()) {
            silent.push_back(peer);
        }
    }
    if (silent.empty()) return;
    lock.unlock();
    std::erase_if(silent, answers);
    lock.lock();
    for (const Watched& one : watched_) {
        const bool is_silent =
            one.until <= now && one.may_be_idle &&
            std::find(silent.begin(), silent.end(), peer_of(one.descriptor)) != silent.end();
        if (is_silent) ::shutdown(one.descriptor, SHUT_RDWR);
    }
}

LeaderWatch::Task::Task(LeaderWatch& watch, int socket, Clock::time_point until) : watch_(watch) {
    const std::lock_guard lock(watch.mutex_);
    watch.watched_.push_front({-1, until});
    watched_ = watch.watched_.begin();
    watched_->descriptor = ::fcntl(socket, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

LeaderWatch::Task::~Task() {
    const std::lock_guard lock(watch_.mutex_);
    if (watched_->descriptor >= 0) ::close(watched_->descriptor);
    watch_.watched_.erase(watched_);
}

void LeaderWatch::Task::set_may_be_idle(bool may_be_idle) {
    const std::lock_guard lock(watch_.mutex_);
    watched_->may_be_idle = may_be_idle;
}

void LeaderWatch::Task::cut() {
    const std::lock_guard lock(watch_.mutex_);
    ::shutdown(watched_->descriptor, SHUT_RDWR);
}

}  // namespace homeward::forward
