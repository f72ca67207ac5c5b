#pragma once

#include <string>

namespace homeward::forward {

/// Adds target_session_attrs=read-write and timeouts to a connection string, unless it sets them.
/// `url`: a URI or keywords.
std::string leader_url(std::string url);

}  // namespace homeward::forward
