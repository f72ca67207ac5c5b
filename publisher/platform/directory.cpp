#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include <homeward/publisher.hpp>

#include "publisher/platform/file.hpp"
#include "schemas/wire/publisher_id.hpp"

namespace homeward {
namespace {

constexpr mode_t kMode = 0700;
constexpr std::string_view kPrivateName = "homeward-";

[[noreturn]] void throw_setup(const std::filesystem::path& path, const std::string& why) {
    throw SetupError(path.string() + ": cannot be made: " + why +
                     "; check spool_dir, lane_dir and their permissions");
}
[[noreturn]] void throw_setup(const std::filesystem::path& path, int error) {
    throw_setup(path, std::string(std::strerror(error)));
}

/// Returns 0 or errno; EEXIST leaves what is there as it is.
int make_one(const std::filesystem::path& path) {
    if (::mkdir(path.c_str(), kMode) != 0) return errno;
    // The umask may have taken some of our own rights.
    return ::chmod(path.c_str(), kMode) == 0 ? 0 : errno;
}

/// Whether this user alone may write there; false also if it is gone again.
bool is_ours(const std::filesystem::path& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
           status.st_uid == ::geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool is_there(const std::filesystem::path& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0;
}

/// The user in "homeward-<user>" and "homeward-<user>-<32 hex digits>"; -1: another name.
long user_in(const std::string& name) {
    if (!name.starts_with(kPrivateName)) return -1;
    char* end = nullptr;
    const char* begin = name.c_str() + kPrivateName.size();
    const long user =
        std::isdigit(static_cast<unsigned char>(*begin)) != 0 ? std::strtol(begin, &end, 10) : -1;
    if (user < 0) return -1;
    const std::string_view rest(end);
    return rest.empty() || (rest[0] == '-' && PublisherId::parse(rest.substr(1))) ? user : -1;
}

/// Returns 0 or errno; `failed` is then the directory that is in the way.
int make_with_parents(const std::filesystem::path& path, std::filesystem::path& failed) {
    int error = make_one(path);
    if (error == ENOENT && path.has_parent_path() && path.parent_path() != path) {
        error = make_with_parents(path.parent_path(), failed);
        if (error != 0) return error;
        error = make_one(path);
    }
    struct stat status {};
    if (error == EEXIST) {
        // A link to one is as good: spool_dir may be that.
        const bool is_directory = ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
        error = is_directory ? 0 : ENOTDIR;
    }
    if (error != 0) failed = path;
    return error;
}

}  // namespace

void make_directory(const std::filesystem::path& path) {
    std::filesystem::path failed;
    const int error = make_with_parents(path, failed);
    if (error == 0) return;
    const std::string where = failed == path ? "" : failed.string() + ": ";
    throw_setup(path, where + std::strerror(error));
}

void make_spool_directory(const std::filesystem::path& path) {
    make_directory(path);
    struct stat link {};
    struct stat target {};
    if (::lstat(path.c_str(), &link) != 0 || ::stat(path.c_str(), &target) != 0) {
        throw_setup(path, errno);
    }
    for (const uid_t owner : {link.st_uid, target.st_uid}) {
        if (owner == ::geteuid() || owner == 0) continue;
        throw SetupError("spool_dir " + path.string() + " belongs to user " +
                         std::to_string(owner) + ", who could replace what is in it; give it to " +
                         "user " + std::to_string(::geteuid()) +
                         " or to root, or name another directory");
    }
}

bool is_real_directory(const std::filesystem::path& path) noexcept {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

int sync_directory(const std::filesystem::path& path) noexcept {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return errno;
    const int error = ::fsync(descriptor) == 0 ? 0 : errno;
    ::close(descriptor);
    return error == EINVAL ? 0 : error;  // some filesystems keep names without it
}

std::filesystem::path private_directory_in(const std::filesystem::path& place) {
    return place / (std::string(kPrivateName) + std::to_string(::geteuid()));
}

bool is_private_directory(const std::filesystem::path& path) {
    return user_in(path.filename()) >= 0;
}

std::filesystem::path make_in_private_directory(const std::filesystem::path& wanted,
                                                const std::string& name) {
    // Each try meets somebody else's removal between two of our system calls.
    constexpr int kTriesMax = 1000;
    const std::filesystem::path place = wanted.parent_path();
    // A process that has changed its user since has a directory of its own.
    std::filesystem::path home = private_directory_in(place);
    if (user_in(wanted.filename()) == static_cast<long>(::geteuid())) home = wanted;
    int error = 0;
    for (int i = 0; i < kTriesMax; ++i) {
        error = make_one(home);
        // Removed between its mkdir() and chmod().
        if (error == ENOENT && is_there(place)) continue;
        if (error != 0 && error != EEXIST) break;
        if (is_ours(home)) {
            error = make_one(home / name);
            if (error == 0) return home;
            if (error != ENOENT) break;
        } else if (is_there(home)) {
            // Who is there may be anybody. What is random nobody can take in advance.
            home = private_directory_in(place);
            home += "-" + PublisherId::random().hex();
        }
    }
    throw_setup(home / name, error);
}

}  // namespace homeward
