#include "publisher/tools/emit/socket_client.hpp"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "publisher/tools/emit/event_line.hpp"
#include "schemas/text/json_text.hpp"

namespace homeward {
namespace {

/// Of one client, before the next has its turn.
constexpr std::size_t kTurnBytes = 64u << 10;

bool is_later(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

}  // namespace

SocketClient::~SocketClient() {
    ::close(descriptor_);
}

SocketClient::Outcome SocketClient::read() {
    if (!is_ended_) read_once(kTurnBytes);
    return write();
}

/// False when there is nothing to read now, or ever again.
bool SocketClient::read_once(std::size_t bytes_max) {
    static thread_local std::array<char, kTurnBytes> buffer;
    const ssize_t got = ::recv(descriptor_, buffer.data(), std::min(bytes_max, buffer.size()), 0);
    if (got > 0) {
        lines_.add({buffer.data(), static_cast<std::size_t>(got)},
                   [this](std::string_view line, bool is_too_long) { take(line, is_too_long); });
        return true;
    }
    if (got == 0 || !is_later(errno)) finish();
    return false;
}

void SocketClient::take(std::string_view line, bool is_too_long) {
    if (!is_too_long && is_blank(line)) return answer(summary());
    const Refusal refusal = emit_(line, is_too_long, tally_);
    if (refusal.code.empty()) return;
    std::string text = "{\"line\":" + std::to_string(tally_.lines) + ",\"refused\":\"";
    text.append(refusal.code).append("\",\"why\":");
    append_json_string(text, refusal.why);
    answer(text.append("}\n"));
}

void SocketClient::answer(const std::string& line) {
    if (answers_.size() + line.size() <= kAnswersBytesMax) answers_ += line;
}

std::string SocketClient::summary() const {
    return "{\"lines\":" + std::to_string(tally_.lines) +
           ",\"taken\":" + std::to_string(tally_.taken) +
           ",\"dropped\":" + std::to_string(tally_.dropped) +
           ",\"refused\":" + std::to_string(tally_.refused) + "}\n";
}

/// The last answer goes out whatever the client has left unread.
void SocketClient::finish() {
    if (is_ended_) return;
    lines_.finish([this](std::string_view line, bool is_too_long) { take(line, is_too_long); });
    answers_ += summary();
    is_ended_ = true;
}

SocketClient::Outcome SocketClient::write() {
    while (!answers_.empty()) {
        const ssize_t sent =
            ::send(descriptor_, answers_.data(), answers_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            if (is_later(errno)) return Outcome::open;
            // It reads no more. What it has sent still counts.
            answers_.clear();
            break;
        }
        answers_.erase(0, static_cast<std::size_t>(sent));
    }
    return is_ended_ ? Outcome::over : Outcome::open;
}

void SocketClient::drain() {
    int left = 0;
    ::ioctl(descriptor_, FIONREAD, &left);
    while (left > 0 && !is_ended_) {
        const auto turn = static_cast<std::size_t>(left);
        if (!read_once(turn)) break;
        left -= static_cast<int>(std::min(turn, kTurnBytes));
    }
    finish();
    write();
}

}  // namespace homeward
