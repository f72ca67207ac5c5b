#pragma once

/// @file
/// Handles one request for any HTTP library. An adapter passes the request, runs its handler
/// inside, and sends the result.

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <homeward/replay/answer.hpp>
#include <homeward/replay/counters.hpp>
#include <homeward/replay/session_consistency.hpp>

namespace homeward::replay {

/// A request as the helper sees it. Views are borrowed for the call.
struct RequestView {
    std::string_view method;     ///< "GET"
    std::string_view target;     ///< path and query; the query is never logged
    std::size_t body_bytes = 0;  ///< as far as it was read; Content-Length counts too
    /// The value of a header, its name in lower case; "" when it is not there.
    std::function<std::string(std::string_view name)> header;
    /// How stale it may be, where its route says other than SessionConsistencyOptions::mode.
    std::optional<ReadMode> mode{};
};

/// What is known of the database before the handler runs.
struct ReplicaStatus {
    Coverage coverage = Coverage::not_asked;       ///< the session's token against the replica
    ServerRole server_role = ServerRole::unknown;  ///< of the server that the app reads from
    bool has_waited = false;                       ///< for the replica, which has it now
};

/// What a handler can tell, beside the answer that it makes.
struct HandlerResult {
    Cause cause = Cause::none;                     ///< of an error that it met and did not throw
    ServerRole server_role = ServerRole::unknown;  ///< of the server that it used
    std::string set_cookie;                        ///< for the answer, should it go out
    std::string seen_token;                        ///< the same for clients without cookies
    /// Something is committed: whatever error comes now, nobody is told to send it again.
    bool has_committed = false;
};

/// The end of what one request has begun: true when its answer goes out, false when everything of
/// it is thrown away.
using Completion = std::function<void(bool is_answered)>;

/// Empty functions are not called.
struct RequestHandlerOptions {
    Policy policy{};         ///< how eagerly to replay
    AnswerOptions answer{};  ///< how a replay is asked for
    /// Paths that the helper leaves to the app, as they are: '*' stands for anything, as in
    /// "/cable" and "/assets/*". A path with "..", "//" or '%' is never one of them.
    std::vector<std::string> passthrough{};
    /// What an exception of the handler means: cause_of() of libpqxx.hpp; Cause::none for what is
    /// none of the database's.
    std::function<Cause(const std::exception& error)> cause_of{};
    /// Asked before the handler runs, after the body was read; may wait.
    std::function<ReplicaStatus(const RequestView& request)> look{};
    /// Asked after Cause::read_only and Cause::conflict, on the handler's thread, when the handler
    /// has not told: the role of the server that it used, or unknown. Tells a standby from a full
    /// disk, from the app's own READ ONLY transaction, and from two writers in each other's way.
    /// Helper and App have one by default: HelperOptions::position_source.
    std::function<ServerRole()> ask_role{};
    /// Called before the handler; what it returns is called once, before the answer is sent.
    std::function<Completion()> on_begin{};
    /// Told of every replay and refusal, with a line for the log.
    std::function<void(const Decision& decision, std::string_view line)> on_decision{};
};

/// The token's header, for clients that keep no cookies: they send back the last that they got.
inline constexpr const char* kSeenHeader = "homeward-seen";

/// Makes RequestHandlerOptions::look for sessions that read their own writes. Any thread.
/// @param reads it must outlive the request handler
/// @return the function
std::function<ReplicaStatus(const RequestView&)> look_with(const SessionConsistency& reads);
/// Puts what the session has now seen into the answer's cookie and header. Any thread.
/// @param reads signs the token
/// @param seen of committed_position()
/// @param result of the handler that committed
void remember(const SessionConsistency& reads, const Position& seen, HandlerResult& result);

/// What an adapter sends.
struct Outcome {
    std::optional<Answer> instead;  ///< this, and nothing of what the handler has made
    /// Else the handler's answer with these added to its headers: Set-Cookie, kSeenHeader.
    std::vector<std::pair<std::string, std::string>> headers;
};

/// Handles requests by the rules of decide(). Any thread may call it; the functions of
/// RequestHandlerOptions are called from many threads at once, and what they refer to must outlive
/// the request handler.
class RequestHandler {
  public:
    /// @param regions where this process runs
    /// @param options policy and the app's functions
    RequestHandler(Regions regions, RequestHandlerOptions options)
        : regions_(std::move(regions)), options_(std::move(options)) {}

    /// Decides before the body is read: refuses a body that is too large or of unknown length, and
    /// a WebSocket.
    /// @param request of which only the header was read
    /// @return the answer; close the connection after it, since nobody reads the body. Nothing: go
    /// on
    std::optional<Answer> refuse_unread(const RequestView& request) const;

    /// Runs a handler, unless the request is replayed or refused before. It may wait for the
    /// replica, and as long as the handler does.
    /// @param request the request, its body read
    /// @param handler called at most once, on this thread
    /// @return what to send
    /// @throws what the handler throws, unless RequestHandlerOptions::cause_of makes a replay or
    /// refusal of it
    Outcome run(const RequestView& request,
                const std::function<void(HandlerResult&)>& handler) const;

    /// Where this process runs.
    /// @return the constructor's argument
    const Regions& regions() const { return regions_; }
    /// What this request handler has decided so far.
    /// @return they change while requests are handled
    const Counters& counters() const { return counters_; }

  private:
    Answer tell(const Decision& decision, const RequestView& request) const;
    Decision look_and_decide(Situation& situation, const RequestView& request) const;
    bool is_passthrough(std::string_view target) const;
    Outcome pass_through(const std::function<void(HandlerResult&)>& handler) const;

    Regions regions_;
    RequestHandlerOptions options_;
    mutable Counters counters_;
};

/// The name of RequestHandler in version 0.1; it goes with 1.0.
using Gate [[deprecated("use RequestHandler")]] = RequestHandler;
/// The name of RequestHandlerOptions in version 0.1; it goes with 1.0.
using GateOptions [[deprecated("use RequestHandlerOptions")]] = RequestHandlerOptions;
/// The name of ReplicaStatus in version 0.1; it goes with 1.0.
using Sight [[deprecated("use ReplicaStatus")]] = ReplicaStatus;
/// The name of HandlerResult in version 0.1; it goes with 1.0.
using Visit [[deprecated("use HandlerResult")]] = HandlerResult;
/// The name of Completion in version 0.1; it goes with 1.0.
using Settle [[deprecated("use Completion")]] = Completion;

}  // namespace homeward::replay
