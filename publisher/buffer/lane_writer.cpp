#include <homeward/detail/lane_writer.hpp>

#include <array>
#include <cstring>

#include "publisher/buffer/accepted_counts.hpp"
#include "schemas/wire/crc32c.hpp"

namespace homeward {

std::uint64_t detail::record_prefix(LaneChecksum checksum, std::uint64_t position,
                                    std::span<const std::byte> payload) noexcept {
    if (checksum == LaneChecksum::stamp) return stamped_prefix(position, payload.size());
    std::array<std::byte, 12> place;
    put_raw(put_raw(place.data(), position), static_cast<std::uint32_t>(payload.size()));
    return payload.size() | std::uint64_t{crc32c(payload, crc32c(place))} << 32;
}

bool detail::LaneWriter::append(std::span<const std::byte> spans, std::size_t records) noexcept {
    if (!has_room(spans.size())) return false;
    std::byte* at = ring_ + (head_ & mask_);  // mapped twice, so that nothing is split
    for (std::size_t offset = 0; offset < spans.size();) {
        std::uint32_t payload_bytes;
        std::memcpy(&payload_bytes, spans.data() + offset, sizeof payload_bytes);
        const auto payload = spans.subspan(offset + kRecordPrefixBytes, payload_bytes);
        std::memcpy(at + offset + kRecordPrefixBytes, payload.data(), payload.size());
        std::atomic_ref(*reinterpret_cast<std::uint64_t*>(at + offset))
            .store(record_prefix(checksum(), head_ + offset, payload), std::memory_order_release);
        offset += record_span(payload_bytes);
    }
    make_visible(spans.size(), records);
    return true;
}

void detail::LaneWriter::finish_checked(std::byte* record,
                                        std::size_t payload_bytes) const noexcept {
    const std::span<const std::byte> payload{record + kRecordPrefixBytes, payload_bytes};
    put_raw(record, record_prefix(LaneChecksum::crc32c, head_, payload));
    const std::size_t end = kRecordPrefixBytes + payload_bytes;
    std::memset(record + end, 0, record_span(payload_bytes) - end);
}

void detail::LaneWriter::count_in_spool(std::uint64_t records) noexcept {
    if (cell_ != nullptr) cell_->raise(records);
}

void detail::LaneWriter::count_drops(std::size_t events) noexcept {
    if (cell_ != nullptr) cell_->drops.fetch_add(events, std::memory_order_relaxed);
    header_->drops.fetch_add(events, std::memory_order_release);
}

}  // namespace homeward
