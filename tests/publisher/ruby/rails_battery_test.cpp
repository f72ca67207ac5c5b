// Method: the battery of writes through ActiveRecord, Sequel and pg in a real Rails app, which
// knows of regions by its Gemfile alone, under a forking Puma in both regions, with a leader and a
// streaming replica. Each answer is held against decide() by the C ABI, whose rules are rules.json
// (replay_rules_test), for the SQLSTATE that the app met.

#include <homeward_replay.h>
#include <httplib.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <set>

#include <nlohmann/json.hpp>

#include "tests/publisher/replay/battery/battery.hpp"
#include "tests/publisher/send/streams.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/tcp_proxy.hpp"
#include "tests/support/process.hpp"
#include "tests/support/servers/nats_client.hpp"
#include "tests/support/servers/nats_server.hpp"
#include "tests/support/servers/postgres_server.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr const char* kText = "text/plain";
const char* const kWays[] = {"active_record", "sequel", "pg"};

/// A Rails app of a region, as its Gemfile makes it.
class RailsApp {
  public:
    RailsApp(const std::string& region, const PostgresServer& leader, const PostgresServer& replica,
             const std::map<std::string, std::string>& more = {}) {
        for (const char* name : {"Gemfile", "config.ru"}) {
            fs::copy_file(fs::path(HOMEWARD_RUBY_TESTS) / "rails_app" / name, dir_ / name);
        }
        ProcessOptions options;
        options.log = dir_ / "log";
        options.environment = {
            {"HOMEWARD_LIBRARY", HOMEWARD_C_LIBRARY},
            {"HOMEWARD_GEM", HOMEWARD_RUBY_DIR},
            {"BUNDLE_GEMFILE", dir_ / "Gemfile"},
            {"BUNDLE_APP_CONFIG", dir_ / "bundle"},
            {"HOME", dir_.path()},
            {"RAILS_ENV", "production"},
            {"PRIMARY_REGION", "scl"},
            {"FLY_REGION", region},
            {"DATABASE_URL", leader.url()},
            {"DATABASE_REPLICA_URL", replica.url()},
            {"HOMEWARD_REPLAY_KEYS", "test:" + std::string(64, 'a')},
        };
        for (const auto& [name, value] : more) options.environment[name] = value;
        process_ = Process({"puma", "-w", "2", "-t", "1:3", "--preload", "-b",
                            "tcp://127.0.0.1:" + std::to_string(port_), dir_ / "config.ru"},
                           options);
        const bool is_up = wait_until(60s, [&] {
            const auto answer = client().Get("/up");
            return answer && answer->status == 200;
        });
        if (!is_up) throw std::runtime_error("Puma did not start:\n" + log());
    }
    ~RailsApp() { process_.stop(20s); }
    RailsApp(const RailsApp&) = delete;
    RailsApp& operator=(const RailsApp&) = delete;

    httplib::Client client() const {
        httplib::Client client("127.0.0.1", port_);
        client.set_read_timeout(30s);
        return client;
    }
    Process& process() { return process_; }
    std::string log() const { return read_file(dir_ / "log"); }

  private:
    TempDir dir_;
    int port_ = free_port();
    Process process_;
};

/// What decide() says to a request whose handler met that SQLSTATE.
homeward_decision decide(const std::string& region, const char* method, const std::string& sqlstate,
                         homeward_server_role role) {
    homeward_situation situation{};
    situation.size = sizeof situation;
    situation.method = method;
    situation.flags = HOMEWARD_HANDLER_HAS_RUN;
    situation.cause = homeward_cause_of_sqlstate(sqlstate.c_str());
    situation.server_role = role;
    homeward_decision decision{};
    decision.size = sizeof decision;
    REQUIRE(homeward_decide("scl", region.c_str(), &situation, nullptr, &decision) == 1);
    return decision;
}

/// The answer is the decision's, whole: nothing of the half-done one stays.
void check_answer(const httplib::Response& answer, const homeward_decision& decision,
                  const std::string& sqlstate) {
    switch (decision.verdict) {
        case HOMEWARD_PROCEED:
            CHECK(answer.status == (sqlstate.empty() ? 200 : 500));
            CHECK_FALSE(answer.has_header("fly-replay"));
            break;
        case HOMEWARD_REPLAY:
            CHECK(answer.status == 409);
            CHECK(answer.get_header_value("fly-replay") == "region=scl");
            CHECK(answer.get_header_value("cache-control") == "no-store");
            CHECK_FALSE(answer.has_header("set-cookie"));
            CHECK(answer.body.empty());
            break;
        case HOMEWARD_REFUSE:
            CHECK(answer.status == decision.status);
            CHECK(answer.has_header("retry-after") == (decision.retry_after_s > 0));
            CHECK_FALSE(answer.has_header("fly-replay"));
            break;
    }
}

std::string where_of(const Statement& statement) {
    return statement.where == Where::anywhere ? "anywhere" : "in_block";
}

/// A leader, and a standby that a migration has not reached yet.
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

void check_battery_in_replica_region(const RailsApp& app) {
    auto client = app.client();
    int replayed = 0;
    for (const char* way : kWays) {
        for (const Statement& statement : battery()) {
            const auto answer = client.Post("/run/" + std::string(way) + "/" + where_of(statement),
                                            statement.sql, kText);
            REQUIRE(answer);
            const std::string sqlstate = answer->get_header_value("x-sqlstate");
            INFO(way << ": " << statement.sql << ": " << answer->status << " " << sqlstate);
            CHECK(is_expected(statement, sqlstate));
            check_answer(*answer, decide("ams", "POST", sqlstate, HOMEWARD_ROLE_STANDBY), sqlstate);
            replayed += answer->status == 409 ? 1 : 0;
        }
    }
    CHECK(replayed > 3 * 40);
}

void check_battery_in_primary_region(const RailsApp& app) {
    auto client = app.client();
    for (const char* way : kWays) {
        // A transaction's own READ ONLY, whose error is the app's: not 503, not 409.
        const auto own = client.Post("/own_read_only/" + std::string(way), "", kText);
        REQUIRE(own);
        INFO(way << ": " << own->status);
        CHECK(own->get_header_value("x-sqlstate") == "25006");
        CHECK(own->status == 500);
        for (const Statement& statement : battery()) {
            const auto answer = client.Post("/run/" + std::string(way) + "/" + where_of(statement),
                                            statement.sql, kText);
            REQUIRE(answer);
            const std::string sqlstate = answer->get_header_value("x-sqlstate");
            INFO(way << ": " << statement.sql << ": " << answer->status << " " << sqlstate);
            check_answer(*answer, decide("scl", "POST", sqlstate, HOMEWARD_ROLE_PRIMARY), sqlstate);
        }
    }
}

/// What the platform says of a request, what it cannot replay, and an app with error pages.
void check_requests(const RailsApp& app) {
    auto client = app.client();
    const std::string insert = "INSERT INTO note VALUES (2, 2)";
    for (const char* path : {"/run/active_record/anywhere", "/run/pg/anywhere",
                             "/hidden/active_record", "/hidden/sequel", "/hidden/pg"}) {
        INFO(path);
        const auto answer = client.Post(path, insert, kText);
        REQUIRE(answer);
        CHECK(answer->status == 409);
        for (const char* header : {"fly-replay-src", "fly-replay-failed"}) {
            const auto again =
                client.Post(path, httplib::Headers{{header, "region=scl"}}, insert, kText);
            REQUIRE(again);
            CHECK(again->status == 503);
            CHECK(again->has_header("retry-after"));
        }
    }
    const std::string large(1'000'001, 'x');
    const auto refused = client.Post("/run/pg/anywhere", large, kText);
    const auto passed = client.Post("/uploads/note?id=9&n=9", large, kText);
    const auto socket = client.Get("/up", {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}});
    REQUIRE((refused && passed && socket));
    CHECK(refused->status == 413);
    CHECK(passed->status == 500);  // the app's own, whatever it met
    CHECK(socket->status == 403);
    CHECK_FALSE(socket->has_header("retry-after"));
}

/// What a replayed request emits is dropped: the primary emits it again.
void check_scope(const RailsApp& app, const NatsServer& nats) {
    NatsClient client(nats.port());
    const auto messages = [&] {
        const auto info =
            nlohmann::json::parse(client.request("$JS.API.STREAM.INFO.HOMEWARD_AUDIT_ams", ""));
        return info.at("state").at("messages").get<int>();
    };
    for (int i = 0; i < 10; ++i) {
        const auto write = app.client().Post("/notes?id=70&n=1", "", kText);
        REQUIRE(write);
        CHECK(write->status == 409);
    }
    const auto read = app.client().Get("/notes/1");
    REQUIRE(read);
    CHECK(read->status == 200);
    CHECK(wait_until(10s, [&] { return messages() > 0; }));
    sleep_ms(500);
    // One frame with the read's event, and at most one that says that its origin is idle.
    CHECK(messages() <= 2);
}

void check_session(const RailsApp& ams, const RailsApp& scl, const PostgresServer& standby) {
    standby.query("SELECT pg_wal_replay_pause()");
    const auto write = scl.client().Post("/notes?id=50&n=51", "", kText);
    REQUIRE(write);
    REQUIRE(write->status == 201);
    const std::string token = write->get_header_value("homeward-seen");
    const std::string cookie = write->get_header_value("set-cookie");
    REQUIRE_FALSE(token.empty());
    CHECK(cookie.find("__Host-homeward_seen=" + token + "; ") != std::string::npos);

    auto client = ams.client();
    const auto read = [&](const httplib::Headers& headers) {
        const auto answer = client.Get("/notes/50", headers);
        return answer ? answer->status : -1;
    };
    CHECK(read({{"Homeward-Seen", token}}) == 409);
    CHECK(read({{"Cookie", cookie.substr(0, cookie.find(';'))}}) == 409);
    CHECK(read({}) == 404);
    CHECK(read({{"Homeward-Seen", token + "0"}}) == 404);
    standby.query("SELECT pg_wal_replay_resume()");
    CHECK(wait_until(20s, [&] { return read({{"Homeward-Seen", token}}) == 200; }));
}

/// A server that is shut down after a commit: the client must not send the request again.
void check_shutdown_after_commit(const RailsApp& scl, const PostgresServer& leader) {
    auto client = scl.client();
    int id = 200;
    for (const char* way : kWays) {
        for (const char* where : {"anywhere", "in_block"}) {
            const std::string row = std::to_string(++id);
            const std::string path = "/committed/" + std::string(way) + "/" + where;
            const auto answer =
                client.Post(path, "INSERT INTO note VALUES (" + row + ", 1)", kText);
            REQUIRE(answer);
            INFO(path << ": " << answer->status << " " << answer->body);
            CHECK(answer->status == 500);
            CHECK_FALSE(answer->has_header("retry-after"));
            CHECK(leader.number("SELECT count(*) FROM note WHERE id = " + row) == 1);
            // Without a commit it may.
            const auto read = client.Post(path, "SELECT 1", kText);
            REQUIRE(read);
            CHECK(read->has_header("retry-after") == (where == std::string("anywhere")));
        }
    }
}

/// The last of several answers: what a connection was lost with is met once, then there is none.
int status_of_last(const RailsApp& app, const std::string& path, bool is_write) {
    int last = 0;
    for (int i = 0; i < 8; ++i) {
        auto client = app.client();
        const auto answer = is_write ? client.Post(path, "SELECT 1", kText) : client.Get(path);
        last = answer ? answer->status : -1;
    }
    return last;
}

std::string url_through(const TcpProxy& proxy, const PostgresServer& server) {
    std::string url = server.url();
    const std::string port = std::to_string(server.port());
    return url.replace(url.find(port), port.size(), std::to_string(proxy.port()));
}

/// A connection that goes as COMMIT goes, or when it has been answered: nobody but the leader knows
/// what became of it. The app is told so, and its client never to send the request again.
void check_lost_commit(const RailsApp& app, TcpProxy& proxy, const PostgresServer& leader) {
    int id = 100;
    for (const char* way : kWays) {
        for (const auto act : {TcpProxy::Act::cut_at_answer, TcpProxy::Act::cut}) {
            const bool is_committed = act == TcpProxy::Act::cut_at_answer;
            std::atomic<int> cuts{0};
            proxy.watch([&](std::string_view sent) {
                const bool is_commit = sent.find("COMMIT") != sent.npos && cuts.exchange(1) == 0;
                return is_commit ? act : TcpProxy::Act::pass;
            });
            const std::string row = std::to_string(++id);
            const auto answer =
                app.client().Post("/run/" + std::string(way) + "/in_block",
                                  "INSERT INTO note VALUES (" + row + ", 1)", kText);
            proxy.watch({});
            REQUIRE(answer);
            INFO(way << (is_committed ? ", committed: " : ", not committed: ") << answer->status
                     << " " << answer->body);
            CHECK(cuts == 1);
            // 08007, transaction resolution unknown: what a server that could still speak would
            // say.
            check_answer(*answer, decide("scl", "POST", "08007", HOMEWARD_ROLE_PRIMARY), "08007");
            CHECK(answer->status == 500);
            CHECK_FALSE(answer->has_header("retry-after"));
            CHECK(leader.number("SELECT count(*) FROM note WHERE id = " + row) ==
                  (is_committed ? 1 : 0));
            // The connection is made anew, and the app goes on.
            const std::string next = std::to_string(++id);
            CHECK(wait_until(10s, [&] {
                const auto again =
                    app.client().Post("/run/" + std::string(way) + "/in_block",
                                      "INSERT INTO note VALUES (" + next + ", 1)", kText);
                return again && again->status == 200;
            }));
        }
    }
}

}  // namespace

TEST_CASE("a COMMIT whose answer is lost is the app's own error, and never a request to repeat") {
    PostgresServer leader;
    leader.query(kBatterySchema);
    const auto standby = PostgresServer::standby_of(leader);
    TcpProxy proxy(leader.port());
    const RailsApp scl("scl", leader, *standby,
                       {{"DATABASE_URL", url_through(proxy, leader)}, {"WEB_CONCURRENCY", "1"}});
    check_lost_commit(scl, proxy, leader);
}

TEST_CASE("a Rails app under Puma answers each statement of the battery as decide() says") {
    const Stage stage;
    const NatsServer nats;
    make_stream(nats, homeward::StreamKind::audit);
    const RailsApp ams("ams", stage.leader, *stage.standby, {{"NATS_URL", nats.url()}});
    check_scope(ams, nats);
    check_battery_in_replica_region(ams);
    CHECK(stage.leader.number("SELECT count(*) FROM note") == 1);
    // By the app's own error page for ActiveRecord's errors, too.
    const RailsApp scl("scl", stage.leader, *stage.standby, {{"OWN_ERROR_PAGE", "1"}});
    check_battery_in_primary_region(scl);
    // A full disk, as Fly's cluster says it.
    stage.leader.query("ALTER SYSTEM SET default_transaction_read_only = on");
    stage.leader.query("SELECT pg_reload_conf()");
    CHECK(wait_until(10s, [&] {
        const auto answer = scl.client().Post("/notes?id=5&n=5", "", kText);
        return answer && answer->status == 503 && answer->has_header("retry-after");
    }));
}

TEST_CASE("a Rails app keeps sessions, error pages and a database that is down apart") {
    PostgresServer leader;
    leader.query(kBatterySchema);
    const auto standby = PostgresServer::standby_of(leader);
    const RailsApp ams("ams", leader, *standby, {{"OWN_ERROR_PAGE", "1"}});
    const RailsApp scl("scl", leader, *standby);
    check_requests(ams);
    check_shutdown_after_commit(scl, leader);
    check_session(ams, scl, *standby);
    standby->stop();
    leader.stop();
    for (const char* way : kWays) {
        INFO(way);
        const std::string path = "/run/" + std::string(way) + "/anywhere";
        CHECK(status_of_last(ams, path, false) == 409);
        CHECK(status_of_last(ams, path, true) == 503);
        CHECK(status_of_last(scl, path, false) == 503);
        CHECK(status_of_last(scl, path, true) == 503);
    }
}
