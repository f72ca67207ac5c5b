#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace homeward {

/// An open file descriptor, closed at the end. Either a named file or, for publishers without a
/// spool, anonymous memory: what is built on it does not see the difference. Only regular files: a
/// link, a FIFO or a device in a spool is an error, and never waited for.
class File {
  public:
    File() = default;
    ~File();
    File(File&& other) noexcept;
    File& operator=(File&& other) noexcept;
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    /// Both throw SetupError naming the path and the system's reason; errno is that reason, too.
    /// A file that is made has mode 0600, whatever the umask.
    static File create(const std::filesystem::path& path);
    static File open(const std::filesystem::path& path);
    static File anonymous(const char* name);
    /// The file's bytes in anonymous memory.
    static File copy(const std::filesystem::path& path);

    /// Allocates real blocks, so that a full disk shows here and not as SIGBUS later.
    /// Returns 0 or errno; EFBIG beyond RLIMIT_FSIZE, without the signal SIGXFSZ.
    int allocate(std::size_t bytes) noexcept;
    /// Cuts off what is behind. Returns 0 or errno.
    int truncate(std::size_t bytes) noexcept;
    /// Writes all or returns errno, as allocate() does.
    int write_at(std::size_t offset, std::span<const std::byte> bytes) noexcept;
    /// Bytes read, fewer only at the file's end; 0 also on an error.
    std::size_t read_at(std::size_t offset, std::span<std::byte> bytes) const noexcept;
    int sync() noexcept;
    /// Whether its bytes are in memory alone, as on tmpfs: a restart of the machine loses all of
    /// them, and no power cut leaves some newer than others.
    bool is_in_memory() const noexcept;
    std::size_t size() const noexcept;
    int descriptor() const noexcept { return descriptor_; }
    bool is_open() const noexcept { return descriptor_ >= 0; }

  private:
    explicit File(int descriptor) : descriptor_(descriptor) {}
    int descriptor_ = -1;
};

/// The largest file that this process may write; SIZE_MAX: any.
std::size_t file_bytes_max() noexcept;

/// Makes the directory, and its parents, each with mode 0700 whatever the umask; those that are
/// there keep theirs. Throws SetupError.
void make_directory(const std::filesystem::path& path);
/// The same for a spool's own directory, which must belong to this user or to root, as must a link
/// to it: its owner may put other things in the place of what is in it.
void make_spool_directory(const std::filesystem::path& path);
/// A directory itself, and no link to one.
bool is_real_directory(const std::filesystem::path& path) noexcept;
/// Makes the names in a directory durable. Returns 0 or errno; 0 where the filesystem has no need.
int sync_directory(const std::filesystem::path& path) noexcept;

/// Where this user's lanes are, one directory a run, in a place where everybody may make some. A
/// directory of that name is made by whoever needs it first, and removed by whoever leaves it last.
std::filesystem::path private_directory_in(const std::filesystem::path& place);
/// Whether it is that, of any user, or one that make_in_private_directory() has made instead.
bool is_private_directory(const std::filesystem::path& path);
/// Makes a directory `name` in `wanted`, a private directory, and that too if it is not there.
/// Returns where `name` is: not in `wanted` if that is of another user, a link, or open to others;
/// then in a new one beside it, whose name nobody could know. Throws SetupError.
std::filesystem::path make_in_private_directory(const std::filesystem::path& wanted,
                                                const std::string& name);

/// What lies in a directory, as far as it can be read.
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& directory);

/// Replaces a small file as a whole, and syncs it unless `is_synced` is false: readers see the old
/// text or the new, never half of one. Throws SetupError.
void write_text_file(const std::filesystem::path& path, std::string_view text,
                     bool is_synced = true);
/// Empty when it cannot be read to its end, is no regular file, or is larger than 64 MiB.
std::string read_text_file(const std::filesystem::path& path);

/// Changes at every start of the machine.
std::string machine_boot_id();
/// Jiffies since boot at which this process started: tells a process from a later one of its pid.
std::string process_start_time();

}  // namespace homeward
