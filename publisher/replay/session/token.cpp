#include <homeward/replay/engine_position.hpp>
#include <homeward/replay/token.hpp>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <mutex>
#include <stdexcept>

namespace homeward::replay {
namespace {

constexpr std::string_view kVersion = "v2";
constexpr std::string_view kVersionWithoutEngine = "v1";
constexpr std::size_t kKeyIdBytesMax = 16;
constexpr std::size_t kSecretBytesMin = 32;
constexpr std::size_t kMacBytes = 32;
constexpr std::size_t kMacDigits = 2 * kMacBytes;
constexpr char kHexDigits[] = "0123456789abcdef";

using Mac = std::array<unsigned char, kMacBytes>;

struct FreeMac {
    void operator()(EVP_MAC* mac) const { EVP_MAC_free(mac); }
    void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};
using MacContext = std::unique_ptr<EVP_MAC_CTX, FreeMac>;

MacContext keyed_context(const std::string& secret) {
    const std::unique_ptr<EVP_MAC, FreeMac> hmac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
    MacContext context(hmac ? EVP_MAC_CTX_new(hmac.get()) : nullptr);
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    const auto* bytes = reinterpret_cast<const unsigned char*>(secret.data());
    if (!context || EVP_MAC_init(context.get(), bytes, secret.size(), parameters) != 1) {
        throw std::runtime_error("OpenSSL has no HMAC with SHA-256 here");
    }
    return context;
}

bool is_key_id_char(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '-';
}

bool is_key_id(std::string_view id) {
    return !id.empty() && id.size() <= kKeyIdBytesMax &&
           std::all_of(id.begin(), id.end(), is_key_id_char);
}

KeyError check(const std::vector<TokenKey>& keys) {
    if (keys.empty()) return KeyError::no_key;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        if (!is_key_id(keys[i].id)) return KeyError::bad_id;
        if (keys[i].secret.size() < kSecretBytesMin) return KeyError::short_secret;
        for (std::size_t j = 0; j < i; ++j) {
            if (keys[i].id == keys[j].id) return KeyError::same_id;
        }
    }
    return KeyError::none;
}

/// -1 for what is no digit; lower case only, so that a token has one spelling.
int value_of_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

bool read_hex(std::string_view text, unsigned char* bytes) {
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        const int high = value_of_digit(text[i]);
        const int low = value_of_digit(text[i + 1]);
        if (high < 0 || low < 0) return false;
        bytes[i / 2] = static_cast<unsigned char>(high << 4 | low);
    }
    return text.size() % 2 == 0;
}

template <typename Number>
void append(std::string& text, Number number, int base = 10) {
    char digits[20];
    text += '.';
    text.append(digits, std::to_chars(digits, digits + sizeof digits, number, base).ptr);
}

/// Takes the next field off the front; an empty one when there is none.
std::string_view take_field(std::string_view& rest) {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    const std::string_view field = rest.substr(0, dot);
    rest.remove_prefix(std::min(dot + 1, rest.size()));
    return field;
}

template <typename Number>
bool take_number(std::string_view& rest, Number& number, int base = 10) {
    const std::string_view field = take_field(rest);
    const auto [end, error] =
        std::from_chars(field.data(), field.data() + field.size(), number, base);
    return error == std::errc() && end == field.data() + field.size();
}

/// What the positions of engine_position.hpp are made of, but for their commas.
bool is_position_char(char c) {
    return is_key_id_char(c) || c == ':';
}

/// Appends ".<position>"; false for what would be no position when it is read.
bool append_text(std::string& token, std::string_view text) {
    if (text.empty() || text.size() > kPositionTextMax) return false;
    token += '.';
    for (const char c : text) {
        if (c == '_' || (c != ',' && !is_position_char(c))) return false;
        token += c == ',' ? '_' : c;
    }
    return true;
}

bool take_text(std::string_view& rest, std::string& text) {
    text = take_field(rest);
    std::replace(text.begin(), text.end(), '_', ',');
    return !text.empty() && text.size() <= kPositionTextMax;
}

bool take_position(std::string_view& rest, bool has_engine, Position& seen) {
    if (has_engine) {
        const auto engine = engine_of(take_field(rest));
        if (!engine) return false;
        seen.engine = *engine;
    }
    if (seen.engine != Engine::postgresql) return take_text(rest, seen.text);
    return take_number(rest, seen.system_id) && take_number(rest, seen.timeline) &&
           take_number(rest, seen.lsn, 16);
}

TokenState state_at(std::uint64_t expires_s, std::uint64_t now_s, const TokenOptions& options) {
    // Sums of what was signed cannot overflow: no clock shows more than 2^63 seconds.
    const std::uint64_t latest = now_s + options.lifetime_s + options.clock_skew_s;
    if (expires_s > latest) return TokenState::expired;
    if (expires_s + options.clock_skew_s >= now_s) return TokenState::fresh;
    if (expires_s + options.memory_s >= now_s) return TokenState::expired;
    return TokenState::forgotten;
}

}  // namespace

/// A key with contexts that already hold it: making one costs more than using it, and one may
/// be used by one thread at a time.
class TokenSigner::Key {
  public:
    explicit Key(const TokenKey& key) : id_(key.id), keyed_(keyed_context(key.secret)) {}

    std::string_view id() const { return id_; }

    bool mac_of(std::string_view text, Mac& mac) {
        MacContext context = borrow();
        std::size_t size = 0;
        // No key given: the one that the context holds, from the beginning.
        const bool is_made =
            context && EVP_MAC_init(context.get(), nullptr, 0, nullptr) == 1 &&
            EVP_MAC_update(context.get(), reinterpret_cast<const unsigned char*>(text.data()),
                           text.size()) == 1 &&
            EVP_MAC_final(context.get(), mac.data(), &size, mac.size()) == 1;
        if (is_made) put_back(std::move(context));
        return is_made && size == kMacBytes;
    }

  private:
    static constexpr std::size_t kIdleContextsMax = 64;

    MacContext borrow() {
        const std::lock_guard lock(mutex_);
        if (idle_.empty()) return MacContext(EVP_MAC_CTX_dup(keyed_.get()));
        MacContext context = std::move(idle_.back());
        idle_.pop_back();
        return context;
    }
    void put_back(MacContext context) {
        const std::lock_guard lock(mutex_);
        if (idle_.size() < kIdleContextsMax) idle_.push_back(std::move(context));
    }

    const std::string id_;
    const MacContext keyed_;
    std::mutex mutex_;
    std::vector<MacContext> idle_;
};

TokenSigner::TokenSigner(const std::vector<TokenKey>& keys, const TokenOptions& options)
    : options_(options) {
    const KeyError error = check(keys);
    if (error != KeyError::none) throw std::invalid_argument(std::string(explain(error)));
    for (const TokenKey& key : keys) keys_.push_back(std::make_unique<Key>(key));
}
TokenSigner::~TokenSigner() = default;
TokenSigner::TokenSigner(TokenSigner&&) noexcept = default;
TokenSigner& TokenSigner::operator=(TokenSigner&&) noexcept = default;

std::string TokenSigner::sign(const Position& seen, std::uint64_t now_s) const {
    std::string text;
    text.reserve(kTokenBytesMax);
    text.append(kVersion).append(".").append(keys_.front()->id());
    text.append(".").append(name_of(seen.engine));
    if (seen.engine == Engine::postgresql) {
        append(text, seen.system_id);
        append(text, seen.timeline);
        append(text, seen.lsn, 16);
    } else if (!append_text(text, seen.text)) {
        return {};
    }
    append(text, now_s + options_.lifetime_s);
    Mac mac;
    // An empty token is read as none: its bearer reads what the replica has, as without a cookie.
    if (!keys_.front()->mac_of(text, mac)) return {};
    text += '.';
    for (const unsigned char byte : mac) {
        text += kHexDigits[byte >> 4];
        text += kHexDigits[byte & 15];
    }
    assert(text.size() <= kTokenBytesMax);
    return text;
}

Token TokenSigner::read(std::string_view text, std::uint64_t now_s) const {
    Token token;
    if (text.size() > kTokenBytesMax || text.size() <= kMacDigits) return token;
    const std::string_view mac_digits = text.substr(text.size() - kMacDigits);
    std::string_view rest = text.substr(0, text.size() - kMacDigits);
    if (rest.back() != '.') return token;
    rest.remove_suffix(1);
    const std::string_view is_signed = rest;
    Mac claimed;
    const std::string_view version = take_field(rest);
    const bool has_engine = version == kVersion;
    if (!has_engine && version != kVersionWithoutEngine) return token;
    if (!read_hex(mac_digits, claimed.data())) return token;

    const std::string_view key_id = take_field(rest);
    const auto key = std::find_if(keys_.begin(), keys_.end(),
                                  [&](const auto& one) { return one->id() == key_id; });
    token.state = TokenState::unknown_key;
    if (key == keys_.end()) return token;
    Mac actual;
    token.state = TokenState::forged;
    if (!(*key)->mac_of(is_signed, actual)) return token;
    if (CRYPTO_memcmp(actual.data(), claimed.data(), actual.size()) != 0) return token;

    // From here on it is our own writing; should a later version write otherwise, it is no token.
    Position seen;
    token.state = TokenState::malformed;
    if (!take_position(rest, has_engine, seen) || !take_number(rest, token.expires_s) ||
        !rest.empty()) {
        return token;
    }
    token.state = state_at(token.expires_s, now_s, options_);
    token.seen = seen;
    return token;
}

namespace {

Coverage coverage_of_text(const Token& token, const Position& replica) {
    switch (reach_of(replica, token.seen)) {
        case Reach::reached:
            return Coverage::covered;
        case Reach::before:
            return Coverage::behind;
        case Reach::elsewhere:
            break;
    }
    // No wait ends that, so the token's expiry does.
    return token.state == TokenState::fresh ? Coverage::different_timeline : Coverage::not_asked;
}

}  // namespace

Coverage coverage_of(const Token& token, const ReplicaPosition& replica) {
    if (!token.is_genuine()) return Coverage::not_asked;
    const Position& seen = token.seen;
    if (seen.engine != replica.at.engine) return Coverage::not_asked;
    if (seen.engine != Engine::postgresql) return coverage_of_text(token, replica.at);
    const bool is_same_system = seen.system_id == replica.at.system_id;
    if (is_same_system && seen.timeline == replica.at.timeline) {
        return replica.at.lsn >= seen.lsn ? Coverage::covered : Coverage::behind;
    }
    // A replica that has not followed a failover is stale for as long as it takes.
    if (is_same_system && seen.timeline > replica.at.timeline) return Coverage::different_timeline;
    // The replica has left the token's history behind, or never was in it. No wait ends that, so
    // the token's expiry does.
    return token.state == TokenState::fresh ? Coverage::different_timeline : Coverage::not_asked;
}

ParsedKeys keys_from_text(std::string_view text) {
    ParsedKeys parsed;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(','), text.size());
        const std::string_view one = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::size_t colon = std::min(one.find(':'), one.size());
        const std::string_view digits = one.substr(std::min(colon + 1, one.size()));
        std::string secret(digits.size() / 2, '\0');
        if (!read_hex(digits, reinterpret_cast<unsigned char*>(secret.data()))) {
            return {{}, KeyError::bad_text};
        }
        parsed.keys.push_back({std::string(one.substr(0, colon)), std::move(secret)});
    }
    parsed.error = check(parsed.keys);
    if (parsed.error != KeyError::none) parsed.keys.clear();
    return parsed;
}

std::string_view explain(KeyError error) {
    switch (error) {
        case KeyError::none:
            return "";
        case KeyError::no_key:
            return "the token needs a key: one \"id:<64 hexadecimal digits>\"";
        case KeyError::bad_id:
            return "a token key's id must be 1 to 16 of A-Z a-z 0-9 _ -";
        case KeyError::same_id:
            return "two token keys have one id";
        case KeyError::short_secret:
            return "a token key must have 32 bytes or more; openssl rand -hex 32 makes one";
        case KeyError::bad_text:
            return "token keys must be \"id:hex\", lower case, with commas between them";
    }
    return "";
}

std::string_view name_of(TokenState state) {
    switch (state) {
        case TokenState::fresh:
            return "fresh";
        case TokenState::expired:
            return "expired";
        case TokenState::forgotten:
            return "forgotten";
        case TokenState::malformed:
            return "malformed";
        case TokenState::unknown_key:
            return "unknown_key";
        case TokenState::forged:
            return "forged";
        case TokenState::other_engine:
            return "other_engine";
    }
    return "malformed";
}

}  // namespace homeward::replay
