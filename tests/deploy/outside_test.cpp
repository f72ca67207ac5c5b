// Method: what deploy/README.md says of connections from outside, on a real leader and replica. A
// proxy stands for the platform's external port, which leads to the replica's own; the host name is
// the public one, and only TLS and a member of homeward_reader get in.

#include <homeward/replay/connection_url.hpp>

#include <libpq-fe.h>

#include <fstream>
#include <memory>

#include "tests/support/catch.hpp"
#include "tests/support/faults/tcp_proxy.hpp"
#include "tests/support/servers/bridge.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kLine =
    R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed"})";
constexpr const char* kPublicName = "shop-db.example.net";

/// Two CAs, and a certificate of the first for the public name, whose key PostgreSQL may read.
void make_certificates(const std::filesystem::path& dir) {
    const CommandResult made = run_command(
        {"sh", "-ec",
         "cd \"$0\"; umask 077; new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes';"
         " for ca in ca other; do openssl req -x509 $new -days 2 -subj /CN=$ca -keyout $ca.key"
         " -out $ca.pem; done;"
         " openssl req $new -subj /CN=$1 -keyout server.key -out server.csr;"
         " printf 'subjectAltName=DNS:%s' $1 >ext;"
         " openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2"
         " -extfile ext -out server.pem; chmod 755 .; chmod 644 *.pem;"
         " if [ $(id -u) = 0 ]; then chown postgres server.key; fi",
         dir, kPublicName});
    if (made.exit_code != 0) throw std::runtime_error("openssl:\n" + made.output);
}

/// A consumer's leader with one event, and a replica of it that outside services may read.
class Outside {
  public:
    Outside() {
        make_certificates(dir_.path());
        commit_one_event();
        bridge_.leader().query(
            "CREATE ROLE auditor LOGIN PASSWORD 'right' IN ROLE homeward_reader");
        replica_ = PostgresServer::standby_of(bridge_.leader());
        open_replica();
        port_ = std::make_unique<TcpProxy>(replica_->port());
    }

    /// The connection string that an outside service is given.
    std::string url(const std::string& password = "right") const {
        return "postgres://auditor:" + password + "@" + kPublicName + ":" +
               std::to_string(port_->port()) + "/postgres?sslmode=verify-full";
    }

    /// What the server answers to `sql`, or why there is no answer. `more`: settings of libpq that
    /// stand for the service's machine, and win over the connection string.
    std::string ask(const std::string& connection_url, const std::string& sql,
                    const std::map<std::string, std::string>& more = {}) const {
        std::map<std::string, std::string> settings{{"hostaddr", "127.0.0.1"},
                                                    {"sslrootcert", dir_ / "ca.pem"}};
        for (const auto& [name, value] : more) settings[name] = value;
        std::vector<const char*> names{"dbname"}, values{connection_url.c_str()};
        for (const auto& [name, value] : settings) {
            names.push_back(name.c_str());
            values.push_back(value.c_str());
        }
        names.push_back(nullptr);
        values.push_back(nullptr);
        const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(
            PQconnectdbParams(names.data(), values.data(), 1), PQfinish);
        if (PQstatus(connection.get()) != CONNECTION_OK) return PQerrorMessage(connection.get());
        const std::unique_ptr<PGresult, decltype(&PQclear)> result(
            PQexec(connection.get(), sql.c_str()), PQclear);
        return PQresultStatus(result.get()) == PGRES_TUPLES_OK ? PQgetvalue(result.get(), 0, 0)
                                                               : PQerrorMessage(connection.get());
    }

    std::string other_ca() const { return dir_ / "other.pem"; }

  private:
    void commit_one_event() {
        const std::string roles = read_file(HOMEWARD_ROLES_SQL);
        bridge_.leader().query(roles);
        bridge_.leader().query("CREATE ROLE bridge SUPERUSER LOGIN");
        bridge_.environment()["HOMEWARD_POSTGRES_EVENT_SCHEMA"] = "homeward_events";
        bridge_.start_consumer();
        bridge_.leader().query(roles);
        NatsClient(bridge_.leaf().port()).publish("homeward.plain.ams.shop", kLine);
        if (!wait_until(30s, [&] {
                return bridge_.leader().number(
                           "SELECT count(*) FROM homeward_events.audit_events") == 1;
            })) {
            throw std::runtime_error("no event came:\n" + bridge_.consumer_log());
        }
    }

    /// The two files of a replica that an outside service needs; as the leader's they would do too.
    void open_replica() {
        const std::string rules = replica_->query("SHOW hba_file").at(0).at(0);
        std::ofstream(rules) << "host all postgres 127.0.0.1/32 trust\n"
                                "hostssl all +homeward_reader all scram-sha-256\n";
        const std::string config = replica_->query("SHOW config_file").at(0).at(0);
        std::ofstream(config, std::ios::app)
            << "ssl = on\nssl_cert_file = '" << (dir_ / "server.pem").string()
            << "'\nssl_key_file = '" << (dir_ / "server.key").string() << "'\n";
        replica_->query("SELECT pg_reload_conf()");
        if (!wait_until(30s, [&] { return replica_->query("SHOW ssl").at(0).at(0) == "on"; })) {
            throw std::runtime_error("no TLS:\n" + replica_->log());
        }
    }

    TempDir dir_;
    Bridge bridge_;
    std::unique_ptr<PostgresServer> replica_;
    std::unique_ptr<TcpProxy> port_;
};

}  // namespace

TEST_CASE("an outside service reads proof and events of a replica over TLS, and writes nothing") {
    const Outside outside;
    CHECK(outside.ask(outside.url(), "SELECT count(*) FROM homeward_events.audit_events") == "1");
    CHECK(outside.ask(outside.url(), "SELECT coalesce(sum(missing), 0) FROM homeward.proof") ==
          "0");
    CHECK(outside.ask(outside.url(), "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
              .find("TLSv1.") == 0);
    CHECK_THAT(outside.ask(outside.url(), "DELETE FROM homeward_events.audit_events"),
               Contains("cannot execute DELETE in a read-only transaction"));

    CHECK_THAT(outside.ask(outside.url("wrong"), "SELECT 1"), Contains("authentication failed"));
    CHECK_THAT(outside.ask(outside.url(), "SELECT 1", {{"sslmode", "disable"}}),
               Contains("no encryption"));
    CHECK_THAT(outside.ask(outside.url(), "SELECT 1", {{"sslrootcert", outside.other_ca()}}),
               Contains("certificate verify failed"));
    CHECK_THAT(outside.ask(outside.url(), "SELECT 1", {{"host", "elsewhere.example.net"}}),
               Contains("does not match host name"));
    CHECK_THAT(outside.ask(outside.url(), "SELECT 1", {{"user", "bridge"}}),
               Contains("no pg_hba.conf entry"));
}

TEST_CASE("the connection string of an outside service is the same wherever it is read") {
    using namespace homeward::replay;
    const std::string url =
        "postgres://auditor:p@shop-db.fly.dev:10000/app?sslmode=verify-full&sslrootcert=system";
    // A service of nobody's region.
    CHECK(regional_url(url, {}).url == url);
    CHECK_FALSE(regional_url(url, {}).is_replica);
    // An app of ours that got it by mistake: no region has a name below the public one.
    const RegionalUrl refused = regional_url(url, {"scl", "ams"});
    REQUIRE(refused.error);
    CHECK_THAT(refused.error->what, Contains("public") && Contains("DATABASE_REPLICA_URL"));
    UrlOptions options;
    options.replica_url = url;
    CHECK(regional_url("postgres://shop-db.internal/app", {"scl", "ams"}, options).url == url);
}
