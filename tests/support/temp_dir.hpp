#pragma once

#include <filesystem>
#include <string>

namespace homeward::testing {

/// A private directory, removed at the end, with the lanes of killed publishers whose spool it has;
/// with HOMEWARD_KEEP=1 it stays, and its path is printed.
class TempDir {
  public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

}  // namespace homeward::testing
