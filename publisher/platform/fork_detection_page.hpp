#pragma once

#include <atomic>
#include <cstdint>

namespace homeward {

/// Memory that reads zero in a forked child: a publisher's number (kClosedOwner once nobody may
/// emit any more), and whether a thread of the child is at work on a publisher of its own.
///
/// The kernel wipes it (MADV_WIPEONFORK, Linux 4.14), also after a bare clone(). Where it cannot,
/// as in gVisor, a pthread_atfork() handler does, which the C library's fork() calls.
class ForkDetectionPage {
  public:
    /// Throws SetupError.
    explicit ForkDetectionPage(std::uint64_t owner);
    ~ForkDetectionPage();
    ForkDetectionPage(const ForkDetectionPage&) = delete;
    ForkDetectionPage& operator=(const ForkDetectionPage&) = delete;

    const std::atomic<std::uint64_t>* number() const { return &content_->owner; }
    void close();
    /// In a child: true for the one thread that may begin. No lock, for a thread of the parent
    /// might hold that for ever.
    bool try_begin() { return content_->is_beginning.exchange(1) == 0; }
    /// From now on no thread tries, nor waits for one.
    void give_up_begin() { content_->has_given_up = 1; }
    bool has_given_up() const { return content_->has_given_up != 0; }
    /// In a child, by the thread that may begin: the page is the child's own now. Zero: not yet,
    /// and another thread may try.
    void begin_as(std::uint64_t owner) {
        content_->owner.store(owner, std::memory_order_release);
        content_->is_beginning = 0;
    }

  private:
    struct Content {
        std::atomic<std::uint64_t> owner{0};
        std::atomic<std::uint32_t> is_beginning{0};
        std::atomic<std::uint32_t> has_given_up{0};
    };
    struct Registry;
    static void before_fork();
    static void after_fork();
    static void after_fork_in_child();

    Content* content_;
    bool is_wiped_by_kernel_;
};

}  // namespace homeward
