#include "tests/consumer/ledger/account.hpp"

#include "tests/support/catch.hpp"

namespace homeward::testing {

using namespace std::chrono_literals;

std::int64_t rows(const PostgresServer& leader) {
    return leader.number("SELECT count(*) FROM audit_events");
}
std::int64_t distinct_rows(const PostgresServer& leader) {
    return leader.number("SELECT count(DISTINCT (origin, resource)) FROM audit_events");
}
std::int64_t dead_letters(const PostgresServer& leader) {
    return leader.number("SELECT count(*) FROM homeward.dead_letter");
}
std::int64_t conflicts(const PostgresServer& leader) {
    return leader.number("SELECT count(*) FROM homeward.conflict");
}

void expect_clean(Bridge& bridge) {
    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60", "--final"}, 90s);
    INFO(proof.output << bridge.consumer_log());
    CHECK(proof.exit_code == 0);
}

}  // namespace homeward::testing
