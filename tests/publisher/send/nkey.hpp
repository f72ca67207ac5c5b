#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace homeward::testing {

/// A fresh nkey of NATS, an Ed25519 key, as its tools write it.
struct Nkey {
    enum class Kind : std::uint8_t { operator_, account, user };

    std::string seed;        ///< SO…, SA…, SU…
    std::string public_key;  ///< O…, A…, U…
    std::array<std::uint8_t, 32> secret{};

    static Nkey make(Kind kind = Kind::user);
    /// 64 bytes.
    std::string sign(std::string_view text) const;
};

}  // namespace homeward::testing
