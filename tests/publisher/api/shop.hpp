#pragma once

#include <filesystem>

#include <homeward/publisher.hpp>

#include <audit.event.hpp>
#include <metric.event.hpp>

namespace homeward::testing {

// The app that most tests of the publisher play.

events::Audit sample_audit();
events::Metric sample_metric();
/// Of a publisher whose server is nowhere.
PublisherOptions options_without_server();
/// How many lanes lie there, the shared one of each class included.
std::size_t lane_files(const std::filesystem::path& lane_dir);

}  // namespace homeward::testing
