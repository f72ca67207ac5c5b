#pragma once

#include <bit>
#include <cstddef>
#include <cstring>
#include <span>

namespace homeward {

static_assert(std::endian::native == std::endian::little, "frames are written in native order");

/// Precondition: `offset + sizeof(T)` bytes are there.
template <typename T>
void store(std::byte* bytes, std::size_t offset, T value) {
    std::memcpy(bytes + offset, &value, sizeof value);
}

template <typename T>
T load(std::span<const std::byte> bytes, std::size_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

}  // namespace homeward
