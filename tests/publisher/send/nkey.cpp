#include "tests/publisher/send/nkey.hpp"

#include <openssl/evp.h>

#include <memory>
#include <stdexcept>
#include <vector>

namespace homeward::testing {
namespace {

using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

// The first five bits of each text: S for seed, then O, A or U.
constexpr std::uint8_t kSeedPrefix = 18 << 3;

std::uint8_t prefix_of(Nkey::Kind kind) {
    switch (kind) {
        case Nkey::Kind::operator_:
            return 14 << 3;
        case Nkey::Kind::account:
            return 0;
        case Nkey::Kind::user:
            return 20 << 3;
    }
    throw std::logic_error("no kind of nkey");
}

std::uint16_t crc16(const std::vector<std::uint8_t>& bytes) {
    std::uint16_t crc = 0;
    for (const std::uint8_t byte : bytes) {
        crc = static_cast<std::uint16_t>(crc ^ (byte << 8));
        for (int bit = 0; bit < 8; ++bit) {
            crc = static_cast<std::uint16_t>((crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1);
        }
    }
    return crc;
}

/// Base 32 without padding, of the bytes and their checksum.
std::string encode(std::vector<std::uint8_t> bytes) {
    const std::uint16_t crc = crc16(bytes);
    bytes.push_back(static_cast<std::uint8_t>(crc & 0xff));
    bytes.push_back(static_cast<std::uint8_t>(crc >> 8));
    std::string text;
    std::uint32_t bits = 0;
    int count = 0;
    for (const std::uint8_t byte : bytes) {
        bits = (bits << 8) | byte;
        for (count += 8; count >= 5; count -= 5) {
            text += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(bits >> (count - 5)) & 31];
        }
    }
    if (count > 0) text += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(bits << (5 - count)) & 31];
    return text;
}

}  // namespace

Nkey Nkey::make(Kind kind) {
    EVP_PKEY* made = nullptr;
    const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
        EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, nullptr), &EVP_PKEY_CTX_free);
    if (EVP_PKEY_keygen_init(context.get()) != 1 || EVP_PKEY_keygen(context.get(), &made) != 1) {
        throw std::runtime_error("no Ed25519 key can be made");
    }
    const KeyPtr key(made, &EVP_PKEY_free);
    Nkey nkey;
    std::array<std::uint8_t, 32> open{};
    std::size_t bytes = open.size();
    EVP_PKEY_get_raw_private_key(key.get(), nkey.secret.data(), &bytes);
    EVP_PKEY_get_raw_public_key(key.get(), open.data(), &bytes);
    // A seed's two prefixes share two bytes: five bits of each, and the rest zero.
    const std::uint8_t prefix = prefix_of(kind);
    std::vector<std::uint8_t> seed{static_cast<std::uint8_t>(kSeedPrefix | (prefix >> 5)),
                                   static_cast<std::uint8_t>((prefix & 31) << 3)};
    seed.insert(seed.end(), nkey.secret.begin(), nkey.secret.end());
    nkey.seed = encode(seed);
    std::vector<std::uint8_t> public_key{prefix};
    public_key.insert(public_key.end(), open.begin(), open.end());
    nkey.public_key = encode(public_key);
    return nkey;
}

std::string Nkey::sign(std::string_view text) const {
    const KeyPtr key(
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, secret.data(), secret.size()),
        &EVP_PKEY_free);
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                          &EVP_MD_CTX_free);
    std::string signature(64, '\0');
    std::size_t bytes = signature.size();
    if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
        EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &bytes,
                       reinterpret_cast<const unsigned char*>(text.data()), text.size()) != 1) {
        throw std::runtime_error("Ed25519 does not sign");
    }
    return signature;
}

}  // namespace homeward::testing
