#include "publisher/file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include <homeward/publisher.hpp>

namespace homeward {
namespace {

[[noreturn]] void throw_setup(const std::filesystem::path& path, const char* what, int error) {
    throw SetupError(path.string() + ": " + what + ": " + std::strerror(error));
}

File adopt(int descriptor, const std::filesystem::path& path, const char* what, File (*make)(int)) {
    if (descriptor < 0) throw_setup(path, what, errno);
    return make(descriptor);
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
    return adopt(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), path,
                 "cannot be created", [](int fd) { return File(fd); });
}

File File::open(const std::filesystem::path& path) {
    int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    // To look at it, reading is enough; who wants to write will hear of it then.
    if (descriptor < 0 && (errno == EACCES || errno == EROFS)) {
        descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    }
    return adopt(descriptor, path, "cannot be opened", [](int fd) { return File(fd); });
}

File File::copy(const std::filesystem::path& path) {
    File copy = anonymous("homeward-copy");
    const std::string bytes = read_text_file(path);
    const int error = copy.write_at(0, std::as_bytes(std::span<const char>(bytes)));
    if (error != 0) throw_setup(path, "cannot be copied", error);
    return copy;
}

File File::anonymous(const char* name) {
    return adopt(::memfd_create(name, MFD_CLOEXEC), name, "cannot get anonymous memory",
                 [](int fd) { return File(fd); });
}

int File::allocate(std::size_t bytes) noexcept {
    return ::posix_fallocate(descriptor_, 0, static_cast<off_t>(bytes));
}

int File::write_at(std::size_t offset, std::span<const std::byte> bytes) noexcept {
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

std::size_t File::size() const noexcept {
    struct stat status {};
    return ::fstat(descriptor_, &status) == 0 ? static_cast<std::size_t>(status.st_size) : 0;
}

std::filesystem::path private_directory_in(const std::filesystem::path& place) {
    return place / ("homeward-" + std::to_string(::geteuid()));
}

bool is_private_directory(const std::filesystem::path& path) {
    return path == private_directory_in(path.parent_path());
}

namespace {

/// False if it was removed by the one who left it last, just now.
bool make_private_directory(const std::filesystem::path& path) {
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        throw_setup(path, "cannot be made", errno);
    }
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return false;
        throw_setup(path, "cannot be looked at", errno);
    }
    const bool is_private = S_ISDIR(status.st_mode) && status.st_uid == ::geteuid() &&
                            (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
    if (is_private) return true;
    throw SetupError(path.string() +
                     ": is not a directory of this user alone; remove it, or set lane_dir");
}

}  // namespace

void make_in_private_directory(const std::filesystem::path& path) {
    // Each try meets somebody else's removal between two of our system calls.
    constexpr int kTriesMax = 1000;
    for (int i = 0; i < kTriesMax; ++i) {
        if (!make_private_directory(path.parent_path())) continue;
        if (::mkdir(path.c_str(), 0700) == 0) return;
        if (errno != ENOENT) break;
    }
    throw_setup(path, "cannot be made", errno);
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

void write_text_file(const std::filesystem::path& path, std::string_view text) {
    const std::filesystem::path fresh = path.string() + ".new";
    File file = File::create(fresh);
    if (::ftruncate(file.descriptor(), 0) != 0) throw_setup(fresh, "cannot be emptied", errno);
    const int error =
        file.write_at(0, std::as_bytes(std::span<const char>(text.data(), text.size())));
    if (error != 0) throw_setup(fresh, "cannot be written", error);
    file.sync();
    if (::rename(fresh.c_str(), path.c_str()) != 0) throw_setup(path, "cannot be replaced", errno);
}

std::string read_text_file(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

std::string machine_boot_id() {
    std::string id = read_text_file("/proc/sys/kernel/random/boot_id");
    while (!id.empty() && id.back() == '\n') id.pop_back();
    return id;
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
