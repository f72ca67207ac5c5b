#include "publisher/platform/process_membarrier.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace homeward {
namespace {

bool membarrier(int command) noexcept {
    return ::syscall(SYS_membarrier, command, 0, 0) == 0;
}

}  // namespace

void prepare_process_membarrier() noexcept {
    membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

void process_membarrier() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) return;
    // Forbidden, as some sandboxes do: a processor's writes are seen within microseconds anyway.
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

}  // namespace homeward
