#pragma once

/// @file
/// Settings of a publisher, and the error that refuses them.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace homeward {

/// How much a logged frame survives before it leaves for NATS.
enum class Durability : std::uint8_t {
    process,  ///< the death of the process, since the log is in the page cache at least
    disk,     ///< the restart of the machine too: fdatasync before sending
};

/// Settings of one publisher; each has a default but region and app.
struct PublisherOptions {
    /// nats://host:port, tls://host:port; several are tried in turn.
    std::vector<std::string> nats_urls{"nats://127.0.0.1:4222"};
    /// Where this app runs: [a-z0-9][a-z0-9_-]{0,31}. It is part of the subject.
    std::string region{};
    /// The app's name, in the same alphabet. It is part of the subject.
    std::string app{};

    /// A directory on a disk, of this user or of root; shared by any number of publishers. Empty:
    /// everything is in anonymous memory and dies with the process. Relative paths, here and below,
    /// are made absolute at open.
    std::filesystem::path spool_dir{};
    /// Where lanes are mapped. Empty: /dev/shm if that is a tmpfs, else inside spool_dir. A mapped
    /// file on a journaling disk makes some emit() calls take milliseconds. But /dev/shm is empty
    /// when a container starts anew: what was in a lane then is lost, and reported. A directory
    /// inside spool_dir loses nothing.
    std::filesystem::path lane_dir{};
    /// What a logged frame survives. Durability::disk calls fdatasync before sending.
    Durability durability = Durability::process;

    /// Upper bound of how long a frame waits for more events. Larger: fewer bytes on the wire,
    /// later rows. See "Adaptive linger" in publisher/README.md.
    std::chrono::milliseconds linger{10};
    /// Body of a frame before compression, 4 KiB to 256 KiB.
    std::size_t frame_bytes = 64u << 10;
    /// Ring of one thread and class, a power of two, 64 KiB to 1 MiB: how long a thread may burst
    /// before the sender has run. Larger rings cost cache misses in every emit(). Where little room
    /// is left, rings are smaller: none takes more than a sixteenth of it.
    std::size_t lane_bytes = 1u << 20;
    /// Threads beyond this, or without room for a lane, share one, which is slower (some 100 ns).
    std::size_t lanes_max = 256;
    /// Frame log of one class: how long an outage lasts before audit is refused, metric dropped.
    std::size_t log_bytes_max = 256u << 20;
    /// All that lies in spool_dir, whoever has left it there: what this publisher logs stays within
    /// it. Reached, audit is refused and metric dropped, as with a full log. At least 64 MiB.
    std::size_t spool_bytes_max = std::size_t{4} << 30;
    /// Frames sent and not yet acknowledged, of one class.
    std::size_t in_flight_max = 64;
    /// The same limit in bytes.
    std::size_t in_flight_bytes_max = 8u << 20;

    /// How long acknowledged frames stay in the log. They are sent again when the NATS server was
    /// restarted or returns a sequence twice: a killed nats-server can lose what it acknowledged
    /// just before. 0: they are not kept.
    std::chrono::milliseconds resend_age_max{10'000};
    /// At most so many bytes of acknowledged frames are kept, per class.
    std::size_t resend_bytes_max = 8u << 20;

    /// Acknowledgements come to a random subject below this; the login must be allowed to
    /// subscribe there. Empty: "_INBOX.homeward.<region>.<app>", as the generated logins grant it.
    std::string inbox_prefix{};

    /// 1: consumers of 0.1 read it too. 2: frames are signed with a key of this run, so nobody else
    /// with this app's login can settle its events. Upgrade consumers first: those of 0.1 make dead
    /// letters of version 2.
    std::uint8_t frame_version = 1;

    std::filesystem::path credentials_file{};  ///< NATS .creds
    /// Seed and public key of a NATS user, as `nk -gen user -pubout` prints them.
    std::filesystem::path nkey_seed_file{};
    std::filesystem::path tls_ca_file{};    ///< PEM; the CA that signed the server's certificate
    std::filesystem::path tls_cert_file{};  ///< PEM; the client's certificate, if the server asks
    std::filesystem::path tls_key_file{};   ///< PEM; its key

    /// Receives log lines: connection lost and restored, refused frames, recovered spools. Empty:
    /// lines go to standard error, but for those that it cannot take at once. It is called from the
    /// publisher's threads, close() and the destructor, never from emit(). It must not call the
    /// publisher and must not throw: what it throws is discarded with its line.
    std::function<void(std::string_view line)> on_log{};
};

/// The options are invalid, or a disk cannot be used. what() says what to change.
class SetupError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

}  // namespace homeward
