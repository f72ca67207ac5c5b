#include <homeward/replay/answer.hpp>

namespace homeward::replay {
namespace {

constexpr std::size_t kLoggedPathBytesMax = 200;

Answer plain_text(int status, std::string_view text) {
    Answer answer{status, {}, std::string(text) + "\n"};
    answer.headers.emplace_back("content-type", "text/plain");
    answer.headers.emplace_back("cache-control", "no-store");
    return answer;
}

Answer replay_answer(int status, const Regions& regions, const AnswerOptions& options) {
    ReplayTarget target = options.target;
    if (target.region.empty()) target.region = regions.primary;
    TargetError error = check(target);
    if (replay_to(regions.primary).empty()) error = TargetError::bad_region;
    if (error != TargetError::none) {
        return plain_text(500,
                          "PRIMARY_REGION or the replay's options: " + std::string(explain(error)));
    }
    Answer answer{status, {}, {}};
    // Behind nginx the headers of this answer leak into the final one, and nobody else sees it.
    if (options.accel_prefix.empty()) answer.headers.emplace_back("cache-control", "no-store");
    if (options.as_json) {
        answer.headers.emplace_back("content-type", kReplayContentType);
        answer.body = json_form(target);
    } else {
        answer.headers.emplace_back("fly-replay", header_form(target));
    }
    if (!options.accel_prefix.empty()) {
        answer.headers.emplace_back("x-accel-redirect", options.accel_prefix + regions.primary);
    }
    return answer;
}

}  // namespace

Answer answer_to(const Decision& decision, const Regions& regions, const AnswerOptions& options) {
    if (decision.verdict == Verdict::replay) {
        return replay_answer(decision.status, regions, options);
    }
    Answer answer = plain_text(decision.status, explain(decision.reason));
    if (decision.retry_after_s > 0) {
        answer.headers.emplace_back("retry-after", std::to_string(decision.retry_after_s));
    }
    return answer;
}

std::string log_line(const Decision& decision, std::string_view method, std::string_view target) {
    std::string line = "homeward: ";
    line.append(method).append(" ");
    for (const char c : target.substr(0, std::min(target.find('?'), kLoggedPathBytesMax))) {
        line += c < ' ' || c > '~' ? '?' : c;
    }
    line.append(": ").append(explain(decision.reason)).append(" (");
    line.append(std::to_string(decision.status)).append(", ");
    return line.append(name_of(decision.reason)).append(")");
}

}  // namespace homeward::replay
