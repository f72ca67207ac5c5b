#pragma once

namespace homeward {

/// A fence for two sides of which one runs millions of times a second and the other hardly ever:
/// the frequent side writes and then reads with no fence at all, the rare side writes, calls
/// process_membarrier(), and then reads. At least one of them sees what the other wrote.

/// Once before, best while there is one thread: with many it may take some ten milliseconds.
void prepare_process_membarrier() noexcept;
/// Every thread of this process has passed a full fence since the call began.
void process_membarrier() noexcept;

}  // namespace homeward
