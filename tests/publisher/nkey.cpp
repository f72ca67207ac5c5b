#include "tests/publisher/nkey.hpp"

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

namespace homeward::testing {
namespace {

// The first five bits of each text: S for seed, U for user.
constexpr std::uint8_t kSeedPrefix = 18 << 3;
constexpr std::uint8_t kUserPrefix = 20 << 3;

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

Nkey Nkey::make() {
    EVP_PKEY* made = nullptr;
    const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
        EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, nullptr), &EVP_PKEY_CTX_free);
    if (EVP_PKEY_keygen_init(context.get()) != 1 || EVP_PKEY_keygen(context.get(), &made) != 1) {
        throw std::runtime_error("no Ed25519 key can be made");
    }
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(made, &EVP_PKEY_free);
    std::array<std::uint8_t, 32> secret{};
    std::array<std::uint8_t, 32> open{};
    std::size_t bytes = secret.size();
    EVP_PKEY_get_raw_private_key(key.get(), secret.data(), &bytes);
    EVP_PKEY_get_raw_public_key(key.get(), open.data(), &bytes);
    // A seed's two prefixes share two bytes: five bits of each, and the rest zero.
    std::vector<std::uint8_t> seed{static_cast<std::uint8_t>(kSeedPrefix | (kUserPrefix >> 5)),
                                   static_cast<std::uint8_t>((kUserPrefix & 31) << 3)};
    seed.insert(seed.end(), secret.begin(), secret.end());
    std::vector<std::uint8_t> user{kUserPrefix};
    user.insert(user.end(), open.begin(), open.end());
    return {encode(seed), encode(user)};
}

}  // namespace homeward::testing
