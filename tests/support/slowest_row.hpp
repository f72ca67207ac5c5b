#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "tests/support/servers/postgres_server.hpp"

namespace homeward::testing {

/// Sends so many audit events, each when the one before is a row, and returns the longest time from
/// sending to the row. `send` publishes one event with the resource that it is given. Throws
/// std::runtime_error when one takes 30 s.
std::chrono::milliseconds slowest_row(const PostgresServer& leader, int count,
                                      const std::function<void(const std::string& resource)>& send);

}  // namespace homeward::testing
