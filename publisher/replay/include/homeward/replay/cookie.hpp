#pragma once

/// @file
/// The cookie that carries a token. Pure; any thread.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace homeward::replay {

/// Name and lifetime of the cookie.
struct CookieOptions {
    /// The prefix __Host- makes browsers refuse it from any other host, a sibling domain included.
    std::string name = "__Host-homeward_seen";
    /// How long a browser keeps it, in seconds; equal to TokenOptions::memory_s.
    std::uint32_t max_age_s = 86'400;
};

/// Formats the value of Set-Cookie: HttpOnly, Secure, SameSite=Lax, Path=/, Max-Age. Any thread.
/// @param options name and lifetime
/// @param token of TokenSigner::sign()
/// @return the header's value
std::string set_cookie_value(const CookieOptions& options, std::string_view token);

/// Cookies of one name that are read from a request.
inline constexpr int kCookiesMax = 4;
/// Calls `found` for each cookie of that name, at most kCookiesMax times. Any thread.
/// @param cookie_header the value of Cookie
/// @param name the cookie's name
/// @param found called with the value, a view into `cookie_header`
template <typename Found>
void each_cookie(std::string_view cookie_header, std::string_view name, Found found) {
    int left = kCookiesMax;
    while (!cookie_header.empty() && left > 0) {
        const std::size_t end = std::min(cookie_header.find(';'), cookie_header.size());
        std::string_view pair = cookie_header.substr(0, end);
        cookie_header.remove_prefix(std::min(end + 1, cookie_header.size()));
        while (!pair.empty() && pair.front() == ' ') pair.remove_prefix(1);
        while (!pair.empty() && pair.back() == ' ') pair.remove_suffix(1);
        if (pair.size() <= name.size() || pair[name.size()] != '=') continue;
        if (pair.substr(0, name.size()) != name) continue;
        found(pair.substr(name.size() + 1));
        --left;
    }
}

}  // namespace homeward::replay
