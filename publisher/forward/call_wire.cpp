#include "publisher/forward/call_wire.hpp"

#include <algorithm>
#include <charconv>

#include "schemas/nats/subject.hpp"

namespace homeward::forward {
namespace {

constexpr std::string_view kVersion = "1";
constexpr std::string_view kPrefix = "homeward.call.";
constexpr std::string_view kNothing = "-";
/// A session token is shorter.
constexpr std::size_t kTokenBytesMax = 256;

std::string_view take_word(std::string_view& rest, char end = ' ') {
    const std::size_t at = std::min(rest.find(end), rest.size());
    const std::string_view word = rest.substr(0, at);
    rest.remove_prefix(std::min(at + 1, rest.size()));
    return word;
}

template <typename Duration>
bool take_time(std::string_view& rest, Duration& time) {
    const std::string_view word = take_word(rest);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    time = Duration(number);
    return error == std::errc() && end == word.data() + word.size() && number >= 0;
}

std::optional<Outcome> parse_outcome(std::string_view word) {
    for (std::size_t i = 0; i < kOutcomes; ++i) {
        if (name_of(static_cast<Outcome>(i)) == word) return static_cast<Outcome>(i);
    }
    return std::nullopt;
}

bool is_code_char(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '-' || c == '.';
}

/// False for a word that is too long, or has what no code and no token has.
bool take_optional(std::string_view& rest, std::size_t bytes_max, std::string& text) {
    const std::string_view word = take_word(rest);
    if (word.empty() || word.size() > bytes_max) return false;
    if (!std::all_of(word.begin(), word.end(), is_code_char)) return false;
    if (word != kNothing) text = word;
    return true;
}

}  // namespace

std::string call_subject(std::string_view region, std::string_view app,
                         std::string_view operation) {
    std::string subject(kPrefix);
    subject.append(region).append(".").append(app).append(".").append(operation);
    return subject;
}

std::optional<CallSubject> parse_call_subject(std::string_view subject) {
    if (subject.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
    std::string_view rest = subject.substr(kPrefix.size());
    CallSubject parts;
    parts.region = take_word(rest, '.');
    parts.app = take_word(rest, '.');
    parts.operation = rest;
    const bool is_operation =
        is_valid_operation(rest) || rest == kOutcomeOperation || rest == kAbandonOperation;
    if (!is_valid_name(parts.region) || !is_valid_name(parts.app) || !is_operation) {
        return std::nullopt;
    }
    return parts;
}

std::string write_call_header(const CallHeader& header) {
    std::string text(kVersion);
    text.append(" ").append(header.key).append(" ");
    text.append(std::to_string(header.deadline_at.count())).append(" ");
    return text.append(std::to_string(header.left.count()));
}

std::optional<CallHeader> parse_call_header(std::string_view text) {
    if (text.size() > kHeaderBytesMax || take_word(text) != kVersion) return std::nullopt;
    CallHeader header;
    header.key = take_word(text);
    if (!is_valid_key(header.key) || !take_time(text, header.deadline_at) ||
        !take_time(text, header.left)) {
        return std::nullopt;
    }
    return header;
}

std::string write_reply_header(const Answer& answer) {
    std::string text(kVersion);
    text.append(" ").append(name_of(answer.outcome));
    text.append(answer.was_stored ? " 1 " : " 0 ");
    text.append(std::to_string(answer.retry_after.count())).append(" ");
    text.append(answer.code.empty() ? std::string(kNothing) : clean_code(answer.code)).append(" ");
    return text.append(answer.session_token.empty() ? kNothing : answer.session_token);
}

std::optional<Answer> parse_reply_header(std::string_view text) {
    if (text.size() > kHeaderBytesMax || take_word(text) != kVersion) return std::nullopt;
    const auto outcome = parse_outcome(take_word(text));
    const std::string_view stored = take_word(text);
    if (!outcome || (stored != "0" && stored != "1")) return std::nullopt;
    Answer answer;
    answer.outcome = *outcome;
    answer.was_stored = stored == "1";
    if (!take_time(text, answer.retry_after) || !take_optional(text, kCodeBytesMax, answer.code) ||
        !take_optional(text, kTokenBytesMax, answer.session_token)) {
        return std::nullopt;
    }
    return answer;
}

std::string clean_code(std::string_view code) {
    std::string text(code.substr(0, kCodeBytesMax));
    for (char& c : text) {
        if (!is_code_char(c)) c = '_';
    }
    return text;
}

}  // namespace homeward::forward
