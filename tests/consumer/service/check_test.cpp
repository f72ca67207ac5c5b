// homeward-consumer check and run against servers that are wrong, each in its own way: the answer
// names what is wrong and what to do.

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "consumer/postgres/pg_connection.hpp"
#include "consumer/service/tls_files.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    return text.replace(text.find(what), what.size(), by);
}

/// Signs the certificate anew, with an end that is past: no openssl command of Debian 12 does.
void let_expire(const std::string& cert_file, const std::string& key_file) {
    std::FILE* file = std::fopen(key_file.c_str(), "r");
    EVP_PKEY* const key = PEM_read_PrivateKey(file, nullptr, nullptr, nullptr);
    std::fclose(file);
    file = std::fopen(cert_file.c_str(), "r");
    X509* const cert = PEM_read_X509(file, nullptr, nullptr, nullptr);
    std::fclose(file);
    REQUIRE((key != nullptr && cert != nullptr));
    X509_gmtime_adj(X509_getm_notBefore(cert), -7'200);
    X509_gmtime_adj(X509_getm_notAfter(cert), -3'600);
    REQUIRE(X509_sign(cert, key, EVP_sha256()) > 0);
    file = std::fopen(cert_file.c_str(), "w");
    REQUIRE(PEM_write_X509(file, cert) == 1);
    std::fclose(file);
    X509_free(cert);
    EVP_PKEY_free(key);
}

class Checks {
  public:
    explicit Checks(Bridge& bridge) : bridge_(bridge) {}

    /// What check says when this variable is different.
    std::string with(const std::string& name, const std::string& value) {
        return command("check", name, value, 1);
    }
    /// What run says before it gives up.
    std::string run_with(const std::string& name, const std::string& value) {
        return command("run", name, value, 2);
    }

  private:
    std::string command(const std::string& word, const std::string& name, const std::string& value,
                        int exit_code) {
        const auto before = bridge_.environment();
        bridge_.environment()[name] = value;
        const CommandResult result = bridge_.consumer_command({word}, 20s);
        bridge_.environment() = before;
        INFO(result.output);
        CHECK(result.exit_code == exit_code);
        return result.output;
    }
    Bridge& bridge_;
};

}  // namespace

TEST_CASE("check is content with a bridge that works") {
    Bridge bridge;
    CHECK_THAT(bridge.consumer_command({"check"}).output,
               Contains("schema homeward is not there yet; run will create it"));
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    const CommandResult result = bridge.consumer_command({"check"});
    INFO(result.output);
    CHECK(result.exit_code == 0);
    CHECK_THAT(result.output, Contains("takes writes") && Contains("up to date") &&
                                  Contains("stream HOMEWARD_AUDIT_ams") && !Contains("WRONG"));
    // As PostgreSQL 14 has it by default.
    const std::string remedy = "REVOKE CREATE ON SCHEMA public FROM PUBLIC";
    bridge.leader().query("GRANT CREATE ON SCHEMA public TO PUBLIC");
    const CommandResult open = bridge.consumer_command({"check"});
    CHECK(open.exit_code == 0);
    CHECK_THAT(open.output, Contains("note  every login may create functions") && Contains(remedy));
    bridge.leader().query(remedy);
    CHECK_THAT(bridge.consumer_command({"check"}).output, !Contains("REVOKE"));
}

TEST_CASE("check and run name what is wrong with PostgreSQL, and what to do") {
    Bridge bridge;
    Checks checks(bridge);
    const std::string url = bridge.leader().url();
    const std::string name = "HOMEWARD_POSTGRES_URL";

    CHECK_THAT(checks.with(name, replaced(url, std::to_string(bridge.leader().port()),
                                          std::to_string(free_port()))),
               Contains("is PostgreSQL running there, and postgres.url right?"));
    const std::string nowhere = url.substr(0, url.rfind('/')) + "/nowhere";
    CHECK_THAT(checks.with(name, nowhere), Contains("create the database"));
    CHECK_THAT(checks.run_with(name, nowhere), Contains("\"nowhere\" does not exist"));

    bridge.leader().query("CREATE ROLE app LOGIN");
    bridge.leader().require_password("app", "right");
    const std::string wrong_password = replaced(url, "postgres@", "app:wrong@");
    CHECK_THAT(checks.with(name, wrong_password),
               Contains("check user and password in postgres.url") && !Contains("wrong@"));
    CHECK_THAT(checks.run_with(name, wrong_password),
               Contains("password authentication failed") && !Contains("wrong@"));

    const std::string app = replaced(url, "postgres@", "app:right@");
    CHECK_THAT(checks.with(name, app),
               Contains("this user may not create it") && Contains("postgres.owner_url"));
    CHECK_THAT(checks.run_with(name, app), Contains("permission denied"));
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    bridge.leader().query("GRANT USAGE ON SCHEMA homeward TO app");
    CHECK_THAT(checks.with(name, app), Contains("the user lacks INSERT on homeward.origin"));

    const auto standby = PostgresServer::standby_of(bridge.leader());
    CHECK_THAT(checks.with(name, standby->url()), Contains("target_session_attrs=read-write"));
}

TEST_CASE("check finds what is wrong with schema, columns, encoding, files and the admin address") {
    Bridge bridge;
    Checks checks(bridge);
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    CHECK_THAT(checks.with("HOMEWARD_POSTGRES_EVENT_SCHEMA", "evnts"),
               Contains("schema \"evnts\" of postgres.event_schema is not there"));
    CHECK_THAT(checks.with("HOMEWARD_ADMIN_LISTEN", "nowhere"), Contains("expected host:port"));
    CHECK_THAT(checks.with("HOMEWARD_ADMIN_LISTEN", "192.0.2.1:8222"),
               Contains("cannot listen on 192.0.2.1:8222"));
    CHECK_THAT(checks.with("HOMEWARD_NATS_TLS_CA_FILE", "/nonexistent/ca.pem"),
               Contains("nats.tls_ca_file /nonexistent/ca.pem: No such file"));

    // A port that another program has taken; and one that a consumer has, which is well.
    CHECK_THAT(
        checks.with("HOMEWARD_ADMIN_LISTEN", "127.0.0.1:" + std::to_string(bridge.leader().port())),
        Contains("WRONG cannot listen on 127.0.0.1:") &&
            Contains("what listens there now is no consumer"));
    bridge.start_consumer();
    CHECK_THAT(bridge.consumer_command({"check"}).output,
               Contains("ok    a consumer runs, with its admin endpoint on 127.0.0.1:"));
    bridge.stop_consumer();

    bridge.leader().query("ALTER TABLE public.audit_events RENAME COLUMN actor TO who");
    const CommandResult renamed = bridge.consumer_command({"check"});
    CHECK(renamed.exit_code == 1);
    CHECK_THAT(renamed.output, Contains("lacks actor, and has who") && Contains("RENAME COLUMN"));
    bridge.leader().query("ALTER TABLE public.audit_events RENAME COLUMN who TO actor");

    // The consumer holds these types, whatever schema apply would do.
    bridge.leader().query(
        "ALTER TABLE public.audit_events DROP COLUMN actor; DROP TABLE public.metric_events");
    const CommandResult dropped = bridge.consumer_command({"check"});
    CHECK(dropped.exit_code == 1);
    CHECK_THAT(dropped.output,
               Contains("WRONG events of type \"audit\" are held: column \"actor\" of") &&
                   Contains("WRONG events of type \"metric\" are held: table") &&
                   Contains("is missing"));
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    CHECK(bridge.consumer_command({"check"}).exit_code == 0);

    bridge.leader().query("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    const std::string url = bridge.leader().url();
    CHECK_THAT(checks.with("HOMEWARD_POSTGRES_URL", url.substr(0, url.rfind('/')) + "/latin"),
               Contains("encoded in LATIN1") && Contains("ENCODING 'UTF8'"));

    // A remedy has the options that were given, and runs as printed.
    const auto config = bridge.dir() / "a config.toml";
    std::ofstream(config) << "[log]\nformat = \"json\"\n";
    bridge.leader().query("SET client_min_messages = warning; DROP SCHEMA homeward CASCADE");
    bridge.environment()["HOMEWARD_SCHEMA_AUTOMATIC"] = "false";
    const std::string said = bridge.consumer_command({"--config", config.string(), "check"}).output;
    CHECK_THAT(said, Contains("homeward-consumer --config '" + config.string() + "' schema apply"));

    // One line of JSON for each message, also for libpq's of several lines.
    bridge.environment().erase("HOMEWARD_SCHEMA_AUTOMATIC");
    bridge.environment()["HOMEWARD_POSTGRES_URL"] =
        "host=127.0.0.1 port=" + std::to_string(free_port());
    const std::string log =
        bridge.consumer_command({"--config", config.string(), "run"}, 3s).output;
    CHECK_THAT(log, Contains("{\"time\":\"20") && Contains("\"level\":\"warning\",\"message\":\""));
    std::istringstream lines(log);
    for (std::string line; std::getline(lines, line);) {
        INFO(line);
        CHECK((line.front() == '{' && line.back() == '}'));
    }
}

TEST_CASE("check and run name what is wrong with NATS, and what to do") {
    Bridge bridge;
    Checks checks(bridge);
    const std::string name = "HOMEWARD_NATS_URLS";
    CHECK_THAT(checks.with(name, "nats://127.0.0.1:" + std::to_string(free_port())),
               Contains("is the server running there, and nats.urls right?"));

    NatsOptions locked;
    locked.more = "authorization { user: app, password: right }";
    NatsServer server(locked);
    const std::string wrong = "nats://app:wrong@127.0.0.1:" + std::to_string(server.port());
    CHECK_THAT(checks.with(name, wrong),
               Contains("refuses the credentials") && !Contains("wrong@"));
    CHECK_THAT(checks.run_with(name, wrong), Contains("refuses the credentials"));

    NatsOptions without;
    without.jetstream = false;
    NatsServer plain(without);
    bridge.environment()["HOMEWARD_SOURCES"] = "ams";
    CHECK_THAT(checks.with(name, plain.url()), Contains("jetstream {}"));

    NatsServer empty;
    CHECK_THAT(checks.with(name, empty.url()),
               Contains("HOMEWARD_AUDIT_ams") && Contains("streams apply"));
    CHECK_THAT(checks.run_with(name, empty.url()), Contains("streams apply"));

    bridge.environment()["HOMEWARD_SOURCES"] = "ams@mars";
    CHECK_THAT(checks.with(name, bridge.hub().url()), Contains("domain \"mars\""));
}

TEST_CASE("check parses certificates and keys, and says why they cannot be used") {
    using homeward::consumer::find_tls_faults;
    const TempDir dir;
    const auto make = [&](const std::string& name) {
        const CommandResult made =
            run_command({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                         "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-days", "2",
                         "-keyout", dir / (name + ".key"), "-out", dir / (name + ".pem")},
                        {}, 20s);
        REQUIRE(made.exit_code == 0);
        return std::pair(std::string(dir / (name + ".pem")), std::string(dir / (name + ".key")));
    };
    const auto [cert, key] = make("good");
    const auto [other_cert, other_key] = make("other");
    const auto [old_cert, old_key] = make("old");
    let_expire(old_cert, old_key);
    const std::string no_pem = dir / "text";
    std::ofstream(no_pem) << "no PEM at all\n";
    const auto fault = [](const std::string& ca, const std::string& cert_file,
                          const std::string& key_file) {
        std::string all;
        for (const std::string& one : find_tls_faults({"nats", ca, cert_file, key_file})) {
            all += one + "\n";
        }
        return all;
    };
    CHECK(fault(cert, cert, key) == "");
    CHECK(fault("", "", "") == "");
    CHECK_THAT(fault(no_pem, "", ""), Contains("nats.tls_ca_file " + no_pem + ": has no certif"));
    CHECK_THAT(fault("", no_pem, key), Contains("nats.tls_cert_file " + no_pem));
    CHECK_THAT(fault("", cert, no_pem), Contains("has no private key in PEM"));
    CHECK_THAT(fault("", cert, other_key), Contains("is not the key of nats.tls_cert_file"));
    CHECK_THAT(fault("", cert, ""), Contains("needs the other of nats.tls_cert_file"));
    CHECK_THAT(fault("", old_cert, old_key), Contains("expired at 20"));
    CHECK_THAT(fault(old_cert, "", ""), Contains("nats.tls_ca_file") && Contains("expired at 20"));
}

TEST_CASE("PostgreSQL before 14 is refused with what to do about it") {
    using homeward::consumer::version_complaint;
    CHECK(version_complaint(140000).empty());
    CHECK_THAT(version_complaint(130012), Contains("PostgreSQL 13") && Contains("14 or newer"));
}
