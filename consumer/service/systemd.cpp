#include "consumer/service/systemd.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace homeward::consumer {
namespace {

std::optional<std::chrono::milliseconds> watchdog_interval() {
    const char* granted = std::getenv("WATCHDOG_USEC");
    if (granted == nullptr) return std::nullopt;
    // The variable may have been inherited from a service that we are not.
    const char* whose = std::getenv("WATCHDOG_PID");
    if (whose != nullptr && std::atol(whose) != ::getpid()) return std::nullopt;
    const long long usec = std::atoll(granted);
    if (usec < 2'000) return std::nullopt;
    return std::chrono::milliseconds(usec / 2'000);
}

}  // namespace

Systemd::Systemd() : alive_interval_(watchdog_interval()) {
    const char* address = std::getenv("NOTIFY_SOCKET");
    if (address == nullptr || (address[0] != '/' && address[0] != '@')) return;
    address_ = address;
    if (address_[0] == '@') address_[0] = '\0';
    socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

Systemd::~Systemd() {
    if (socket_ >= 0) ::close(socket_);
}

void Systemd::reloading() const {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    tell("RELOADING=1\nMONOTONIC_USEC=" +
         std::to_string(now.tv_sec * 1'000'000LL + now.tv_nsec / 1'000));
}

void Systemd::tell(const std::string& state) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_ < 0 || address_.size() >= sizeof address.sun_path) return;
    std::memcpy(address.sun_path, address_.data(), address_.size());
    const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
    ::sendto(socket_, state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
             reinterpret_cast<const sockaddr*>(&address), bytes);
}

}  // namespace homeward::consumer
