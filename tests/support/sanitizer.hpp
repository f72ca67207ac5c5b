#pragma once

namespace homeward::testing {

/// Whether this build has a sanitizer in it. It has a malloc of its own, which keeps what was
/// freed, makes system calls at any time, and takes most of the speed.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

/// ThreadSanitizer ends a forked child that starts threads of its own ("dup thread").
#if defined(__SANITIZE_THREAD__)
constexpr bool kCanForkThreads = false;
#else
constexpr bool kCanForkThreads = true;
#endif

}  // namespace homeward::testing
