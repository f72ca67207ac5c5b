// homeward_options, of whatever size the caller knows, to PublisherOptions.

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "publisher/bindings/c/c_abi_handles.hpp"

namespace homeward {
namespace {

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(','), text.size());
        if (end > 0) parts.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

template <typename Text>
void set(Text& option, const char* given) {
    if (given != nullptr) option = given;
}
void set(std::size_t& option, std::size_t given) {
    if (given != 0) option = given;
}

/// Lines as datagrams. A forked child has the socket too, and may have closed it with all that it
/// did not know: its number may be another file's then.
class LogSocket {
  public:
    explicit LogSocket(int fd) : fd_(fd), inode_(inode_of(fd)) {}

    void send(std::string_view line) const {
        constexpr std::size_t kLineBytesMax = 4096;
        if (inode_ == 0 || inode_of(fd_) != inode_) return;
        ::send(fd_, line.data(), std::min(line.size(), kLineBytesMax), MSG_DONTWAIT | MSG_NOSIGNAL);
    }

  private:
    static ino_t inode_of(int fd) {
        struct stat status {};
        return ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) ? status.st_ino : 0;
    }

    int fd_;
    ino_t inode_;
};

std::function<void(std::string_view)> log_of(const homeward_options& given) {
    if (given.on_log == nullptr && given.log_socket <= 0) return {};
    return [log = given.on_log, context = given.log_context,
            socket = LogSocket(given.log_socket)](std::string_view line) {
        if (log != nullptr) log(context, line.data(), line.size());
        socket.send(line);
    };
}

}  // namespace

PublisherOptions options_from(const homeward_options& caller) {
    const homeward_options given = as_known(caller);
    PublisherOptions options;
    set(options.region, given.region);
    set(options.app, given.app);
    if (given.nats_urls != nullptr) options.nats_urls = split(given.nats_urls);
    set(options.spool_dir, given.spool_dir);
    set(options.lane_dir, given.lane_dir);
    if (given.durability == HOMEWARD_SURVIVES_MACHINE) {
        options.durability = Durability::disk;
    }
    if (given.linger_ms != 0) options.linger = std::chrono::milliseconds(given.linger_ms);
    set(options.frame_bytes, given.frame_bytes);
    set(options.lane_bytes, given.lane_bytes);
    set(options.lanes_max, given.lanes_max);
    set(options.log_bytes_max, given.log_bytes_max);
    set(options.spool_bytes_max, given.spool_bytes_max);
    set(options.in_flight_max, given.in_flight_max);
    set(options.in_flight_bytes_max, given.in_flight_bytes_max);
    if (given.frame_version != 0) {
        options.frame_version =
            static_cast<std::uint8_t>(std::min<std::uint32_t>(given.frame_version, UINT8_MAX));
    }
    if (given.resend_age_ms != 0) {
        options.resend_age_max = std::chrono::milliseconds(std::max(given.resend_age_ms, 0));
    }
    set(options.resend_bytes_max, given.resend_bytes_max);
    set(options.inbox_prefix, given.inbox_prefix);
    set(options.credentials_file, given.credentials_file);
    set(options.nkey_seed_file, given.nkey_seed_file);
    set(options.tls_ca_file, given.tls_ca_file);
    set(options.tls_cert_file, given.tls_cert_file);
    set(options.tls_key_file, given.tls_key_file);
    options.on_log = log_of(given);
    return options;
}

void explain_to(const char* what, char* why, std::size_t why_bytes) {
    if (why == nullptr || why_bytes == 0) return;
    const std::size_t bytes = std::min(std::strlen(what), why_bytes - 1);
    std::memcpy(why, what, bytes);
    why[bytes] = '\0';
}

}  // namespace homeward
