#include "publisher/tools/emit/statsd_receiver.hpp"

#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "publisher/tools/emit/line_buffer.hpp"

namespace homeward {
namespace {

/// Of one socket, before the others have their turn.
constexpr int kTurnDatagrams = 64;
/// More than a Unix socket's queue holds (net.unix.max_dgram_qlen), should all of it be empty.
constexpr int kEmptyMax = 1024;

}  // namespace

StatsdReceiver::StatsdReceiver(int descriptor, std::string name, StatsdMetrics& metrics)
    : descriptor_(descriptor),
      name_(std::move(name)),
      metrics_(metrics),
      datagram_(LineBuffer::kLineBytesMax) {}

bool StatsdReceiver::receive_some() {
    bool is_more = true;
    for (int i = 0; is_more && i < kTurnDatagrams; ++i) is_more = receive_one();
    count_lost();
    return is_more;
}

bool StatsdReceiver::receive_one() {
    const ssize_t got =
        ::recv(descriptor_, datagram_.data(), datagram_.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0) return false;
    if (got == 0) return empty_left_ < 0 || --empty_left_ > 0;
    if (static_cast<std::size_t>(got) > datagram_.size()) {
        metrics_.refuse_datagram();
    } else {
        metrics_.take({datagram_.data(), static_cast<std::size_t>(got)});
    }
    return true;
}

void StatsdReceiver::drain() {
    stop_arrivals();
    while (receive_some()) {
    }
}

/// What the socket has already received stays readable.
void StatsdReceiver::stop_arrivals() {
    ::shutdown(descriptor_, SHUT_RD);  // a Unix socket's senders get EPIPE
    sockaddr_storage own{};
    socklen_t bytes = sizeof own;
    auto* const address = reinterpret_cast<sockaddr*>(&own);
    if (::getsockname(descriptor_, address, &bytes) != 0) return;
    if (own.ss_family == AF_UNIX) {
        empty_left_ = kEmptyMax;
        return;
    }
    // A UDP socket that is connected receives from that peer alone, which is itself.
    (void)::connect(descriptor_, address, bytes);
}

/// The kernel's count, which SO_RXQ_OVFL would tell only with the next datagram.
void StatsdReceiver::count_lost() {
    std::array<std::uint32_t, SK_MEMINFO_VARS> info{};
    socklen_t bytes = sizeof info;
    if (::getsockopt(descriptor_, SOL_SOCKET, SO_MEMINFO, info.data(), &bytes) != 0) return;
    const std::uint32_t lost =
        info[SK_MEMINFO_DROPS] - std::exchange(lost_known_, info[SK_MEMINFO_DROPS]);
    if (lost > 0) metrics_.add_lost(name_, lost);
}

}  // namespace homeward
