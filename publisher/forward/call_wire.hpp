#pragma once

// What a call and its answer look like on the wire. The body is the message's payload, byte for
// byte; everything else is one header, words with spaces between them:
//
//     homeward.call.<region>.<app>.<operation>
//     Homeward-Call:  1 <key> <deadline, Unix µs> <time left, µs>
//     Homeward-Reply: 1 <outcome> <stored 0|1> <retry after, ms> <code or -> <session token or ->
//
// Further words of a later version are ignored; another first word is a version that we do not
// know.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <homeward/forward/call.hpp>

namespace homeward::forward {

inline constexpr const char* kCallHeader = "Homeward-Call";
inline constexpr const char* kReplyHeader = "Homeward-Reply";
/// Not valid as an operation of the app's.
inline constexpr std::string_view kOutcomeOperation = "_outcome";
inline constexpr std::string_view kAbandonOperation = "_abandon";
/// Of a message: headers and what the protocol adds.
inline constexpr std::size_t kHeaderBytesMax = 1024;
inline constexpr std::size_t kCodeBytesMax = 64;

/// "homeward.call.ams.shop.order.place"
std::string call_subject(std::string_view region, std::string_view app, std::string_view operation);

struct CallSubject {
    std::string_view region;  ///< all point into the parsed subject
    std::string_view app;
    std::string_view operation;
};
/// nullopt for anything that call_subject() does not make.
std::optional<CallSubject> parse_call_subject(std::string_view subject);

struct CallHeader {
    std::string key;
    /// By the caller's clock, so that a server can tell that its own is off; nothing is decided by
    /// it.
    std::chrono::microseconds deadline_at{};
    /// From when the call was sent. It needs no common clock; it does not see how long the message
    /// travelled.
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
/// All but the body. nullopt for anything malformed.
std::optional<Answer> parse_reply_header(std::string_view text);

/// Fit for a header: what is not A-Z a-z 0-9 _ . - becomes _, and what is too long is cut.
std::string clean_code(std::string_view code);

}  // namespace homeward::forward
