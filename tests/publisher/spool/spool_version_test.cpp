// Spools of released versions are read for ever; here without a server. Through the whole line:
// mixed_versions_test.

#include "tests/publisher/buffer/left_spool.hpp"
#include "tests/publisher/spool/kept_spool.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::testing;

TEST_CASE("what v0.1.0 left in its spool is sent, each event under the seq it had") {
    const KeptSpool kept;
    CHECK(Run::inspect(kept.directory()).finding == Run::Finding::left);
    const Drained drained = drain(kept.directory());
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
