#pragma once

#include <string>

namespace homeward::forward {

/// A connection string that leads to a leader and gives up on a silent one: what it does not say
/// itself is added to it. URI or keywords.
std::string leader_url(std::string url);

}  // namespace homeward::forward
