#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace homeward {

/// 128 bits that name one run of one emitting process. With an EventClass it is an origin. Random,
/// or self-certifying: kSelfCertifying and 96 bits of the SHA-256 of the key that signs its frames.
struct PublisherId {
    std::array<std::uint8_t, 16> bytes{};

    auto operator<=>(const PublisherId&) const = default;  // NOLINT: clang-tidy 14 sees a nullptr

    static constexpr std::array<std::uint8_t, 4> kSelfCertifying{'H', 'W', 'K', '1'};
    /// Whether its frames must be signed; see wire/frame_signature.hpp.
    bool is_self_certifying() const;

    /// 32 lower-case hex digits.
    std::string hex() const;
    /// 8-4-4-4-12 form, as PostgreSQL prints a uuid.
    std::string uuid() const;
    /// Accepts both forms; nullopt for anything else.
    static std::optional<PublisherId> parse(std::string_view text);
    /// From the kernel's random source, never self-certifying; throws std::system_error when that
    /// fails.
    static PublisherId random();
};

}  // namespace homeward
