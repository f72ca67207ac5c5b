#include "publisher/lane.hpp"

#include <sys/mman.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include <homeward/publisher.hpp>

#include "schemas/crc32c.hpp"

namespace homeward {

std::uint32_t detail::record_checksum(std::uint64_t position, const std::byte* payload,
                                      std::size_t payload_bytes) noexcept {
    std::array<std::byte, 12> prefix;
    put_raw(put_raw(prefix.data(), position), static_cast<std::uint32_t>(payload_bytes));
    return crc32c({payload, payload_bytes}, crc32c(prefix));
}

bool detail::LaneWriter::append(std::span<const std::byte> spans, std::size_t records) noexcept {
    if (!has_room(spans.size())) return false;
    std::byte* at = ring_ + (head_ & mask_);  // mapped twice, so that nothing is split
    std::memcpy(at, spans.data(), spans.size());
    for (std::size_t offset = 0; offset < spans.size();) {
        std::uint32_t payload_bytes;
        std::memcpy(&payload_bytes, at + offset, sizeof payload_bytes);
        const std::byte* payload = at + offset + kRecordPrefixBytes;
        put_raw(at + offset + 4, record_checksum(head_ + offset, payload, payload_bytes));
        offset += record_span(payload_bytes);
    }
    head_ += spans.size();
    header_->head.store(head_, std::memory_order_release);
    header_->records.store(header_->records.load(std::memory_order_relaxed) + records,
                           std::memory_order_release);
    return true;
}

namespace {

using detail::kLaneHeaderBytes;
using detail::LaneHeader;

/// Bounds what a damaged header makes us map.
constexpr std::size_t kRingBytesMax = 1u << 20;
constexpr std::size_t kRingBytesMin = 64u << 10;

bool is_ring_size(std::size_t bytes) {
    return bytes >= kRingBytesMin && bytes <= kRingBytesMax && std::has_single_bit(bytes);
}

void* map(void* where, std::size_t bytes, int descriptor, std::size_t offset) {
    return ::mmap(where, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor,
                  static_cast<off_t>(offset));
}

}  // namespace

LaneMapping::LaneMapping(File file, std::size_t ring_bytes)
    : file_(std::move(file)), ring_bytes_(ring_bytes) {
    const std::size_t total = kLaneHeaderBytes + 2 * ring_bytes;
    void* reserved =
        ::mmap(nullptr, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) {
        throw SetupError(std::string("cannot map a lane: ") + std::strerror(errno));
    }
    base_ = static_cast<std::byte*>(reserved);
    ring_ = base_ + kLaneHeaderBytes;
    const int descriptor = file_.descriptor();
    if (map(base_, kLaneHeaderBytes + ring_bytes, descriptor, 0) == MAP_FAILED ||
        map(ring_ + ring_bytes, ring_bytes, descriptor, kLaneHeaderBytes) == MAP_FAILED) {
        const int error = errno;
        ::munmap(reserved, total);
        throw SetupError(std::string("cannot map a lane: ") + std::strerror(error));
    }
    header_ = reinterpret_cast<LaneHeader*>(base_);
}

LaneMapping::LaneMapping(LaneMapping&& other) noexcept
    : file_(std::move(other.file_)),
      ring_bytes_(other.ring_bytes_),
      base_(std::exchange(other.base_, nullptr)),
      header_(other.header_),
      ring_(other.ring_) {}

LaneMapping::~LaneMapping() {
    if (base_ != nullptr) ::munmap(base_, kLaneHeaderBytes + 2 * ring_bytes_);
}

LaneMapping LaneMapping::create(File file, EventClass event_class, std::size_t ring_bytes) {
    const int error = file.allocate(kLaneHeaderBytes + ring_bytes);
    if (error != 0) {
        throw SetupError(std::string("no space for a lane: ") + std::strerror(error) +
                         "; free some, or lower lane_bytes");
    }
    LaneMapping mapping(std::move(file), ring_bytes);
    LaneHeader* header = new (mapping.base_) LaneHeader{};
    header->version = detail::kLaneVersion;
    header->event_class = static_cast<std::uint32_t>(event_class);
    header->ring_bytes = static_cast<std::uint32_t>(ring_bytes);
    std::atomic_signal_fence(std::memory_order_release);
    header->magic = detail::kLaneMagic;  // last: a header cut off by a kill is no header
    return mapping;
}

std::unique_ptr<LaneMapping> LaneMapping::open(File file) {
    struct {
        std::uint32_t magic, version, event_class, ring_bytes;
    } fixed{};
    const std::size_t got =
        file.read_at(0, std::as_writable_bytes(std::span(&fixed, 1)));
    const bool usable = got == sizeof fixed && fixed.magic == detail::kLaneMagic &&
                        fixed.version == detail::kLaneVersion && is_ring_size(fixed.ring_bytes) &&
                        (fixed.event_class == 1 || fixed.event_class == 2) &&
                        file.size() >= kLaneHeaderBytes + fixed.ring_bytes;
    if (!usable) return nullptr;
    return std::unique_ptr<LaneMapping>(new LaneMapping(std::move(file), fixed.ring_bytes));
}

bool LaneReader::is_record(std::uint64_t position, std::uint64_t head) const {
    const std::byte* at = ring_ + (position & mask_);
    std::uint32_t length;
    std::uint32_t checksum;
    std::memcpy(&length, at, sizeof length);
    std::memcpy(&checksum, at + 4, sizeof checksum);
    if (length > head - position || detail::record_span(length) > head - position) return false;
    return checksum ==
           detail::record_checksum(position, at + detail::kRecordPrefixBytes, length);
}

LaneReader::Outcome LaneReader::read(std::span<const std::byte>& payload) {
    const std::uint64_t head = header_->head.load(std::memory_order_acquire);
    if (position_ == head) return Outcome::empty;
    // A head that no honest lap can have: the header was damaged. Nothing behind it is readable.
    if (head - position_ > mask_ + 1 || position_ % detail::kRecordAlign != 0 ||
        head % detail::kRecordAlign != 0) {
        position_ = head;
        return Outcome::damaged;
    }
    if (!is_record(position_, head)) {
        do {
            position_ += detail::kRecordAlign;
        } while (position_ != head && !is_record(position_, head));
        return Outcome::damaged;
    }
    const std::byte* at = ring_ + (position_ & mask_);
    std::uint32_t length;
    std::memcpy(&length, at, sizeof length);
    payload = {at + detail::kRecordPrefixBytes, length};
    position_ += detail::record_span(length);
    return Outcome::record;
}

}  // namespace homeward
