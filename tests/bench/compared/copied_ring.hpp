#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

#include "tests/bench/support/workload.hpp"

namespace homeward::bench {

/// What no emit() can go below: the event's bytes are copied into a ring, and nobody reads them.
/// Its high quantiles are the machine's own: whoever else ran on the processor, and the caches that
/// it left. `Head`: a number if a thread makes a ring of its own, or atomic if threads share one,
/// whose lines then move between processors.
template <typename Head>
class BasicCopiedRing {
  public:
    BasicCopiedRing()
        : ring_(static_cast<std::byte*>(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                                               MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0))) {
        if (ring_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    }
    ~BasicCopiedRing() { ::munmap(ring_, kBytes); }
    BasicCopiedRing(const BasicCopiedRing&) = delete;
    BasicCopiedRing& operator=(const BasicCopiedRing&) = delete;

    /// `event` comes out of a FreshEvent, whose texts lie one behind the other.
    bool copy(const events::Audit& event) {
        std::memcpy(ring_ + head_++ * kPlaceBytes % kBytes, event.actor.data(), kRecordBytes);
        return true;
    }

  private:
    static constexpr std::size_t kBytes = 1u << 20;  // a lane's
    static constexpr std::size_t kRecordBytes = 208;
    static constexpr std::size_t kPlaceBytes = 256;
    std::byte* ring_;
    alignas(64) Head head_{0};
};
using CopiedRing = BasicCopiedRing<std::size_t>;
using SharedCopiedRing = BasicCopiedRing<std::atomic<std::size_t>>;

}  // namespace homeward::bench
