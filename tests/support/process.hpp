#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace homeward::testing {

struct ProcessOptions {
    std::map<std::string, std::string> environment{};  ///< added to ours
    std::filesystem::path log{};                       ///< both outputs; empty: inherited
    std::filesystem::path input{};                     ///< standard input; empty: nothing
    bool drop_privileges = false;                      ///< when we are root: run as "postgres"
};

/// A child process; killed at the end, and by the kernel should the test itself be killed.
class Process {
  public:
    Process() = default;
    Process(const std::vector<std::string>& command, const ProcessOptions& options = {});
    ~Process();
    Process(Process&& other) noexcept;
    Process& operator=(Process&& other) noexcept;

    bool is_running();
    void signal(int number) const;
    /// Waits for its end; -1 when the time is over, else the exit code (128 + signal).
    int wait(std::chrono::milliseconds time);
    /// SIGTERM, and SIGKILL when that is not enough in time. Returns what wait() does.
    int stop(std::chrono::milliseconds time = std::chrono::seconds(10), int number = 15);
    void kill();
    pid_t pid() const { return pid_; }

  private:
    pid_t pid_ = -1;
    int exit_code_ = -1;
};

/// Runs a command to its end.
struct CommandResult {
    int exit_code = -1;
    std::string output;  ///< both outputs
};
CommandResult run_command(const std::vector<std::string>& command, ProcessOptions options = {},
                          std::chrono::milliseconds time = std::chrono::seconds(60));

/// Whether any server could listen on this port now, on whatever address.
bool is_port_free(int port);
/// Such a port, for the rest of this process.
int free_port();
std::string read_file(const std::filesystem::path& path);

/// Asks again and again until it is true or the time is over; returns what it was at last.
template <typename Predicate>
bool wait_until(std::chrono::milliseconds time, Predicate predicate);

void sleep_ms(int ms);

template <typename Predicate>
bool wait_until(std::chrono::milliseconds time, Predicate predicate) {
    const auto deadline = std::chrono::steady_clock::now() + time;
    while (!predicate()) {
        if (std::chrono::steady_clock::now() >= deadline) return predicate();
        sleep_ms(20);
    }
    return true;
}

}  // namespace homeward::testing
