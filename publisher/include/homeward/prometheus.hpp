#pragma once

#include <string>

#include <homeward/publisher.hpp>

namespace homeward {

/// The stats as Prometheus text, homeward_publisher_*, for the app's own /metrics endpoint. What
/// fills up before anything is refused or dropped is homeward_publisher_log_bytes against
/// homeward_publisher_log_bytes_max.
std::string prometheus(const Stats& stats);

}  // namespace homeward
