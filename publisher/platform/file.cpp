#include "publisher/platform/file.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <utility>

#include <homeward/publisher.hpp>

#include "publisher/platform/standard_descriptors.hpp"

namespace homeward {
namespace {

/// Bounds what a damaged or foreign file makes us read.
constexpr std::size_t kTextFileBytesMax = 64u << 20;
/// O_NONBLOCK: to open a FIFO would wait for whoever writes to it.
constexpr int kOpenFlags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;

[[noreturn]] void throw_setup(const std::filesystem::path& path, const char* what, int error) {
    errno = error;
    SetupError failure(path.string() + ": " + what + ": " + std::strerror(error));
    errno = error;
    throw failure;
}

/// Returns the descriptor, or -1 and errno; what is no regular file is EINVAL.
int open_regular(const std::filesystem::path& path, int flags) {
    const int descriptor = beyond_standard(::open(path.c_str(), flags | kOpenFlags, 0600));
    if (descriptor < 0) return -1;
    struct stat status {};
    const int error = ::fstat(descriptor, &status) != 0 ? errno
                      : S_ISREG(status.st_mode)         ? 0
                                                        : EINVAL;
    if (error == 0) {
        const bool made_otherwise = (flags & O_CREAT) != 0 && (status.st_mode & 07777) != 0600;
        if (made_otherwise) ::fchmod(descriptor, 0600);
        return descriptor;
    }
    ::close(descriptor);
    errno = error;
    return -1;
}

bool is_beyond_limit(std::size_t end) {
    return end > file_bytes_max();
}

}  // namespace

File::~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

File::File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

File& File::operator=(File&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
}

File File::create(const std::filesystem::path& path) {
    File file(open_regular(path, O_RDWR | O_CREAT));
    if (!file.is_open()) throw_setup(path, "cannot be created", errno);
    return file;
}

File File::open(const std::filesystem::path& path) {
    int descriptor = open_regular(path, O_RDWR);
    // To look at it, reading is enough; who wants to write will hear of it then.
    if (descriptor < 0 && (errno == EACCES || errno == EROFS)) {
        descriptor = open_regular(path, O_RDONLY);
    }
    if (descriptor < 0) throw_setup(path, "cannot be opened", errno);
    return File(descriptor);
}

File File::copy(const std::filesystem::path& path) {
    File copy = anonymous("homeward-copy");
    const std::string bytes = read_text_file(path);
    const int error = copy.write_at(0, std::as_bytes(std::span<const char>(bytes)));
    if (error != 0) throw_setup(path, "cannot be copied", error);
    return copy;
}

File File::anonymous(const char* name) {
    File file(beyond_standard(::memfd_create(name, MFD_CLOEXEC)));
    if (!file.is_open()) throw_setup(name, "cannot get anonymous memory", errno);
    return file;
}

std::size_t file_bytes_max() noexcept {
    struct rlimit limit {};
    if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
    return static_cast<std::size_t>(limit.rlim_cur);
}

int File::allocate(std::size_t bytes) noexcept {
    if (is_beyond_limit(bytes)) return EFBIG;
    return ::posix_fallocate(descriptor_, 0, static_cast<off_t>(bytes));
}

int File::truncate(std::size_t bytes) noexcept {
    return ::ftruncate(descriptor_, static_cast<off_t>(bytes)) == 0 ? 0 : errno;
}

int File::write_at(std::size_t offset, std::span<const std::byte> bytes) noexcept {
    if (is_beyond_limit(offset + bytes.size())) return EFBIG;
    while (!bytes.empty()) {
        const ssize_t written =
            ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        bytes = bytes.subspan(static_cast<std::size_t>(written));
        offset += static_cast<std::size_t>(written);
    }
    return 0;
}

std::size_t File::read_at(std::size_t offset, std::span<std::byte> bytes) const noexcept {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t got = ::pread(descriptor_, bytes.data() + done, bytes.size() - done,
                                    static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

int File::sync() noexcept {
    return ::fdatasync(descriptor_) == 0 ? 0 : errno;
}

bool File::is_in_memory() const noexcept {
    struct statfs status {};
    if (::fstatfs(descriptor_, &status) != 0) return false;
    const auto type = static_cast<std::uint32_t>(status.f_type);
    return type == TMPFS_MAGIC || type == RAMFS_MAGIC || type == HUGETLBFS_MAGIC;
}

std::size_t File::size() const noexcept {
    struct stat status {};
    return ::fstat(descriptor_, &status) == 0 ? static_cast<std::size_t>(status.st_size) : 0;
}

std::vector<std::filesystem::path> entries_of(const std::filesystem::path& directory) {
    std::vector<std::filesystem::path> entries;
    std::error_code error;
    // Not a range-for: its ++ throws when the disk cannot be read, and that where nobody catches
    // it.
    std::filesystem::directory_iterator entry(directory, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        entries.push_back(entry->path());
    }
    return entries;
}

void write_text_file(const std::filesystem::path& path, std::string_view text, bool is_synced) {
    const std::filesystem::path fresh = path.string() + ".new";
    File file = File::create(fresh);
    if (::ftruncate(file.descriptor(), 0) != 0) throw_setup(fresh, "cannot be emptied", errno);
    const int error =
        file.write_at(0, std::as_bytes(std::span<const char>(text.data(), text.size())));
    if (error != 0) throw_setup(fresh, "cannot be written", error);
    const int failed = is_synced ? file.sync() : 0;
    if (failed != 0) throw_setup(fresh, "cannot be synced", failed);
    if (::rename(fresh.c_str(), path.c_str()) != 0) throw_setup(path, "cannot be replaced", errno);
}

std::string read_text_file(const std::filesystem::path& path) {
    std::size_t step = 1u << 10;
    std::string text;
    const int descriptor = open_regular(path, O_RDONLY);
    if (descriptor < 0) return text;
    ssize_t got = 0;
    do {  // not by its size, since what is in /proc has none
        const std::size_t before = text.size();
        text.resize(before + step);
        got = ::read(descriptor, text.data() + before, step);
        step = std::min<std::size_t>(2 * step, 64u << 10);
        text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    } while ((got > 0 && text.size() <= kTextFileBytesMax) || (got < 0 && errno == EINTR));
    ::close(descriptor);
    return got == 0 ? text : std::string();
}

std::string machine_boot_id() {
    static const std::string kId = [] {  // no process outlives it
        std::string id = read_text_file("/proc/sys/kernel/random/boot_id");
        while (!id.empty() && id.back() == '\n') id.pop_back();
        return id;
    }();
    return kId;
}

std::string process_start_time() {
    const std::string stat = read_text_file("/proc/self/stat");
    // The second field is the command in parentheses and may hold anything, so count from its end.
    std::istringstream fields(stat.substr(stat.rfind(')') + 1));
    std::string field;
    for (int i = 3; i <= 22 && fields >> field; ++i) continue;
    return field;
}

}  // namespace homeward
