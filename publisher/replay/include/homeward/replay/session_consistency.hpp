#pragma once

/// @file
/// Read-your-own-writes on a replica: an adapter calls it before a handler runs and after a write.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <homeward/replay/cookie.hpp>
#include <homeward/replay/replica_poller.hpp>

namespace homeward::replay {

/// How stale a read may be.
enum class ReadMode : std::uint8_t {
    eventual,  ///< whatever the replica has
    session,   ///< never older than what this session wrote; waits a little, else replays
    strong,    ///< served by the primary
};

/// How reads are served.
struct SessionConsistencyOptions {
    ReadMode mode = ReadMode::session;  ///< of requests that do not say otherwise
    /// How long a session's read waits for the replica before it is replayed, in milliseconds. More
    /// than a round trip to the primary region is never worth it.
    std::uint32_t wait_max_ms = 100;
    CookieOptions cookie;  ///< the cookie that carries the token
};

/// What a request brings of its session. Borrowed for the call.
struct SessionText {
    std::string_view cookies;  ///< the value of Cookie; several joined by "; ", as HTTP/2 has them
    std::string_view seen_header;  ///< the value of kSeenHeader (reads.hpp): one token, or ""
};

/// What SessionConsistency found out about one request.
struct ReadAnswer {
    Coverage coverage = Coverage::not_asked;  ///< goes into Situation::coverage
    /// Of the best cookie; malformed: there was none; other_engine: there was none of this engine.
    TokenState token = TokenState::malformed;
    bool has_waited = false;                       ///< for the replica, which has it now
    ServerRole server_role = ServerRole::unknown;  ///< as the poller knows it, without a query
};

/// Compares a session's token with the replica, and signs new tokens. Any thread.
class SessionConsistency {
  public:
    /// @param signer with the keys of all regions
    /// @param poller of the replica that this process reads from, which must outlive the reads;
    /// nullptr
    ///     in the primary region, where every read is up to date
    /// @param options mode, wait and cookie
    SessionConsistency(TokenSigner signer, ReplicaPoller* poller,
                       SessionConsistencyOptions options = {});

    /// Compares before a handler runs, for reads and writes. It may wait up to wait_max_ms.
    /// @param session cookies and header of the request
    /// @return whether the replica has what the session has seen
    ReadAnswer ask(const SessionText& session) const { return ask(session, options_.mode); }
    /// The same with another mode.
    /// @param session cookies and header of the request
    /// @param mode how stale the read may be
    /// @return whether the replica has what the session has seen
    ReadAnswer ask(const SessionText& session, ReadMode mode) const;
    /// The same with cookies alone.
    /// @param cookies the value of Cookie
    /// @return whether the replica has what the session has seen
    ReadAnswer ask(std::string_view cookies) const { return ask(SessionText{cookies, {}}); }
    /// The same with cookies alone and another mode.
    /// @param cookies the value of Cookie
    /// @param mode how stale the read may be
    /// @return whether the replica has what the session has seen
    ReadAnswer ask(std::string_view cookies, ReadMode mode) const {
        return ask(SessionText{cookies, {}}, mode);
    }
    /// Like ask(), but never waits: for asynchronous servers.
    /// @param session cookies and header of the request
    /// @param mode how stale the read may be
    /// @return whether the replica has what the session has seen, as far as it is known now
    ReadAnswer ask_now(const SessionText& session, ReadMode mode) const;
    /// The same with cookies alone.
    /// @param cookies the value of Cookie
    /// @param mode how stale the read may be
    /// @return whether the replica has what the session has seen, as far as it is known now
    ReadAnswer ask_now(std::string_view cookies, ReadMode mode) const {
        return ask_now(SessionText{cookies, {}}, mode);
    }

    /// Makes the Set-Cookie of a response whose handler has committed.
    /// @param seen of committed_position() in libpq.hpp and libpqxx.hpp
    /// @return the header's value
    std::string set_cookie(const Position& seen) const { return cookie_of(token(seen)); }
    /// Signs a token for kSeenHeader.
    /// @param seen of committed_position()
    /// @return the token
    std::string token(const Position& seen) const;
    /// Makes the Set-Cookie of a token.
    /// @param token of token()
    /// @return the header's value
    std::string cookie_of(std::string_view token) const;

    /// The options of the constructor.
    /// @return they never change
    const SessionConsistencyOptions& options() const { return options_; }

  private:
    ReadAnswer answer(const SessionText& session, ReadMode mode,
                      std::chrono::milliseconds wait_max) const;
    Token best_token(const SessionText& session, Engine engine) const;

    TokenSigner signer_;
    ReplicaPoller* poller_;
    SessionConsistencyOptions options_;
};

/// The name of SessionConsistency in version 0.1; it goes with 1.0.
using ReadGate [[deprecated("use SessionConsistency")]] = SessionConsistency;
/// The name of SessionConsistencyOptions in version 0.1; it goes with 1.0.
using ReadGateOptions [[deprecated("use SessionConsistencyOptions")]] = SessionConsistencyOptions;

}  // namespace homeward::replay
