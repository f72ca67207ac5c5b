#include "publisher/platform/standard_descriptors.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <ctime>

namespace homeward {
namespace {

constexpr const char* kNothing = "/dev/null";
/// A pipe that can be written has room for as much (PIPE_BUF), in one piece.
constexpr std::size_t kLineBytesMax = 4096;

/// Keeps SIGPIPE from this thread, and takes back the one that a write has raised.
class WithoutSigpipe {
  public:
    WithoutSigpipe() {
        sigemptyset(&sigpipe_);
        sigaddset(&sigpipe_, SIGPIPE);
        sigset_t pending;
        sigpending(&pending);
        is_others_ = sigismember(&pending, SIGPIPE) == 1;
        ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
    }
    ~WithoutSigpipe() {
        const timespec now{};
        if (!is_others_) ::sigtimedwait(&sigpipe_, nullptr, &now);
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    WithoutSigpipe(const WithoutSigpipe&) = delete;
    WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

  private:
    sigset_t sigpipe_{};
    sigset_t before_{};
    bool is_others_ = false;
};

}  // namespace

void occupy_standard_descriptors() noexcept {
    int descriptor = 0;
    do {
        descriptor = ::open(kNothing, O_RDWR);
    } while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor >= 0) ::close(descriptor);
}

int beyond_standard(int descriptor) noexcept {
    if (descriptor < 0 || descriptor > STDERR_FILENO) return descriptor;
    const int moved = ::fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int error = errno;
    const int nothing = ::open(kNothing, O_RDWR | O_CLOEXEC);
    // Not by close(), or another thread's next file would be there.
    if (nothing < 0 || ::dup2(nothing, descriptor) < 0) ::close(descriptor);
    if (nothing > STDERR_FILENO) ::close(nothing);
    errno = error;
    return moved;
}

void warn_on_stderr(std::string_view line) noexcept {
    write_on_stderr("homeward: warning: ", line);
}

void write_on_stderr(std::string_view prefix, std::string_view line) noexcept {
    std::array<char, kLineBytesMax> text;
    prefix = prefix.substr(0, text.size() / 2);
    line = line.substr(0, text.size() - prefix.size() - 1);
    char* end = std::copy(prefix.begin(), prefix.end(), text.data());
    end = std::copy(line.begin(), line.end(), end);
    *end++ = '\n';
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&ready, 1, 0) != 1 || ready.revents != POLLOUT) return;
    const WithoutSigpipe quiet;
    static_cast<void>(
        !::write(STDERR_FILENO, text.data(), static_cast<std::size_t>(end - text.data())));
}

}  // namespace homeward
