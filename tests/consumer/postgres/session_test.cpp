// What a consumer needs of its sessions at the leader: nothing but what it sets by itself, also
// behind a pooler, in another language, and with defaults of the user's own.

#include <stdlib.h>

#include <fstream>
#include <future>

#include "tests/consumer/ledger/account.hpp"
#include "tests/publisher/send/certificate.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/servers/pooler.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

using Clock = std::chrono::steady_clock;

/// What somebody has set in the session that the pooler hands out next. The application's name is
/// the pooler's own affair.
Rows leftovers(const Pooler& pooler) {
    return pooler.query(
        "SELECT name, setting FROM pg_settings"
        " WHERE source = 'session' AND name <> 'application_name' ORDER BY name");
}

std::int64_t count_of(const std::string& text, const std::string& what) {
    std::int64_t count = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++count;
    return count;
}

/// Events of one origin, with one that no table takes.
class Emitter {
  public:
    explicit Emitter(Bridge& bridge)
        : leader_(bridge.leader()), sender_(bridge.leaf().port(), "ams", "shop") {}

    void send(int count, bool with_a_bad_one = false) {
        std::vector<std::string> lines;
        for (int i = 0; i < count; ++i) lines.push_back(audit_line("r"));
        if (with_a_bad_one) lines.push_back(R"({"type":"audit","actor":7,"resource":"bad"})");
        sender_.send(sender_.frame_of(next_, lines));
        next_ += lines.size();
        good_ += count;
    }
    bool has_landed() {
        return wait_until(30s, [&] { return rows(leader_) == good_; });
    }

  private:
    PostgresServer& leader_;
    FramePublisher sender_;
    std::uint64_t next_ = 1;
    std::int64_t good_ = 0;
};

}  // namespace

TEST_CASE("behind a pooler by transaction all works, and nobody else's session is touched") {
    // Method: one server connection for two writers, upkeep, commands and an app.
    BridgeOptions options;
    options.environment["HOMEWARD_LEDGER_COMPACT_INTERVAL_MS"] = "200";
    Bridge bridge(options);
    const Pooler pooler(bridge.leader(), "transaction", 1);
    const std::string direct = bridge.leader().url();
    bridge.environment()["HOMEWARD_POSTGRES_URL"] = pooler.url();
    const Rows before = leftovers(pooler);

    // Two that start at once queue up for the schema.
    const auto started = Clock::now();
    auto other = std::async(std::launch::async, [&] {
        return bridge.consumer_command({"schema", "apply"});
    });
    bridge.start_consumer();
    CHECK(other.get().exit_code == 0);
    CHECK(Clock::now() - started < 30s);

    Emitter emitter(bridge);
    emitter.send(1000, true);
    CHECK(emitter.has_landed());
    CHECK(wait_until(30s, [&] { return dead_letters(bridge.leader()) == 1; }));
    bridge.kill_consumer();
    emitter.send(500);
    bridge.start_consumer();
    CHECK(emitter.has_landed());
    // Upkeep runs, too.
    CHECK(wait_until(30s, [&] {
        return bridge.leader().number("SELECT count(*) FROM homeward.ledger_frame") == 0;
    }));
    CHECK_THAT(bridge.consumer_command({"check"}).output,
               Contains("a pooler stands between") && Contains("pool_size") && !Contains("WRONG"));
    CHECK(bridge.consumer_command({"dead-letters", "discard", "--all"}).exit_code == 0);
    expect_clean(bridge);
    CHECK_THAT(bridge.consumer_command({"tune", "--seconds", "2"}).output,
               Contains("name PostgreSQL itself in postgres.owner_url"));
    CHECK(bridge.stop_consumer() == 0);

    CHECK(leftovers(pooler) == before);
    CHECK(bridge.leader().number("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0);
    bridge.environment()["HOMEWARD_POSTGRES_URL"] = direct;
    CHECK_THAT(bridge.consumer_command({"check"}).output, !Contains("pooler"));
}

TEST_CASE("a pooler by session works, and one by statement is refused with what works") {
    Bridge bridge;
    const Pooler sessions(bridge.leader(), "session", 10);
    bridge.environment()["HOMEWARD_POSTGRES_URL"] = sessions.url();
    bridge.start_consumer();
    Emitter emitter(bridge);
    emitter.send(10);
    CHECK(emitter.has_landed());
    CHECK(bridge.stop_consumer() == 0);

    const Pooler statements(bridge.leader(), "statement", 10);
    bridge.environment()["HOMEWARD_POSTGRES_URL"] = statements.url();
    const CommandResult result = bridge.consumer_command({"check"});
    CHECK(result.exit_code == 1);
    CHECK_THAT(result.output, Contains("pool_mode = transaction or session, not with statement"));
}

TEST_CASE("a leader that speaks another language is understood as well") {
    // Method: messages in German, of a locale that is made here.
    const TempDir locales;
    std::filesystem::permissions(locales.path(), std::filesystem::perms(0755));
    const CommandResult made =
        run_command({"localedef", "-i", "de_DE", "-f", "UTF-8", locales / "de_DE.UTF-8"}, {}, 60s);
    INFO(made.output);
    REQUIRE(std::filesystem::exists(locales / "de_DE.UTF-8"));
    ::setenv("LOCPATH", locales.path().c_str(), 1);
    BridgeOptions options;
    options.leader_settings = {"lc_messages = 'de_DE.UTF-8'", "log_statement = 'all'"};
    Bridge bridge(options);
    ::unsetenv("LOCPATH");
    REQUIRE_THAT(bridge.leader().query("SHOW lc_messages").at(0).at(0), Contains("de_DE"));

    const std::string url = bridge.leader().url();
    bridge.leader().query("CREATE ROLE app LOGIN");
    bridge.leader().require_password("app", "right");
    bridge.environment()["HOMEWARD_POSTGRES_URL"] =
        "postgresql://app:wrong@" + url.substr(url.find('@') + 1);
    for (const auto& [word, exit_code] : {std::pair("check", 1), {"run", 2}}) {
        const CommandResult refused = bridge.consumer_command({word}, 20s);
        INFO(refused.output);
        CHECK(refused.exit_code == exit_code);
        CHECK_THAT(refused.output, Contains("Passwort-Authentifizierung"));
    }
    bridge.environment()["HOMEWARD_POSTGRES_URL"] = url.substr(0, url.rfind('/')) + "/nowhere";
    CHECK_THAT(bridge.consumer_command({"check"}).output,
               Contains("»nowhere«") && Contains("create the database"));

    bridge.environment()["HOMEWARD_POSTGRES_URL"] = url;
    bridge.start_consumer();
    bridge.leader().query("ALTER TABLE audit_events ADD CHECK (resource <> 'bad')");
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    std::vector<std::string> lines(1000, audit_line("good"));
    lines[700] = audit_line("bad");
    sender.send(sender.frame_of(1, lines));
    CHECK(wait_until(30s, [&] { return rows(bridge.leader()) == 999; }));
    CHECK(dead_letters(bridge.leader()) == 1);
    // Found by the line that COPY names: halving takes twenty.
    CHECK(count_of(bridge.leader().log(), "COPY \"public\".\"audit_events\"") < 8);
}

TEST_CASE("defaults of the database, the role and the connection string change nothing") {
    BridgeOptions options;
    options.environment["HOMEWARD_BATCH_DELAY_MS"] = "0";
    Bridge bridge(options);
    bridge.leader().query(
        "CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT "
        "NULL::timestamptz'");
    for (const char* setting :
         {"bytea_output = 'escape'", "datestyle = 'SQL, DMY'", "intervalstyle = 'sql_standard'",
          "timezone = 'Pacific/Kiritimati'", "extra_float_digits = -15",
          "standard_conforming_strings = off", "quote_all_identifiers = on",
          "default_transaction_isolation = 'serializable'", "synchronous_commit = off",
          "search_path = public, pg_catalog", "array_nulls = off"}) {
        bridge.leader().query(std::string("ALTER ROLE postgres SET ") + setting);
    }
    bridge.environment()["HOMEWARD_POSTGRES_URL"] += "?client_encoding=LATIN1";
    bridge.start_consumer();
    Emitter emitter(bridge);
    emitter.send(10);
    CHECK(emitter.has_landed());
    CHECK_THAT(bridge.consumer_command({"check"}).output,
               Contains("ledger and event tables are up to date") && !Contains("WRONG"));

    // Bytes that the escape format would write another way, through a dead letter and back.
    bridge.leader().query("ALTER TABLE audit_events ADD CHECK (resource <> E'\\\\ \\u20ac')");
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame_of(1, {audit_line("\\\\ €"), audit_line("fine")}));
    CHECK(wait_until(30s, [&] { return dead_letters(bridge.leader()) == 1; }));
    bridge.leader().query("ALTER TABLE audit_events DROP CONSTRAINT audit_events_resource_check");
    const CommandResult redriven = bridge.consumer_command({"dead-letters", "redrive", "--all"});
    INFO(redriven.output);
    CHECK(redriven.exit_code == 0);
    CHECK(bridge.leader().number(
              "SELECT count(*) FROM audit_events WHERE resource = E'\\\\ \\u20ac'") == 1);
    expect_clean(bridge);
}

TEST_CASE("a database that is not in UTF8 is refused by check and at the start, in words") {
    Bridge bridge;
    const std::string url = bridge.leader().url();
    for (const std::string encoding : {"SQL_ASCII", "WIN1252"}) {
        bridge.leader().query("CREATE DATABASE \"" + encoding + "\" ENCODING '" + encoding +
                              "' LOCALE 'C' TEMPLATE template0");
        bridge.environment()["HOMEWARD_POSTGRES_URL"] =
            url.substr(0, url.rfind('/')) + "/" + encoding;
        for (const auto& [word, exit_code] : {std::pair("check", 1), {"run", 2}}) {
            const CommandResult refused = bridge.consumer_command({word}, 20s);
            INFO(refused.output);
            CHECK(refused.exit_code == exit_code);
            CHECK_THAT(refused.output, Contains("encoded in " + encoding) &&
                                           Contains("CREATE DATABASE … ENCODING 'UTF8'"));
        }
    }
}

TEST_CASE("certificates of PostgreSQL that are rotated are taken over without a restart") {
    // Method: server and client get new certificates of new CAs; the client's last, after the
    // server has refused the old one.
    const TempDir dir;
    std::filesystem::permissions(dir.path(), std::filesystem::perms(0755));
    for (const char* name : {"server", "client", "server2", "client2"}) make_certificate(dir, name);
    const auto replace = [&](const std::string& by, const std::string& name) {
        std::filesystem::copy(dir / by, dir / name,
                              std::filesystem::copy_options::overwrite_existing);
    };
    const auto take_server = [&](const std::string& name) {
        replace(name + ".pem", "shown.pem");
        replace(name + ".key", "shown.key");
        give_to_postgres(dir / "shown.key");
    };
    take_server("server");
    replace("server.pem", "ca.pem");
    replace("client.pem", "trusted.pem");
    std::ofstream(dir / "hba") << "hostssl all app 127.0.0.1/32 trust clientcert=verify-ca\n"
                               << "host all app 127.0.0.1/32 reject\n"
                               << "host all all 127.0.0.1/32 trust\n";
    BridgeOptions options;
    options.leader_settings = {"hba_file = '" + (dir / "hba").string() + "'", "ssl = on",
                               "ssl_cert_file = '" + (dir / "shown.pem").string() + "'",
                               "ssl_key_file = '" + (dir / "shown.key").string() + "'",
                               "ssl_ca_file = '" + (dir / "trusted.pem").string() + "'"};
    Bridge bridge(options);
    bridge.leader().query("CREATE ROLE app SUPERUSER LOGIN");
    bridge.environment()["HOMEWARD_POSTGRES_URL"] =
        bridge.leader().url("app") + "?sslmode=verify-ca&sslrootcert=" + (dir / "ca.pem").string() +
        "&sslcert=" + (dir / "client.pem").string() + "&sslkey=" + (dir / "client.key").string();
    bridge.start_consumer();
    Emitter emitter(bridge);
    emitter.send(1);
    CHECK(emitter.has_landed());

    bridge.leader().stop();
    take_server("server2");
    replace("server2.pem", "ca.pem");
    replace("client2.pem", "trusted.pem");
    bridge.leader().start();
    emitter.send(1);
    CHECK(wait_until(30s, [&] {
        return bridge.consumer_log().find("tlsv1 alert unknown ca") != std::string::npos;
    }));
    INFO(bridge.consumer_log());
    CHECK(rows(bridge.leader()) == 1);
    replace("client2.pem", "client.pem");
    replace("client2.key", "client.key");
    CHECK(emitter.has_landed());
}
