#pragma once

/// @file
/// A publisher's stats as Prometheus text.

#include <string>

#include <homeward/publisher.hpp>

namespace homeward {

/// Formats the stats as Prometheus text, homeward_publisher_*, for the app's own /metrics. Watch
/// homeward_publisher_log_bytes against homeward_publisher_log_bytes_max: events are refused or
/// dropped when the log is full. Any thread.
/// @param stats Publisher::stats()
/// @return the text, each line ended
std::string prometheus(const Stats& stats);

}  // namespace homeward
