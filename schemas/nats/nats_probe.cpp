#include "schemas/nats/nats_probe.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "schemas/nats/jetstream_reply.hpp"

namespace homeward {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kGreeting = "INFO ";
/// An INFO with the addresses of a large cluster.
constexpr std::size_t kGreetingBytesMax = 16'384;

class Socket {
  public:
    explicit Socket(int descriptor) : descriptor_(descriptor) {}
    ~Socket() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    int get() const { return descriptor_; }

  private:
    int descriptor_;
};

/// False when the time is over.
bool wait_for(int descriptor, short events, Clock::time_point deadline) {
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        pollfd waiting{descriptor, events, 0};
        const int ready = ::poll(&waiting, 1, static_cast<int>(std::max<long>(left.count(), 0)));
        if (ready > 0) return true;
        if (ready == 0 || errno != EINTR) return false;
    }
}

/// 0, or why not, as errno.
int connect_to(int descriptor, const addrinfo& address, Clock::time_point deadline) {
    if (::connect(descriptor, address.ai_addr, address.ai_addrlen) == 0) return 0;
    if (errno != EINPROGRESS) return errno;
    if (!wait_for(descriptor, POLLOUT, deadline)) return ETIMEDOUT;
    int error = 0;
    socklen_t bytes = sizeof error;
    if (::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) return errno;
    return error;
}

/// What the server says first, up to the end of its line.
std::string read_greeting(int descriptor, Clock::time_point deadline) {
    std::string heard;
    std::array<char, 2'048> chunk;
    while (heard.size() < kGreetingBytesMax && heard.find('\n') == std::string::npos) {
        if (!wait_for(descriptor, POLLIN, deadline)) break;
        const ssize_t got = ::recv(descriptor, chunk.data(), chunk.size(), 0);
        if (got <= 0) break;
        heard.append(chunk.data(), static_cast<std::size_t>(got));
    }
    return heard;
}

bool is_true(std::string_view info, std::string_view key) {
    return info.find("\"" + std::string(key) + "\":true") != std::string_view::npos;
}

struct AddressList {
    addrinfo* first = nullptr;
    ~AddressList() {
        if (first != nullptr) ::freeaddrinfo(first);
    }
};

}  // namespace

NatsAddress parse_nats_url(std::string_view url) {
    NatsAddress address;
    const std::size_t scheme = url.find("://");
    if (scheme != std::string_view::npos) {
        address.wants_tls = url.substr(0, scheme) == "tls";
        url.remove_prefix(scheme + 3);
    }
    // First, as nats.c does: a password may have a slash.
    if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) {
        url.remove_prefix(at + 1);
    }
    url = url.substr(0, url.find('/'));
    // Colons inside brackets belong to an IPv6 address.
    const std::size_t bracket = url.rfind(']');
    const std::size_t colon = url.rfind(':');
    const bool has_port =
        colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
    if (has_port && colon + 1 < url.size()) address.port = std::string(url.substr(colon + 1));
    std::string_view host = has_port ? url.substr(0, colon) : url;
    if (host.size() >= 2 && host.front() == '[') host = host.substr(1, host.rfind(']') - 1);
    address.host = std::string(host);
    return address;
}

std::string printable_address(std::string_view url) {
    const NatsAddress address = parse_nats_url(url);
    const bool is_v6 = address.host.find(':') != std::string::npos;
    return printable((is_v6 ? "[" + address.host + "]" : address.host) + ":" + address.port);
}

std::string with_address(std::string_view url, std::string_view address) {
    if (const std::size_t scheme = address.find("://"); scheme != std::string_view::npos) {
        address.remove_prefix(scheme + 3);
    }
    const std::size_t scheme = url.find("://");
    const std::size_t start = scheme == std::string_view::npos ? 0 : scheme + 3;
    const std::size_t at = url.substr(start).rfind('@');
    const std::size_t login = at == std::string_view::npos ? 0 : at + 1;
    return std::string(url.substr(0, start + login)).append(address);
}

std::string judge_greeting(std::string_view heard, bool wants_tls) {
    if (heard.empty()) {
        return "it takes connections but says nothing; is that the port for NATS clients?";
    }
    if (heard.compare(0, kGreeting.size(), kGreeting) != 0) {
        const std::string_view line = heard.substr(0, heard.find_first_of("\r\n"));
        return "it is no NATS server; it says \"" + printable(line.substr(0, 60)) + "\"";
    }
    const bool requires_tls = is_true(heard, "tls_required");
    if (wants_tls && !requires_tls && !is_true(heard, "tls_available")) {
        return "the server offers no TLS there; use nats:// or give the server a tls block";
    }
    if (!wants_tls && requires_tls) return "the server requires TLS; use tls:// in its URL";
    return "";
}

std::chrono::milliseconds time_to_resolve(std::string_view url) {
    const NatsAddress wanted = parse_nats_url(url);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    AddressList found;
    const auto began = Clock::now();
    static_cast<void>(
        ::getaddrinfo(wanted.host.c_str(), wanted.port.c_str(), &hints, &found.first));
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
}

std::string probe_nats(std::string_view url, bool wants_tls, std::chrono::milliseconds patience) {
    const NatsAddress wanted = parse_nats_url(url);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    AddressList found;
    const int error = ::getaddrinfo(wanted.host.c_str(), wanted.port.c_str(), &hints, &found.first);
    if (error != 0) {
        return "cannot resolve \"" + printable(wanted.host) + "\": " + ::gai_strerror(error);
    }
    std::string reason;
    const auto connect_by = Clock::now() + patience;
    for (const addrinfo* one = found.first; one != nullptr; one = one->ai_next) {
        const Socket socket(::socket(
            one->ai_family, one->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, one->ai_protocol));
        const int refused = socket.get() < 0 ? errno : connect_to(socket.get(), *one, connect_by);
        if (refused == 0) {
            return judge_greeting(read_greeting(socket.get(), Clock::now() + patience), wants_tls);
        }
        // Of several addresses the first reason counts: the others are mostly of the other family.
        if (reason.empty()) {
            reason = refused == ETIMEDOUT ? "nobody answers" : std::strerror(refused);
        }
    }
    return reason;
}

}  // namespace homeward
