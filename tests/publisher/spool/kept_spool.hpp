#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/temp_dir.hpp"

namespace homeward::testing {

/// A spool that v0.1.0 wrote (spools/v0.1.0.tar.gz), unpacked as if a killed process of this
/// machine had left it: of region ams and app shop, with audit events 1 to 310 in frames, of which
/// the stream has acknowledged 304, and 311 to 315 in a lane. Throws std::runtime_error.
class KeptSpool {
  public:
    KeptSpool();

    std::filesystem::path spool() const { return dir_ / "spool"; }
    /// Of its one run.
    std::filesystem::path directory() const { return spool() / kPublisher; }
    /// The frames of events 1 to 304, to the byte as v0.1.0 sent them.
    std::vector<std::string> sent_frames() const;

    static constexpr const char* kPublisher = "a8d6165fe3f45ec763eee53e57dcd1f0";

  private:
    TempDir dir_;
};

}  // namespace homeward::testing
