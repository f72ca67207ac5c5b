#pragma once

// What the processes of the kill test agree on.

#include <homeward/forward/client.hpp>
#include <homeward/forward/server.hpp>

#include <string>
#include <string_view>

namespace homeward::testing {

/// What order_server replies.
inline std::string order_reply(std::string_view body) {
    return "placed " + std::string(body);
}

}  // namespace homeward::testing
