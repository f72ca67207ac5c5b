#include "publisher/run_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include <homeward/publisher.hpp>

namespace homeward {
namespace {

std::filesystem::path lock_path(const std::filesystem::path& directory) {
    return directory / "lock";
}

std::filesystem::path held_path(const std::filesystem::path& directory) {
    return directory / ("held-" + machine_boot_id() + "-" + std::to_string(::getpid()) + "-" +
                        process_start_time());
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
    lock_ = File();  // first, so that a sibling's lock is never the one that this gives up
    ::unlink(held_.c_str());
}

std::unique_ptr<RunLock> RunLock::take(const std::filesystem::path& directory) {
    const std::filesystem::path held = held_path(directory);
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
    if (::access(held_path(directory).c_str(), F_OK) == 0) return true;
    try {
        const File file = File::open(lock_path(directory));
        struct flock lock = whole_file();
        return ::fcntl(file.descriptor(), F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    } catch (const SetupError&) {
        return false;
    }
}

}  // namespace homeward
