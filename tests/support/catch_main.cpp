// Catch2 v2 makes its main() from this macro; v3 brings one in Catch2::Catch2WithMain, and this
// file is then left out of the build.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
