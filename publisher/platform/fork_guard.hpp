#pragma once

#include <mutex>
#include <string>

namespace homeward {

/// What fork() needs of those who use a library that knows no fork. Process-wide, since fork() is.
/// Any thread.
class ForkGuard {
  public:
    /// From now on fork() in this process takes this lock.
    static void watch();
    /// Nobody forks while it is held; short, or fork() is slow.
    static std::unique_lock<std::mutex> hold();
    /// From now on fork() waits half a millisecond, for a library's thread that cannot be asked
    /// whether it is at rest.
    static void wait_at_fork();

    /// The connected TCP socket of that local address is not for children: a forked one lets go of
    /// its copy at once, and a program that one becomes never has it. Else the server would see the
    /// connection of a dead parent open for as long as any child lives. `owner` has one at a time.
    static void keep_socket(const void* owner, const std::string& local_ip, int local_port);
    static void forget_socket(const void* owner);
};

}  // namespace homeward
