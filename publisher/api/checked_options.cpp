#include "publisher/api/checked_options.hpp"

#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "publisher/buffer/frame_log.hpp"
#include "publisher/platform/file.hpp"
#include "publisher/platform/standard_descriptors.hpp"
#include "publisher/spool/run.hpp"
#include "schemas/nats/subject.hpp"
#include "schemas/wire/frame.hpp"

namespace homeward {
namespace {

constexpr long kTmpfsMagic = 0x01021994;

bool is_tmpfs(const char* path) {
    struct statfs status {};
    return ::statfs(path, &status) == 0 && status.f_type == kTmpfsMagic;
}

/// So that no thread of ours, nor of nats.c's in C, meets an exception of the app's.
std::function<void(std::string_view)> without_exceptions(
    std::function<void(std::string_view)> on_log) {
    // Of an app that does not listen: that nothing arrives must not go unnoticed.
    if (!on_log) on_log = &warn_on_stderr;
    return [on_log = std::move(on_log)](std::string_view line) noexcept {
        try {
            on_log(line);
        } catch (...) {
            // there is nobody else to tell
        }
    };
}

[[noreturn]] void refuse(const std::string& what) {
    throw SetupError("publisher: " + what);
}

void check_files(const PublisherOptions& options) {
    for (const auto& file : {options.credentials_file, options.nkey_seed_file, options.tls_ca_file,
                             options.tls_cert_file, options.tls_key_file}) {
        if (!file.empty() && ::access(file.c_str(), R_OK) != 0) {
            refuse(file.string() + " cannot be read: " + std::strerror(errno));
        }
    }
}

/// A write beyond the limit would be SIGXFSZ, which ends the app unless it has a handler.
void check_file_size_limit(const PublisherOptions& options) {
    const std::size_t needed =
        std::max(kSegmentBytes, detail::kLaneHeaderBytes + options.lane_bytes);
    if (file_bytes_max() >= needed) return;
    refuse("RLIMIT_FSIZE (ulimit -f) is " + std::to_string(file_bytes_max()) +
           " bytes; a segment of the frame log has " + std::to_string(needed) +
           ". Raise the limit");
}

/// Whether this process may make something in it, or make it.
bool is_writable(const std::filesystem::path& directory) {
    const int answer = ::faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS);
    if (answer == 0 || errno != ENOENT) return answer == 0;
    const std::filesystem::path parent = directory.parent_path();
    return ::faccessat(AT_FDCWD, parent.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
}

std::filesystem::path default_lane_dir(const std::filesystem::path& spool_dir) {
    return is_tmpfs("/dev/shm") ? private_directory_in("/dev/shm") : spool_dir / "lanes";
}

}  // namespace

bool is_inbox_prefix(const std::string& prefix) {
    constexpr std::size_t kBytesMax = 200;
    if (prefix.empty()) return true;
    char before = '.';
    for (const char c : prefix) {
        const bool is_part =
            std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
        if (!is_part && (c != '.' || before == '.')) return false;
        before = c;
    }
    return before != '.' && prefix.size() <= kBytesMax;
}

void make_paths_absolute(PublisherOptions& options) {
    for (std::filesystem::path* path :
         {&options.spool_dir, &options.lane_dir, &options.credentials_file, &options.nkey_seed_file,
          &options.tls_ca_file, &options.tls_cert_file, &options.tls_key_file}) {
        std::error_code error;
        if (!path->empty()) *path = std::filesystem::absolute(*path, error);
        if (error) {
            refuse("the working directory cannot be read: " + error.message() +
                   "; use absolute paths for spool_dir, lane_dir and files");
        }
    }
}

PublisherOptions checked_options(PublisherOptions options) {
    for (const auto& [what, name] :
         {std::pair("region", &options.region), std::pair("app", &options.app)}) {
        if (!is_valid_name(*name)) {
            refuse(std::string(what) + " is \"" + *name +
                   "\"; it must be 1 to 32 of a-z, 0-9, _ and -, and not begin with _ or -");
        }
    }
    if (options.nats_urls.empty()) refuse("nats_urls is empty");
    if (options.frame_bytes < (4u << 10) || options.frame_bytes > (256u << 10)) {
        refuse("frame_bytes must be from 4096 to 262144");
    }
    if (!std::has_single_bit(options.lane_bytes) || options.lane_bytes < (64u << 10) ||
        options.lane_bytes > (1u << 20)) {
        refuse("lane_bytes must be a power of two from 65536 to 1048576");
    }
    if (options.frame_version < 1 || options.frame_version > kFrameVersionMax) {
        refuse("frame_version must be 1 or 2");
    }
    if (options.lanes_max == 0) refuse("lanes_max must be at least 1");
    if (options.log_bytes_max < 2 * kSegmentBytes) refuse("log_bytes_max must be at least 16 MiB");
    if (options.spool_bytes_max < 8 * kSegmentBytes) {
        refuse("spool_bytes_max must be at least 64 MiB");
    }
    if (options.in_flight_max == 0) refuse("in_flight_max must be at least 1");
    if (!is_inbox_prefix(options.inbox_prefix)) {
        refuse("inbox_prefix is \"" + options.inbox_prefix + "\"; it must be " + kInboxPrefixRule);
    }
    if (options.resend_age_max.count() < 0) {
        refuse("resend_age_max is " + std::to_string(options.resend_age_max.count()) +
               " ms; it must be at least 0, which keeps no acknowledged frame");
    }
    make_paths_absolute(options);
    check_files(options);
    check_file_size_limit(options);
    options.on_log = without_exceptions(std::move(options.on_log));
    if (!options.spool_dir.empty() && options.lane_dir.empty()) {
        options.lane_dir = default_lane_dir(options.spool_dir);
    }
    return options;
}

std::string use_writable_lane_dir(PublisherOptions& options) {
    if (options.spool_dir.empty() || is_writable(options.lane_dir)) return "";
    const std::string before = options.lane_dir.string();
    options.lane_dir = default_lane_dir(options.spool_dir);
    return "lane_dir " + before + " cannot be written by process " + std::to_string(::getpid()) +
           " (uid " + std::to_string(::geteuid()) + "): its lanes are in " +
           options.lane_dir.string();
}

}  // namespace homeward
