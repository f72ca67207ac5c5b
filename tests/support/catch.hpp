#pragma once

// The one door to Catch2: v2 in Debian 12 is a single header, v3 in Debian 13 is a library with a
// header of another name. Tests include this file and nothing of Catch2's own.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>

#include <string>

// In v3 Contains is about elements; of a string it says what v2's said.
namespace Catch::Matchers {
inline auto Contains(const char* part) {
    return ContainsSubstring(part);
}
inline auto Contains(const std::string& part) {
    return ContainsSubstring(part);
}
inline auto Contains(std::string& part) {
    return ContainsSubstring(part);
}
inline auto Contains(std::string&& part) {
    return ContainsSubstring(part);
}
}  // namespace Catch::Matchers
#else
#include <catch2/catch.hpp>
#endif

namespace homeward::testing {

/// For a case that this machine cannot try: says why, and then the program counts as skipped unless
/// another case fails.
void skip(const char* why);

}  // namespace homeward::testing
