#pragma once

/// @file
/// The name of version 0.1; it goes with 1.0. Include request_handler.hpp.

#include <homeward/replay/request_handler.hpp>
