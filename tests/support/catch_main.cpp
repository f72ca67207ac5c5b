#define CATCH_CONFIG_RUNNER
#include "tests/support/catch.hpp"

namespace {

/// What the other programs of ctest exit with that were not tried.
constexpr int kSkipped = 77;
bool is_any_skipped = false;

}  // namespace

void homeward::testing::skip(const char* why) {
    WARN("not tried: " << why);
    is_any_skipped = true;
}

int main(int argc, char** argv) {
    const int failed = Catch::Session().run(argc, argv);
    if (failed != 0) return 1;  // Catch2 gives their number, which may be any
    return is_any_skipped ? kSkipped : 0;
}
