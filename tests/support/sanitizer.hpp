#pragma once

namespace homeward::testing {

/// Whether this build has a sanitizer in it. It has a malloc of its own, which keeps what was
/// freed, makes system calls at any time, and takes most of the speed.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

/// Whether a child forked from a process with threads may have threads of its own. ThreadSanitizer
/// ends it ("dup thread"); AddressSanitizer's malloc may have been locked, by a thread that the
/// child does not have, and then the child waits for ever.
constexpr bool kCanForkThreads = !kIsSanitized;

}  // namespace homeward::testing
