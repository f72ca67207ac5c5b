// Tokens of the replay helper: no text is a token but the one that was signed, whatever was done to
// it; and nothing that a browser or a server can send makes their readers leave their bounds.

#include <homeward/replay/cookie.hpp>
#include <homeward/replay/engine_position.hpp>
#include <homeward/replay/token.hpp>

#include <string>

#include "tests/fuzz/bytes.hpp"

using namespace homeward::replay;
using homeward::fuzz::Bytes;
using homeward::fuzz::require;

namespace {

const TokenSigner& signer() {
    static const TokenSigner signer({{"k1", std::string(32, 'a')}, {"k2", std::string(32, 'b')}});
    return signer;
}

Position take_position(Bytes& input) {
    return {input.take<std::uint64_t>(), input.take<std::uint32_t>(), input.take<std::uint64_t>()};
}

/// Cut, lengthened, or with bits flipped, as the input says.
std::string changed(std::string text, Bytes& input) {
    const std::size_t at = input.take<std::uint8_t>() % text.size();
    switch (input.take<std::uint8_t>() % 4) {
        case 0:
            text.resize(at);
            break;
        case 1:
            text.insert(at, input.take_text(4));
            break;
        case 2:
            text.erase(at, 1 + input.take<std::uint8_t>() % 8);
            break;
        default:
            homeward::fuzz::damage(std::as_writable_bytes(std::span(text)), input);
    }
    return text;
}

void check_token(Bytes& input) {
    const std::uint64_t now_s = input.take<std::uint32_t>();
    const Position seen = take_position(input);
    const ReplicaPosition replica{take_position(input), ServerRole::standby};
    const std::string signed_text = signer().sign(seen, now_s);
    const std::string text = changed(signed_text, input);
    const Token token = signer().read(text, now_s + input.take<std::uint16_t>());
    require(token.is_genuine() == (text == signed_text));
    require(!token.is_genuine() || token.seen == seen);
    const Coverage coverage = coverage_of(token, replica);
    require(token.is_genuine() || coverage == Coverage::not_asked);
    require(coverage != Coverage::covered ||
            (replica.at.system_id == seen.system_id && replica.at.timeline == seen.timeline &&
             replica.at.lsn >= seen.lsn));
}

void check_text(std::string_view text) {
    require(!signer().read(text, 1'764'091'234).is_genuine());
    int cookies = 0;
    each_cookie(text, "seen", [&](std::string_view value) {
        require(value.data() >= text.data() &&
                value.data() + value.size() <= text.data() + text.size());
        ++cookies;
    });
    require(cookies <= kCookiesMax);
    const ParsedKeys keys = keys_from_text(text);
    require((keys.error == KeyError::none) == !keys.keys.empty());
    if (keys.error == KeyError::none) TokenSigner{keys.keys};
    if (const auto lsn = parse_lsn(text)) require(parse_lsn(lsn_text(*lsn)) == lsn);
}

void check_rows(Bytes& input) {
    CommittedRow committed;
    for (std::string_view& column : committed)
        column = input.take_text(input.take<std::uint8_t>() % 32);
    if (const auto position = parse_committed(committed)) {
        require(position->lsn <= *parse_lsn(committed[2]));
    }
    ReplicaRow replica;
    for (std::string_view& column : replica)
        column = input.take_text(input.take<std::uint8_t>() % 32);
    if (const auto position = parse_replica(replica))
        require(position->at.lsn == *parse_lsn(replica[3]));
}

/// Whatever another engine's server answers: what is a position of it is signed or refused whole,
/// and reached by itself.
void check_engine(Bytes& input) {
    GtidRow row;
    row[0] = input.take<std::uint8_t>() % 2 == 0 ? "0" : "1";
    row[1] = input.take_text(input.take<std::uint8_t>());
    row[2] = input.take_text(input.take<std::uint8_t>() % 64);
    const std::string_view info = input.take_text(input.size());
    for (const auto& seen :
         {parse_mariadb_committed(row), parse_mysql_committed(row), parse_redis_committed(info)}) {
        if (!seen) continue;
        const Token token = signer().read(signer().sign(*seen, 1), 1);
        require(token.is_genuine() && token.seen == *seen);
        require(reach_of(*seen, *seen) == Reach::reached);
    }
    for (const auto& replica :
         {parse_mariadb_replica(row), parse_mysql_replica(row), parse_redis_replica(info)}) {
        if (replica) require(reach_of(replica->at, replica->at) != Reach::before);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bytes input(data, size);
    switch (input.take<std::uint8_t>() % 4) {
        case 0:
            check_token(input);
            break;
        case 1:
            check_text(input.take_text(input.size()));
            break;
        case 2:
            check_rows(input);
            break;
        default:
            check_engine(input);
    }
    return 0;
}
