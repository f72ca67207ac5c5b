#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "publisher/buffer/accepted_counts.hpp"
#include "publisher/buffer/lane.hpp"
#include "publisher/platform/file.hpp"
#include "publisher/spool/run_identity.hpp"
#include "publisher/spool/run_lock.hpp"
#include "schemas/text/record_json.hpp"
#include "schemas/wire/frame_signature.hpp"

namespace homeward {

/// One run of one process, as it stands on disk:
///   <spool>/<publisher>/run.json, key, types.jsonl, accepted, lock, held-*, audit/log-*,
///   metric/log-* <lane_dir>/<publisher>/lane-<n>, cells-<n>, nonce
/// Owns the lock on it. With an empty spool everything is anonymous memory.
class Run {
  public:
    /// A new run; with a key, which it keeps, `identity.publisher` becomes the key's.
    /// `is_synced_later`: by sync_files(); not for durability "disk". Throws SetupError.
    static std::unique_ptr<Run> create(const std::filesystem::path& spool, RunIdentity identity,
                                       std::optional<SigningKey> key = std::nullopt,
                                       bool is_synced_later = false);
    /// Why a directory in the spool is, or is not, a run to look at or to send.
    enum class Finding : std::uint8_t {
        left,        ///< nobody holds the lock: its publisher is gone
        alive,       ///< its publisher, or whoever sends what it left, holds the lock
        none,        ///< no run
        damaged,     ///< run.json or the key cannot be understood: left alone
        newer,       ///< written by a newer Homeward: left alone
        unreadable,  ///< the system refuses: left alone
    };
    struct Found {
        std::filesystem::path directory;
        Finding finding = Finding::none;
        std::unique_ptr<Run> run;  ///< of a left or an alive one
    };
    /// Takes the lock if it is free.
    static Found adopt(const std::filesystem::path& directory);
    /// Removes what a kill has left of a run that was being made or removed: a directory without
    /// run.json that nobody holds, and that has been as it is for a minute. `lane_dir`: where its
    /// lanes would be. False if it is something else.
    static bool remove_unfinished(const std::filesystem::path& directory,
                                  const std::filesystem::path& lane_dir);
    /// Only looks, without a lock of its own.
    static Found inspect(const std::filesystem::path& directory);

    const RunIdentity& identity() const { return identity_; }
    const std::filesystem::path& directory() const { return directory_; }
    std::filesystem::path log_directory(EventClass event_class) const;
    /// Of a run whose frames are signed; else nullptr.
    const SigningKey* signing_key() const { return key_ ? &*key_ : nullptr; }

    /// Of a new run: its own files are on the disk when this returns. A forked child leaves that to
    /// its LaneDrainer's thread, so that its first emit() need not wait for the disk.
    void sync_files() const noexcept;

    /// A fresh lane file; anonymous without a spool. Throws SetupError.
    File create_lane_file(std::uint64_t number) const;
    void remove_lane_file(std::uint64_t number) const noexcept;
    /// What is free where lanes are made; without a spool, as much as one likes.
    std::size_t lane_bytes_available() const noexcept;
    /// Where lanes and metric cells are; of no meaning without a spool.
    std::filesystem::path lanes_path() const;
    /// For a person: where that is.
    std::string lanes_place() const;

    /// Counts in the spool what lanes 0 to `lanes` - 1 accept. Throws SetupError.
    void count_lanes(std::size_t lanes);
    /// nullptr: that lane is not counted.
    detail::AcceptedCell* accepted_cell(std::uint64_t lane, EventClass event_class) const;
    /// LaneDrainer, each interval. False, once: counting has ended, since the disk is at fault.
    bool keep_accepted_counts() const noexcept;

    /// Of an orphaned run: what went with lanes that are gone or damaged beyond use.
    struct LostLanes {
        bool any = false;
        /// Events that those lanes had accepted; at least so many, and by at most what one interval
        /// accepted more. nullopt: nobody counted.
        std::optional<std::uint64_t> accepted;
    };
    LostLanes lost_lanes(EventClass event_class, const std::vector<std::uint64_t>& found) const;
    /// Whether the lane directory is gone, or another one. Throws SetupError if nobody can say.
    bool has_lost_lane_dir() const;
    /// Whether the machine has started again since, and what the log holds need not have been on
    /// the disk when it left.
    bool is_interrupted() const;

    /// Lanes that the run has left, by number; those that cannot be read are skipped and counted.
    using Lanes = std::map<std::uint64_t, std::unique_ptr<LaneMapping>>;
    Lanes open_lanes(std::size_t& damaged) const;
    /// Copies of them in memory, for who must change nothing.
    Lanes copy_lanes(std::size_t& damaged) const;

    /// Makes the type readable for whoever drains this run. Any thread; returns false when the
    /// disk refuses.
    bool describe(const TypeDescriptor& descriptor) noexcept;
    const OwnedDescriptor* find_type(std::uint32_t hash) const;
    /// Describes what `other` describes. Throws SetupError.
    void copy_types(const Run& other);

    /// Deletes everything; the run is over.
    void remove() noexcept;

  private:
    Run(std::filesystem::path directory, RunIdentity identity)
        : directory_(std::move(directory)), identity_(std::move(identity)) {}
    void make(bool is_synced);
    bool add_type(const OwnedDescriptor& descriptor);  // mutex_ is held
    static Found read(const std::filesystem::path& directory);
    bool read_key();
    void read_types();
    void read_counts();
    Lanes map_lanes(std::size_t& damaged, File (*open)(const std::filesystem::path&)) const;

    std::filesystem::path directory_;  // empty: anonymous
    RunIdentity identity_;
    std::optional<SigningKey> key_;
    std::unique_ptr<RunLock> lock_;
    std::unique_ptr<AcceptedCounts> counts_;
    mutable std::atomic<bool> is_counting_{false};
    File types_;
    std::size_t types_bytes_ = 0;

    mutable std::mutex mutex_;  // guards what follows; descriptors are never removed
    std::map<std::uint32_t, std::unique_ptr<OwnedDescriptor>> described_;
    std::chrono::steady_clock::time_point describe_again_at_{};
};

}  // namespace homeward
