#include "consumer/postgres/session_settings.hpp"

#include "tests/support/catch.hpp"

using namespace homeward::consumer;
using Catch::Matchers::Contains;

TEST_CASE("a session sets transaction_timeout where the server knows it") {
    const Config::Postgres config;
    const std::string setting = "transaction_timeout = 0; ";
    const SessionSettings newer(config, 170000);
    CHECK_THAT(newer.for_session(), Contains("SET " + setting));
    CHECK_THAT(newer.for_transaction(), Contains("SET LOCAL " + setting));
    CHECK_THAT(SessionSettings(config, 160004).for_session(), !Contains("transaction_timeout"));
}
