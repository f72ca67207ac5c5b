// Tokens, and what a bad one can do: nothing.

#include <homeward/replay/engine_position.hpp>
#include <homeward/replay/token.hpp>

#include <set>

#include "tests/support/catch.hpp"

using namespace homeward::replay;

namespace {

constexpr std::uint64_t kNow = 1'764'091'234;
constexpr std::uint64_t kHour = 3600;
const TokenKey kFirst{"k1", std::string(32, 'a')};
const TokenKey kSecond{"k2", std::string(32, 'b')};
const Position kSeen{7301234567890123456, 3, 0x16'B374'D848};
const ReplicaPosition kSame{kSeen, ServerRole::standby};

ReplicaPosition replica_at(std::uint64_t system_id, std::uint32_t timeline, Lsn lsn) {
    return {{system_id, timeline, lsn}, ServerRole::standby};
}

TokenSigner signer() {
    return TokenSigner({kFirst});
}

}  // namespace

TEST_CASE("a token says what it was signed for") {
    const TokenSigner tokens = signer();
    const std::string text = tokens.sign(kSeen, kNow);
    const Token token = tokens.read(text, kNow);
    CHECK(token.state == TokenState::fresh);
    CHECK(token.seen == kSeen);
    CHECK(token.expires_s == kNow + 300);
    CHECK(text.substr(0, 61) == "v2.k1.postgresql.7301234567890123456.3.16b374d848.1764091534.");
}

TEST_CASE("a token of version 1 counts until it expires") {
    // As version 0.1.0 signed it.
    const std::string text =
        "v1.k1.7301234567890123456.3.16b374d848.1764091534."
        "1f1b2175fb6b157c4832023315563123b50a0e8ea8bfe56c8ff3011fd713785e";
    const TokenSigner tokens = signer();
    CHECK(tokens.read(text, kNow).state == TokenState::fresh);
    CHECK(tokens.read(text, kNow).seen == kSeen);
    CHECK(coverage_of(tokens.read(text, kNow), kSame) == Coverage::covered);
    CHECK(tokens.read(text, kNow + kHour).state == TokenState::expired);
    CHECK(tokens.read(text, kNow + 25 * kHour).state == TokenState::forgotten);
    // Its bytes under the other version are somebody else's writing.
    CHECK(tokens.read("v2" + text.substr(2), kNow).state == TokenState::forged);
    CHECK(tokens.read("v3" + text.substr(2), kNow).state == TokenState::malformed);
}

TEST_CASE("a token of another engine says what it was signed for") {
    const TokenSigner tokens = signer();
    struct Row {
        Engine engine;
        const char* text;
        const char* begin;
    };
    const Row rows[] = {
        {Engine::mariadb, "0-1-100,7-2-5", "v2.k1.mariadb.0-1-100_7-2-5.1764091534."},
        {Engine::mysql, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7",
         "v2.k1.mysql.3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7.1764091534."},
        {Engine::mongodb, "1764091234-5", "v2.k1.mongodb.1764091234-5.1764091534."},
        {Engine::redis, "8371b4fb1155b71f4a04d3e1bc3e18c4a990aeeb:1042",
         "v2.k1.redis.8371b4fb1155b71f4a04d3e1bc3e18c4a990aeeb:1042.1764091534."},
    };
    for (const Row& row : rows) {
        INFO(row.text);
        Position seen;
        seen.engine = row.engine;
        seen.text = row.text;
        const std::string text = tokens.sign(seen, kNow);
        CHECK(text.find(row.begin) == 0);
        const Token token = tokens.read(text, kNow);
        CHECK(token.state == TokenState::fresh);
        CHECK(token.seen == seen);
        CHECK(coverage_of(token, {seen, ServerRole::standby}) == Coverage::covered);
        // A replica of PostgreSQL has no such position, however far it is.
        CHECK(coverage_of(token, replica_at(1, 1, ~Lsn{0})) == Coverage::not_asked);
        CHECK(coverage_of(tokens.read(tokens.sign(kSeen, kNow), kNow),
                          {seen, ServerRole::standby}) == Coverage::not_asked);
    }
}

TEST_CASE("a position that no cookie could hold is not signed") {
    const TokenSigner tokens = signer();
    Position seen;
    seen.engine = Engine::mariadb;
    seen.text = std::string(kPositionTextMax, '7');
    CHECK(tokens.sign(seen, ~std::uint64_t{0} / 2).size() <= kTokenBytesMax);
    const std::string longest_id(16, 'k');
    CHECK(TokenSigner({{longest_id, kFirst.secret}}).sign(seen, ~std::uint64_t{0} / 2).size() <=
          kTokenBytesMax);
    for (const std::string& text :
         {std::string(kPositionTextMax + 1, '7'), std::string(), std::string("0-1-1;x"),
          std::string("0-1-1 x"), std::string("0.1"), std::string("0_1")}) {
        seen.text = text;
        CHECK(tokens.sign(seen, kNow).empty());
    }
}

TEST_CASE("the largest numbers fit") {
    const TokenSigner tokens({{std::string(16, 'k'), std::string(64, 'x')}});
    const Position seen{~std::uint64_t{0}, ~std::uint32_t{0}, ~Lsn{0}};
    CHECK(tokens.read(tokens.sign(seen, kNow), kNow).seen == seen);
    CHECK(tokens.sign(seen, ~std::uint64_t{0} / 2).size() <= kTokenBytesMax);
}

TEST_CASE("a token with any bit flipped is no token") {
    const TokenSigner tokens = signer();
    const std::string good = tokens.sign(kSeen, kNow);
    for (std::size_t at = 0; at < good.size(); ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            std::string bad = good;
            bad[at] = static_cast<char>(bad[at] ^ 1 << bit);
            const Token token = tokens.read(bad, kNow);
            INFO(bad);
            CHECK_FALSE(token.is_genuine());
            CHECK(coverage_of(token, replica_at(1, 1, 0)) == Coverage::not_asked);
        }
    }
}

TEST_CASE("a token cut at any length, or with more behind it, is no token") {
    const TokenSigner tokens = signer();
    const std::string good = tokens.sign(kSeen, kNow);
    for (std::size_t size = 0; size < good.size(); ++size) {
        CHECK_FALSE(tokens.read(good.substr(0, size), kNow).is_genuine());
        CHECK_FALSE(tokens.read(good.substr(size + 1), kNow).is_genuine());
    }
    CHECK_FALSE(tokens.read(good + "0", kNow).is_genuine());
    CHECK_FALSE(tokens.read(good + std::string(1000, '0'), kNow).is_genuine());
    CHECK_FALSE(tokens.read(std::string(1'000'000, '.'), kNow).is_genuine());
}

TEST_CASE("a field of one token cannot become a field of another") {
    // The dots are signed as well: "1" and "23" are not "12" and "3".
    const TokenSigner tokens = signer();
    std::string text = tokens.sign({1, 23, 0x45}, kNow);
    const std::size_t at = text.find("1.23.");
    text.replace(at, 5, "12.3.");
    CHECK(tokens.read(text, kNow).state == TokenState::forged);
}

TEST_CASE("a token of another key is no token") {
    const TokenSigner ours = signer();
    CHECK(ours.read(TokenSigner({kSecond}).sign(kSeen, kNow), kNow).state ==
          TokenState::unknown_key);
    // The same id over another secret.
    CHECK(ours.read(TokenSigner({{"k1", kSecond.secret}}).sign(kSeen, kNow), kNow).state ==
          TokenState::forged);
}

TEST_CASE("keys rotate without a token being lost") {
    const TokenSigner before({kFirst, kSecond});
    const TokenSigner after({kSecond, kFirst});
    const TokenSigner at_last({kSecond});
    const std::string old_token = before.sign(kSeen, kNow);
    const std::string new_token = after.sign(kSeen, kNow);
    CHECK(new_token.find("v2.k2.") == 0);
    CHECK(after.read(old_token, kNow).state == TokenState::fresh);
    CHECK(before.read(new_token, kNow).state == TokenState::fresh);
    CHECK(at_last.read(new_token, kNow).state == TokenState::fresh);
    CHECK(at_last.read(old_token, kNow).state == TokenState::unknown_key);
}

TEST_CASE("a token goes from fresh to expired to forgotten") {
    const TokenSigner tokens = signer();
    const std::string text = tokens.sign(kSeen, kNow);
    const std::uint64_t expires = kNow + 300;
    CHECK(tokens.read(text, expires + 60).state == TokenState::fresh);
    CHECK(tokens.read(text, expires + 61).state == TokenState::expired);
    CHECK(tokens.read(text, expires + 86'400).state == TokenState::expired);
    CHECK(tokens.read(text, expires + 86'401).state == TokenState::forgotten);
    CHECK(coverage_of(tokens.read(text, expires + 86'401), replica_at(1, 1, 0)) ==
          Coverage::not_asked);
}

TEST_CASE("a signer whose clock is an hour off makes no read stale") {
    const TokenSigner tokens = signer();
    for (const std::uint64_t signed_at : {kNow - kHour, kNow, kNow + kHour}) {
        const Token token = tokens.read(tokens.sign(kSeen, signed_at), kNow);
        CHECK(coverage_of(token, replica_at(kSeen.system_id, 3, kSeen.lsn - 1)) ==
              Coverage::behind);
        CHECK(coverage_of(token, replica_at(kSeen.system_id, 2, kSeen.lsn + 1)) ==
              Coverage::different_timeline);
        CHECK(coverage_of(token, kSame) == Coverage::covered);
    }
}

TEST_CASE("no expiry, however far in the future, holds a client on the primary") {
    const TokenSigner tokens = signer();
    for (const std::uint64_t signed_at : {kNow + kHour, kNow + 1'000'000'000}) {
        const Token token = tokens.read(tokens.sign(kSeen, signed_at), kNow);
        CHECK(token.state == TokenState::expired);
        CHECK(coverage_of(token, replica_at(kSeen.system_id + 1, 3, 0)) == Coverage::not_asked);
        CHECK(coverage_of(token, replica_at(kSeen.system_id, 4, 0)) == Coverage::not_asked);
    }
}

TEST_CASE("the table of what a token asks of a replica") {
    const TokenSigner tokens = signer();
    const std::string text = tokens.sign(kSeen, kNow);
    struct Row {
        ReplicaPosition replica;
        Coverage fresh;
        Coverage expired;
    };
    const std::uint64_t system = kSeen.system_id;
    const Row rows[] = {
        {replica_at(system, 3, kSeen.lsn), Coverage::covered, Coverage::covered},
        {replica_at(system, 3, kSeen.lsn + 1), Coverage::covered, Coverage::covered},
        {replica_at(system, 3, kSeen.lsn - 1), Coverage::behind, Coverage::behind},
        {replica_at(system, 2, kSeen.lsn + 1), Coverage::different_timeline,
         Coverage::different_timeline},
        {replica_at(system, 4, kSeen.lsn + 1), Coverage::different_timeline, Coverage::not_asked},
        {replica_at(system + 1, 3, kSeen.lsn + 1), Coverage::different_timeline,
         Coverage::not_asked},
    };
    for (const Row& row : rows) {
        INFO(row.replica.at.timeline << " " << row.replica.at.lsn);
        CHECK(coverage_of(tokens.read(text, kNow), row.replica) == row.fresh);
        CHECK(coverage_of(tokens.read(text, kNow + kHour), row.replica) == row.expired);
    }
}

TEST_CASE("keys that are no good are refused with a reason") {
    const auto error_of = [](const std::vector<TokenKey>& keys) -> std::string {
        try {
            const TokenSigner tokens(keys);
            return "";
        } catch (const std::invalid_argument& error) {
            return error.what();
        }
    };
    CHECK(error_of({kFirst, kSecond}).empty());
    std::set<std::string> reasons{error_of({}), error_of({kFirst, kFirst}),
                                  error_of({{"", kFirst.secret}}),
                                  error_of({{"k", std::string(31, 's')}})};
    CHECK(reasons.size() == 4);
    CHECK(reasons.count("") == 0);
    for (const char* id : {"a.b", "a b", "a:b", "12345678901234567", "\xc3\xa9"}) {
        CHECK(error_of({{id, kFirst.secret}}) == explain(KeyError::bad_id));
    }
    for (const std::string& reason : reasons) CHECK(reason.find("ssss") == std::string::npos);
}

TEST_CASE("keys are read from one line") {
    const std::string hex(64, '7');
    const ParsedKeys parsed = keys_from_text("k2:" + hex + ",k1:" + std::string(64, '0'));
    CHECK(parsed.error == KeyError::none);
    REQUIRE(parsed.keys.size() == 2);
    CHECK(parsed.keys[0].id == "k2");
    CHECK(parsed.keys[0].secret == std::string(32, 'w'));
    CHECK(keys_from_text("").error == KeyError::no_key);
    for (const std::string& bad :
         {"k1:" + hex + "g", "k1:" + hex + "7", std::string("k1"), ":" + hex,
          "k1:" + std::string(64, 'A'), "k1:" + hex + ",k1:" + hex, std::string("k1:77")}) {
        INFO(bad);
        CHECK(keys_from_text(bad).error != KeyError::none);
        CHECK(keys_from_text(bad).keys.empty());
    }
}
