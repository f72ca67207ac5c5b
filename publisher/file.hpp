#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace homeward {

/// An open file descriptor, closed at the end. Either a named file or, for publishers without a
/// spool, anonymous memory: what is built on it does not see the difference.
class File {
  public:
    File() = default;
    ~File();
    File(File&& other) noexcept;
    File& operator=(File&& other) noexcept;
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    /// Both throw SetupError naming the path and the system's reason.
    static File create(const std::filesystem::path& path);
    static File open(const std::filesystem::path& path);
    static File anonymous(const char* name);
    /// The file's bytes in anonymous memory.
    static File copy(const std::filesystem::path& path);

    /// Allocates real blocks, so that a full disk shows here and not as SIGBUS later.
    /// Returns 0 or errno.
    int allocate(std::size_t bytes) noexcept;
    /// Writes all or returns errno.
    int write_at(std::size_t offset, std::span<const std::byte> bytes) noexcept;
    /// Bytes read, fewer only at the file's end; 0 also on an error.
    std::size_t read_at(std::size_t offset, std::span<std::byte> bytes) const noexcept;
    int sync() noexcept;
    std::size_t size() const noexcept;
    int descriptor() const noexcept { return descriptor_; }
    bool is_open() const noexcept { return descriptor_ >= 0; }

  private:
    explicit File(int descriptor) : descriptor_(descriptor) {}
    int descriptor_ = -1;
};

/// Where this user's lanes are, one directory a run, in a place where everybody may make some. A
/// directory of that name is made by whoever needs it first, and removed by whoever leaves it last.
std::filesystem::path private_directory_in(const std::filesystem::path& place);
bool is_private_directory(const std::filesystem::path& path);
/// Makes `path` in one of those, and that too if it is not there: ours, and nobody else may write
/// there. Throws SetupError if it is not; what is in it could be anybody's.
void make_in_private_directory(const std::filesystem::path& path);

/// What lies in a directory, as far as it can be read.
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& directory);

/// Replaces a small file as a whole: readers see the old text or the new, never half of one.
void write_text_file(const std::filesystem::path& path, std::string_view text);
/// Empty when it cannot be read.
std::string read_text_file(const std::filesystem::path& path);

/// Changes at every start of the machine.
std::string machine_boot_id();
/// Jiffies since boot at which this process started: tells a process from a later one of its pid.
std::string process_start_time();

}  // namespace homeward
