#pragma once

// Read your own writes on a replica: the one object that an adapter asks before a handler runs,
// and after a write.

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

struct ReadGateOptions {
    ReadMode mode = ReadMode::session;  ///< of requests that do not say otherwise
    /// How long a session's read waits for the replica before it is replayed. More than a replay
    /// takes (a round trip to the primary region) is never worth it.
    std::uint32_t wait_max_ms = 100;
    CookieOptions cookie;
};

/// What a request brings of its session. Borrowed for the call.
struct SessionText {
    std::string_view cookies;  ///< the value of Cookie; several joined by "; ", as HTTP/2 has them
    std::string_view seen_header;  ///< the value of kSeenHeader (gate.hpp): one token, or ""
};

/// What the gate found out about one request.
struct ReadAnswer {
    Coverage coverage = Coverage::not_asked;   ///< goes into Situation::coverage
    TokenState token = TokenState::malformed;  ///< of the best cookie; malformed: there was none
    bool has_waited = false;
    ServerRole server_role = ServerRole::unknown;  ///< as the poller knows it; never asked for
};

/// Any thread.
class ReadGate {
  public:
    /// `poller` of the replica that this process reads from; nullptr in the primary region, where
    /// every read is up to date. It must outlive the gate.
    ReadGate(TokenSigner signer, ReplicaPoller* poller, ReadGateOptions options = {});

    /// Before a handler runs, for a read as for a write; may wait up to wait_max_ms.
    ReadAnswer ask(const SessionText& session) const { return ask(session, options_.mode); }
    ReadAnswer ask(const SessionText& session, ReadMode mode) const;
    ReadAnswer ask(std::string_view cookies) const { return ask(SessionText{cookies, {}}); }
    ReadAnswer ask(std::string_view cookies, ReadMode mode) const {
        return ask(SessionText{cookies, {}}, mode);
    }
    /// The same, but never waits: for servers that have no thread to spare.
    ReadAnswer ask_now(const SessionText& session, ReadMode mode) const;
    ReadAnswer ask_now(std::string_view cookies, ReadMode mode) const {
        return ask_now(SessionText{cookies, {}}, mode);
    }

    /// Value of Set-Cookie for a response whose handler committed `seen`; committed_position() of
    /// libpq.hpp and libpqxx.hpp gives it.
    std::string set_cookie(const Position& seen) const { return cookie_of(token(seen)); }
    /// The token alone, for kSeenHeader, and the Set-Cookie of one.
    std::string token(const Position& seen) const;
    std::string cookie_of(std::string_view token) const;

    const ReadGateOptions& options() const { return options_; }

  private:
    ReadAnswer answer(const SessionText& session, ReadMode mode,
                      std::chrono::milliseconds wait_max) const;
    Token best_token(const SessionText& session) const;

    TokenSigner signer_;
    ReplicaPoller* poller_;
    ReadGateOptions options_;
};

}  // namespace homeward::replay
