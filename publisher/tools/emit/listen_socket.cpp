#include "publisher/tools/emit/listen_socket.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace homeward {
namespace {

constexpr int kBacklog = 128;

sockaddr_un address_of(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.native().size() + 1);
    return address;
}

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
    throw SetupError(path.string() + ": " + what);
}

[[noreturn]] void fail(const std::filesystem::path& path, const char* what, int error) {
    fail(path, std::string(what) + ": " + std::strerror(error));
}

}  // namespace

bool ListenAddress::parse(const std::string& text, ListenAddress& address) {
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos || colon + 1 == text.size()) return false;
    const std::string kind = text.substr(0, colon);
    const std::string where = text.substr(colon + 1);
    if (kind == "unix" || kind == "unixgram") {
        address = {kind == "unixgram", false, where, ""};
    } else if (kind == "statsd+unixgram") {
        address = {true, true, where, ""};
    } else if (kind == "statsd+udp") {
        address = {true, true, "", where};
    } else {
        return false;
    }
    return true;
}

ListenSocket::ListenSocket(const ListenAddress& address, unsigned mode) : address_(address) {
    if (address.path.native().size() >= sizeof(sockaddr_un::sun_path)) {
        fail(address.path, "a socket's path may have at most 107 bytes");
    }
    try {
        take_lock();
        remove_stale();
        bind(mode);
    } catch (const SetupError&) {
        if (socket_ >= 0) ::close(socket_);
        if (lock_ >= 0) ::close(lock_);
        throw;
    }
}

ListenSocket::~ListenSocket() {
    ::unlink(address_.path.c_str());
    close();
    ::close(lock_);
}

void ListenSocket::close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

void ListenSocket::take_lock() {
    const std::string path = address_.path.string() + ".lock";
    // A stranger who may write to the directory may have planted a link, or something else.
    lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (lock_ < 0) fail(path, "cannot be opened", errno);
    struct stat status {};
    if (::fstat(lock_, &status) != 0 || !S_ISREG(status.st_mode)) {
        fail(path, "is no regular file");
    }
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
        fail(address_.path, "another homeward-emit listens there");
    }
}

/// We have the lock, so no homeward-emit is behind the file; somebody else may be.
void ListenSocket::remove_stale() const {
    struct stat status {};
    if (::lstat(address_.path.c_str(), &status) != 0) return;
    if (!S_ISSOCK(status.st_mode)) fail(address_.path, "is there already, and is no socket");
    const int type = address_.is_datagram ? SOCK_DGRAM : SOCK_STREAM;
    const int probe = ::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const sockaddr_un address = address_of(address_.path);
    const int failed =
        ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int error = errno;
    ::close(probe);
    if (failed == 0 || error != ECONNREFUSED) fail(address_.path, "another process listens there");
    ::unlink(address_.path.c_str());
}

void ListenSocket::bind(unsigned mode) {
    const int type = address_.is_datagram ? SOCK_DGRAM : SOCK_STREAM;
    socket_ = ::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket_ < 0) fail(address_.path, "no socket", errno);
    const sockaddr_un address = address_of(address_.path);
    // Nobody may connect before the file has the mode that was asked for.
    const mode_t before = ::umask(0777);
    const int bound = ::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int error = errno;
    ::umask(before);
    if (bound != 0) fail(address_.path, "cannot be bound", error);
    if (::chmod(address_.path.c_str(), mode) != 0) fail(address_.path, "chmod", errno);
    if (!address_.is_datagram && ::listen(socket_, kBacklog) != 0) {
        fail(address_.path, "listen", errno);
    }
}

}  // namespace homeward
