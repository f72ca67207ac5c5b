#include "consumer/base/config.hpp"
#include "consumer/base/log_format.hpp"

#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>

#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward::consumer;
using Catch::Matchers::Contains;
using homeward::testing::TempDir;

namespace {

/// Set for the life of the object.
class Variable {
  public:
    Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
    ~Variable() { ::unsetenv(name_); }

  private:
    const char* name_;
};

std::string refusal(const std::string& toml) {
    const TempDir dir;
    std::ofstream(dir / "c.toml") << toml;
    try {
        load_config(dir / "c.toml");
        return "";
    } catch (const ConfigError& error) {
        return error.what();
    }
}

}  // namespace

TEST_CASE("the file that ships holds every default") {
    const Config shipped = load_config(HOMEWARD_SHIPPED_CONFIG);
    const Config defaults;
    CHECK(shipped.nats.urls == defaults.nats.urls);
    CHECK(shipped.postgres.url == defaults.postgres.url);
    CHECK(shipped.postgres.lock_timeout_ms == defaults.postgres.lock_timeout_ms);
    CHECK(shipped.postgres.statement_timeout_ms == defaults.postgres.statement_timeout_ms);
    CHECK(shipped.batch.rows_max == defaults.batch.rows_max);
    CHECK(shipped.batch.bytes_max == defaults.batch.bytes_max);
    CHECK(shipped.batch.delay_ms == defaults.batch.delay_ms);
    CHECK(shipped.batch.writers == defaults.batch.writers);
    CHECK(shipped.batch.bad_events_max == defaults.batch.bad_events_max);
    CHECK(shipped.dead_letters.source_letters_max == defaults.dead_letters.source_letters_max);
    CHECK(shipped.dead_letters.newer_frames_of == defaults.dead_letters.newer_frames_of);
    CHECK(shipped.pull.messages_max == defaults.pull.messages_max);
    CHECK(shipped.pull.bytes_max == defaults.pull.bytes_max);
    CHECK(shipped.pull.ack_wait_ms == defaults.pull.ack_wait_ms);
    CHECK(shipped.schema.automatic == defaults.schema.automatic);
    CHECK(shipped.ledger.ranges_max == defaults.ledger.ranges_max);
    CHECK(shipped.ledger.new_origins_max == defaults.ledger.new_origins_max);
    CHECK(shipped.schema.partitions_ahead_days == defaults.schema.partitions_ahead_days);
    CHECK(shipped.schema.past_max_days == defaults.schema.past_max_days);
    CHECK(shipped.ledger.compact_interval_ms == defaults.ledger.compact_interval_ms);
    CHECK(shipped.admin.listen == defaults.admin.listen);
    CHECK(shipped.sources.at(0).kinds == Source{}.kinds);
}

TEST_CASE("the environment overrides the file") {
    const Variable rows("HOMEWARD_BATCH_ROWS_MAX", "77");
    const Variable urls("HOMEWARD_NATS_URLS", "nats://a:1,nats://b:2");
    const Variable automatic("HOMEWARD_SCHEMA_AUTOMATIC", "false");
    const Variable sources("HOMEWARD_SOURCES", "ams@leaf:3,scl");
    const Variable metric("HOMEWARD_STREAMS_METRIC_BYTES_MAX", "1000000");
    const Config config = load_config(HOMEWARD_SHIPPED_CONFIG);
    CHECK(config.batch.rows_max == 77);
    CHECK(config.nats.urls == std::vector<std::string>{"nats://a:1", "nats://b:2"});
    CHECK_FALSE(config.schema.automatic);
    REQUIRE(config.sources.size() == 2);
    CHECK(config.sources[0].region == "ams");
    CHECK(config.sources[0].domain == "leaf");
    CHECK(config.sources[0].replicas == 3);
    CHECK(config.sources[1].region == "scl");
    CHECK(config.sources[1].replicas == 1);
    CHECK(config.streams.bytes_max(homeward::StreamKind::metric) == 1'000'000);
    CHECK(config.streams.bytes_max(homeward::StreamKind::audit) == 0);
}

TEST_CASE("a mistake in the file is named with its line and what is expected") {
    const std::string source = "[[source]]\nregion = \"ams\"\n";
    CHECK(refusal(source) == "");
    CHECK_THAT(refusal("[batch]\nrows_maxx = 5\n" + source),
               Contains("c.toml:2") && Contains("unknown key \"batch.rows_maxx\""));
    CHECK_THAT(refusal("[batch]\n\nrows_max = 0\n" + source),
               Contains("c.toml:3") && Contains("a whole number from 1 to"));
    CHECK_THAT(refusal("[batch]\nrows_max = \"many\"\n" + source), Contains("\"many\""));
    CHECK_THAT(refusal("[batch]\nrows_max = 1.5\n" + source), Contains("c.toml:2"));
    CHECK_THAT(refusal("[log]\nlevel = \"loud\"\n" + source), Contains("one of debug"));
    CHECK_THAT(refusal("rows_max = 5\n" + source), Contains("must be inside a [section]"));
    CHECK_THAT(refusal("[batch\n" + source), Contains("c.toml:1"));
    CHECK_THAT(refusal("[[source]]\nregion = \"Ams!\"\n"), Contains("region is \"Ams!\""));
    CHECK_THAT(refusal("[[source]]\nregion = \"ams\"\nkinds = [\"logs\"]\n"),
               Contains("expected audit, metric or plain"));
    CHECK_THAT(refusal(""), Contains("no region to consume from"));
    CHECK_THAT(refusal(source + source), Contains("stream names must differ"));
    CHECK_THAT(refusal("[[source]]\nregion = \"ams\"\nkinds = []\n"),
               Contains("c.toml:3") && Contains("kinds is empty"));
    CHECK_THAT(refusal(source + "kinds = [\"audit\", \"audit\"]\n"), Contains("more than once"));
    CHECK_THAT(refusal(source + "kinds = \"audit\"\n"), Contains("kinds is no list"));
    CHECK_THAT(refusal(source + "domain = \"a.b\"\n"), Contains("domain of region \"ams\""));
    CHECK_THAT(refusal(source + "domain = \">\"\n"), Contains("jetstream"));
    CHECK_THAT(refusal(source + "colour = \"red\"\n"),
               Contains("c.toml:3") && Contains("\"colour\""));
    CHECK_THAT(refusal("[batch]\nrows_max = 1\nrows_max = 2\n" + source), Contains("c.toml:3"));
    CHECK_THAT(refusal("[postgres]\nevent_schema = \"a; drop\"\n" + source),
               Contains("event_schema"));
}

TEST_CASE("a file that is not there is named") {
    try {
        load_config("/nonexistent/homeward.toml");
        FAIL("it was loaded");
    } catch (const ConfigError& error) {
        CHECK_THAT(error.what(), Contains("/nonexistent/homeward.toml"));
    }
}

TEST_CASE("every key of the file that ships is read from the environment too") {
    // Method: each key's variable gets a value that no setter takes where it can be refused, else
    // one that shows; a key without a variable would go on with the file's value.
    const std::string shipped = homeward::testing::read_file(HOMEWARD_SHIPPED_CONFIG);
    std::string section;
    int numbers = 0;
    std::istringstream lines(shipped);
    for (std::string line; std::getline(lines, line);) {
        if (line.rfind("[[", 0) == 0) break;
        if (line.rfind('[', 0) == 0) section = line.substr(1, line.find(']') - 1);
        const std::size_t equals = line.find(" = ");
        if (line.empty() || line[0] == '#' || equals == std::string::npos) continue;
        const char value = line[equals + 3];
        if (value == '"' || value == '[') continue;  // any text is a text
        std::string name = "HOMEWARD_" + section + "_" + line.substr(0, equals);
        for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        const Variable wrong(name.c_str(), "-5");
        INFO(name);
        CHECK_THAT(refusal("[[source]]\nregion = \"ams\"\n"),
                   Contains("environment variable " + name) && Contains("expected"));
        ++numbers;
    }
    CHECK(numbers >= 14);
}

TEST_CASE("texts and lists are read from the environment") {
    const Variable a("HOMEWARD_NATS_CREDENTIALS_FILE", "/a");
    const Variable nkey("HOMEWARD_NATS_NKEY_FILE", "/n");
    const Variable b("HOMEWARD_NATS_TLS_CA_FILE", "/b");
    const Variable c("HOMEWARD_NATS_TLS_CERT_FILE", "/c");
    const Variable d("HOMEWARD_NATS_TLS_KEY_FILE", "/d");
    const Variable e("HOMEWARD_POSTGRES_URL", "host=e");
    const Variable f("HOMEWARD_POSTGRES_OWNER_URL", "host=f");
    const Variable g("HOMEWARD_POSTGRES_EVENT_SCHEMA", "g");
    const Variable h("HOMEWARD_SCHEMA_TYPES_DIR", "/h");
    const Variable i("HOMEWARD_ADMIN_LISTEN", "");
    const Variable j("HOMEWARD_LOG_LEVEL", "debug");
    const Config config = load_config(HOMEWARD_SHIPPED_CONFIG);
    CHECK(config.nats.credentials_file == "/a");
    CHECK(config.nats.nkey_file == "/n");
    CHECK(config.nats.tls_ca_file == "/b");
    CHECK(config.nats.tls_cert_file == "/c");
    CHECK(config.nats.tls_key_file == "/d");
    CHECK(config.postgres.url == "host=e");
    CHECK(config.postgres.owner_url == "host=f");
    CHECK(config.postgres.event_schema == "g");
    CHECK(config.schema.types_dir == "/h");
    CHECK(config.admin.listen.empty());
    CHECK(config.log.level == "debug");
    const Variable none("HOMEWARD_SOURCES", "");
    CHECK_THAT(refusal("[[source]]\nregion = \"ams\"\n"), Contains("no region"));
    const Variable bad("HOMEWARD_SOURCES", "ams,,scl");
    CHECK_THAT(refusal(""), Contains("HOMEWARD_SOURCES"));
}

TEST_CASE("a mistake in the environment is named with its variable") {
    const Variable rows("HOMEWARD_BATCH_WRITERS", "several");
    CHECK_THAT(refusal("[[source]]\nregion = \"ams\"\n"), Contains("HOMEWARD_BATCH_WRITERS"));
}

TEST_CASE("a variable that is nearly a setting is refused, with the setting that is meant") {
    const std::string source = "[[source]]\nregion = \"ams\"\n";
    for (const auto& [wrong, meant] :
         {std::pair("HOMEWARD_POSTGRES_ACK_AFTR", "HOMEWARD_POSTGRES_ACK_AFTER"),
          std::pair("HOMEWARD_BATCH_ROWSMAX", "HOMEWARD_BATCH_ROWS_MAX"),
          std::pair("HOMEWARD_SOURCE", "HOMEWARD_SOURCES"),
          std::pair("HOMEWARD_PSOTGRES_URL", "HOMEWARD_POSTGRES_URL")}) {
        const Variable variable(wrong, "x");
        CHECK_THAT(refusal(source),
                   Contains(wrong) && Contains(std::string("did you mean ") + meant + "?"));
    }
    CHECK_THAT(refusal("[postgres]\nack_aftr = \"commit\"\n" + source),
               Contains("did you mean \"postgres.ack_after\"?"));
}

TEST_CASE("a variable that is far from any setting is warned about, a service link is not") {
    const Variable sources("HOMEWARD_SOURCES", "ams");
    const Variable far("HOMEWARD_FAVOURITE_COLOUR", "green");
    std::vector<std::unique_ptr<Variable>> links;
    for (const char* name :
         {"HOMEWARD_CONSUMER_SERVICE_HOST", "HOMEWARD_CONSUMER_SERVICE_PORT_METRICS",
          "HOMEWARD_NATS_PORT", "HOMEWARD_NATS_PORT_4222_TCP", "HOMEWARD_NATS_PORT_4222_TCP_ADDR",
          "HOMEWARD_PORT", "HOMEWARD_SERVICE_PORT"}) {
        links.push_back(std::make_unique<Variable>(name, "tcp://10.0.0.1:4222"));
    }
    const Config config = load_config({});
    REQUIRE(config.warnings.size() == 1);
    CHECK_THAT(config.warnings[0], Contains("HOMEWARD_FAVOURITE_COLOUR"));
    const Variable url("HOMEWARD_NATS_URL", "nats://hub:4222");
    CHECK_THAT(load_config({}).warnings.back(), Contains("the consumer reads HOMEWARD_NATS_URLS"));
}

TEST_CASE("a setting's old name works in the file, with a warning") {
    const TempDir dir;
    std::ofstream(dir / "c.toml")
        << "[ledger]\nfold_interval_ms = 700\n[[source]]\nregion = \"ams\"\n";
    const Config config = load_config(dir / "c.toml");
    CHECK(config.ledger.compact_interval_ms == 700);
    REQUIRE(config.warnings.size() == 1);
    CHECK_THAT(config.warnings[0], Contains(":2: ledger.fold_interval_ms is now ") &&
                                       Contains("ledger.compact_interval_ms"));
}

TEST_CASE("a setting's old variable works with a warning, and the new one overrides it") {
    const Variable sources("HOMEWARD_SOURCES", "ams");
    const Variable before("HOMEWARD_LEDGER_FOLD_INTERVAL_MS", "700");
    const Config config = load_config({});
    CHECK(config.ledger.compact_interval_ms == 700);
    REQUIRE(config.warnings.size() == 1);
    CHECK_THAT(config.warnings[0], Contains("HOMEWARD_LEDGER_FOLD_INTERVAL_MS is now ") &&
                                       Contains("HOMEWARD_LEDGER_COMPACT_INTERVAL_MS"));
    const Variable now("HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "900");
    CHECK(load_config({}).ledger.compact_interval_ms == 900);
    CHECK(load_config({}).warnings.size() == 1);
}

TEST_CASE("apps whose newer frames are refused are named at each start, and cannot be mistyped") {
    const Variable sources("HOMEWARD_SOURCES", "ams");
    const Variable rogues("HOMEWARD_DEAD_LETTERS_NEWER_FRAMES_OF", "ams/rogue,scl/r-2");
    const Config config = load_config({});
    CHECK(config.dead_letters.newer_frames_of == std::vector<std::string>{"ams/rogue", "scl/r-2"});
    REQUIRE(config.warnings.size() == 2);
    CHECK_THAT(config.warnings[0], Contains("newer version of ams/rogue become dead letters"));
    const Variable wrong("HOMEWARD_DEAD_LETTERS_NEWER_FRAMES_OF", "rogue");
    CHECK_THAT(refusal("[[source]]\nregion = \"ams\"\n"),
               Contains("newer_frames_of has \"rogue\"; expected region/app"));
}

TEST_CASE("a directory as configuration is named as what it is") {
    CHECK_THROWS_WITH(load_config("/tmp"), Contains("/tmp: is a directory"));
}

TEST_CASE("a command in a remedy has the options that this process was given") {
    CHECK(runnable("run homeward-consumer streams apply, or homeward-consumer check",
                   "homeward-consumer --config 'a b.toml'") ==
          "run homeward-consumer --config 'a b.toml' streams apply, or "
          "homeward-consumer --config 'a b.toml' check");
    CHECK(runnable("homeward-consumer is here", "x") == "homeward-consumer is here");
    CHECK(runnable("homeward-consumer check, then upgrade homeward-consumer before all",
                   "homeward-consumer --config 'a $1 $& b.toml'") ==
          "homeward-consumer --config 'a $1 $& b.toml' check, then upgrade homeward-consumer "
          "before all");
    const std::string elsewhere = "run /opt/b/homeward-consumer check";
    CHECK(runnable("run homeward-consumer check", "/opt/b/homeward-consumer") == elsewhere);
    CHECK(runnable(elsewhere, "/opt/b/homeward-consumer") == elsewhere);
}

TEST_CASE("a password does not reach a log") {
    CHECK(redact("postgresql://u:secret@h/d") == "postgresql://u:***@h/d");
    CHECK(redact("host=h password=secret user=u") == "host=h password=*** user=u");
    CHECK(redact("password='se cr\\'et' host=h") == "password=*** host=h");
    CHECK(redact("nats://u:s@a:1") == "nats://u:***@a:1");
    CHECK(redact("nats://u:s@x@a:1") == "nats://u:***@a:1");
    CHECK(redact("nats://u:s/x@a:1") == "nats://u:***@a:1");
    CHECK(redact("nats://u:s@a:1,nats://v:t@b:2") == "nats://u:***@a:1,nats://v:***@b:2");
    CHECK(redact("nats://u:s@a:1, nats://u:t@b:2") == "nats://u:***@a:1, nats://u:***@b:2");
    CHECK(redact("nats://s3cr3tt0ken@a:1") == "nats://***@a:1");
    CHECK(redact("tls://s3cr3tt0ken@a:1") == "tls://***@a:1");
    CHECK(redact("postgresql://u@h/d") == "postgresql://u@h/d");
    CHECK(redact("postgresql://u:p@h1:1,h2:2/d?target_session_attrs=read-write") ==
          "postgresql://u:***@h1:1,h2:2/d?target_session_attrs=read-write");
    CHECK(redact("postgresql://h/d?user=u&password=secret&x=1") ==
          "postgresql://h/d?user=u&password=***&x=1");
}

TEST_CASE("an environment file fills in what the environment does not say") {
    const TempDir dir;
    std::ofstream(dir / "env")
        << "# secrets\nHOMEWARD_LOG_LEVEL=warn\n\nHOMEWARD_NATS_URLS=\"nats://a\"\n";
    const Variable level("HOMEWARD_LOG_LEVEL", "debug");
    const Variable urls("HOMEWARD_NATS_URLS", "nats://overwritten-below");
    ::unsetenv("HOMEWARD_NATS_URLS");
    read_env_file(dir / "env");
    const Config config = load_config(HOMEWARD_SHIPPED_CONFIG);
    CHECK(config.log.level == "debug");
    CHECK(config.nats.urls == std::vector<std::string>{"nats://a"});

    std::ofstream(dir / "bad") << "\nno assignment\n";
    CHECK_THROWS_WITH(read_env_file(dir / "bad"), Contains("bad:2: expected NAME=value"));
    CHECK_THROWS_WITH(read_env_file(dir / "none"), Contains("cannot be read"));
}
