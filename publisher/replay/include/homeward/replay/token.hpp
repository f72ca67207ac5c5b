#pragma once

/// @file
/// A signed token of what a session has seen of the database; it travels in a cookie:
///
///     v2.<key id>.postgresql.<system id>.<timeline>.<LSN in hex>.<expiry>.<HMAC-SHA256 in hex>
///     v2.<key id>.<engine>.<position>.<expiry, Unix seconds>.<HMAC-SHA256 in hex>
///
/// A position of another engine has '_' for ',', which cookies must not contain. Version 1, of
/// PostgreSQL alone, has no engine; it is still read. The HMAC covers everything before its dot. A
/// token holds no secret; making one needs a key.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <homeward/replay/position.hpp>

namespace homeward::replay {

/// A token longer than this is not read.
inline constexpr std::size_t kTokenBytesMax = 256;

/// One HMAC key.
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
/// Explains an error to a person. Any thread.
/// @param error any
/// @return one sentence, a literal
std::string_view explain(KeyError error);

/// The result of keys_from_text().
struct ParsedKeys {
    std::vector<TokenKey> keys;       ///< empty on an error
    KeyError error = KeyError::none;  ///< what is wrong with the text
};
/// Parses keys as they stand in an environment variable. Any thread.
/// @param text "k2:<hex>,k1:<hex>", the current key first
/// @return the keys, or an error
ParsedKeys keys_from_text(std::string_view text);

/// How long a token counts. All in seconds.
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
    /// Genuine, but of another engine than the replica: no token. SessionConsistency finds it.
    other_engine,
};
/// The name for metric labels, "fresh". Any thread.
/// @param state any
/// @return a literal
std::string_view name_of(TokenState state);

/// A token that was read.
struct Token {
    TokenState state = TokenState::malformed;  ///< what the text turned out to be
    Position seen;                             ///< only if is_genuine()
    std::uint64_t expires_s = 0;               ///< Unix seconds

    /// Whether the token was signed by one of the keys and still counts.
    /// @return true if it is fresh or expired
    bool is_genuine() const { return state == TokenState::fresh || state == TokenState::expired; }
};

/// Signs with the first key and verifies with all. To rotate: add the new key behind the current
/// one in all regions, then put it first, then remove the old one after `memory_s`. To invalidate
/// every token (after a restore), replace all keys. Any thread.
class TokenSigner {
  public:
    /// @param keys the current one first
    /// @param options how long tokens count
    /// @throws std::invalid_argument with explain() if the keys are invalid
    /// @throws std::runtime_error if OpenSSL has no HMAC-SHA256
    explicit TokenSigner(const std::vector<TokenKey>& keys, const TokenOptions& options = {});
    /// Frees the keys.
    ~TokenSigner();
    /// Moves the keys.
    TokenSigner(TokenSigner&&) noexcept;
    /// Moves the keys.
    /// @return this object
    TokenSigner& operator=(TokenSigner&&) noexcept;

    /// Signs a token.
    /// @param seen what the session has seen
    /// @param now_s Unix seconds
    /// @return the token, at most kTokenBytesMax; empty for a longer position than
    ///     kPositionTextMax, or with other characters than an engine's
    std::string sign(const Position& seen, std::uint64_t now_s) const;
    /// Verifies a token, comparing in constant time. It never throws.
    /// @param text the token
    /// @param now_s Unix seconds
    /// @return its state, and what was seen if it is genuine
    Token read(std::string_view text, std::uint64_t now_s) const;

    /// The options of the constructor.
    /// @return they never change
    const TokenOptions& options() const { return options_; }

  private:
    class Key;
    std::vector<std::unique_ptr<Key>> keys_;
    TokenOptions options_;
};

/// Whether a replica has all that the token's session has seen. different_timeline may become
/// covered as the replica moves on; publisher/replay/RULES.md has the table. Any thread.
/// @param token of TokenSigner::read()
/// @param replica its position
/// @return not_asked if the token does not count: not genuine, of another engine, or expired and of
///     another history
Coverage coverage_of(const Token& token, const ReplicaPosition& replica);

}  // namespace homeward::replay
