#include "publisher/tools/emit/socket_server.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "publisher/tools/emit/event_line.hpp"

namespace homeward {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// Each may hold a line of LineBuffer::kLineBytesMax; more wait to be accepted.
constexpr std::size_t kClientsMax = 1000;
/// Without a descriptor for one more: others than our clients may have given some back by then.
constexpr int kCrowdedMs = 500;
/// Of one datagram socket, before the others have their turn.
constexpr int kTurnDatagrams = 64;

void add(LineTally& to, const LineTally& one) {
    to.lines += one.lines;
    to.taken += one.taken;
    to.dropped += one.dropped;
    to.refused += one.refused;
}

Refusal refusal_of(EmitResult result) {
    switch (result) {
        case EmitResult::accepted:
        case EmitResult::dropped:
            return {};
        case EmitResult::full:
            return {"full", "no room; try again later"};
        case EmitResult::too_large:
            return {"too_large", "longer than 256 KiB"};
        default:
            return {"closed", "the publisher is closed"};
    }
}

}  // namespace

SocketServer::SocketServer(const EmitCommand& command, const Sockets& sockets, Publisher& publisher,
                           Log log)
    : command_(command),
      sockets_(sockets),
      publisher_(publisher),
      log_(std::move(log)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      datagram_(LineBuffer::kLineBytesMax) {
    if (epoll_ < 0) throw SetupError(std::string("epoll: ") + std::strerror(errno));
    for (const auto& socket : sockets_) watch(socket->descriptor(), EPOLLIN, EPOLL_CTL_ADD);
}

SocketServer::~SocketServer() {
    ::close(epoll_);
}

void SocketServer::serve(StatsdReceiver& receiver) {
    receivers_.push_back(&receiver);
    watch(receiver.descriptor(), EPOLLIN, EPOLL_CTL_ADD);
}

void SocketServer::run(int stop) {
    watch(stop, EPOLLIN, EPOLL_CTL_ADD);
    for (;;) {
        std::array<epoll_event, 64> events;
        const int count =
            ::epoll_wait(epoll_, events.data(), events.size(), is_crowded_ ? kCrowdedMs : -1);
        if (is_crowded_ && SteadyClock::now() >= listen_due_) listen_again();
        for (int i = 0; i < count; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            if (event.data.fd == stop) return drain();
            handle(event.data.fd, event.events);
        }
    }
}

void SocketServer::handle(int descriptor, std::uint32_t events) {
    for (const auto& socket : sockets_) {
        if (socket->descriptor() != descriptor) continue;
        if (!socket->is_datagram()) return accept_all(*socket);
        receive_some(*socket);
        return;
    }
    for (StatsdReceiver* receiver : receivers_) {
        if (receiver->descriptor() != descriptor) continue;
        receiver->receive_some();
        return;
    }
    serve(descriptor, events);
}

Refusal SocketServer::emit(std::string_view line, bool is_too_long, LineTally& tally) {
    LineTally one;
    one.lines = 1;
    line = without_byte_order_mark(line);
    Refusal refusal;
    if (is_too_long) {
        refusal = refusal_of(EmitResult::too_large);
    } else if (EventLine event = read_event_line(line, command_.type); !event.problem.empty()) {
        refusal = {"invalid", std::move(event.problem)};
    } else {
        const std::vector<std::string_view> required = required_of(command_, event.type);
        const EmitResult result =
            publisher_.emit_json(event.type, class_of(command_, event.type), line, 0, required);
        refusal = refusal_of(result);
        if (result == EmitResult::incomplete) {
            refusal = {"incomplete", Publisher::explain_json(event.type, line, 0, required)};
        }
        one.taken = result == EmitResult::accepted ? 1 : 0;
        one.dropped = result == EmitResult::dropped ? 1 : 0;
    }
    one.refused = refusal.code.empty() ? 0 : 1;
    add(tally, one);
    if (&tally != &tally_) add(tally_, one);
    return refusal;
}

void SocketServer::accept_all(ListenSocket& socket) {
    while (clients_.size() < kClientsMax) {
        const int client =
            ::accept4(socket.descriptor(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (client < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
        if (client < 0) break;  // no descriptors left
        clients_[client] = std::make_unique<SocketClient>(
            client, [this](std::string_view line, bool is_too_long, LineTally& tally) {
                return emit(line, is_too_long, tally);
            });
        watch(client, EPOLLIN, EPOLL_CTL_ADD);
    }
    is_crowded_ = true;
    listen_due_ = SteadyClock::now() + std::chrono::milliseconds(kCrowdedMs);
    for (const auto& one : sockets_) {
        if (!one->is_datagram()) watch(one->descriptor(), 0, EPOLL_CTL_MOD);
    }
}

void SocketServer::listen_again() {
    is_crowded_ = false;
    for (const auto& socket : sockets_) {
        if (!socket->is_datagram()) watch(socket->descriptor(), EPOLLIN, EPOLL_CTL_MOD);
    }
}

bool SocketServer::receive_some(ListenSocket& socket) {
    for (int i = 0; i < kTurnDatagrams; ++i) {
        const ssize_t got = ::recv(socket.descriptor(), datagram_.data(), datagram_.size(),
                                   MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0) return false;
        const auto bytes = static_cast<std::size_t>(got);
        receive(socket, {datagram_.data(), std::min(bytes, datagram_.size())},
                bytes > datagram_.size());
    }
    return true;
}

/// A datagram has no way back. The reasons are few, and so are the lines of the log.
void SocketServer::receive(const ListenSocket& socket, std::string_view datagram, bool is_cut) {
    const auto take = [&](std::string_view line, bool is_too_long) {
        if (!is_too_long && is_blank(line)) return;
        const Refusal refusal = emit(line, is_too_long, tally_);
        if (refusal.code.empty() || !logged_.insert(refusal.code).second) return;
        log_(socket.path().string() + ": line refused: " + refusal.why +
             " (further ones are only counted: " + std::string(refusal.code) + ")");
    };
    if (is_cut) return take({}, true);
    LineBuffer lines;
    lines.add(datagram, take);
    lines.finish(take);
}

void SocketServer::serve(int descriptor, std::uint32_t events) {
    const auto found = clients_.find(descriptor);
    if (found == clients_.end()) return;  // ended by an earlier event of the same round
    SocketClient& client = *found->second;
    const bool was_reading = client.is_reading();
    const bool had_answers = client.has_answers();
    const bool can_read = (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0;
    const SocketClient::Outcome outcome = can_read ? client.read() : client.write();
    if (outcome == SocketClient::Outcome::over) return end(descriptor);
    if (client.is_reading() == was_reading && client.has_answers() == had_answers) return;
    const std::uint32_t readable = client.is_reading() ? std::uint32_t{EPOLLIN} : 0;
    const std::uint32_t writable = client.has_answers() ? std::uint32_t{EPOLLOUT} : 0;
    watch(descriptor, readable | writable, EPOLL_CTL_MOD);
}

void SocketServer::end(int descriptor) {
    clients_.erase(descriptor);
    if (is_crowded_) listen_again();
}

void SocketServer::watch(int descriptor, std::uint32_t events, int operation) {
    epoll_event event{};
    event.events = events;
    event.data.fd = descriptor;
    ::epoll_ctl(epoll_, operation, descriptor, &event);
}

void SocketServer::drain() {
    for (const auto& socket : sockets_) {
        if (!socket->is_datagram()) accept_all(*socket);
        // A queue has at most some hundred datagrams; a flood must not keep us from ending.
        for (int i = 0; socket->is_datagram() && i < 16 && receive_some(*socket); ++i) {
        }
        socket->close();
    }
    for (StatsdReceiver* receiver : receivers_) receiver->drain();
    for (const auto& [descriptor, client] : clients_) client->drain();
    clients_.clear();
}

}  // namespace homeward
