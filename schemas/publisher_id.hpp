#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace homeward {

/// 128 random bits that name one run of one emitting process. With an EventClass it is an origin.
struct PublisherId {
    std::array<std::uint8_t, 16> bytes{};

    auto operator<=>(const PublisherId&) const = default;

    /// 32 lower-case hex digits.
    std::string hex() const;
    /// 8-4-4-4-12 form, as PostgreSQL prints a uuid.
    std::string uuid() const;
    /// Accepts both forms; nullopt for anything else.
    static std::optional<PublisherId> parse(std::string_view text);
    /// From the kernel's random source; throws std::system_error when that fails.
    static PublisherId random();
};

}  // namespace homeward
