#pragma once

// One request's way through the replay helper, whatever the HTTP library. An adapter hands over
// what it was asked, runs its handler inside, and sends what it is told.

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <homeward/replay/answer.hpp>
#include <homeward/replay/counters.hpp>
#include <homeward/replay/read_gate.hpp>

namespace homeward::replay {

/// A request as the helper sees it. Views are borrowed for the call.
struct RequestView {
    std::string_view method;
    std::string_view target;     ///< path and query; the query is never logged
    std::size_t body_bytes = 0;  ///< as far as it was read; Content-Length counts too
    /// The value of a header, its name in lower case; "" when it is not there.
    std::function<std::string(std::string_view name)> header;
    /// How stale it may be, where its route says other than ReadGateOptions::mode.
    std::optional<ReadMode> mode{};
};

/// What is known of the database before the handler runs.
struct Sight {
    Coverage coverage = Coverage::not_asked;
    ServerRole server_role = ServerRole::unknown;
    bool has_waited = false;  ///< for the replica, which has it now
};

/// What a handler can tell, beside the answer that it makes.
struct Visit {
    Cause cause = Cause::none;                     ///< of an error that it met and did not throw
    ServerRole server_role = ServerRole::unknown;  ///< of the server that it used
    std::string set_cookie;                        ///< for the answer, should it go out
    std::string seen_token;                        ///< the same for clients without cookies
    /// Something is committed: whatever error comes now, nobody is told to send it again.
    bool has_committed = false;
};

/// The end of what one request has begun: true when its answer goes out, false when everything of
/// it is thrown away.
using Settle = std::function<void(bool is_answered)>;

/// Empty functions are not called.
struct GateOptions {
    Policy policy{};
    AnswerOptions answer{};
    /// Paths that the helper leaves to the app, as they are: '*' stands for anything, as in
    /// "/cable" and "/assets/*". A path with "..", "//" or '%' is never one of them.
    std::vector<std::string> passthrough{};
    /// What an exception of the handler means: cause_of() of libpqxx.hpp; Cause::none for what is
    /// none of the database's.
    std::function<Cause(const std::exception& error)> cause_of{};
    /// Asked before the handler runs, after the body was read; may wait.
    std::function<Sight(const RequestView& request)> look{};
    /// Asked after Cause::read_only and Cause::conflict, on the handler's thread, when the handler
    /// has not told: the role of the server that it used, or unknown. Tells a standby from a full
    /// disk, and from two writers in each other's way.
    std::function<ServerRole()> ask_role{};
    /// Called before the handler; what it returns is called once, before the answer is sent.
    std::function<Settle()> on_begin{};
    /// Told of every replay and refusal, with a line for the log.
    std::function<void(const Decision& decision, std::string_view line)> on_decision{};
};

/// The token's header, for clients that keep no cookies: they send back the last that they got.
inline constexpr const char* kSeenHeader = "homeward-seen";

/// GateOptions::look for sessions that read their own writes. `reads` must outlive the gate.
std::function<Sight(const RequestView&)> look_with(const ReadGate& reads);
/// What the session has seen now, into the answer's cookie and header.
void remember(const ReadGate& reads, const Position& seen, Visit& visit);

/// What an adapter sends.
struct Outcome {
    std::optional<Answer> instead;  ///< this, and nothing of what the handler has made
    /// Else the handler's answer with these added to its headers: Set-Cookie, kSeenHeader.
    std::vector<std::pair<std::string, std::string>> headers;
};

/// Any thread; its functions are called from many at once, and must outlive it.
class Gate {
  public:
    Gate(Regions regions, GateOptions options)
        : regions_(std::move(regions)), options_(std::move(options)) {}

    /// Before the body is read: an answer for a body that is too large or of unknown length and
    /// for a WebSocket. The connection is to be closed after it, since nobody reads the body.
    std::optional<Answer> refuse_unread(const RequestView& request) const;

    /// Runs `handler`, or not. What it throws comes out unless it stands for a replay or refusal.
    Outcome run(const RequestView& request, const std::function<void(Visit&)>& handler) const;

    const Regions& regions() const { return regions_; }
    const Counters& counters() const { return counters_; }

  private:
    Answer tell(const Decision& decision, const RequestView& request) const;
    Decision look_and_decide(Situation& situation, const RequestView& request) const;
    bool is_passthrough(std::string_view target) const;
    Outcome pass_through(const std::function<void(Visit&)>& handler) const;

    Regions regions_;
    GateOptions options_;
    mutable Counters counters_;
};

}  // namespace homeward::replay
