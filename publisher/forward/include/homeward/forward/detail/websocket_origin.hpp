#pragma once

// Which pages may connect. Browsers send Origin with every WebSocket, and let any page open one.

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/field.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <homeward/forward/websocket_options.hpp>

namespace homeward::forward::detail {

inline bool is_same_text(std::string_view left, std::string_view right) {
    return boost::beast::iequals({left.data(), left.size()}, {right.data(), right.size()});
}

inline bool is_origin_allowed(const WebSocketUpgrade& request,
                              const std::vector<std::string>& allowed) {
    namespace http = boost::beast::http;
    if (request.count(http::field::origin) == 0) return true;
    const std::string origin(request[http::field::origin]);
    if (!allowed.empty()) {
        return std::any_of(allowed.begin(), allowed.end(),
                           [&](const std::string& one) { return is_same_text(one, origin); });
    }
    const std::size_t scheme = origin.find("://");
    return scheme != origin.npos &&
           is_same_text(origin.substr(scheme + 3), std::string(request[http::field::host]));
}

}  // namespace homeward::forward::detail
