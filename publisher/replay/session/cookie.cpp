#include <homeward/replay/cookie.hpp>

namespace homeward::replay {

std::string set_cookie_value(const CookieOptions& options, std::string_view token) {
    std::string text;
    text.append(options.name).append("=").append(token);
    text.append("; Path=/; Max-Age=").append(std::to_string(options.max_age_s));
    return text.append("; HttpOnly; Secure; SameSite=Lax");
}

}  // namespace homeward::replay
