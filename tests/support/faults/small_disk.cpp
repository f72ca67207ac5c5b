#include "tests/support/faults/small_disk.hpp"

#include <sys/mount.h>

#include <string>

namespace homeward::testing {

SmallDisk::SmallDisk(std::size_t bytes) {
    const std::string size = "size=" + std::to_string(bytes);
    is_mounted_ = ::mount("tmpfs", dir_.path().c_str(), "tmpfs", 0, size.c_str()) == 0;
}

SmallDisk::~SmallDisk() {
    if (is_mounted_) ::umount2(dir_.path().c_str(), MNT_DETACH);
}

}  // namespace homeward::testing
