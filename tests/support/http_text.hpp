#pragma once

#include <string>

namespace homeward::testing {

/// GET `path` from 127.0.0.1: head and body as they came; empty when nobody answers in 5 s.
std::string http_answer(int port, const std::string& path);
/// The body alone.
std::string http_text(int port, const std::string& path);

}  // namespace homeward::testing
