#include "schemas/nats/subject.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <array>

namespace homeward {
namespace {

constexpr std::size_t kNameBytesMax = 32;

bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool is_name_part(char c) {
    return is_name_start(c) || c == '_' || c == '-';
}

std::string upper(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    return result;
}

std::string subject_prefix(StreamKind kind, std::string_view region) {
    std::string prefix = kind == StreamKind::plain
                             ? "homeward.plain."
                             : "homeward.frame." + std::string(to_string(kind)) + ".";
    return prefix.append(region).append(".");
}

/// Takes the text up to the next dot off `rest`.
std::string_view take_token(std::string_view& rest) {
    const std::size_t dot = rest.find('.');
    const std::string_view token = rest.substr(0, dot);
    rest = dot == std::string_view::npos ? std::string_view{} : rest.substr(dot + 1);
    return token;
}

std::optional<StreamKind> take_kind(std::string_view& rest) {
    if (take_token(rest) != "homeward") return std::nullopt;
    const std::string_view family = take_token(rest);
    if (family == "plain") return StreamKind::plain;
    if (family != "frame") return std::nullopt;
    const auto event_class = parse_event_class(take_token(rest));
    if (!event_class) return std::nullopt;
    return stream_kind(*event_class);
}

}  // namespace

bool is_valid_name(std::string_view name) {
    return !name.empty() && name.size() <= kNameBytesMax && is_name_start(name.front()) &&
           std::all_of(name.begin(), name.end(), is_name_part);
}

std::string_view to_string(StreamKind kind) {
    static constexpr std::array<std::string_view, 3> kNames{"audit", "metric", "plain"};
    return kNames[static_cast<std::size_t>(kind)];
}

StreamKind stream_kind(EventClass event_class) {
    return event_class == EventClass::audit ? StreamKind::audit : StreamKind::metric;
}

std::string frame_subject(EventClass event_class, std::string_view region, std::string_view app) {
    return subject_prefix(stream_kind(event_class), region).append(app);
}

std::string plain_subject(std::string_view region, std::string_view app) {
    return subject_prefix(StreamKind::plain, region).append(app);
}

std::string stream_subjects(StreamKind kind, std::string_view region) {
    return subject_prefix(kind, region) + ">";
}

std::string stream_name(StreamKind kind, std::string_view region) {
    return "HOMEWARD_" + upper(to_string(kind)) + "_" + std::string(region);
}

std::string durable_name(StreamKind kind, std::string_view region) {
    return "homeward_" + std::string(to_string(kind)) + "_" + std::string(region);
}

std::string app_inbox_prefix(std::string_view region, std::string_view app) {
    return std::string("_INBOX.homeward.").append(region).append(".").append(app).append(".");
}

std::string consumer_inbox_prefix(std::string_view domain) {
    return std::string("_INBOX.homeward.consumer.")
        .append(domain.empty() ? std::string_view("-") : domain)
        .append(".");
}

std::string message_id(std::span<const std::byte> frame) {
    constexpr std::size_t kIdBytes = 16;
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    ::SHA256(reinterpret_cast<const unsigned char*>(frame.data()), frame.size(), digest.data());
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    text.reserve(2 * kIdBytes);
    for (std::size_t i = 0; i < kIdBytes; ++i) {
        text += kDigits[digest[i] >> 4];
        text += kDigits[digest[i] & 15];
    }
    return text;
}

std::optional<SubjectParts> parse_subject(std::string_view subject) {
    std::string_view rest = subject;
    const auto kind = take_kind(rest);
    if (!kind) return std::nullopt;
    const std::string_view region = take_token(rest);
    const std::string_view app = rest;
    if (!is_valid_name(region) || !is_valid_name(app)) return std::nullopt;
    return SubjectParts{*kind, region, app};
}

}  // namespace homeward
