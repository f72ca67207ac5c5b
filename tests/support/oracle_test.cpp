// The oracle is tested on a real table: it must find a deleted, a doubled and an altered row.

#include "tests/support/catch.hpp"
#include "tests/support/journal.hpp"
#include "tests/support/servers/postgres_server.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward::testing;

namespace {

std::vector<FoundRow> rows_of(const PostgresServer& leader) {
    std::vector<FoundRow> found;
    for (const auto& row : leader.query("SELECT key, hash FROM event")) {
        found.push_back({row[0], std::stoull(row[1])});
    }
    return found;
}

}  // namespace

TEST_CASE("the oracle finds a row that was deleted, doubled, altered or invented") {
    const TempDir dir;
    PostgresServer leader;
    leader.query("CREATE TABLE event (key text, hash int8)");
    {
        JournalWriter journal(dir / "journal", 1, 7);
        for (std::uint64_t i = 0; i < 100; ++i) {
            const std::string key = journal.begin(i * 31);
            if (i < 90) {
                leader.query("INSERT INTO event VALUES ('" + key + "', " + std::to_string(i * 31) +
                             ")");
            }
            // The last ten were refused, and one before them never had its answer.
            journal.end(i == 50 ? Fate::unknown : i < 90 ? Fate::accepted : Fate::refused);
        }
    }
    const auto verdict = [&] { return judge(dir / "journal", rows_of(leader), {}); };
    CHECK(verdict().is_clean());
    CHECK(verdict().accepted == 89);
    CHECK(verdict().refused == 10);

    leader.query("DELETE FROM event WHERE key = '1-7:50'");
    CHECK(verdict().is_clean());  // its fate was unknown: both are right
    leader.query("DELETE FROM event WHERE key = '1-7:3'");
    CHECK(verdict().lost == std::vector<std::string>{"1-7:3"});
    CHECK(judge(dir / "journal", rows_of(leader), {"1-7:3"}).is_clean());  // a dead letter will do
    leader.query("INSERT INTO event VALUES ('1-7:3', 93), ('1-7:4', 124)");
    CHECK(verdict().doubled == std::vector<std::string>{"1-7:4"});
    leader.query("UPDATE event SET hash = 1 WHERE key = '1-7:5'");
    CHECK(verdict().altered == std::vector<std::string>{"1-7:5"});
    leader.query("INSERT INTO event VALUES ('1-7:95', 0)");
    CHECK(verdict().invented == std::vector<std::string>{"1-7:95"});
}
