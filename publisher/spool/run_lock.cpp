#include "publisher/spool/run_lock.hpp"

#include <fcntl.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <thread>
#include <utility>

#include <homeward/publisher.hpp>

namespace homeward {
namespace {

std::filesystem::path lock_path(const std::filesystem::path& directory) {
    return directory / "lock";
}

/// The finalizer of MurmurHash3: every bit of the result depends on every bit of `value`.
std::uint64_t mix(std::uint64_t value) {
    value = (value ^ (value >> 33)) * 0xff51afd7ed558ccdULL;
    value = (value ^ (value >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return value ^ (value >> 33);
}

/// Tells this program from what ran under the pid before exec(), also where /proc is missing. The
/// same for all copies of this library in the process, and kept by fork(). It is made of the 16
/// random bytes that the kernel gives every program. libc makes its secrets (stack protector,
/// pointer guard) of the same bytes, so only 32 bits of a hash are shown.
std::string image_id() {
    const auto* random = reinterpret_cast<const void*>(::getauxval(AT_RANDOM));
    if (random == nullptr) return "0";
    std::uint64_t first;
    std::uint64_t second;
    std::memcpy(&first, random, sizeof first);
    std::memcpy(&second, static_cast<const std::byte*>(random) + sizeof first, sizeof second);
    std::array<char, 9> text;
    std::snprintf(text.data(), text.size(), "%08x",
                  static_cast<unsigned>(mix(first ^ mix(std::rotl(second, 32))) >> 32));
    return text.data();
}

std::filesystem::path held_path(const std::filesystem::path& directory) {
    return directory / ("held-" + machine_boot_id() + "-" + std::to_string(::getpid()) + "-" +
                        process_start_time() + "-" + image_id());
}

struct flock whole_file() {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return lock;
}

bool try_lock(const File& file) {
    struct flock lock = whole_file();
    return ::fcntl(file.descriptor(), F_SETLK, &lock) == 0;
}

/// One thread of a process at a time, since closing any descriptor of `lock` gives up the process's
/// lock on it: nobody may only look while another is about to take it. Not a mutex, which a forked
/// child would find locked for ever by a thread that it does not have.
class Turn {
  public:
    Turn() {
        const pid_t self = ::getpid();
        for (;;) {
            pid_t holder = holder_.load(std::memory_order_relaxed);
            // A child finds its parent's: that thread is not here.
            if (holder != self &&
                holder_.compare_exchange_weak(holder, self, std::memory_order_acquire)) {
                return;
            }
            std::this_thread::yield();
        }
    }
    ~Turn() { holder_.store(0, std::memory_order_release); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

  private:
    static inline std::atomic<pid_t> holder_{0};
};

/// False if it is there already. A disk that has no room for it keeps nobody from what may free
/// some: then only other processes are kept out.
bool create_held(const std::filesystem::path& path) {
    const int descriptor = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (descriptor >= 0) ::close(descriptor);
    return descriptor >= 0 || errno != EEXIST;
}

}  // namespace

RunLock::RunLock(File lock, std::filesystem::path held)
    : lock_(std::move(lock)), held_(std::move(held)), holder_(::getpid()) {}

RunLock::~RunLock() {
    if (holder_ != ::getpid()) return;
    const Turn turn;
    lock_ = File();  // first, so that a sibling's lock is never the one that this gives up
    ::unlink(held_.c_str());
}

std::unique_ptr<RunLock> RunLock::take(const std::filesystem::path& directory) {
    const std::filesystem::path held = held_path(directory);
    const Turn turn;
    // Not even to be opened if it is ours: closing it again would give the lock up.
    if (!create_held(held)) return nullptr;
    try {
        File file = File::open(lock_path(directory));
        if (try_lock(file)) return std::unique_ptr<RunLock>(new RunLock(std::move(file), held));
    } catch (const SetupError&) {
        ::unlink(held.c_str());
        throw;
    }
    ::unlink(held.c_str());
    return nullptr;
}

bool RunLock::is_taken(const std::filesystem::path& directory) {
    const std::filesystem::path held = held_path(directory);
    const Turn turn;
    if (::access(held.c_str(), F_OK) == 0) return true;
    try {
        const File file = File::open(lock_path(directory));
        struct flock lock = whole_file();
        return ::fcntl(file.descriptor(), F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    } catch (const SetupError&) {
        return false;
    }
}

}  // namespace homeward
