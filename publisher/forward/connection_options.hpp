#pragma once

#include <homeward/options.hpp>

namespace homeward::forward {

/// Checks the publisher options that a connection for calls needs, and returns them with an on_log
/// that never throws. Throws SetupError, which says what to change.
PublisherOptions checked_connection(PublisherOptions options);

}  // namespace homeward::forward
