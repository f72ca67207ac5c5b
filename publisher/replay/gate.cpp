#include <homeward/replay/gate.hpp>

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

/// Means one thing from a standby and another from a primary.
bool depends_on_role(std::string_view sqlstate) {
    return sqlstate == kReadOnlySqlTransaction || is_recovery_conflict(sqlstate);
}

}  // namespace

std::function<Sight(const RequestView&)> look_with(const ReadGate& reads) {
    return [&reads](const RequestView& request) {
        const std::string cookies = request.header("cookie");
        const ReadAnswer answer =
            request.mode ? reads.ask(cookies, *request.mode) : reads.ask(cookies);
        return Sight{answer.coverage, answer.server_role, answer.has_waited};
    };
}

std::optional<Answer> Gate::refuse_unread(const RequestView& request) const {
    const Situation situation = situation_of(request);
    if (!situation.is_websocket && !situation.is_length_unknown &&
        situation.body_bytes <= kReplayBodyBytesMax) {
        return std::nullopt;  // small: read it, and the connection stays usable
    }
    const Decision decision = decide(situation, regions_, options_.policy);
    if (decision.verdict == Verdict::proceed) return std::nullopt;
    return tell(decision, request);
}

Outcome Gate::run(const RequestView& request, const std::function<void(Visit&)>& handler) const {
    Situation situation = situation_of(request);
    situation.is_length_unknown = false;  // it was read
    Decision decision = look_and_decide(situation, request);
    if (decision.verdict != Verdict::proceed) return {tell(decision, request), {}};

    const Settle settle = options_.on_begin ? options_.on_begin() : Settle();
    Visit visit;
    std::string sqlstate;
    std::exception_ptr thrown;
    try {
        handler(visit);
        sqlstate = visit.sqlstate;
    } catch (const std::exception& error) {
        thrown = std::current_exception();
        if (options_.sqlstate_of) sqlstate = options_.sqlstate_of(error);
    } catch (...) {
        thrown = std::current_exception();
    }
    if (depends_on_role(sqlstate) && visit.server_role == ServerRole::unknown &&
        options_.ask_role) {
        visit.server_role = options_.ask_role();
    }
    situation.has_handler_run = true;
    situation.sqlstate = sqlstate;
    situation.server_role = visit.server_role;
    if (!visit.has_committed) decision = decide(situation, regions_, options_.policy);
    if (settle) settle(decision.verdict == Verdict::proceed);
    if (decision.verdict != Verdict::proceed) return {tell(decision, request), {}};
    if (thrown) std::rethrow_exception(thrown);
    return {std::nullopt, std::move(visit.set_cookie)};
}

Decision Gate::look_and_decide(Situation& situation, const RequestView& request) const {
    if (options_.look) {
        const Sight sight = options_.look(request);
        situation.coverage = sight.coverage;
        situation.server_role = sight.server_role;
        if (sight.has_waited && sight.coverage == Coverage::covered) counters_.count_waited();
    }
    return decide(situation, regions_, options_.policy);
}

Answer Gate::tell(const Decision& decision, const RequestView& request) const {
    counters_.count(decision);
    if (options_.on_decision) {
        const std::string line = log_line(decision, request.method, request.target);
        options_.on_decision(decision, line + history_of(request));
    }
    return answer_to(decision, regions_, options_.answer);
}

}  // namespace homeward::replay
