#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "publisher/file.hpp"
#include "publisher/lane.hpp"
#include "schemas/publisher_id.hpp"
#include "schemas/record_json.hpp"

namespace homeward {

/// What is written down about a run, so that whoever drains it later sends it as itself.
struct RunIdentity {
    PublisherId publisher;
    std::string region;
    std::string app;
    std::string boot_id;
    std::string process;  ///< "<pid> <start time>"
    std::filesystem::path lane_dir;

    std::string to_json() const;
    /// nullopt for what is no run, or one of a newer version.
    static std::optional<RunIdentity> parse(std::string_view json);
};

/// One run of one process, as it stands on disk:
///   <spool>/<publisher>/run.json, types.jsonl, lock, audit/log-*, metric/log-*
///   <lane_dir>/<publisher>/lane-<n>
/// Owns the lock on it. With an empty spool everything is anonymous memory.
class Run {
  public:
    /// A new run. Throws SetupError.
    static std::unique_ptr<Run> create(const std::filesystem::path& spool, RunIdentity identity);
    /// A run that somebody left; nullptr when its process is alive or `directory` is no run.
    static std::unique_ptr<Run> adopt(const std::filesystem::path& directory);
    /// The same without a lock, to look at it.
    static std::unique_ptr<Run> inspect(const std::filesystem::path& directory);

    const RunIdentity& identity() const { return identity_; }
    const std::filesystem::path& directory() const { return directory_; }
    std::filesystem::path log_directory(EventClass event_class) const;

    /// A fresh lane file; anonymous without a spool. Throws SetupError.
    File create_lane_file(std::uint64_t number) const;
    /// Lanes that the run has left, by number; damaged headers are skipped and counted.
    std::map<std::uint64_t, std::unique_ptr<LaneMapping>> open_lanes(std::size_t& damaged) const;

    /// Makes the type readable for whoever drains this run. Any thread; returns false when the
    /// disk refuses.
    bool describe(const TypeDescriptor& descriptor) noexcept;
    const OwnedDescriptor* find_type(std::uint32_t hash) const;

    /// Deletes everything; the run is over.
    void remove() noexcept;

  private:
    Run(std::filesystem::path directory, RunIdentity identity)
        : directory_(std::move(directory)), identity_(std::move(identity)) {}
    void read_types();
    std::filesystem::path lanes_path() const;

    std::filesystem::path directory_;  // empty: anonymous
    RunIdentity identity_;
    File lock_;
    File types_;
    std::size_t types_bytes_ = 0;

    mutable std::mutex mutex_;  // guards what follows; descriptors are never removed
    std::map<std::uint32_t, std::unique_ptr<OwnedDescriptor>> described_;
};

/// Runs in `spool` whose processes are gone, locked.
std::vector<std::unique_ptr<Run>> adopt_left_runs(const std::filesystem::path& spool);

}  // namespace homeward
