#pragma once

// run.json: whose events a spool directory holds.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "schemas/wire/publisher_id.hpp"

namespace homeward {

/// What is written down about a run, so that whoever drains it later sends it as itself.
struct RunIdentity {
    PublisherId publisher;
    std::string region;
    std::string app;
    std::string boot_id;
    std::string process;  ///< "<pid> <start time>"
    std::filesystem::path lane_dir;
    bool synced = false;  ///< Durability::disk: a frame was on the disk before it left
    /// Hex of the publisher whose lanes this run cuts, since a restart of the machine.
    std::string successor_of;
    std::uint64_t spool_bytes_max = 0;  ///< its bound on the spool; 0: of version 1, without one
    /// 128 random bits in hex, also in a file beside the lanes: a lane directory without it is not
    /// the run's, as /dev/shm in a container that starts anew. "": of version 1, which has none.
    std::string lane_nonce{};

    std::string to_json() const;
    enum class Parsed : std::uint8_t {
        whole,
        none,     ///< no such file: not a run, or one that is just being made or removed
        damaged,  ///< not what any version writes
        newer,    ///< of a version that we do not know
    };
    static Parsed parse(std::string_view json, RunIdentity& identity);
};

}  // namespace homeward
