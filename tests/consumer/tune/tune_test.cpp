// homeward-consumer tune on a real leader: what it writes and where, and that nothing of it stays,
// however it ends.

#include <csignal>
#include <fstream>
#include <thread>

#include "consumer/postgres/pg_connection.hpp"
#include "consumer/tune/leader_cpu.hpp"
#include "consumer/tune/synthetic_frames.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/servers/postgres_server.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward::testing;
using namespace homeward::consumer;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kScratchSchemas =
    "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'homeward\\_tune\\_%'";
constexpr const char* kScratchNames =
    "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'homeward\\_tune\\_%'";

class Tuning {
  public:
    CommandResult run(const std::vector<std::string>& words, const std::string& user = "postgres") {
        return run_command(command(words), options(user), 300s);
    }
    Process start(const std::vector<std::string>& words) {
        ProcessOptions process = options("postgres");
        process.log = dir / "log";
        return Process(command(words), process);
    }
    bool has_scratch() const { return leader.number(kScratchSchemas) > 0; }
    /// Everything in the database but PostgreSQL's own, with its size: who touches a table shows.
    Rows inventory() const {
        return leader.query(
            "SELECT relname, relkind, relfilenode, pg_relation_size(c.oid) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' ORDER BY 1, 2");
    }

    PostgresServer leader;
    TempDir dir;

  private:
    std::vector<std::string> command(const std::vector<std::string>& words) const {
        std::vector<std::string> all{HOMEWARD_CONSUMER_PROGRAM, "tune", "--report",
                                     dir / "report.html"};
        all.insert(all.end(), words.begin(), words.end());
        return all;
    }
    ProcessOptions options(const std::string& user) const {
        ProcessOptions process;
        process.environment = {{"HOMEWARD_POSTGRES_URL", leader.url(user)},
                               {"HOMEWARD_SOURCES", "ams"}};
        return process;
    }
};

/// A sanitizer leaves no speed for a large batch in so short a trial.
constexpr const char* kRows = kIsSanitized ? "50,500" : "500,5000";
constexpr const char* kLargeRows = kIsSanitized ? "500" : "20000";

const std::vector<std::string> kShort{"--seconds", "3",    "--rows",    kRows,
                                      "--delays",  "0,20", "--writers", "1,2"};

}  // namespace

TEST_CASE("tune measures in a scratch schema, writes table, page and plots, and leaves no trace") {
    Tuning tuning;
    tuning.leader.query(
        "CREATE TABLE audit_events (mine int); INSERT INTO audit_events VALUES (1)");
    tuning.leader.query("CREATE SCHEMA homeward; CREATE TABLE homeward.ledger (mine int)");
    const Rows before = tuning.inventory();
    std::vector<std::string> words = kShort;
    words.insert(words.end(), {"--plots", tuning.dir / "plots"});
    const auto began = std::chrono::steady_clock::now();
    const CommandResult result = tuning.run(words);
    INFO(result.output);
    REQUIRE(result.exit_code == 0);
    // Bounded: a trial that is short of commits may take a little longer, on a loaded machine too.
    CHECK(std::chrono::steady_clock::now() - began < 120s);
    CHECK_THAT(result.output, Contains("rows/s") && Contains("leader CPU s/M rows") &&
                                  Contains("[batch]\nrows_max = ") && Contains("ETA") &&
                                  Contains("as the operating system counts it"));
    CHECK_FALSE(tuning.has_scratch());
    CHECK(tuning.inventory() == before);
    const std::string page = read_file(tuning.dir / "report.html");
    CHECK_THAT(page, Contains("<svg ") && Contains("Leader CPU") && Contains("</html>"));
    for (const char* plot : {"throughput", "freshness", "leader-cpu"}) {
        CHECK_THAT(read_file(tuning.dir / "plots" / (std::string(plot) + ".svg")),
                   Contains("<svg ") && Contains("</svg>"));
    }
}

TEST_CASE("the scratch schema goes when tune is interrupted, and after SIGKILL with the next run") {
    Tuning tuning;
    for (const int signal : {SIGINT, SIGTERM}) {
        Process process = tuning.start({"--seconds", "60"});
        REQUIRE(wait_until(60s, [&] { return tuning.has_scratch(); }));
        sleep_ms(1'500);  // well into its first trials
        process.signal(signal);
        INFO(read_file(tuning.dir / "log"));
        CHECK(process.wait(60s) == 128 + signal);
        CHECK_FALSE(tuning.has_scratch());
    }
    Process process = tuning.start({"--seconds", "60"});
    REQUIRE(wait_until(60s, [&] { return tuning.has_scratch(); }));
    process.kill();
    CHECK(tuning.has_scratch());
    // The leader notices that its client is gone only when it next writes to it.
    REQUIRE(wait_until(60s, [&] {
        return tuning.leader.number(
                   "SELECT count(*) FROM pg_stat_activity"
                   " WHERE application_name LIKE 'homeward%'") == 0;
    }));
    const CommandResult next =
        tuning.run({"--seconds", "3", "--rows", "500", "--delays", "20", "--writers", "2"});
    INFO(next.output);
    CHECK(next.exit_code == 0);
    CHECK_FALSE(tuning.has_scratch());
}

TEST_CASE("what was left behind is dropped whatever a stranger locks, and what is in use is not") {
    Tuning tuning;
    tuning.leader.query("CREATE ROLE stranger LOGIN");
    Process killed = tuning.start({"--seconds", "60"});
    REQUIRE(wait_until(60s, [&] { return tuning.has_scratch(); }));
    sleep_ms(1'500);
    const std::string name = tuning.leader.query(kScratchNames).at(0).at(0);
    for (const char* sql : {"ACCESS SHARE", "SHARE UPDATE EXCLUSIVE"}) {
        CHECK_THROWS_WITH(tuning.leader.query("SET SESSION AUTHORIZATION stranger; LOCK TABLE " +
                                              name + ".in_use IN " + sql + " MODE NOWAIT"),
                          Contains("permission denied"));
    }
    killed.kill();
    ProcessOptions quiet;
    quiet.log = tuning.dir / "stranger.log";
    const Process stranger(
        {"psql", "-X", "-d", tuning.leader.url("stranger"), "-c",
         "SELECT pg_advisory_lock(hashtext('" + name + "'))", "-c", "SELECT pg_sleep(600)"},
        quiet);
    REQUIRE(wait_until(60s, [&] {
        return tuning.leader.number(
                   "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a"
                   " USING (pid) WHERE l.locktype = 'advisory' AND l.granted"
                   " AND a.usename = 'stranger'") == 1 &&
               tuning.leader.number(
                   "SELECT count(*) FROM pg_stat_activity"
                   " WHERE application_name LIKE 'homeward%'") == 0;
    }));
    const std::vector<std::string> quick{"--seconds", "2",  "--rows",    "500",
                                         "--delays",  "20", "--writers", "2"};
    const CommandResult next = tuning.run(quick);
    INFO(next.output);
    CHECK(next.exit_code == 0);
    CHECK_FALSE(tuning.has_scratch());

    Process running = tuning.start({"--seconds", "60"});
    REQUIRE(wait_until(60s, [&] { return tuning.has_scratch(); }));
    const Rows used = tuning.leader.query(kScratchNames);
    const CommandResult beside = tuning.run(quick);
    INFO(beside.output);
    CHECK(beside.exit_code == 0);
    CHECK(tuning.leader.query(kScratchNames) == used);
    running.signal(SIGINT);
    CHECK(running.wait(60s) == 128 + SIGINT);
    CHECK_FALSE(tuning.has_scratch());
}

TEST_CASE("a role that may not create a schema is told which right is missing") {
    Tuning tuning;
    tuning.leader.query("CREATE ROLE app LOGIN");
    const CommandResult result = tuning.run(kShort, "app");
    CHECK(result.exit_code == 2);
    CHECK_THAT(result.output, Contains("role app may not create a schema") &&
                                  Contains("GRANT CREATE ON DATABASE \"postgres\" TO \"app\"") &&
                                  Contains("postgres.owner_url"));
    // And that right is enough.
    tuning.leader.query("GRANT CREATE ON DATABASE postgres TO app");
    const CommandResult granted = tuning.run(
        {"--seconds", "2", "--rows", kLargeRows, "--delays", "20", "--writers", "1"}, "app");
    INFO(granted.output);
    CHECK(granted.exit_code == 0);
}

TEST_CASE("tune refuses what it does not understand, with what is expected") {
    Tuning tuning;
    CHECK_THAT(tuning.run({"--rows", "many"}).output, Contains("expected a whole number from 1"));
    CHECK_THAT(tuning.run({"--type", "nosuch"}).output, Contains("known: audit, metric"));
    CHECK_THAT(tuning.run({"--report", "/nowhere/report.html"}).output, Contains("cannot write"));
}

TEST_CASE("a busy session of the leader costs about as much by sampling as by the system's count") {
    Tuning tuning;
    Config::Postgres config;
    config.url = tuning.leader.url();
    const auto exact = LeaderCpu::find(config, "busy");
    CHECK_THAT(exact->source(), Contains("operating system"));
    const auto sampled = LeaderCpu::sampled(config, "busy");
    CHECK_THAT(sampled->source(), Contains("estimated"));
    const double before = exact->seconds();
    const double sampled_before = sampled->seconds();
    const auto began = std::chrono::steady_clock::now();
    PgConnection busy(config.url, config);
    busy.execute("SET application_name = 'busy'");
    while (std::chrono::steady_clock::now() - began < 2s) {
        busy.query("SELECT sum(i) FROM generate_series(1, 300000) AS i");
    }
    const double spent = exact->seconds() - before;
    const double seen = sampled->seconds() - sampled_before;
    INFO("operating system " << spent << " s, sampled " << seen << " s");
    CHECK(spent > 0.05);
    // On a loaded machine a session at work often waits for a processor, which sampling cannot see.
    CHECK(seen > spent * 0.3);
    CHECK(seen < 6);
}
