#pragma once

#include <string>

#include "tests/support/temp_dir.hpp"

namespace homeward::testing {

/// An ext4 file system of its own, in a file, whose power can be cut: what was not synced by then
/// is gone. Needs root and a loop device. One thread.
class PowerCutDisk {
  public:
    PowerCutDisk();
    ~PowerCutDisk();
    PowerCutDisk(const PowerCutDisk&) = delete;
    PowerCutDisk& operator=(const PowerCutDisk&) = delete;

    /// Why there is none; empty when there is.
    const std::string& reason() const { return reason_; }
    const std::filesystem::path& path() const { return mount_.path(); }

    /// From now on nothing reaches the disk, what waits in the journal included. Throws when the
    /// file system cannot do it.
    void cut_power();
    /// As the machine would find it when it starts again.
    void restore_power();

  private:
    void attach();
    void mount_device();
    void detach();

    TempDir image_;
    TempDir mount_;
    std::string device_;
    std::string reason_;
};

}  // namespace homeward::testing
