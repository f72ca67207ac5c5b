#include "schemas/wire/frame_signature.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <stdexcept>

#include "schemas/wire/envelope.hpp"

namespace homeward {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kSignatureBytes = 64;
constexpr std::size_t kDigestBytes = 32;
constexpr auto kMark = PublisherId::kSelfCertifying;

struct KeyDeleter {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct ContextDeleter {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, KeyDeleter>;
using ContextPtr = std::unique_ptr<EVP_MD_CTX, ContextDeleter>;
using Digest = std::array<unsigned char, kDigestBytes>;

const unsigned char* raw(std::span<const std::byte> bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

ContextPtr new_context() {
    ContextPtr context(EVP_MD_CTX_new());
    if (context == nullptr) throw std::bad_alloc();
    return context;
}

[[noreturn]] void refuse(const char* what) {
    throw std::runtime_error(std::string("OpenSSL refuses to ") + what +
                             "; frames cannot be signed");
}

Digest digest_of(std::initializer_list<std::span<const std::byte>> parts) {
    const ContextPtr context = new_context();
    bool is_ok = EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
    for (const auto part : parts) {
        is_ok = is_ok && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
    }
    Digest digest{};
    if (!is_ok || EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) {
        refuse("make a SHA-256 digest");
    }
    return digest;
}

/// Of all that a signature covers: everything but the checksum and the signature.
Digest digest_to_sign(std::span<const std::byte> frame, std::size_t signature_offset) {
    constexpr std::size_t kBehindChecksum = envelope::kChecksumOffset + 4;
    return digest_of({frame.first(envelope::kChecksumOffset),
                      frame.subspan(kBehindChecksum, signature_offset - kBehindChecksum),
                      frame.subspan(signature_offset + kSignatureBytes)});
}

PublisherId id_of(std::span<const std::byte> public_key) {
    const Digest digest = digest_of({public_key});
    PublisherId id;
    std::copy(kMark.begin(), kMark.end(), id.bytes.begin());
    std::copy_n(digest.begin(), id.bytes.size() - kMark.size(), id.bytes.begin() + kMark.size());
    return id;
}

}  // namespace

class SigningKey::Impl {
  public:
    explicit Impl(EVP_PKEY* key) : key_(key) {
        if (key == nullptr) refuse("make an Ed25519 key");
        std::size_t bytes = public_key_.size();
        if (EVP_PKEY_get_raw_public_key(key, reinterpret_cast<unsigned char*>(public_key_.data()),
                                        &bytes) != 1) {
            refuse("export an Ed25519 key");
        }
    }

    Seed seed() const {
        Seed seed{};
        std::size_t bytes = seed.size();
        if (EVP_PKEY_get_raw_private_key(key_.get(), reinterpret_cast<unsigned char*>(seed.data()),
                                         &bytes) != 1) {
            refuse("export an Ed25519 key");
        }
        return seed;
    }
    std::span<const std::byte> public_key() const { return public_key_; }

    void sign(const Digest& digest, std::span<std::byte> signature) const {
        const ContextPtr context = new_context();
        std::size_t bytes = signature.size();
        if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
            EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()),
                           &bytes, digest.data(), digest.size()) != 1) {
            refuse("sign a frame");
        }
    }

  private:
    KeyPtr key_;
    std::array<std::byte, kKeyBytes> public_key_{};
};

SigningKey::SigningKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SigningKey::~SigningKey() = default;
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;

SigningKey SigningKey::generate() {
    return SigningKey(std::make_unique<Impl>(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")));
}

std::optional<SigningKey> SigningKey::from_seed(std::span<const std::byte> seed) {
    if (seed.size() != kSeedBytes) return std::nullopt;
    return SigningKey(std::make_unique<Impl>(
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(seed), seed.size())));
}

SigningKey::Seed SigningKey::seed() const {
    return impl_->seed();
}

PublisherId SigningKey::publisher() const {
    return id_of(impl_->public_key());
}

void SigningKey::sign(std::span<std::byte> frame) const {
    envelope::SignatureRoom room = envelope::signature_room(frame);
    const auto key = impl_->public_key();
    std::copy(key.begin(), key.end(), room.key.begin());
    impl_->sign(digest_to_sign(frame, room.offset), room.signature);
    envelope::seal(frame);
}

bool claims_signature(std::span<const std::byte> message) {
    constexpr std::size_t kIdOffset = 8;  // in version 1
    constexpr std::size_t kVersionOffset = 4;
    if (message.size() < envelope::kFixedBytes) return false;
    // Version 2 may be signed under any id.
    if (message[kVersionOffset] == std::byte{envelope::kVersion}) return true;
    return std::memcmp(message.data() + kIdOffset, kMark.data(), kMark.size()) == 0;
}

FrameOrigin check_origin(std::span<const std::byte> frame) {
    FrameHeader header;
    envelope::Parts parts;
    const bool is_believable = FrameDecoder::decode_header(frame, header) == FrameError::none;
    assert(is_believable && "only whole frames have an origin");
    if (!is_believable) return FrameOrigin::forged;
    if (header.version >= envelope::kVersion)
        envelope::parse(frame, parts, envelope::Checksum::trust);
    if (parts.signature.empty()) {
        return header.publisher.is_self_certifying() ? FrameOrigin::unsigned_frame
                                                     : FrameOrigin::unclaimed;
    }
    if (id_of(parts.key) != header.publisher) return FrameOrigin::foreign_key;
    const KeyPtr key(
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(parts.key), parts.key.size()));
    if (key == nullptr) return FrameOrigin::forged;
    const Digest digest = digest_to_sign(frame, parts.signature_offset);
    const ContextPtr context = new_context();
    const bool fits =
        EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
        EVP_DigestVerify(context.get(), raw(parts.signature), parts.signature.size(), digest.data(),
                         digest.size()) == 1;
    return fits ? FrameOrigin::verified : FrameOrigin::forged;
}

std::string_view explain(FrameOrigin origin) {
    switch (origin) {
        case FrameOrigin::unclaimed:
        case FrameOrigin::verified:
            return "";
        case FrameOrigin::unsigned_frame:
            return "the frame is not signed, but its publisher id demands a signature";
        case FrameOrigin::foreign_key:
            return "the frame is signed by a key that is not its publisher's";
        case FrameOrigin::forged:
            return "the frame's signature does not fit its bytes";
    }
    return "an unknown kind of origin";
}

}  // namespace homeward
