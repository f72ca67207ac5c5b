#pragma once

namespace homeward::testing {

/// From now on no system call of this thread is made, but each is counted. It cannot even end: the
/// process may, and the thread may sleep_for_ever(). False if the kernel does not allow that.
bool forbid_system_calls();
/// How many were not made, of all threads.
int forbidden_system_calls();
[[noreturn]] void sleep_for_ever();

}  // namespace homeward::testing
