#pragma once

#include <homeward/options.hpp>

namespace homeward::forward {

/// Of a publisher's options what a connection for calls needs, checked, with an on_log that never
/// throws. Throws SetupError, which says what to change.
PublisherOptions checked_connection(PublisherOptions options);

}  // namespace homeward::forward
