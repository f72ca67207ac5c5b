// Where the parts of a run lie, and what is left of them.

#include <thread>

#include <homeward/publisher.hpp>

#include "publisher/spool/run.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::testing;

namespace {

RunIdentity identity_with(const std::filesystem::path& lane_dir) {
    RunIdentity identity;
    identity.publisher = PublisherId::random();
    identity.region = "ams";
    identity.app = "shop";
    identity.lane_dir = lane_dir;
    return identity;
}

}  // namespace

TEST_CASE("the directory of lanes goes with the last run that has some there") {
    const TempDir dir;
    const auto lane_dir = private_directory_in(dir.path());
    auto first = Run::create(dir / "spool", identity_with(lane_dir));
    const auto second = Run::create(dir / "spool", identity_with(lane_dir));
    first->create_lane_file(0);
    first->remove();
    CHECK(std::filesystem::exists(lane_dir));
    CHECK_NOTHROW(second->create_lane_file(0));
    second->remove();
    CHECK_FALSE(std::filesystem::exists(lane_dir));

    // One that the user has made for us stays.
    std::filesystem::create_directory(dir / "lanes");
    Run::create(dir / "spool", identity_with(dir / "lanes"))->remove();
    CHECK(std::filesystem::is_empty(dir / "lanes"));
    CHECK(std::filesystem::is_empty(dir / "spool"));
}

TEST_CASE("a run finds its directory of lanes, however often others remove it just then") {
    const TempDir dir;
    const auto lane_dir = private_directory_in(dir.path());
    const auto live = [&] {
        for (int round = 0; round < 300; ++round) {
            const auto run = Run::create(dir / "spool", identity_with(lane_dir));
            run->create_lane_file(0);
            run->remove();
        }
    };
    std::exception_ptr failure;
    std::thread other([&] {
        try {
            live();
        } catch (...) {
            failure = std::current_exception();
        }
    });
    CHECK_NOTHROW(live());
    other.join();
    CHECK(failure == nullptr);
    CHECK_FALSE(std::filesystem::exists(lane_dir));
}

TEST_CASE("a run that cannot be made leaves nothing behind") {
    const TempDir dir;
    const auto lane_dir = private_directory_in(dir.path());
    CHECK_THROWS_AS(Run::create("/proc/no/spool", identity_with(lane_dir)), SetupError);
    CHECK_FALSE(std::filesystem::exists(lane_dir));
}
