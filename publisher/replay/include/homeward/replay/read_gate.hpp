#pragma once

/// @file
/// The name of version 0.1; it goes with 1.0. Include session_consistency.hpp.

#include <homeward/replay/session_consistency.hpp>
