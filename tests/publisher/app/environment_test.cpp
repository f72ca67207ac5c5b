// What an App says of variables that are missing or wrong.

#include <fstream>
#include <string>

#include <homeward/app.hpp>

#include "tests/publisher/app/environment.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::testing;

namespace {

void ignore(std::string_view) {}

/// What the constructor throws when this variable has another value, or none.
std::string refusal(const std::string& name, const std::optional<std::string>& value) {
    const Environment environment(kReplicaRegion);
    Environment::set(name, value);
    try {
        const App app("shop", {.on_log = ignore});
    } catch (const SetupError& error) {
        return error.what();
    }
    return "";
}

/// The variable, and what to set.
void check_refused(const std::string& name, const std::optional<std::string>& value,
                   const std::string& how_to) {
    const std::string what = refusal(name, value);
    INFO(name << "=" << value.value_or("(not set)") << ": " << what);
    CHECK(what.find(name) != std::string::npos);
    CHECK(what.find(how_to) != std::string::npos);
    CHECK(what.find("secret") == std::string::npos);
    CHECK(what.find(std::string(32, 'a')) == std::string::npos);
}

}  // namespace

TEST_CASE("an App names each variable that it needs and does not have, and says what to set") {
    CHECK(refusal("DATABASE_REPLICA_URL", std::nullopt).empty());  // nothing is missing
    check_refused("FLY_REGION", std::nullopt, "set FLY_REGION to the region");
    check_refused("DATABASE_URL", std::nullopt, "set it to the leader's connection string");
    check_refused("HOMEWARD_NATS_URL", std::nullopt, "nats://127.0.0.1:4222");
    check_refused("HOMEWARD_REPLAY_KEYS", std::nullopt, "openssl rand -hex 32");
}

TEST_CASE("an App names each variable with a wrong value, and repeats no secret") {
    check_refused("FLY_REGION", "Amsterdam!", "of a-z, 0-9");
    check_refused("HOMEWARD_REGION", "Amsterdam!", "of a-z, 0-9");
    check_refused("PRIMARY_REGION", "s c l", "of a-z, 0-9");
    check_refused("DATABASE_URL", "mysql://app:secret@db.internal/shop", "libmariadb.hpp");
    check_refused("DATABASE_URL", "mysqlx://app:secret@db.internal/shop", "DATABASE_REPLICA_URL");
    check_refused("DATABASE_REPLICA_PORT", "five", "must be a port");
    check_refused("DATABASE_REPLICA_RULE", "farthest", "by_host");
    check_refused("HOMEWARD_NATS_URL", "https://app:secret@leaf", "nats://127.0.0.1:4222");
    check_refused("HOMEWARD_NATS_URL", "nats://leaf-1,,nats://leaf-2", "address 2");
    check_refused("HOMEWARD_REPLAY_KEYS", "k1:" + std::string(32, 'a'), "openssl rand -hex 32");
    check_refused("HOMEWARD_REPLAY_KEYS", std::string(64, 'a'), "openssl rand -hex 32");
    check_refused("HOMEWARD_NATS_INBOX_PREFIX", "_INBOX.>", "separated by dots");
    for (const char* name :
         {"HOMEWARD_NATS_NKEY_FILE", "HOMEWARD_NATS_CREDENTIALS_FILE", "HOMEWARD_NATS_TLS_CA_FILE",
          "HOMEWARD_NATS_TLS_CERT_FILE", "HOMEWARD_NATS_TLS_KEY_FILE"}) {
        check_refused(name, "/nowhere/a.pem", "/nowhere/a.pem, which cannot be read");
    }
    const TempDir dir;
    std::ofstream(dir / "file") << "x";
    for (const char* name : {"HOMEWARD_SPOOL_DIR", "HOMEWARD_LANE_DIR"}) {
        check_refused(name, dir / "file", "Set it to a directory");
        check_refused(name, dir / "file/spool", "Set it to a directory");
    }
}

TEST_CASE("an App with one region needs neither region nor keys") {
    const Environment environment({{"HOMEWARD_REGION", "ams"},
                                   {"DATABASE_URL", "host=localhost"},
                                   {"HOMEWARD_NATS_URL", "127.0.0.1:1"}});
    const App app("shop", {.on_log = ignore});
    CHECK(app.database_url().url == "host=localhost");
    CHECK_FALSE(app.database_url().is_replica);
    CHECK(app.replay().reads() == nullptr);
    replay::HandlerResult result;
    app.replay().remember({1, 1, 42}, result);
    CHECK(result.set_cookie.empty());
}

TEST_CASE("the publisher's options come from the environment") {
    Environment::Variables variables = kReplicaRegion;
    const TempDir dir;
    std::ofstream(dir / "key") << "x";
    variables["HOMEWARD_NATS_URL"] = "nats://leaf-1:4222,tls://leaf-2:4222";
    variables["HOMEWARD_NATS_NKEY_FILE"] = dir / "key";
    variables["HOMEWARD_NATS_INBOX_PREFIX"] = "_INBOX.shop";
    variables["HOMEWARD_SPOOL_DIR"] = dir / "not_yet/spool";
    variables["HOMEWARD_LANE_DIR"] = dir / "not_yet/spool/lanes";
    const Environment environment(variables);
    const PublisherOptions options = publisher_options_from_environment("shop");
    CHECK(options.app == "shop");
    CHECK(options.region == "ams");
    CHECK(options.nats_urls == std::vector<std::string>{"nats://leaf-1:4222", "tls://leaf-2:4222"});
    CHECK(options.nkey_seed_file == dir / "key");
    CHECK(options.inbox_prefix == "_INBOX.shop");
    CHECK(options.spool_dir == dir / "not_yet/spool");
    CHECK(options.lane_dir == dir / "not_yet/spool/lanes");
    CHECK_FALSE(std::filesystem::exists(dir / "not_yet"));  // made by the publisher, with mode 0700
    Environment::set("HOMEWARD_REGION", "cdg");             // of the login, where it differs
    CHECK(publisher_options_from_environment("shop").region == "cdg");
}
