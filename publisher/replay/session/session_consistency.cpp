#include <homeward/replay/engine_position.hpp>
#include <homeward/replay/session_consistency.hpp>

#include <ctime>
#include <utility>

namespace homeward::replay {
namespace {

std::uint64_t unix_now_s() {
    return static_cast<std::uint64_t>(std::time(nullptr));
}

/// Of several cookies the one that asks for most; a token of a newer timeline asks for more than
/// any of an older one. Genuine ones are of the same engine.
bool asks_for_more(const Token& one, const Token& other) {
    if (one.is_genuine() != other.is_genuine()) return one.is_genuine();
    if (one.is_genuine() && one.seen.engine != Engine::postgresql) {
        return reach_of(other.seen, one.seen) != Reach::reached;
    }
    return std::pair(one.seen.timeline, one.seen.lsn) >
           std::pair(other.seen.timeline, other.seen.lsn);
}

}  // namespace

SessionConsistency::SessionConsistency(TokenSigner signer, ReplicaPoller* poller,
                                       SessionConsistencyOptions options)
    : signer_(std::move(signer)), poller_(poller), options_(std::move(options)) {}

ReadAnswer SessionConsistency::ask(const SessionText& session, ReadMode mode) const {
    return answer(session, mode, std::chrono::milliseconds(options_.wait_max_ms));
}

ReadAnswer SessionConsistency::ask_now(const SessionText& session, ReadMode mode) const {
    return answer(session, mode, std::chrono::milliseconds(0));
}

ReadAnswer SessionConsistency::answer(const SessionText& session, ReadMode mode,
                                      std::chrono::milliseconds wait_max) const {
    ReadAnswer answer;
    if (poller_ != nullptr) answer.server_role = poller_->role_now();
    if (mode == ReadMode::strong) {
        answer.coverage = Coverage::primary_only;
        return answer;
    }
    if (mode == ReadMode::eventual || poller_ == nullptr) return answer;
    const Token token = best_token(session, poller_->engine());
    answer.token = token.state;
    if (!token.is_genuine()) return answer;
    answer.coverage = poller_->coverage_now(token);
    if (answer.coverage == Coverage::covered || answer.coverage == Coverage::not_asked) {
        return answer;
    }
    const ReplicaPoller::Outcome outcome = poller_->wait_for(token, wait_max);
    answer.coverage = outcome.coverage;
    answer.has_waited = outcome.has_waited;
    answer.server_role = poller_->role_now();
    return answer;
}

Token SessionConsistency::best_token(const SessionText& session, Engine engine) const {
    Token best;
    const auto take = [&](std::string_view value) {
        Token token = signer_.read(value, unix_now_s());
        // Of MySQL and MariaDB the server's answer decides: a URL may name either.
        if (token.is_genuine() && !shares_client(token.seen.engine, engine)) {
            token.state = TokenState::other_engine;
        }
        const bool is_first = best.state == TokenState::malformed;
        if (is_first || asks_for_more(token, best)) best = token;
    };
    each_cookie(session.cookies, options_.cookie.name, take);
    if (!session.seen_header.empty()) take(session.seen_header);
    return best;
}

std::string SessionConsistency::token(const Position& seen) const {
    return signer_.sign(seen, unix_now_s());
}

std::string SessionConsistency::cookie_of(std::string_view token) const {
    return set_cookie_value(options_.cookie, token);
}

}  // namespace homeward::replay
