#pragma once

// How many events each lane of a run has accepted, in the run's spool directory: what is left of a
// lane that is gone, as those in a container's /dev/shm are when it starts anew.
//
//    0          64                 128
//    ├──────────┼──────────────────┼───────── … 64 bytes a lane, by its number
//    │ head     │ lane 0           │ lane 1
//    └──────────┴──────────────────┴─────────
//    head: magic "HAC1", version, cells, u32 is_unknown, crc32c of the first three
//    lane: u64 records << 16 | changes, u64 drops, u32 class, u32 0, 40 bytes for later counters
//
// The file is mapped, so that a count outlives the process without a system call. It is on a disk,
// whose writeback makes some stores wait (README.md, "Where lanes live"); so a lane that is busy
// does not touch it. The sender grants it records ahead: the count then stands above what was
// accepted, by at most as many as the last interval accepted, and comes down again when that is no
// longer so. A lane without a grant counts here itself, before each record is visible.
//
// A count is never below what was accepted. To lower it, the sender
//   1. reads the cell, 2. lowers the grant, 3. fences all threads, 4. gives up if one is in emit(),
//   5. reads the lane's count, 6. replaces the cell, if nobody has changed it since 1.
// An emit() that began before 3 has ended by 4 and is counted in 5. One that began later sees the
// lower grant: it stays below, or changes the cell, even if only its number of changes.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <homeward/detail/lane_layout.hpp>

#include "publisher/platform/file.hpp"

namespace homeward {

namespace detail {

/// Of one lane. Its lane's threads and the sender write it.
struct alignas(64) AcceptedCell {
    std::atomic<std::uint64_t> records;
    std::atomic<std::uint64_t> drops;
    std::uint32_t event_class;
    std::uint32_t unused;

    static constexpr unsigned kChangeBits = 16;
    static constexpr std::uint64_t count_of(std::uint64_t word) { return word >> kChangeBits; }
    /// `word` with another count, and changed in any case.
    static constexpr std::uint64_t changed(std::uint64_t word, std::uint64_t count) {
        return count << kChangeBits | ((word + 1) & ((1u << kChangeBits) - 1));
    }
    /// Any thread: the count is at least this from now on.
    void raise(std::uint64_t count) noexcept;
};
static_assert(sizeof(AcceptedCell) == 64);

}  // namespace detail

/// The counts of one run. create() and open() throw SetupError.
class AcceptedCounts {
  public:
    /// For lanes 0 to `cells` - 1.
    static std::unique_ptr<AcceptedCounts> create(File file, std::size_t cells);
    /// What a dead process left; nullptr if it is damaged.
    static std::unique_ptr<AcceptedCounts> open(const File& file);
    ~AcceptedCounts();
    AcceptedCounts(const AcceptedCounts&) = delete;
    AcceptedCounts& operator=(const AcceptedCounts&) = delete;

    std::size_t size() const { return cells_; }
    /// nullptr beyond size().
    detail::AcceptedCell* cell(std::uint64_t lane) const;
    /// Makes the pages writable, so that it is not emit() that waits for the disk. LaneDrainer,
    /// each interval. False: they cannot be written any more, and nobody may.
    bool prefault() const noexcept;
    /// The counts are not right any more, and whoever reads them will know.
    void declare_unknown() noexcept;
    bool is_unknown() const { return is_unknown_; }

    static constexpr std::size_t kCellsMax = 1u << 16;

  private:
    AcceptedCounts(File file, std::size_t cells);

    File file_;
    std::size_t cells_;
    bool is_unknown_ = false;
    std::byte* base_ = nullptr;
};

/// One lane's grant, as the sender tends it. The lane's header and cell outlive it.
class RecordGrant {
  public:
    RecordGrant() = default;  ///< of a lane that is not counted
    RecordGrant(detail::LaneHeader* header, detail::AcceptedCell* cell, bool shared);

    /// Grants as many as the last interval accepted. True: the count must come down; lower() it
    /// after all threads were fenced.
    bool tend() noexcept;
    /// What tend() said last.
    bool is_too_high() const noexcept { return is_too_high_; }
    void lower() noexcept;
    /// Emits are not counted any more.
    void end() noexcept;

  private:
    std::uint64_t records() const noexcept;

    detail::LaneHeader* header_ = nullptr;
    detail::AcceptedCell* cell_ = nullptr;
    bool shared_ = false;
    std::uint64_t seen_ = 0;
    std::uint64_t target_ = 0;
    std::uint64_t before_ = 0;  ///< the cell, as tend() saw it
    bool is_too_high_ = false;
};

}  // namespace homeward
