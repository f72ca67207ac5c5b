#include <homeward/replay/request_handler.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

namespace homeward::replay {
namespace {

/// What cannot be read counts as too much.
std::size_t parse_length(std::string_view text) {
    if (text.empty()) return 0;
    std::size_t bytes = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
    const bool is_whole = error == std::errc() && end == text.data() + text.size();
    return is_whole ? bytes : std::numeric_limits<std::size_t>::max();
}

Situation situation_of(const RequestView& request) {
    Situation situation;
    situation.method = request.method;
    // A client may have sent these itself: that one came is all that is believed of them.
    situation.was_replayed = !request.header("fly-replay-src").empty();
    situation.has_replay_failed = !request.header("fly-replay-failed").empty();
    situation.is_websocket = names_websocket(request.header("upgrade"));
    situation.is_length_unknown = !request.header("transfer-encoding").empty();
    situation.body_bytes =
        std::max(request.body_bytes, parse_length(request.header("content-length")));
    return situation;
}

/// For the log: where the request has been. "; came from ams".
std::string history_of(const RequestView& request) {
    std::string text;
    if (const auto source = parse_replay_src(request.header("fly-replay-src"))) {
        if (!source->region.empty()) text += "; came from " + source->region;
    }
    if (const auto failure = parse_replay_failed(request.header("fly-replay-failed"))) {
        text += "; the platform says: " + failure->detail;
    }
    return text;
}

bool is_safe(std::string_view method) {
    return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE";
}

/// Means one thing from a standby and another from a primary.
bool depends_on_role(Cause cause) {
    return cause == Cause::read_only || cause == Cause::conflict;
}

/// '*' stands for anything. Linear but for backtracking to the last star.
bool matches(std::string_view pattern, std::string_view text) {
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;
    std::size_t tried = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            tried = t;
        } else if (p < pattern.size() && pattern[p] == text[t]) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++tried;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

/// An app may route such a path elsewhere than its text says.
bool is_plain(std::string_view path) {
    return path.find("..") == std::string_view::npos && path.find("//") == std::string_view::npos &&
           path.find('%') == std::string_view::npos;
}

std::vector<std::pair<std::string, std::string>> headers_of(HandlerResult& result) {
    std::vector<std::pair<std::string, std::string>> headers;
    if (!result.set_cookie.empty())
        headers.emplace_back("Set-Cookie", std::move(result.set_cookie));
    if (!result.seen_token.empty()) headers.emplace_back(kSeenHeader, std::move(result.seen_token));
    return headers;
}

}  // namespace

std::function<ReplicaStatus(const RequestView&)> look_with(const SessionConsistency& reads) {
    return [&reads](const RequestView& request) {
        const std::string cookies = request.header("cookie");
        const std::string seen = request.header(kSeenHeader);
        const SessionText session{cookies, seen};
        const ReadAnswer answer =
            request.mode ? reads.ask(session, *request.mode) : reads.ask(session);
        return ReplicaStatus{answer.coverage, answer.server_role, answer.has_waited};
    };
}

void remember(const SessionConsistency& reads, const Position& seen, HandlerResult& result) {
    result.seen_token = reads.token(seen);
    result.set_cookie = reads.cookie_of(result.seen_token);
}

std::optional<Answer> RequestHandler::refuse_unread(const RequestView& request) const {
    if (is_passthrough(request.target)) return std::nullopt;
    const Situation situation = situation_of(request);
    if (!situation.is_websocket && !situation.is_length_unknown &&
        situation.body_bytes <= kReplayBodyBytesMax) {
        return std::nullopt;  // small: read it, and the connection stays usable
    }
    const Decision decision = decide(situation, regions_, options_.policy);
    if (decision.verdict == Verdict::proceed) return std::nullopt;
    return tell(decision, request);
}

Outcome RequestHandler::run(const RequestView& request,
                            const std::function<void(HandlerResult&)>& handler) const {
    if (is_passthrough(request.target)) return pass_through(handler);
    Situation situation = situation_of(request);
    situation.is_length_unknown = false;  // it was read
    Decision decision = look_and_decide(situation, request);
    if (decision.verdict != Verdict::proceed) return {tell(decision, request), {}};

    const Completion complete = options_.on_begin ? options_.on_begin() : Completion();
    HandlerResult result;
    Cause cause = Cause::none;
    std::exception_ptr thrown;
    try {
        handler(result);
        cause = result.cause;
    } catch (const std::exception& error) {
        thrown = std::current_exception();
        if (options_.cause_of) cause = options_.cause_of(error);
    } catch (...) {
        thrown = std::current_exception();
    }
    if (depends_on_role(cause) && result.server_role == ServerRole::unknown && options_.ask_role) {
        result.server_role = options_.ask_role();
    }
    situation.has_handler_run = true;
    // A read that was lost has committed nothing.
    const bool is_lost_read = cause == Cause::outcome_unknown && is_safe(request.method);
    situation.cause = is_lost_read ? Cause::connection : cause;
    situation.server_role = result.server_role;
    if (!result.has_committed) decision = decide(situation, regions_, options_.policy);
    if (complete) complete(decision.verdict == Verdict::proceed);
    if (decision.verdict != Verdict::proceed) return {tell(decision, request), {}};
    if (thrown) std::rethrow_exception(thrown);
    return {std::nullopt, headers_of(result)};
}

bool RequestHandler::is_passthrough(std::string_view target) const {
    const std::string_view path = target.substr(0, target.find('?'));
    return is_plain(path) &&
           std::any_of(options_.passthrough.begin(), options_.passthrough.end(),
                       [&](const std::string& pattern) { return matches(pattern, path); });
}

Outcome RequestHandler::pass_through(const std::function<void(HandlerResult&)>& handler) const {
    const Completion complete = options_.on_begin ? options_.on_begin() : Completion();
    HandlerResult result;
    try {
        handler(result);
    } catch (...) {
        if (complete) complete(true);
        throw;
    }
    if (complete) complete(true);
    return {std::nullopt, headers_of(result)};
}

Decision RequestHandler::look_and_decide(Situation& situation, const RequestView& request) const {
    if (options_.look) {
        const ReplicaStatus status = options_.look(request);
        situation.coverage = status.coverage;
        situation.server_role = status.server_role;
        if (status.has_waited && status.coverage == Coverage::covered) counters_.count_waited();
    }
    return decide(situation, regions_, options_.policy);
}

Answer RequestHandler::tell(const Decision& decision, const RequestView& request) const {
    counters_.count(decision);
    if (options_.on_decision) {
        const std::string line = log_line(decision, request.method, request.target);
        options_.on_decision(decision, line + history_of(request));
    }
    return answer_to(decision, regions_, options_.answer);
}

}  // namespace homeward::replay
