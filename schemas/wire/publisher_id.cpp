#include "schemas/wire/publisher_id.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace homeward {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

int digit_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_dash_place(std::size_t place) {
    return place == 8 || place == 13 || place == 18 || place == 23;
}

}  // namespace

bool PublisherId::is_self_certifying() const {
    return std::equal(kSelfCertifying.begin(), kSelfCertifying.end(), bytes.begin());
}

std::string PublisherId::hex() const {
    std::string text;
    text.reserve(32);
    for (std::uint8_t byte : bytes) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

std::string PublisherId::uuid() const {
    std::string text = hex();
    for (std::size_t place : {8, 13, 18, 23}) text.insert(place, 1, '-');
    return text;
}

std::optional<PublisherId> PublisherId::parse(std::string_view text) {
    if (text.size() != 32 && text.size() != 36) return std::nullopt;
    PublisherId id;
    std::size_t nibbles = 0;
    for (std::size_t place = 0; place < text.size(); ++place) {
        if (text.size() == 36 && is_dash_place(place)) {
            if (text[place] != '-') return std::nullopt;
            continue;
        }
        const int value = digit_value(text[place]);
        if (value < 0) return std::nullopt;
        std::uint8_t& byte = id.bytes[nibbles / 2];
        byte = static_cast<std::uint8_t>(byte << 4 | value);
        ++nibbles;
    }
    return id;
}

PublisherId PublisherId::random() {
    PublisherId id;
    std::size_t filled = 0;
    while (filled < id.bytes.size()) {
        const ssize_t got = ::getrandom(id.bytes.data() + filled, id.bytes.size() - filled, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw std::system_error(errno, std::generic_category(), "getrandom");
        filled += static_cast<std::size_t>(got);
    }
    // Only the digest of a key may look like one.
    if (id.is_self_certifying()) id.bytes[0] ^= 1;
    return id;
}

}  // namespace homeward
