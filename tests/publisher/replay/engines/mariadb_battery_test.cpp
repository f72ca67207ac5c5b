// Method: everything that an app may ask of a database, sent to a real read-only replica of MariaDB
// in each of libmariadb's ways. The code must be the listed one, and decide() make of its cause
// what the rules say; the table in ENGINES.md is held against the list that was run. Then the same
// on the leader, and lost connections of each kind.

#include <homeward/replay/libmariadb.hpp>
#include <homeward/replay/request_handler.hpp>

#include <thread>

#include "tests/publisher/replay/engines/mariadb_battery.hpp"
#include "tests/publisher/replay/engines/mariadb_session.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/tcp_proxy.hpp"

using namespace homeward::replay;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

const Regions kReplicaRegion{"scl", "ams"};
const Regions kPrimaryRegion{"scl", "scl"};

/// Leader and replica; a migration is on the leader that the replica has not applied.
struct Stage {
    Stage() {
        leader.query("CREATE DATABASE shop");
        replica = MariadbServer::replica_of(leader);
        const MariadbSession app(leader.port());
        for (const std::string& sql : mariadb_schema()) app.ask(sql);
        leader.query("CREATE PROCEDURE shop.of_admin() REPLACE INTO shop.other VALUES (77)");
        const std::string position = app.ask("SELECT @@gtid_binlog_pos");
        const Rows reached = replica->query("SELECT MASTER_GTID_WAIT('" + position + "', 60)");
        if (reached.at(0).at(0) != "0") throw std::runtime_error("the replica does not apply");
        replica->query("STOP SLAVE SQL_THREAD");
        for (const std::string& sql : mariadb_migration()) app.ask(sql);
    }
    MariadbServer leader;
    std::unique_ptr<MariadbServer> replica;
};

/// One for all cases; none changes it for another.
const Stage& stage() {
    static const Stage both;
    return both;
}

Verdict verdict_of(Cause cause, ServerRole role, const Regions& regions,
                   const char* method = "POST") {
    Situation situation;
    situation.method = method;
    situation.cause = cause;
    situation.has_handler_run = true;
    situation.server_role = role;
    return decide(situation, regions).verdict;
}

std::string no_header(std::string_view) {
    return "";
}

/// What an app's request gets whose handler met `cause`.
int status_of(const char* method, Cause cause, const Regions& regions) {
    const RequestHandler handler(regions, {});
    const Outcome outcome = handler.run({method, "/", 0, no_header},
                                        [&](HandlerResult& result) { result.cause = cause; });
    return outcome.instead ? outcome.instead->status : 200;
}

}  // namespace

TEST_CASE("each statement gets its code from a MariaDB replica in each way that it can be sent") {
    std::size_t run = 0;
    for (const MariadbWay& way : mariadb_ways(stage().replica->port())) {
        for (const MariadbStatement& statement : mariadb_battery()) {
            if (!way.can_run(statement)) continue;
            ++run;
            const MariadbAnswer answer = way.run(statement.sql);
            INFO(way.name << ": " << statement.sql << ": " << answer.code);
            CHECK(answer.code == statement.code);
            CHECK(answer.cause == cause_of_mysql(statement.code));
            CHECK(verdict_of(answer.cause, ServerRole::standby, kReplicaRegion) ==
                  (answer.code == 1290 ? Verdict::replay : Verdict::proceed));
        }
    }
    CHECK(run > 4 * mariadb_battery().size());
    CHECK(MariadbSession(stage().replica->port()).ask("SELECT count(*) FROM note") == "1");
}

TEST_CASE("the table of what a MariaDB replica answers in ENGINES.md is the list that was run") {
    const std::string engines = read_file(HOMEWARD_REPLAY_ENGINES);
    for (const std::string& row : mariadb_table()) {
        INFO("missing in publisher/replay/ENGINES.md:\n" << row);
        CHECK(engines.find(row + "\n") != std::string::npos);
    }
}

TEST_CASE("of an XA transaction a MariaDB replica refuses the write, and prepares the rest") {
    const MariadbSession app(stage().replica->port());
    const auto cause_of_statement = [&](const char* sql) {
        mysql_query(app.get(), sql);
        return cause_of(app.get());
    };
    CHECK(cause_of_statement("XA START 'order'") == Cause::none);
    CHECK(cause_of_statement("INSERT INTO note VALUES (2, 2)") == Cause::read_only);
    CHECK(cause_of_statement("XA END 'order'") == Cause::none);
    CHECK(cause_of_statement("XA PREPARE 'order'") == Cause::none);
    CHECK(cause_of_statement("XA ROLLBACK 'order'") == Cause::none);
}

TEST_CASE("a procedure of a MariaDB administrator writes on a replica, as ENGINES.md warns") {
    const MariadbSession app(stage().replica->port());
    mysql_query(app.get(), "CALL of_admin()");
    CHECK(cause_of(app.get()) == Cause::none);
    CHECK(app.ask("SELECT count(*) FROM other WHERE id = 77") == "1");
    mysql_query(app.get(), "REPLACE INTO other VALUES (77)");
    CHECK(cause_of(app.get()) == Cause::read_only);
}

TEST_CASE("the roles of MariaDB servers are told apart") {
    CHECK(server_role(MariadbSession(stage().leader.port()).get()) == ServerRole::primary);
    CHECK(server_role(MariadbSession(stage().replica->port()).get()) == ServerRole::standby);
    stage().leader.query("SET GLOBAL read_only = on");
    const MariadbSession app(stage().leader.port());
    CHECK(server_role(app.get()) == ServerRole::read_only_primary);
    mysql_query(app.get(), "INSERT INTO note (id) VALUES (20)");
    const Cause cause = cause_of(app.get());
    stage().leader.query("SET GLOBAL read_only = off");
    CHECK(cause == Cause::read_only);
    CHECK(verdict_of(cause, ServerRole::read_only_primary, kPrimaryRegion) == Verdict::refuse);
}

TEST_CASE("on the leader of MariaDB errors are the app's own") {
    const MariadbSession app(stage().leader.port());
    const auto cause_on_leader = [&](const char* sql) {
        mysql_query(app.get(), sql);
        return cause_of(app.get());
    };
    CHECK(cause_on_leader("REPLACE INTO note (id, n) VALUES (1, 1)") == Cause::none);
    CHECK(cause_on_leader("INSERT INTO note (id) VALUES (1)") == Cause::other);
    CHECK(cause_on_leader("SELEC") == Cause::other);
    CHECK(cause_on_leader("SELECT * FROM mysql.user") == Cause::other);
    // In MySQL this code is a lost connection.
    CHECK(cause_on_leader("CREATE TRIGGER fresh BEFORE INSERT ON note FOR EACH ROW FOLLOWS nowhere "
                          "SET @a = 1") == Cause::other);
    CHECK(mysql_errno(app.get()) == 4031);
    // The app's own READ ONLY transaction.
    CHECK(cause_on_leader("START TRANSACTION READ ONLY") == Cause::none);
    const Cause read_only = cause_on_leader("INSERT INTO note (id) VALUES (21)");
    CHECK(mysql_errno(app.get()) == 1792);
    CHECK(std::string(mysql_sqlstate(app.get())) == "25006");
    CHECK(read_only == Cause::read_only);
    CHECK(verdict_of(read_only, ServerRole::primary, kPrimaryRegion) == Verdict::proceed);
    CHECK(cause_on_leader("ROLLBACK") == Cause::none);
}

TEST_CASE("two writers of MariaDB in each other's way are in conflict") {
    const MariadbSession one(stage().leader.port());
    const MariadbSession two(stage().leader.port());
    one.ask("REPLACE INTO other VALUES (1)");
    one.ask("REPLACE INTO other VALUES (2)");
    two.ask("SET innodb_lock_wait_timeout = 1");
    one.ask("BEGIN");
    one.ask("SELECT * FROM other WHERE id = 1 FOR UPDATE");
    mysql_query(two.get(), "DELETE FROM other WHERE id = 1");
    CHECK(mysql_errno(two.get()) == 1205);
    CHECK(cause_of(two.get()) == Cause::conflict);

    two.ask("SET innodb_lock_wait_timeout = 30");
    two.ask("BEGIN");
    two.ask("SELECT * FROM other WHERE id = 2 FOR UPDATE");
    std::thread waiting([&] { mysql_query(one.get(), "DELETE FROM other WHERE id = 2"); });
    sleep_ms(300);
    mysql_query(two.get(), "DELETE FROM other WHERE id = 1");
    const unsigned second = mysql_errno(two.get());
    const Cause second_cause = cause_of(two.get());
    if (second == 0) two.ask("ROLLBACK");
    waiting.join();
    const bool is_second = second == 1213;
    CHECK((is_second || mysql_errno(one.get()) == 1213));
    CHECK((is_second ? second_cause : cause_of(one.get())) == Cause::conflict);
    CHECK(verdict_of(Cause::conflict, ServerRole::primary, kPrimaryRegion) == Verdict::proceed);
}

TEST_CASE("a MariaDB server that cannot be reached is a lost connection") {
    const auto cause_of_connecting_to = [](int port) {
        std::unique_ptr<MYSQL, decltype(&mysql_close)> handle(mysql_init(nullptr), mysql_close);
        REQUIRE(mysql_real_connect(handle.get(), "127.0.0.1", "app", nullptr, "shop",
                                   static_cast<unsigned>(port), nullptr, 0) == nullptr);
        return cause_of(handle.get());
    };
    CHECK(cause_of_connecting_to(free_port()) == Cause::connection);  // 2002
    // One that closes what it accepts: 2013, as for a lost statement, but nothing was sent.
    TcpProxy closing(stage().leader.port());
    closing.refuse(true);
    CHECK(cause_of_connecting_to(closing.port()) == Cause::connection);
    CHECK(status_of("GET", Cause::connection, kReplicaRegion) == 409);
    CHECK(status_of("POST", Cause::connection, kReplicaRegion) == 503);
}

TEST_CASE("a statement of MariaDB without an answer may be done, a read without one is replayed") {
    const MariadbSession app(stage().replica->port());
    const std::string id = app.ask("SELECT CONNECTION_ID()");
    std::thread killer([&] {
        sleep_ms(300);
        stage().replica->query("KILL CONNECTION " + id);
    });
    mysql_query(app.get(), "SELECT SLEEP(30)");
    killer.join();
    CHECK(mysql_errno(app.get()) == 2013);
    const Cause lost = cause_of(app.get());
    CHECK(lost == Cause::outcome_unknown);
    CHECK(status_of("GET", lost, kReplicaRegion) == 409);
    CHECK(status_of("POST", lost, kReplicaRegion) == 200);  // the app's own answer
    CHECK(status_of("POST", lost, kPrimaryRegion) == 200);
    mysql_query(app.get(), "SELECT 1");
    CHECK(mysql_errno(app.get()) == 2006);
    CHECK(cause_of(app.get()) == Cause::connection);
}

TEST_CASE("a COMMIT of MariaDB whose answer is lost is in doubt, and was done") {
    TcpProxy proxy(stage().leader.port());
    const MariadbSession app(proxy.port());
    app.ask("BEGIN");
    app.ask("REPLACE INTO note (id, n) VALUES (30, 30)");
    proxy.watch([](std::string_view sent) {
        return sent.find("COMMIT") == std::string_view::npos ? TcpProxy::Act::pass
                                                             : TcpProxy::Act::cut_at_answer;
    });
    mysql_query(app.get(), "COMMIT");
    CHECK(cause_of(app.get()) == Cause::outcome_unknown);
    CHECK(status_of("POST", cause_of(app.get()), kPrimaryRegion) == 200);
    const MariadbSession leader(stage().leader.port());
    CHECK(leader.ask("SELECT count(*) FROM note WHERE id = 30") == "1");
}
