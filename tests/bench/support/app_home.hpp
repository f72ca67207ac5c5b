#pragma once

#include <filesystem>
#include <string>

#include <homeward/publisher.hpp>

#include "tests/support/temp_dir.hpp"

namespace homeward::bench {

/// Where an app of the benches lives: a spool on the disk, lanes on tmpfs as the publisher would
/// choose them, both removed at the end, also when the publisher could not send everything.
class AppHome {
  public:
    AppHome();
    ~AppHome();
    AppHome(const AppHome&) = delete;
    AppHome& operator=(const AppHome&) = delete;

    /// Defaults, but for what must be given; region ams, app bench.
    PublisherOptions options(const std::string& nats_url) const;
    const testing::TempDir& dir() const { return dir_; }

  private:
    testing::TempDir dir_;
    std::filesystem::path lane_dir_;
};

}  // namespace homeward::bench
