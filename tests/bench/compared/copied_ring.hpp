#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

#include "tests/bench/support/workload.hpp"

namespace homeward::bench {

/// What no emit() can go below: the event's bytes are copied into a ring of memory that is this
/// thread's alone, and nobody reads them. Its high quantiles are the machine's own: whoever else
/// ran on the processor, and the caches that it left. A thread makes its own.
class CopiedRing {
  public:
    CopiedRing()
        : ring_(static_cast<std::byte*>(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                                               MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0))) {
        if (ring_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    }
    ~CopiedRing() { ::munmap(ring_, kBytes); }
    CopiedRing(const CopiedRing&) = delete;
    CopiedRing& operator=(const CopiedRing&) = delete;

    /// `event` comes out of a FreshEvent, whose texts lie one behind the other.
    bool copy(const events::Audit& event) {
        if (head_ + kRecordBytes > kBytes) head_ = 0;
        std::memcpy(ring_ + head_, event.actor.data(), kRecordBytes);
        head_ += kRecordBytes;
        return true;
    }

  private:
    static constexpr std::size_t kBytes = 1u << 20;  // a lane's
    static constexpr std::size_t kRecordBytes = 208;
    std::byte* ring_;
    std::size_t head_ = 0;
};

}  // namespace homeward::bench
