#pragma once

#include <string>

#include <homeward/publisher.hpp>

namespace homeward {

/// With absolute paths, a lane directory, and an on_log that never throws. Throws SetupError, which
/// says what to change.
PublisherOptions checked_options(PublisherOptions options);

/// An app may change its directory later, and another process that recovers its run has its own.
/// Throws SetupError.
void make_paths_absolute(PublisherOptions& options);

/// Empty: the default. No wildcard, and at most what leaves room for the rest of a subject.
bool is_inbox_prefix(const std::string& prefix);
/// What is_inbox_prefix() asks for, in words.
inline constexpr const char* kInboxPrefixRule =
    "at most 200 bytes: tokens of A-Z, a-z, 0-9, _ and -, separated by dots";

/// A child that has dropped its parent's privileges gets a lane directory of its own. Returns what
/// a person should know of it.
std::string use_writable_lane_dir(PublisherOptions& options);

}  // namespace homeward
