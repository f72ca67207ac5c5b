// Spools of released versions are read for ever. spools/v0.1.0.tar.gz is one that v0.1.0 wrote:
// events 1 to 310 in frames, of which the stream has acknowledged 304, and 311 to 315 in a lane.

#include <fstream>

#include <nlohmann/json.hpp>

#include "schemas/wire/crc32c.hpp"
#include "tests/publisher/buffer/left_spool.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"

using namespace homeward;
using namespace homeward::testing;

namespace {

/// Says that the lanes are here, and that the machine has not restarted since; with the checksum
/// that v0.1.0 would have put there.
void move_here(const std::filesystem::path& run_file, const std::filesystem::path& lane_dir) {
    auto json = nlohmann::json::parse(read_file(run_file));
    REQUIRE(json.at("version") == 1);
    json["lane_dir"] = lane_dir.string();
    json["boot_id"] = machine_boot_id();
    json.erase("crc32c");
    const std::string text = json.dump();
    json["crc32c"] = crc32c(std::as_bytes(std::span<const char>(text)));
    std::ofstream(run_file) << json.dump(4) << "\n";
}

}  // namespace

TEST_CASE("what v0.1.0 left in its spool is sent, each event under the seq it had") {
    const TempDir dir;
    const CommandResult unpacked = run_command(
        {"tar", "-xzf", HOMEWARD_SPOOLS_DIR "/v0.1.0.tar.gz", "-C", dir.path().string()});
    REQUIRE(unpacked.exit_code == 0);
    const auto directory = dir / "spool" / "a8d6165fe3f45ec763eee53e57dcd1f0";
    move_here(directory / "run.json", dir / "lanes");
    CHECK(Run::inspect(directory).finding == Run::Finding::left);
    const Drained drained = drain(directory);
    CHECK(drained.is_adopted);
    CHECK(drained.is_orderly);
    CHECK(drained.is_closed);
    CHECK(drained.accepted == 315);
    CHECK(drained.tombstones == 0);
    std::set<std::uint64_t> expected;
    for (std::uint64_t seq = 305; seq <= 315; ++seq) expected.insert(seq);
    CHECK(drained.seqs == expected);
    CHECK(drained.events == expected);
}
