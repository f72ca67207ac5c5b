// Method: everything that an app may ask of a database, sent to a real hot standby in each of
// libpqxx's and libpq's ways. Our helpers must find the SQLSTATE, and decide() make of it what the
// rules say; the table in RULES.md is held against the list that was run.

#include <homeward/replay/libpq.hpp>
#include <homeward/replay/libpqxx.hpp>

#include <set>

#include "tests/publisher/replay/session.hpp"
#include "tests/publisher/replay/ways.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::replay;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// Leader and standby; a migration is on the leader that the standby has not replayed.
struct Stage {
    Stage() : leader({"max_prepared_transactions = 5"}) {
        leader.query(kBatterySchema);
        standby = PostgresServer::standby_of(leader);
        standby->query("SELECT pg_wal_replay_pause()");
        leader.query(kBatteryMigration);
    }
    PostgresServer leader;
    std::unique_ptr<PostgresServer> standby;
};

/// One for all cases that need no standby from the beginning.
const PostgresServer& shared_leader() {
    static const PostgresServer server;
    return server;
}

std::string verdict(const std::string& sqlstate) {
    Situation situation;
    situation.method = "POST";
    situation.cause = cause_of_sqlstate(sqlstate);
    situation.has_handler_run = true;
    return decide(situation, {"scl", "ams"}).verdict == Verdict::replay ? "replay" : "proceed";
}

template <typename Run>
std::string sqlstate_thrown_by(Run run) {
    try {
        run();
        return "";
    } catch (const std::exception& error) {
        return sqlstate_of(error);
    }
}

}  // namespace

TEST_CASE("each statement gets its answer from a standby in each way that it can be sent") {
    const Stage stage;
    std::vector<Way> ways = libpqxx_ways(*stage.standby);
    for (Way& way : libpq_ways(*stage.standby)) ways.push_back(std::move(way));
    std::size_t run = 0;
    for (const Way& way : ways) {
        for (const Statement& statement : battery()) {
            if (!way.can_run(statement)) continue;
            ++run;
            const std::string sqlstate = way.run(statement.sql);
            INFO(way.name << ": " << statement.sql << ": " << sqlstate);
            CHECK(is_expected(statement, sqlstate));
            CHECK(verdict(sqlstate) ==
                  (sqlstate == "25006" || sqlstate == "0A000" ? "replay" : "proceed"));
        }
    }
    CHECK(run > ways.size() * (battery().size() - 6));
    CHECK(stage.leader.number("SELECT count(*) FROM note") == 1);

    for (const Way& way : libpqxx_own_ways(*stage.standby)) {
        const std::string sqlstate = way.run("");
        INFO(way.name << ": " << sqlstate);
        if (way.name == "robusttransaction") {
            // 6.4 looks for its log table and does not say why it cannot make it; later ones ask
            // for a transaction id.
            CHECK(sqlstate == (PQXX_VERSION_MAJOR < 7 ? "42P01" : "25006"));
        } else {
            CHECK(sqlstate == (way.name == "transaction<serializable>" ? "0A000" : "25006"));
        }
    }
}

TEST_CASE("the table of what a standby answers in RULES.md is the list that was run") {
    const std::string rules = read_file(HOMEWARD_REPLAY_RULES);
    for (const std::string& row : battery_table()) {
        INFO("missing in publisher/replay/RULES.md:\n" << row);
        CHECK(rules.find(row + "\n") != std::string::npos);
    }
}

TEST_CASE("what libpqxx throws keeps its SQLSTATE where the class is all that is left of it") {
    const PostgresServer& server = shared_leader();
    server.query(
        "CREATE ROLE nobody LOGIN; CREATE TABLE note (id int PRIMARY KEY, n int);"
        "INSERT INTO note VALUES (1, 1)");
    const auto run_as = [&](const std::string& user, const std::string& sql) {
        return sqlstate_thrown_by([&] {
            pqxx::connection connection(server.url(user));
            pqxx::work(connection).exec(sql);
        });
    };
    CHECK(run_as("nobody", "SELECT * FROM note") == "42501");
    CHECK(run_as("postgres", "INSERT INTO note VALUES (1, 1)") == "23505");
    CHECK(run_as("postgres", "SELEC") == "42601");
    CHECK(run_as("postgres", "SELECT * FROM nowhere") == "42P01");
    CHECK(run_as("nobody", "SELECT pg_sleep(0)").empty());
    CHECK(run_as("stranger", "SELECT 1") == "08006");

    // Two serializable transactions that each read what the other writes.
    CHECK(sqlstate_thrown_by([&] {
              using Serializable = pqxx::transaction<pqxx::isolation_level::serializable>;
              pqxx::connection one(server.url()), two(server.url());
              Serializable first(one), second(two);
              for (Serializable* each : {&first, &second}) each->exec("SELECT sum(n) FROM note");
              first.exec("INSERT INTO note VALUES (2, 2)");
              second.exec("INSERT INTO note VALUES (3, 3)");
              first.commit();
              second.commit();
          }) == "40001");

    // The server ends the connection: libpqxx says no more than that it is broken, libpq now and
    // then 57P01.
    CHECK(sqlstate_thrown_by([&] {
              pqxx::connection connection(server.url());
              pqxx::work transaction(connection);
              transaction.exec("SELECT pg_terminate_backend(pg_backend_pid())");
          }) == "08006");
    const Session session(server);
    const detail::LibpqResult result(
        PQexec(session.get(), "SELECT pg_terminate_backend(pg_backend_pid())"));
    const std::string ended = sqlstate_of(result.get());
    CHECK((ended == "57P01" || ended == "08006"));
    const detail::LibpqResult after(PQexec(session.get(), "SELECT 1"));
    CHECK(sqlstate_of(after.get()) == "08006");
}

TEST_CASE("an error inside of another is found, and one of somebody else's is none") {
    const PostgresServer& server = shared_leader();
    const auto nested = [&] {
        try {
            pqxx::connection connection(server.url());
            pqxx::work(connection).exec("SELECT * FROM nowhere");
        } catch (...) {
            std::throw_with_nested(std::runtime_error("while the page was made"));
        }
    };
    CHECK(sqlstate_thrown_by(nested) == "42P01");
    CHECK(sqlstate_thrown_by([] { throw std::runtime_error("25006"); }).empty());
    CHECK(sqlstate_thrown_by([] {
              try {
                  throw 7;
              } catch (...) {
                  std::throw_with_nested(std::runtime_error("no exception below"));
              }
          }).empty());
}

TEST_CASE("a standby, a primary and a primary that refuses writes are told apart") {
    const PostgresServer& leader = shared_leader();
    const auto standby = PostgresServer::standby_of(leader);
    CHECK(server_role(Session(leader).get()) == ServerRole::primary);
    CHECK(server_role(Session(*standby).get()) == ServerRole::standby);
    pqxx::connection at_leader(leader.url()), at_standby(standby->url());
    CHECK(server_role(at_leader) == ServerRole::primary);
    CHECK(server_role(at_standby) == ServerRole::standby);

    const auto system_id = replica_position(at_leader)->at.system_id;
    for (const bool is_replica : {false, true}) {
        const PostgresServer& meant = is_replica ? *standby : leader;
        const PostgresServer& other = is_replica ? leader : *standby;
        CHECK(verify_role(Session(meant).get(), is_replica, system_id)->warning.empty());
        CHECK_FALSE(verify_role(Session(other).get(), is_replica, system_id)->warning.empty());
    }
    CHECK(verify_role(at_standby, true, system_id)->warning.empty());
    CHECK_FALSE(verify_role(at_standby, true, system_id + 1)->warning.empty());
    CHECK_FALSE(verify_role(at_leader, true)->warning.empty());

    const Session read_only(leader);
    read_only.ask("SET default_transaction_read_only = on");
    const detail::LibpqResult refused(PQexec(read_only.get(), "CREATE TABLE refused (n int)"));
    CHECK(sqlstate_of(refused.get()) == "25006");
    CHECK(server_role(read_only.get()) == ServerRole::read_only_primary);
    // The app's own READ ONLY transaction is no property of the server.
    const Session own(leader);
    own.ask("BEGIN READ ONLY");
    CHECK(server_role(own.get()) == ServerRole::primary);
    leader.query("ALTER ROLE nobody SET default_transaction_read_only = on");
    pqxx::connection closed(leader.url("nobody"));
    CHECK(server_role(closed) == ServerRole::read_only_primary);

    standby->promote();
    const Session promoted(*standby);
    CHECK(wait_until(30s, [&] {
        promoted.ask("SELECT 1");
        return server_role(promoted.get()) == ServerRole::primary;
    }));
}
