#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace homeward {

/// CRC-32C (Castagnoli, RFC 3720), with the processor's instruction where there is one.
/// `seed`: result of the bytes before, to go on over several pieces.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed = 0);

}  // namespace homeward
