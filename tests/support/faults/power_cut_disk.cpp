#include "tests/support/faults/power_cut_disk.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "tests/support/process.hpp"

namespace homeward::testing {
namespace {

/// As in the kernel's fs/ext4/ext4.h, which is no header for programs.
constexpr unsigned long kShutdown = _IOR('X', 125, std::uint32_t);
constexpr std::uint32_t kWithoutFlushingTheJournal = 2;

}  // namespace

PowerCutDisk::PowerCutDisk() {
    const std::filesystem::path image = image_ / "disk";
    for (const auto& command : {std::vector<std::string>{"truncate", "-s", "256M", image},
                                std::vector<std::string>{"mkfs.ext4", "-q", image}}) {
        const CommandResult made = run_command(command);
        if (made.exit_code == 0) continue;
        reason_ = command.front() + ": " + made.output;
        return;
    }
    attach();
}

PowerCutDisk::~PowerCutDisk() {
    detach();
}

void PowerCutDisk::attach() {
    const CommandResult found = run_command({"losetup", "--find", "--show", image_ / "disk"});
    if (found.exit_code != 0) {
        reason_ = "losetup: " + found.output;
        return;
    }
    device_ = found.output.substr(0, found.output.find('\n'));
    mount_device();
}

void PowerCutDisk::mount_device() {
    if (::mount(device_.c_str(), path().c_str(), "ext4", 0, "") == 0) return;
    reason_ = "mount: " + std::string(std::strerror(errno));
}

void PowerCutDisk::detach() {
    if (device_.empty()) return;
    ::umount2(path().c_str(), MNT_DETACH);
    run_command({"losetup", "--detach", device_});
    device_.clear();
}

void PowerCutDisk::cut_power() {
    const int root = ::open(path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    std::uint32_t how = kWithoutFlushingTheJournal;
    const int result = ::ioctl(root, kShutdown, &how);
    const int error = errno;
    ::close(root);
    if (result != 0)
        throw std::runtime_error(std::string("ext4 shutdown: ") + std::strerror(error));
}

void PowerCutDisk::restore_power() {
    // Not lazily: what still has it open would keep the old one, and its device, alive.
    if (::umount(path().c_str()) != 0) {
        throw std::runtime_error(std::string("umount: ") + std::strerror(errno));
    }
    mount_device();
    if (!reason_.empty()) throw std::runtime_error(reason_);
}

}  // namespace homeward::testing
