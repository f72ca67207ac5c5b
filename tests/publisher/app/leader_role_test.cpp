// An App in the primary region finds out by itself what a read-only error means.

#include <homeward/app.hpp>
#include <homeward/replay/libpq.hpp>

#include "tests/publisher/app/environment.hpp"
#include "tests/publisher/replay/session.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

void ignore(std::string_view) {}

Environment::Variables primary_region(const PostgresServer& leader) {
    Environment::Variables variables = kReplicaRegion;
    variables["FLY_REGION"] = variables["PRIMARY_REGION"];
    variables["DATABASE_URL"] = leader.url();
    return variables;
}

/// The status of the helper's own answer to a request that runs `sql`; 0 if the app's goes out.
int status_after(const App& app, const PostgresServer& leader, const std::string& sql) {
    const replay::RequestView request{"POST", "/orders", 0, [](auto) { return std::string(); }};
    const Session session(leader);
    const auto outcome =
        app.replay().request_handler().run(request, [&](replay::HandlerResult& result) {
            const replay::detail::LibpqResult answer(PQexec(session.get(), sql.c_str()));
            CHECK(replay::sqlstate_of(answer.get()) == "25006");
            result.cause = replay::cause_of(answer.get());
        });
    return outcome.instead ? outcome.instead->status : 0;
}

}  // namespace

TEST_CASE("an app's own READ ONLY transaction is its own error, and a read-only leader is not") {
    const PostgresServer leader;
    leader.query("CREATE TABLE note (id int)");
    const Environment environment(primary_region(leader));
    const App app("shop", {.on_log = ignore});
    const std::string own = "BEGIN READ ONLY; INSERT INTO note VALUES (1)";
    CHECK(status_after(app, leader, own) == 0);

    leader.query("ALTER SYSTEM SET default_transaction_read_only = on");
    leader.query("SELECT pg_reload_conf()");
    const std::string insert = "INSERT INTO note VALUES (1)";
    CHECK(wait_until(10s, [&] {
        sleep_ms(150);  // an answer counts for 100 ms
        return status_after(app, leader, "BEGIN READ ONLY; INSERT INTO note VALUES (1)") == 503;
    }));
    CHECK(status_after(app, leader, insert) == 503);
}

TEST_CASE("a leader that went away says nothing of its role, and nobody waits long for it") {
    auto leader = std::make_unique<PostgresServer>();
    const Environment environment(primary_region(*leader));
    const App app("shop", {.on_log = ignore});
    leader.reset();
    const replay::RequestView request{"POST", "/orders", 0, [](auto) { return std::string(); }};
    const auto before = std::chrono::steady_clock::now();
    const auto outcome = app.replay().request_handler().run(
        request, [](replay::HandlerResult& result) { result.cause = replay::Cause::read_only; });
    CHECK(std::chrono::steady_clock::now() - before < 10s);
    REQUIRE(outcome.instead);
    CHECK(outcome.instead->status == 503);
}
