#pragma once

// The wire format of a call and its answer. The payload is the body, unchanged; everything else is
// one header of words separated by spaces:
//
//     homeward.call.<region>.<app>.<operation>
//     Homeward-Call:  1 <key> <deadline, Unix µs> <time left, µs>
//     Homeward-Reply: 1 <outcome> <stored 0|1> <retry after, ms> <code or -> <session token or ->
//
// The first word is the version; headers of other versions are malformed. Additional words are
// ignored.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <homeward/forward/call.hpp>

namespace homeward::forward {

inline constexpr const char* kCallHeader = "Homeward-Call";
inline constexpr const char* kReplyHeader = "Homeward-Reply";
/// Reserved: is_valid_operation() rejects them.
inline constexpr std::string_view kOutcomeOperation = "_outcome";
inline constexpr std::string_view kAbandonOperation = "_abandon";
/// Bound of a message's headers and protocol overhead.
inline constexpr std::size_t kHeaderBytesMax = 1024;
inline constexpr std::size_t kCodeBytesMax = 64;

/// "homeward.call.ams.shop.order.place"
std::string call_subject(std::string_view region, std::string_view app, std::string_view operation);

struct CallSubject {
    std::string_view region;  ///< these borrow from the parsed subject
    std::string_view app;
    std::string_view operation;
};
/// nullopt for anything that call_subject() does not produce.
std::optional<CallSubject> parse_call_subject(std::string_view subject);

struct CallHeader {
    std::string key;
    /// By the caller's clock. Servers use it only to detect clock skew.
    std::chrono::microseconds deadline_at{};
    /// Time left when the message was sent. It needs no common clock, but does not count the time
    /// in transit, which has no bound.
    std::chrono::microseconds left{};
};
std::string write_call_header(const CallHeader& header);
/// nullopt for anything malformed.
std::optional<CallHeader> parse_call_header(std::string_view text);

/// What a server answers to one message.
struct Answer {
    Outcome outcome = Outcome::in_doubt;
    std::string body{};
    std::string code{};
    std::string session_token{};
    std::chrono::milliseconds retry_after{0};
    bool was_stored = false;
};
std::string write_reply_header(const Answer& answer);
/// Everything except the body. nullopt for anything malformed.
std::optional<Answer> parse_reply_header(std::string_view text);

/// Makes a code valid in a header: other characters than A-Z a-z 0-9 _ . - become _, and it is cut
/// to kCodeBytesMax.
std::string clean_code(std::string_view code);

}  // namespace homeward::forward
