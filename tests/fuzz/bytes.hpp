#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>

namespace homeward::fuzz {

/// A property that must hold for every input. Not assert(): it must hold in every build.
inline void require(bool holds) {
    if (!holds) std::abort();
}

/// Takes values off the front of a fuzzer's input; zeros once it is used up.
class Bytes {
  public:
    Bytes(const std::uint8_t* data, std::size_t size)
        : left_(reinterpret_cast<const std::byte*>(data), size) {}

    template <typename T>
    T take() {
        T value{};
        const auto bytes = take_span(sizeof value);
        if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
        return value;
    }
    std::span<const std::byte> take_span(std::size_t most) {
        const auto taken = left_.first(std::min(most, left_.size()));
        left_ = left_.subspan(taken.size());
        return taken;
    }
    std::string_view take_text(std::size_t most) {
        const auto taken = take_span(most);
        return {reinterpret_cast<const char*>(taken.data()), taken.size()};
    }
    std::size_t size() const { return left_.size(); }

  private:
    std::span<const std::byte> left_;
};

/// Flips bits at places that the input names, as many as it has left for it.
inline void damage(std::span<std::byte> target, Bytes& input) {
    while (input.size() > 0 && !target.empty()) {
        const auto at = input.take<std::uint32_t>() % target.size();
        target[at] ^= input.take<std::byte>();
    }
}

}  // namespace homeward::fuzz
