#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "schemas/wire/publisher_id.hpp"

namespace homeward {

/// The Ed25519 key of one publisher run. The run's publisher id is a digest of the public key, so
/// nobody without the key can send frames of its origins. Immutable; any thread may use it.
class SigningKey {
  public:
    static constexpr std::size_t kSeedBytes = 32;
    using Seed = std::array<std::byte, kSeedBytes>;

    /// A new key. Throws std::runtime_error when OpenSSL refuses.
    static SigningKey generate();
    /// From what seed() returned; nullopt unless it has kSeedBytes.
    static std::optional<SigningKey> from_seed(std::span<const std::byte> seed);
    ~SigningKey();
    SigningKey(SigningKey&&) noexcept;
    SigningKey& operator=(SigningKey&&) noexcept;

    /// Secret: whoever has it can send frames as this publisher.
    Seed seed() const;
    PublisherId publisher() const;

    /// Fills in key, signature and checksum of a frame of version 2 that has room for them.
    /// Throws std::runtime_error when OpenSSL refuses.
    void sign(std::span<std::byte> frame) const;

  private:
    class Impl;
    explicit SigningKey(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// Whether these bytes look like a frame of a self-certifying publisher, or like a signed one: then
/// check_origin() is to be asked. Looks at a few bytes and trusts none.
bool claims_signature(std::span<const std::byte> message);

/// Whether a frame comes from the publisher that it names.
enum class FrameOrigin : std::uint8_t {
    unclaimed,       ///< the publisher id makes no promise, and the frame is not signed
    verified,        ///< signed by the publisher's key
    unsigned_frame,  ///< the publisher id demands a signature, and there is none
    foreign_key,     ///< signed, but by a key that the publisher id does not name
    forged,          ///< the signature does not fit the bytes
};

/// Of a frame that FrameDecoder::decode_header() accepts. Allocates within OpenSSL; any thread.
FrameOrigin check_origin(std::span<const std::byte> frame);

/// One phrase for an operator; empty for a frame that may be believed.
std::string_view explain(FrameOrigin origin);

}  // namespace homeward
