#pragma once

#include <functional>
#include <thread>

namespace homeward::consumer {

/// Exit code of a process whose thread ended by an exception (EX_SOFTWARE).
inline constexpr int kThreadDiedExit = 70;

/// Starts a thread. An exception that leaves `body` ends the process: it is logged with the
/// thread's name, and the exit code is kThreadDiedExit. A consumer that had lost one of its threads
/// would look alive and do part of its work; its supervisor starts it anew instead.
/// `name`: at most 15 characters, as `top -H` shows it.
std::thread start_thread(const char* name, std::function<void()> body);

/// For one turn of a loop whose next turn may succeed. False if `turn` threw, which is logged with
/// the thread's name.
bool run_turn(const char* name, const std::function<void()>& turn) noexcept;

}  // namespace homeward::consumer
