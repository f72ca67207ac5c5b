// What the leader says, by SQLSTATE, and what the consumer does: it waits, holds the type, or makes
// a dead letter; through a real leader, in the middle of a batch.

#include <filesystem>
#include <fstream>

#include "tests/consumer/ledger/account.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/small_disk.hpp"
#include "tests/support/frame_publisher.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// A leader with a trigger that raises whatever it is told, and a consumer with a login of its own.
class FaultyLeader {
  public:
    FaultyLeader() : bridge_(options()) {
        leader().query("CREATE ROLE app LOGIN SUPERUSER");
        bridge_.environment()["HOMEWARD_POSTGRES_URL"] = leader().url("app");
        REQUIRE(bridge_.consumer_command({"schema", "apply"}).exit_code == 0);
        leader().query("CREATE TABLE fault (code text); INSERT INTO fault VALUES ('')");
        leader().query(
            "CREATE FUNCTION raise_fault() RETURNS trigger LANGUAGE plpgsql AS $$"
            " DECLARE wanted text;"
            " BEGIN SELECT code INTO wanted FROM fault;"
            " IF wanted <> '' THEN RAISE EXCEPTION 'as told' USING ERRCODE = wanted; END IF;"
            " RETURN NEW; END $$");
        leader().query(
            "CREATE TRIGGER raise_fault BEFORE INSERT ON audit_events"
            " FOR EACH ROW EXECUTE FUNCTION raise_fault()");
        bridge_.start_consumer();
        sender_.emplace(bridge_.leaf().port(), "ams", "shop");
    }
    Bridge& bridge() { return bridge_; }
    PostgresServer& leader() { return bridge_.leader(); }
    void raise(const std::string& code) {
        leader().query("UPDATE fault SET code = '" + code + "'");
    }
    void send() { sender_->send(sender_->frame(++sent_, 1)); }
    bool is_all_there() {
        const auto is_there = [&] {
            return rows(leader()) + dead_letters(leader()) == static_cast<std::int64_t>(sent_);
        };
        return wait_until(30s, is_there);
    }
    double retries() { return bridge_.metric("homeward_retries_total"); }

  private:
    static BridgeOptions options() {
        BridgeOptions options;
        options.environment = {{"HOMEWARD_POSTGRES_LOCK_TIMEOUT_MS", "200"},
                               {"HOMEWARD_BATCH_DELAY_MS", "0"}};
        return options;
    }

    Bridge bridge_;
    std::optional<FramePublisher> sender_;
    std::uint64_t sent_ = 0;
};

}  // namespace

TEST_CASE(
    "each class of SQLSTATE is waited out, holds its type, or makes a dead letter, by itself") {
    FaultyLeader faulty;
    // Connection, read-only, rollback, resources, locks, operator, system: never a dead letter.
    for (const char* code :
         {"08006", "25006", "40001", "40P01", "53100", "53300", "55P03", "58030"}) {
        INFO(code);
        faulty.raise(code);
        const double before = faulty.retries();
        faulty.send();
        CHECK(wait_until(20s, [&] { return faulty.retries() >= before + 2; }));
        CHECK(faulty.bridge().metric("homeward_paused") == 0);
        faulty.raise("");
        CHECK(faulty.is_all_there());
        CHECK(dead_letters(faulty.leader()) == 0);
    }
    // Schema, rights, what stands in no table, and a row that takes too long, with nothing of the
    // type that passes: the type is held, loudly.
    const std::string held = "homeward_held{kind=\"type\",name=\"audit\"}";
    for (const char* code : {"42501", "57014", "XX000"}) {
        INFO(code);
        faulty.raise(code);
        faulty.send();
        CHECK(wait_until(20s, [&] { return faulty.bridge().metric(held) == 1; }));
        CHECK(faulty.bridge().metric("homeward_paused") == 0);
        faulty.raise("");
        CHECK(faulty.is_all_there());
        CHECK(dead_letters(faulty.leader()) == 0);
        CHECK(wait_until(30s, [&] { return faulty.bridge().metric(held) == -1; }));
    }
    CHECK(faulty.bridge().consumer_log().find("as told [XX000]; its messages wait") !=
          std::string::npos);
    // Data, and a user's trigger: that event is a dead letter, and the next one lands.
    for (const char* code : {"22003", "23514", "44000", "P0001"}) {
        INFO(code);
        faulty.raise(code);
        faulty.send();
        CHECK(faulty.is_all_there());
        CHECK(
            faulty.leader().number("SELECT count(*) FROM homeward.dead_letter WHERE sqlstate = '" +
                                   std::string(code) + "'") == 1);
        faulty.raise("");
        faulty.send();
        CHECK(faulty.is_all_there());
    }
    CHECK(dead_letters(faulty.leader()) == 4);
    expect_clean(faulty.bridge());
}

TEST_CASE("sessions that are killed, locks and logins that are refused for a while cost nothing") {
    FaultyLeader faulty;
    faulty.send();
    CHECK(faulty.is_all_there());
    const auto end_sessions = [&] {
        faulty.leader().query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'app'");
    };
    end_sessions();  // 57P01
    faulty.send();
    CHECK(faulty.is_all_there());

    faulty.leader().query("ALTER ROLE app NOLOGIN");  // 28000, after it had worked
    end_sessions();
    faulty.send();
    CHECK(wait_until(20s, [&] { return faulty.bridge().metric("homeward_leader_up") == 0; }));
    CHECK(faulty.bridge().metric("homeward_paused") == 0);
    faulty.leader().query("ALTER ROLE app LOGIN");
    CHECK(faulty.is_all_there());

    const double before = faulty.retries();
    Process locker({"psql", "-q", faulty.leader().url(), "-c",
                    "BEGIN; LOCK TABLE audit_events; SELECT pg_sleep(2)"},
                   {.log = "/dev/null"});
    REQUIRE(wait_until(20s, [&] {
        return faulty.leader().number(
                   "SELECT count(*) FROM pg_stat_activity"
                   " WHERE wait_event = 'PgSleep'") == 1;
    }));
    faulty.send();
    CHECK(wait_until(30s, [&] { return rows(faulty.leader()) == 3; }));
    CHECK(faulty.retries() > before);  // 55P03
    CHECK(dead_letters(faulty.leader()) == 0);
    expect_clean(faulty.bridge());
}

TEST_CASE(
    "a leader whose disk is full is waited for, makes no dead letter, and goes on with room") {
    // Method: its tables lie on a small file system of their own, which a file of nothing fills.
    const SmallDisk disk(96u << 20);
    if (!disk.is_mounted()) {
        WARN("not run: it takes root to mount a file system");
        return;
    }
    Bridge bridge;
    PostgresServer& leader = bridge.leader();
    const std::filesystem::path tables = disk.path() / "tables";
    std::filesystem::create_directory(tables);
    REQUIRE(run_command({"chown", "postgres", tables}).exit_code == 0);
    leader.query("CREATE TABLESPACE small LOCATION '" + tables.string() + "'");
    leader.query("ALTER DATABASE postgres SET default_tablespace = small");
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    REQUIRE(wait_until(60s, [&] { return rows(leader) == 10; }));

    const std::filesystem::path ballast = disk.path() / "ballast";
    {
        std::ofstream file(ballast, std::ios::binary);
        const std::string zeros(1u << 16, '\0');
        while (file.write(zeros.data(), static_cast<std::streamsize>(zeros.size())).flush()) {
        }
    }
    REQUIRE(std::filesystem::space(disk.path()).available < 1u << 16);
    for (std::uint64_t frame = 0; frame < 20; ++frame) {
        sender.send(sender.frame(11 + frame * 1'000, 1'000));
    }
    CHECK(wait_until(60s, [&] {
        return bridge.consumer_log().find("[53100]") != std::string::npos &&
               bridge.metric("homeward_leader_up") == 0;
    }));
    CHECK(bridge.metric("homeward_paused") == 0);
    CHECK(dead_letters(leader) == 0);
    CHECK(rows(leader) < 20'010);

    std::filesystem::remove(ballast);
    CHECK(wait_until(60s, [&] { return rows(leader) == 20'010; }));
    CHECK(dead_letters(leader) == 0);
    expect_clean(bridge);
    CHECK(bridge.stop_consumer() == 0);
}
