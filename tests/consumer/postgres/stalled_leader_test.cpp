// A leader that takes what is sent and answers nothing: its processes are stopped, as by a frozen
// machine or a disk that hangs. TCP notices nothing, and the server's own timeouts are frozen too.

#include <chrono>
#include <functional>
#include <thread>

#include "consumer/postgres/pg_connection.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/servers/postgres_server.hpp"

using namespace homeward::consumer;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

Config::Postgres config_of(const PostgresServer& server, std::size_t statement_timeout_ms) {
    Config::Postgres config;
    config.url = server.url();
    config.statement_timeout_ms = statement_timeout_ms;
    return config;
}

struct Failure {
    std::string sqlstate, text;
    double seconds = 0;
};

Failure failure_of(const std::function<void()>& call) {
    Failure failure;
    const auto began = std::chrono::steady_clock::now();
    try {
        call();
    } catch (const LeaderError& error) {
        failure.sqlstate = error.sqlstate();
        failure.text = error.what();
    }
    const auto took = std::chrono::steady_clock::now() - began;
    failure.seconds = std::chrono::duration<double>(took).count();
    return failure;
}

}  // namespace

TEST_CASE("a connection to a leader that stalls is lost, whatever the consumer is doing with it") {
    PostgresServer server;
    server.query("CREATE TABLE numbers (n text)");
    const Config::Postgres config = config_of(server, 1'000);
    const std::string megabytes(32u << 20, '7');
    struct Use {
        const char* name;
        std::function<void(PgConnection&)> begin, go_on;
    };
    for (const Use& use : std::vector<Use>{
             {"a query", [](PgConnection&) {}, [](PgConnection& it) { it.query("SELECT 1"); }},
             {"statements", [](PgConnection&) {},
              [](PgConnection& it) { it.execute_each("SELECT 1; SELECT 2"); }},
             {"a large parameter", [](PgConnection&) {},
              [&](PgConnection& it) { it.query("SELECT length($1)", {megabytes}); }},
             {"a COMMIT", [](PgConnection& it) { it.execute("BEGIN"); },
              [](PgConnection& it) { it.execute("COMMIT"); }},
             {"the data of a COPY",
              [](PgConnection& it) { it.copy_begin("COPY numbers FROM stdin"); },
              [&](PgConnection& it) { it.copy_data(megabytes); }},
             {"the end of a COPY",
              [](PgConnection& it) { it.copy_begin("COPY numbers FROM stdin"); },
              [](PgConnection& it) { it.copy_end(); }}}) {
        INFO(use.name);
        PgConnection leader(config.url, config);
        use.begin(leader);
        server.freeze();
        const Failure failure = failure_of([&] { use.go_on(leader); });
        server.thaw();
        CHECK(failure.sqlstate == "08006");
        CHECK_THAT(failure.text, Contains("the leader has stalled: no answer for 6 s"));
        CHECK(failure.seconds >= 5.9);
        // Twice that, since others use this machine.
        CHECK(failure.seconds < 12);
        CHECK(leader.is_broken());
    }
}

TEST_CASE("what the leader is slow with, and what may take its time, is waited for") {
    PostgresServer server;
    Config::Postgres config = config_of(server, 1'000);
    PgConnection leader(config.url, config);
    server.freeze();
    std::thread soon([&] {
        std::this_thread::sleep_for(3s);
        server.thaw();
    });
    CHECK(leader.query("SELECT 1").number(0, 0) == 1);
    soon.join();
    {
        const PgConnection::WithoutLimit unlimited(leader);
        const auto slept = leader.execute_each(
            "BEGIN; SET LOCAL statement_timeout = 0; SELECT pg_sleep(8); COMMIT");
        CHECK(slept.size() == 4);
    }
    // Its own timeout is the server's, with its SQLSTATE.
    CHECK(failure_of([&] { leader.query("SELECT pg_sleep(8)"); }).sqlstate == "57014");
    CHECK_FALSE(leader.is_broken());
    config.statement_timeout_ms = 0;
    PgConnection patient(config.url, config);
    CHECK(patient.query("SELECT 1 FROM pg_sleep(7)").number(0, 0) == 1);
}

TEST_CASE("a COPY that is given up leaves its connection usable") {
    PostgresServer server;
    server.query("CREATE TABLE numbers (n int)");
    const Config::Postgres config = config_of(server, 1'000);
    PgConnection leader(config.url, config);
    leader.execute("BEGIN");
    leader.copy_begin("COPY numbers FROM stdin");
    leader.copy_data("7\n");
    leader.execute("ROLLBACK");
    CHECK(leader.query("SELECT count(*) FROM numbers").number(0, 0) == 0);
    leader.copy_begin("COPY numbers FROM stdin");
    leader.copy_data("seven\n");
    CHECK(failure_of([&] { leader.copy_end(); }).sqlstate == "22P02");
    CHECK(leader.query("SELECT count(*) FROM numbers").number(0, 0) == 0);
}
