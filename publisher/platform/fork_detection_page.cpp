#include "publisher/platform/fork_detection_page.hpp"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include <homeward/publisher.hpp>

namespace homeward {
namespace {

constexpr std::size_t kBytes = 4096;

[[noreturn]] void throw_setup(const char* call, int error) {
    throw SetupError(std::string("publisher: ") + call + ": " + std::strerror(error));
}

}  // namespace

/// Of the pages that the kernel does not wipe. Process-wide, since fork() is.
struct ForkDetectionPage::Registry {
    std::mutex mutex;
    std::vector<Content*> pages;

    static Registry& get() {
        static auto* registry = new Registry;  // for ever: another thread may fork during exit
        return *registry;
    }
};

void ForkDetectionPage::before_fork() {
    Registry::get().mutex.lock();
}

void ForkDetectionPage::after_fork() {
    Registry::get().mutex.unlock();
}

void ForkDetectionPage::after_fork_in_child() {
    for (Content* page : Registry::get().pages) {
        page->owner.store(0, std::memory_order_relaxed);
        page->is_beginning.store(0, std::memory_order_relaxed);
        page->has_given_up.store(0, std::memory_order_relaxed);
    }
    Registry::get().mutex.unlock();
}

ForkDetectionPage::ForkDetectionPage(std::uint64_t owner) {
    void* page =
        ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) throw_setup("mmap", errno);
    content_ = new (page) Content;
    is_wiped_by_kernel_ = ::madvise(page, kBytes, MADV_WIPEONFORK) == 0;
    if (!is_wiped_by_kernel_) {
        static const int failed = ::pthread_atfork(&before_fork, &after_fork, &after_fork_in_child);
        if (failed != 0) {
            ::munmap(page, kBytes);
            throw_setup("pthread_atfork", failed);
        }
        const std::lock_guard lock(Registry::get().mutex);
        Registry::get().pages.push_back(content_);
    }
    content_->owner = owner;
}

ForkDetectionPage::~ForkDetectionPage() {
    if (!is_wiped_by_kernel_) {
        const std::lock_guard lock(Registry::get().mutex);
        std::erase(Registry::get().pages, content_);
    }
    ::munmap(content_, kBytes);
}

void ForkDetectionPage::close() {
    content_->owner.store(detail::kClosedOwner, std::memory_order_release);
}

}  // namespace homeward
