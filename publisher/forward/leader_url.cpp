#include "publisher/forward/leader_url.hpp"

#include <string_view>
#include <utility>

namespace homeward::forward {
namespace {

/// Skips standbys, and detects hosts that are down or no longer acknowledge data.
constexpr std::pair<std::string_view, std::string_view> kWanted[] = {
    {"target_session_attrs", "read-write"},
    {"connect_timeout", "2"},
    {"tcp_user_timeout", "5000"},
    {"application_name", "homeward-forward"},
};

}  // namespace

std::string leader_url(std::string url) {
    const bool is_uri = url.rfind("postgres://", 0) == 0 || url.rfind("postgresql://", 0) == 0;
    for (const auto& [name, value] : kWanted) {
        if (url.find(std::string(name) + "=") != std::string::npos) continue;
        const char* before = !is_uri ? " " : url.find('?') == std::string::npos ? "?" : "&";
        url.append(before).append(name).append("=").append(value);
    }
    return url;
}

}  // namespace homeward::forward
