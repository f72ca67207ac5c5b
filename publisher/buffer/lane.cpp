#include "publisher/buffer/lane.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

#include <homeward/publisher.hpp>

#include "schemas/wire/crc32c.hpp"

namespace homeward {
namespace {

using detail::kLaneHeaderBytes;
using detail::kRingBytesMin;
using detail::LaneCheckpoint;
using detail::LaneChecksum;
using detail::LaneHeader;
using detail::LaneKind;
using detail::LaneSuperblock;

/// Bounds what a damaged header makes us map.
constexpr std::size_t kRingBytesMax = 1u << 20;

/// Of nearly all records.
constexpr std::size_t kMirrorBytesUsed = 4096;

bool is_ring_size(std::size_t bytes) {
    return bytes >= kRingBytesMin && bytes <= kRingBytesMax && std::has_single_bit(bytes);
}

void* map(void* where, std::size_t bytes, int descriptor, std::size_t offset) {
    return ::mmap(where, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor,
                  static_cast<off_t>(offset));
}

/// CRC-32C of what stands before the checksum.
template <typename Checked>
std::uint32_t checksum_of(const Checked& checked) {
    return crc32c(std::as_bytes(std::span(&checked, 1)).first(offsetof(Checked, checksum)));
}

LaneSuperblock superblock_of(EventClass event_class, std::size_t ring_bytes, LaneKind kind,
                             LaneChecksum checksum) {
    LaneSuperblock superblock{detail::kLaneMagic,
                              detail::kLaneVersion,
                              static_cast<std::uint32_t>(event_class),
                              static_cast<std::uint32_t>(ring_bytes),
                              kind,
                              checksum,
                              0};
    superblock.checksum = checksum_of(superblock);
    return superblock;
}

/// Makes a superblock of version 1 one of today's. False: it is none, or damaged.
bool take_version_1(LaneSuperblock& superblock) {
    detail::LaneSuperblockV1 old{};
    std::memcpy(&old, &superblock, sizeof old);
    if (old.version != detail::kLaneVersionMin || old.checksum != checksum_of(old)) return false;
    superblock.kind = LaneKind::own;
    superblock.record_checksum = LaneChecksum::crc32c;
    return true;
}

bool is_sound(LaneSuperblock& superblock) {
    const bool is_whole =
        take_version_1(superblock) || (superblock.version == detail::kLaneVersion &&
                                       superblock.checksum == checksum_of(superblock));
    return is_whole && superblock.magic == detail::kLaneMagic &&
           is_ring_size(superblock.ring_bytes) &&
           (superblock.event_class == 1 || superblock.event_class == 2) &&
           (superblock.kind == LaneKind::own || superblock.kind == LaneKind::shared) &&
           (superblock.record_checksum == LaneChecksum::crc32c ||
            superblock.record_checksum == LaneChecksum::stamp);
}

/// The checkpoint that knows most, of those that are whole; none in a lane that was never released.
LaneCheckpoint best_checkpoint(const LaneHeader& header) {
    LaneCheckpoint best{0, 0, 0, 1, 0, 0};
    for (const LaneCheckpoint& checkpoint : {header.first_checkpoint, header.second_checkpoint}) {
        if (checkpoint.checksum == checksum_of(checkpoint) && checkpoint.tail >= best.tail)
            best = checkpoint;
    }
    return best;
}

}  // namespace

LaneMapping::LaneMapping(const File& file, EventClass event_class, std::size_t ring_bytes,
                         LaneKind kind)
    : event_class_(event_class), kind_(kind), ring_bytes_(ring_bytes) {
    const std::size_t total = kLaneHeaderBytes + 2 * ring_bytes;
    void* reserved =
        ::mmap(nullptr, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) {
        throw SetupError(std::string("cannot map a lane: ") + std::strerror(errno));
    }
    base_ = static_cast<std::byte*>(reserved);
    ring_ = base_ + kLaneHeaderBytes;
    const int descriptor = file.descriptor();
    if (map(base_, kLaneHeaderBytes + ring_bytes, descriptor, 0) == MAP_FAILED ||
        map(ring_ + ring_bytes, ring_bytes, descriptor, kLaneHeaderBytes) == MAP_FAILED) {
        const int error = errno;
        ::munmap(reserved, total);
        throw SetupError(std::string("cannot map a lane: ") + std::strerror(error));
    }
    header_ = reinterpret_cast<LaneHeader*>(base_);
}

LaneMapping::LaneMapping(LaneMapping&& other) noexcept
    : event_class_(other.event_class_),
      kind_(other.kind_),
      checksum_(other.checksum_),
      seats_(std::move(other.seats_)),
      ring_bytes_(other.ring_bytes_),
      base_(std::exchange(other.base_, nullptr)),
      header_(other.header_),
      ring_(other.ring_) {}

LaneMapping::~LaneMapping() {
    if (base_ != nullptr) ::munmap(base_, kLaneHeaderBytes + 2 * ring_bytes_);
}

LaneMapping LaneMapping::create(File file, EventClass event_class, std::size_t ring_bytes,
                                LaneKind kind, std::optional<LaneChecksum> checksum) {
    const int error = file.allocate(kLaneHeaderBytes + ring_bytes);
    if (error != 0) {
        throw SetupError(std::string("no space for a lane: ") + std::strerror(error) +
                         "; free some, or lower lane_bytes");
    }
    LaneMapping mapping(file, event_class, ring_bytes, kind);
    mapping.checksum_ =
        checksum.value_or(file.is_in_memory() ? LaneChecksum::stamp : LaneChecksum::crc32c);
    if (mapping.is_shared()) mapping.seats_ = std::make_unique<detail::SharedLaneSeats>();
    auto* header = new (mapping.base_) LaneHeader{};
    header->superblock = superblock_of(event_class, ring_bytes, kind, mapping.checksum_);
    header->granted = UINT64_MAX;  // until somebody counts
    header->first_checkpoint = header->second_checkpoint = {0, 0, 0, 1, 0, 0};
    new (mapping.base_ + detail::kSecondSuperblockOffset) LaneSuperblock(header->superblock);
    return mapping;
}

/// What the kernel (before 5.14) does not do at once is done at each page's first record. Of the
/// ring's mirror only what records reach that begin before it.
void LaneMapping::prefault() const {
    ::madvise(base_, kLaneHeaderBytes + ring_bytes_ + kMirrorBytesUsed, MADV_POPULATE_WRITE);
}

void LaneMapping::free_ring() const {
    ::madvise(ring_, ring_bytes_, MADV_REMOVE);
}

std::unique_ptr<LaneMapping> LaneMapping::open(File file) {
    for (const std::size_t offset : {std::size_t{0}, detail::kSecondSuperblockOffset}) {
        LaneSuperblock superblock{};
        file.read_at(offset, std::as_writable_bytes(std::span(&superblock, 1)));
        if (!is_sound(superblock)) continue;
        // What was cut off would be SIGBUS to whoever reads it.
        const std::size_t whole = kLaneHeaderBytes + superblock.ring_bytes;
        const std::size_t there = file.size();
        if (there < whole && file.allocate(whole) != 0) return nullptr;
        std::unique_ptr<LaneMapping> mapping(
            new LaneMapping(file, static_cast<EventClass>(superblock.event_class),
                            superblock.ring_bytes, superblock.kind));
        mapping->checksum_ = superblock.record_checksum;
        if (there < whole) mapping->file_bytes_ = there;
        return mapping;
    }
    return nullptr;
}

LaneReader::LaneReader(const LaneMapping& mapping)
    : header_(mapping.header()),
      ring_(mapping.ring()),
      mask_(mapping.ring_bytes() - 1),
      bytes_found_(mapping.ring_bytes_found()),
      checksum_(mapping.checksum()),
      has_whole_header_(mapping.has_whole_header()),
      shared_(mapping.is_shared()),
      seats_(mapping.seats()) {}

LaneReader::LaneReader(const LaneMapping& mapping, const LaneTail* logged) : LaneReader(mapping) {
    const LaneCheckpoint checkpoint = best_checkpoint(*header_);
    position_ = checkpoint.tail;
    records_read_ = checkpoint.records;
    drops_reported_ = checkpoint.drops_reported;
    seq_next_ = checkpoint.seq_next;
    if (logged != nullptr && logged->tail >= position_) {
        position_ = logged->tail;
        records_read_ = logged->records;
        drops_reported_ = std::max(drops_reported_, logged->drops);
    }
    released_ = position_;
    lap_end_ = position_ + mapping.ring_bytes();
}

void LaneReader::release(std::uint64_t drops_reported, std::uint64_t seq_next) {
    drops_reported_ = drops_reported;
    seq_next_ = seq_next;
    LaneCheckpoint checkpoint{position_, records_read_, drops_reported, seq_next, 0, 0};
    checkpoint.checksum = checksum_of(checkpoint);
    header_->first_checkpoint = checkpoint;
    std::atomic_signal_fence(std::memory_order_release);  // one of the two is always whole
    header_->second_checkpoint = checkpoint;
    if (shared_) {
        // After the checkpoint, before the tail: whoever reserves here finds nothing published.
        std::memset(ring_ + (released_ & mask_), 0, position_ - released_);
    }
    released_ = position_;
    header_->tail.store(position_, std::memory_order_release);
}

/// No record can reach beyond it. The head is looked at again only when all before it is read: each
/// look takes the producer's cache line away, and its next emit() has to fetch it back.
std::uint64_t LaneReader::end() {
    if (lap_end_ != 0) return lap_end_;
    if (position_ >= head_seen_) head_seen_ = header_->head.load(std::memory_order_acquire);
    return head_seen_;
}

std::uint64_t LaneReader::prefix_at(std::uint64_t position) const {
    auto* at = reinterpret_cast<std::uint64_t*>(ring_ + (position & mask_));
    return std::atomic_ref<std::uint64_t>(*at).load(std::memory_order_acquire);
}

bool LaneReader::is_record(std::uint64_t position, std::uint64_t end, bool may_follow) const {
    const std::uint64_t prefix = prefix_at(position);
    const auto length = static_cast<std::uint32_t>(prefix);
    if (length > end - position || detail::record_span(length) > end - position) return false;
    if (bytes_found_ <= mask_ && (position & mask_) + detail::record_span(length) > bytes_found_) {
        return false;  // cut off
    }
    const std::byte* payload = ring_ + (position & mask_) + detail::kRecordPrefixBytes;
    const std::uint64_t right = detail::record_prefix(checksum_, position, {payload, length});
    return prefix == right || (may_follow && prefix == (right ^ detail::kFollowerMask));
}

/// Of a left lane: beyond the head only if that is damaged, or fewer came than were counted; what
/// a kill kept from becoming visible stays invisible.
bool LaneReader::is_all_read() const {
    if (lap_end_ == 0) return false;
    const std::uint64_t head = header_->head.load(std::memory_order_acquire);
    return is_plausible(head) && position_ >= head &&
           records_read_ >= header_->records.load(std::memory_order_acquire);
}

bool LaneReader::is_plausible(std::uint64_t head) const {
    return head % detail::kRecordAlign == 0 && head <= lap_end_ && lap_end_ - head <= mask_ + 1;
}

/// A place in a shared lane that somebody has reserved and where nothing is published.
LaneReader::Outcome LaneReader::skip_unpublished(std::uint64_t end) {
    if (seats_ != nullptr) {
        const std::uint64_t span = seats_->abandoned_at(position_);
        if (span == 0 || span > end - position_) return Outcome::empty;
        is_behind_record_ = false;
        position_ += span;
        return Outcome::damaged;
    }
    // Left by a dead process: nobody was told that it is accepted, unless the counters say more
    // than is found (see take_lost).
    const std::uint64_t head = header_->head.load(std::memory_order_acquire);
    std::uint64_t next = position_;
    do {
        next += detail::kRecordAlign;
    } while (next < end && !is_record(next, end));
    if (next >= end) {
        if (head <= position_ || !is_plausible(head)) return Outcome::empty;
        next = head;
    }
    damaged_bytes_ += next - position_;
    is_behind_record_ = false;
    position_ = next;
    return Outcome::damaged;
}

/// In a shared lane that is written to, what is behind may be unfinished: no more is skipped than
/// up to a record, or as much as this one says that it has.
LaneReader::Outcome LaneReader::skip_damage_of_shared(std::uint64_t end) {
    const std::uint64_t span =
        detail::record_span(static_cast<std::uint32_t>(prefix_at(position_)));
    std::uint64_t next = position_ + span;
    const bool is_likely = span <= end - position_ &&
                           (next == end || prefix_at(next) == 0 || is_record(next, end, true));
    if (!is_likely) {
        next = position_;
        do {
            next += detail::kRecordAlign;
        } while (next < end && !is_record(next, end));
        if (next >= end) return Outcome::empty;
    }
    damaged_bytes_ += next - position_;
    ++damaged_at_least_;
    is_behind_record_ = is_likely;
    position_ = next;
    return Outcome::damaged;
}

LaneReader::Outcome LaneReader::skip_damage(std::uint64_t end) {
    if (seats_ != nullptr) return skip_damage_of_shared(end);
    is_behind_record_ = false;
    std::uint64_t next = position_;
    do {
        next += detail::kRecordAlign;
    } while (next < end && !is_record(next, end));
    if (next < end || lap_end_ == 0) {
        // Before a record, or before a head that a living process vouches for: events stood here.
        damaged_bytes_ += next - position_;
        ++damaged_at_least_;
        position_ = next;
        return Outcome::damaged;
    }
    // Behind the last record of a left lane is what the head, if it can be true, says was written.
    const std::uint64_t head = header_->head.load(std::memory_order_acquire);
    if (head <= position_ || !is_plausible(head)) return Outcome::empty;
    damaged_bytes_ += head - position_;
    position_ = head;
    return Outcome::damaged;
}

LaneReader::Outcome LaneReader::read(std::span<const std::byte>& payload) {
    const std::uint64_t end = this->end();
    if (position_ >= end || is_all_read()) return Outcome::empty;
    // A head that no honest lap can have: somebody wrote into our memory. The next commit, or
    // whoever reads the lane after our death, puts that right.
    if (end - position_ > mask_ + 1 || end % detail::kRecordAlign != 0) {
        head_seen_ = position_;
        return Outcome::empty;
    }
    const std::uint64_t prefix = prefix_at(position_);
    if (shared_ && prefix == 0) return skip_unpublished(end);
    if (!is_record(position_, end, shared_ && is_behind_record_)) return skip_damage(end);
    const auto length = static_cast<std::uint32_t>(prefix);
    payload = {ring_ + (position_ & mask_) + detail::kRecordPrefixBytes, length};
    position_ += detail::record_span(length);
    is_behind_record_ = true;
    ++records_read_;
    return Outcome::record;
}

bool LaneReader::adds_up() const {
    if (!has_whole_header_) return false;
    const std::uint64_t counted = header_->records.load(std::memory_order_acquire);
    const std::uint64_t head = header_->head.load(std::memory_order_acquire);
    // A kill may have fallen between records and their count.
    return counted == records_read_ || (counted < records_read_ && head == position_);
}

std::uint64_t LaneReader::take_lost() {
    const std::uint64_t bytes = std::exchange(damaged_bytes_, 0);
    const std::uint64_t at_least = std::exchange(damaged_at_least_, 0);
    if (bytes == 0) return 0;
    // The counter says how many; but it may be what was damaged, and so many must fit.
    const std::uint64_t counted = header_->records.load(std::memory_order_acquire);
    const std::uint64_t missing = counted > records_read_ ? counted - records_read_ : 0;
    const std::uint64_t at_most = bytes / detail::record_span(kRecordHeaderBytes);
    const std::uint64_t lost = std::max(at_least, std::min(missing, at_most));
    records_read_ += lost;
    return lost;
}

}  // namespace homeward
