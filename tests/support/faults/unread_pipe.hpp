#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace homeward::testing {

/// A pipe that is full and that nobody reads: who writes into it waits for ever.
class UnreadPipe {
  public:
    UnreadPipe() {
        if (::pipe2(ends_.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
        ::fcntl(ends_[1], F_SETFL, O_NONBLOCK);
        const std::vector<char> page(4'096, '.');
        while (::write(ends_[1], page.data(), page.size()) > 0) {
        }
        ::fcntl(ends_[1], F_SETFL, 0);
    }
    ~UnreadPipe() {
        for (const int end : ends_) ::close(end);
    }
    UnreadPipe(const UnreadPipe&) = delete;
    UnreadPipe& operator=(const UnreadPipe&) = delete;

    /// For another process, as long as this one lives.
    std::filesystem::path path() const {
        return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(ends_[1]);
    }

  private:
    std::array<int, 2> ends_{};
};

}  // namespace homeward::testing
