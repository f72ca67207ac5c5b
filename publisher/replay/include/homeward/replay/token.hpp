#pragma once

// What a session has seen of the database, signed, so that it can travel in a cookie:
//
//   v1.<key id>.<system id>.<timeline>.<LSN in hex>.<expiry, Unix seconds>.<HMAC-SHA256 in hex>
//
// The HMAC is over all before its dot. Nothing in it is secret; nobody without a key can make one.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <homeward/replay/position.hpp>

namespace homeward::replay {

/// A token longer than this is not read.
inline constexpr std::size_t kTokenBytesMax = 256;

struct TokenKey {
    std::string id;      ///< 1 to 16 of A-Z a-z 0-9 _ -
    std::string secret;  ///< 32 bytes or more, random; the same in every region
};

/// What is wrong with a set of keys.
enum class KeyError : std::uint8_t {
    none,
    no_key,
    bad_id,        ///< not 1 to 16 of A-Z a-z 0-9 _ -
    same_id,       ///< two keys with one id
    short_secret,  ///< less than 32 bytes
    bad_text,      ///< keys_from_text(): not "id:hex,id:hex"
};
std::string_view explain(KeyError error);

/// "k2:<hex>,k1:<hex>", the current key first, as it stands in an environment variable.
struct ParsedKeys {
    std::vector<TokenKey> keys;
    KeyError error = KeyError::none;
};
ParsedKeys keys_from_text(std::string_view text);

struct TokenOptions {
    /// How long a token of another timeline or system sends its bearer to the primary: longer
    /// than a replica needs to follow a failover, short enough to end by itself.
    std::uint32_t lifetime_s = 300;
    /// How long after its expiry a token of the replica's own history still counts. It costs
    /// nothing then: the replica has long passed it, or it is a day behind and must not answer.
    std::uint32_t memory_s = 86'400;
    /// How far the clocks of signer and reader may be apart. A token from further in the future
    /// is treated as expired.
    std::uint32_t clock_skew_s = 60;
};

/// What a text turned out to be.
enum class TokenState : std::uint8_t {
    fresh,
    expired,      ///< or from too far in the future; counts for the replica's own history only
    forgotten,    ///< expired for longer than memory_s: no token
    malformed,    ///< no token
    unknown_key,  ///< no token
    forged,       ///< no token
};
/// "fresh": for metric labels.
std::string_view name_of(TokenState state);

struct Token {
    TokenState state = TokenState::malformed;
    Position seen;                ///< only when is_genuine()
    std::uint64_t expires_s = 0;  ///< Unix seconds

    bool is_genuine() const { return state == TokenState::fresh || state == TokenState::expired; }
};

/// Signs with the first key, reads with each. To rotate: add the new key behind the current one
/// in all regions, then put it first, then take the old one away after `memory_s`. To make every
/// token void (after a restore), replace all keys. Any thread.
class TokenSigner {
  public:
    /// Throws std::invalid_argument with explain() when the keys are no good, std::runtime_error
    /// when the library has no HMAC-SHA256.
    explicit TokenSigner(const std::vector<TokenKey>& keys, const TokenOptions& options = {});
    ~TokenSigner();
    TokenSigner(TokenSigner&&) noexcept;
    TokenSigner& operator=(TokenSigner&&) noexcept;

    std::string sign(const Position& seen, std::uint64_t now_s) const;
    /// Never throws; compares in constant time.
    Token read(std::string_view text, std::uint64_t now_s) const;

    const TokenOptions& options() const { return options_; }

  private:
    class Key;
    std::vector<std::unique_ptr<Key>> keys_;
    TokenOptions options_;
};

/// Whether a replica has all that the token's session has seen. other_history may turn into
/// covered as the replica moves on; see publisher/replay/RULES.md for the table.
Coverage coverage_of(const Token& token, const ReplicaPosition& replica);

}  // namespace homeward::replay
