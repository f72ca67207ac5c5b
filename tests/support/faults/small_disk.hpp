#pragma once

#include <filesystem>

#include "tests/support/temp_dir.hpp"

namespace homeward::testing {

/// A file system of so many bytes, mounted privately for as long as it lives; needs root.
class SmallDisk {
  public:
    explicit SmallDisk(std::size_t bytes);
    ~SmallDisk();
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    bool is_mounted() const { return is_mounted_; }
    const std::filesystem::path& path() const { return dir_.path(); }

  private:
    TempDir dir_;
    bool is_mounted_;
};

}  // namespace homeward::testing
