#include <homeward/replay/connection_url.hpp>

#include <libpq-fe.h>

#include <cstdlib>
#include <map>
#include <utility>

#include "tests/support/catch.hpp"

using namespace homeward::replay;

namespace {

const std::string kPrimaryUrl =
    "postgres://<user>:<password>@chaos-postgres.internal:5432/rails_on_fly?sslmode=disable";

std::string url_in(const std::string& region) {
    const RegionalUrl url = regional_url(kPrimaryUrl, {"scl", region});
    CHECK_FALSE(url.error);
    CHECK(url.is_replica == (region != "scl"));
    return url.url;
}

/// What libpq makes of a connection string, without what it leaves at its default.
std::map<std::string, std::string> read_by_libpq(const std::string& url) {
    char* error = nullptr;
    PQconninfoOption* options = PQconninfoParse(url.c_str(), &error);
    std::map<std::string, std::string> settings;
    if (options == nullptr) settings["error"] = error == nullptr ? "no memory" : error;
    for (const PQconninfoOption* option = options; option && option->keyword; ++option) {
        if (option->val != nullptr) settings[option->keyword] = option->val;
    }
    PQfreemem(error);
    PQconninfoFree(options);
    return settings;
}

}  // namespace

TEST_CASE("the guide's connection strings come out byte for byte") {
    CHECK(url_in("scl") == kPrimaryUrl);
    for (const char* region : {"ord", "atl", "ams", "syd"}) {
        CHECK(url_in(region) == "postgres://<user>:<password>@" + std::string(region) +
                                    ".chaos-postgres.internal:5433/rails_on_fly?sslmode=disable");
    }
}

TEST_CASE("without regions the connection string stays as it is") {
    CHECK(regional_url(kPrimaryUrl, {"", "ams"}).url == kPrimaryUrl);
    CHECK(regional_url(kPrimaryUrl, {"scl", ""}).url == kPrimaryUrl);
}

TEST_CASE("an explicit replica URL is used in every region but the primary") {
    UrlOptions options;
    options.replica_url = "postgresql://r/db";
    CHECK(regional_url(kPrimaryUrl, {"scl", "ams"}, options).url == "postgresql://r/db");
    CHECK(regional_url(kPrimaryUrl, {"scl", "scl"}, options).url == kPrimaryUrl);
}

TEST_CASE("each form of a host is turned into the region's") {
    const std::pair<const char*, const char*> pairs[] = {
        {"postgresql://h.internal/db", "postgresql://ams.h.internal:5433/db"},
        {"postgres://h.internal", "postgres://ams.h.internal:5433"},
        {"postgres://h.internal:5432?a=b", "postgres://ams.h.internal:5433?a=b"},
        {"postgres://u@h.internal:5432/", "postgres://u@ams.h.internal:5433/"},
        {"postgres://u:p#?w@h.internal/db", "postgres://u:p#?w@ams.h.internal:5433/db"},
        {"postgres://u:p%40%2F%3A%25@h.internal/d%20b?options=-c%20x%3D1",
         "postgres://u:p%40%2F%3A%25@ams.h.internal:5433/d%20b?options=-c%20x%3D1"},
        {"postgres://u:p#w@h.internal/db", "postgres://u:p#w@ams.h.internal:5433/db"},
        // Several hosts, each with its own port or none.
        {"postgres://u@a.internal:5432,b.internal/db",
         "postgres://u@ams.a.internal:5433,ams.b.internal:5433/db"},
        // Where the query says what the authority does not.
        {"postgres:///db?host=h.internal&port=5432",
         "postgres:///db?host=ams.h.internal&port=5433"},
        {"postgres:///db?user=u&host=h.internal",
         "postgres:///db?user=u&host=ams.h.internal&port=5433"},
        {"postgres:///db?host=h.internal&", "postgres:///db?host=ams.h.internal&port=5433"},
        {"postgres://h.internal/db?port=5432", "postgres://ams.h.internal:5433/db?port=5433"},
        // A replica is never read-write.
        {"postgres://h.internal/db?target_session_attrs=read-write&a=b",
         "postgres://ams.h.internal:5433/db?target_session_attrs=any&a=b"},
        {"postgres://h.internal/db?target_session_attrs=prefer-standby",
         "postgres://ams.h.internal:5433/db?target_session_attrs=prefer-standby"},
        // libpq's keywords.
        {"host=h.internal port=5432 dbname=db", "host=ams.h.internal port=5433 dbname=db"},
        {"dbname=db host=h.internal", "dbname=db host=ams.h.internal port=5433"},
        {" host = 'h.internal'\tpassword='it\\'s = host=x' ",
         " host = 'ams.h.internal'\tpassword='it\\'s = host=x'  port=5433"},
        {"host=a.internal,b.internal port=5432,5432 user=u\\ v",
         "host=ams.a.internal,ams.b.internal port=5433 user=u\\ v"},
        {"host=h.internal port='5432' target_session_attrs=primary",
         "host=ams.h.internal port=5433 target_session_attrs=any"},
        {"host=h.internal password=''", "host=ams.h.internal password='' port=5433"},
        // What ends the string must not swallow what is added.
        {"host=h.internal password = ", "host=ams.h.internal password = '' port=5433"},
        {"host=h.internal user=u\\", "host=ams.h.internal user='u' port=5433"},
        {"host=h.internal user=u\\\\", "host=ams.h.internal user='u\\\\' port=5433"},
    };
    for (const auto& [url, expected] : pairs) {
        INFO(url);
        const RegionalUrl result = regional_url(url, {"scl", "ams"});
        CHECK(result.url == expected);
        CHECK(result.is_replica == !result.error);
    }
}

TEST_CASE("the platform's own names stand for the app that they lead to") {
    const auto host_in_ams = [](const std::string& host, UrlRule rule) {
        UrlOptions options;
        options.rule = rule;
        const RegionalUrl result =
            regional_url("postgres://" + host + "/db", {"scl", "ams"}, options);
        return result.error ? "refused" : result.url.substr(11, result.url.find(":5433") - 11);
    };
    for (const char* host :
         {"shop-db.internal", "shop-db.flycast", "top1.nearest.of.shop-db.internal",
          "top12.nearest.of.shop-db.internal", "scl.shop-db.internal"}) {
        INFO(host);
        CHECK(host_in_ams(host, UrlRule::by_host) == "ams.shop-db.internal");
        CHECK(host_in_ams(host, UrlRule::nearest) == "top1.nearest.of.shop-db.internal");
        CHECK(host_in_ams(host, UrlRule::region_host) == std::string("ams.") + host);
    }
    // What only looks like one of them.
    for (const char* host : {"top.internal", "top1.internal", "topping.nearest.of.internal",
                             "scl.internal", "scly.shop-db.internal", "flycast"}) {
        CHECK(host_in_ams(host, UrlRule::by_host) == std::string("ams.") + host);
    }
    for (const char* host : {"pgbouncer.0a1b2c.flycast", "direct.0a1b2c.flycast"}) {
        CHECK(host_in_ams(host, UrlRule::by_host) == "refused");
    }
}

TEST_CASE("a pooler keeps its host, or its port, or both") {
    UrlOptions options;
    const auto in_ams = [&](const std::string& url) {
        return regional_url(url, {"scl", "ams"}, options).url;
    };
    options.replica_port = 0;
    CHECK(in_ams("postgres://u@db.internal:6432/db") == "postgres://u@ams.db.internal:6432/db");
    CHECK(in_ams("postgres://u@db.internal/db") == "postgres://u@ams.db.internal/db");
    CHECK(in_ams("host=db.internal port=6432") == "host=ams.db.internal port=6432");
    options.rule = UrlRule::same_host;
    options.replica_port = 6433;
    CHECK(in_ams("postgres://u@[fdaa::3]:6432/db") == "postgres://u@[fdaa::3]:6433/db");
    CHECK(in_ams("postgres://u@10.0.0.7/db") == "postgres://u@10.0.0.7:6433/db");
    CHECK(in_ams("host=/run/postgresql") == "host=/run/postgresql port=6433");
    CHECK(in_ams("hostaddr=10.0.0.7 port=6432") == "hostaddr=10.0.0.7 port=6433");
    CHECK(in_ams("postgres://u@%2Frun%2Fpg/db") == "postgres://u@%2Frun%2Fpg:6433/db");
}

TEST_CASE("libpq reads the same from both, but for hosts, ports and target_session_attrs") {
    for (const std::string url :
         {("postgres://u:p%40ss@a.internal:5432,b.internal/"
           "my%20db?sslmode=disable&options=-c%20a%3Db"),
          "postgresql://u@h.internal/db?target_session_attrs=read-write&connect_timeout=3",
          "postgres://u:p#?w@h.internal/db",
          "postgresql:///db?host=h.internal&port=5432&password=a%26b",
          "host='h.internal' password='a b\\'c\\\\' user=u\\ v port=5432", "host=h.internal",
          "  dbname  =  db   host=h.internal\nsslmode=verify-full ",
          "host=h.internal dbname = ", "host=h.internal user=u\\"}) {
        INFO(url);
        const RegionalUrl result = regional_url(url, {"scl", "ams"});
        REQUIRE_FALSE(result.error);
        auto before = read_by_libpq(url);
        auto after = read_by_libpq(result.url);
        CHECK(after["host"].substr(0, 4) == "ams.");
        CHECK(after["port"].substr(0, 4) == "5433");
        CHECK(after["target_session_attrs"] != "read-write");
        for (const char* name : {"host", "port", "target_session_attrs"}) {
            before.erase(name);
            after.erase(name);
        }
        CHECK(before == after);
    }
}

TEST_CASE("a URL that no rule fits is refused with a reason that repeats nothing of it") {
    for (const std::string url : {"mysqlx://u:secret@h/db",
                                  "postgres://u:secret@a,/db",
                                  "postgres://u:secret@[::1]:5432/db",
                                  "postgres://u:secret@10.1.2.3/db",
                                  "postgres:///db?password=secret",
                                  "postgres://u:secret@",
                                  "postgres://u:secret@%2Frun/db",
                                  "postgres://u:secret@/db?host=/run",
                                  "postgres://u:secret@h/db?hostaddr=10.0.0.1",
                                  "host=/run password=secret",
                                  "host=@run password=secret",
                                  "host=fdaa::3 password=secret",
                                  "hostaddr=10.0.0.1 host=h",
                                  "password=secret",
                                  "service=secret",
                                  "host='h password=secret",
                                  "host",
                                  "=secret",
                                  "",
                                  "host=h secret",
                                  "host=pgbouncer.secret.flycast",
                                  "postgres:/u:secret@h",
                                  "postgres://u:a@secret@h/db",
                                  "mysql://u:a@secret@h/db",
                                  "mysql://u:secret@10.1.2.3/db",
                                  "mysql://u:secret@/db",
                                  "redis://:secret@[::1]:6379/0",
                                  "redis+sentinel://:secret@h:26379/0?x=y",
                                  "mongodb+srv://u:secret@h/db?w=majority",
                                  "mongodb://u:secret@a,b/db?replicaSet=rs",
                                  "mongodb://u:secret@%2Ftmp%2Fmongodb.sock/db"}) {
        const RegionalUrl result = regional_url(url, {"scl", "ams"});
        INFO(url);
        REQUIRE(result.error);
        CHECK(result.url.empty());
        CHECK(result.error->what.find("secret") == std::string::npos);
        CHECK(result.error->what.find("DATABASE") == 0);
        // In the primary region it is the driver's affair.
        CHECK(regional_url(url, {"scl", "scl"}).url == url);
    }
    CHECK(regional_url("postgres://h/db", {"scl", "a b"}).error);
}

TEST_CASE("other engines' connection strings come out byte for byte, with the guide's rule") {
    struct Row {
        const char* given;
        const char* in_ams;
    };
    const Row rows[] = {
        {"mysql://app:p%40ss@db.internal:3306/shop?charset=utf8mb4",
         "mysql://app:p%40ss@ams.db.internal:3306/shop?charset=utf8mb4"},
        {"mysql://app@db.internal/shop", "mysql://app@ams.db.internal/shop"},
        {"mysql://app@db.internal:3307/shop?host=x&port=1&target_session_attrs=primary",
         "mysql://app@ams.db.internal:3307/shop?host=x&port=1&target_session_attrs=primary"},
        {"mariadb://app:<secret>@db.flycast:3306/shop#a",
         "mariadb://app:<secret>@ams.db.internal:3306/shop#a"},
        {"mariadb://app@a.internal,b.internal:3307/shop",
         "mariadb://app@ams.a.internal,ams.b.internal:3307/shop"},
        {"redis://cache.internal", "redis://ams.cache.internal"},
        {"redis://:p%2Fss@cache.internal:6379/2", "redis://:p%2Fss@ams.cache.internal:6379/2"},
        {"rediss://app:p@scl.cache.internal:6380/0?db=2&protocol=resp3",
         "rediss://app:p@ams.cache.internal:6380/0?db=2&protocol=resp3"},
        {"mongodb://app:p@db.internal:27017/shop?replicaSet=rs&w=majority",
         "mongodb://app:p@ams.db.internal:27017/shop?w=majority&directConnection=true"},
        {"mongodb://db.internal", "mongodb://ams.db.internal/?directConnection=true"},
        {"mongodb://db.internal/?replicaSet=rs",
         "mongodb://ams.db.internal/?directConnection=true"},
        {"mongodb://db.internal/shop?directConnection=false&tls=true",
         "mongodb://ams.db.internal/shop?tls=true&directConnection=true"},
    };
    for (const Row& row : rows) {
        INFO(row.given);
        const RegionalUrl url = regional_url(row.given, {"scl", "ams"});
        CHECK_FALSE(url.error);
        CHECK(url.url == row.in_ams);
        CHECK(url.is_replica);
        CHECK(regional_url(row.given, {"scl", "scl"}).url == row.given);
    }
}

TEST_CASE("host and port rules are options for other engines too") {
    UrlOptions options;
    const auto in_ams = [&](const char* url) {
        return regional_url(url, {"scl", "ams"}, options).url;
    };
    options.replica_port = 3307;
    CHECK(in_ams("mysql://u@db.internal:3306/shop") == "mysql://u@ams.db.internal:3307/shop");
    CHECK(in_ams("mysql://u@db.internal/shop") == "mysql://u@ams.db.internal:3307/shop");
    CHECK(in_ams("redis://db.internal") == "redis://ams.db.internal:3307");
    options.rule = UrlRule::same_host;
    CHECK(in_ams("redis://:p@10.0.0.7:6379/1") == "redis://:p@10.0.0.7:3307/1");
    options.rule = UrlRule::nearest;
    options.replica_port.reset();
    CHECK(in_ams("mysql://u@db.flycast/shop") == "mysql://u@top1.nearest.of.db.internal/shop");
    options.rule = UrlRule::region_host;
    CHECK(in_ams("mysql://u@db.example/shop") == "mysql://u@ams.db.example/shop");
    options.replica_url = "mysql://u@replica/shop";
    CHECK(in_ams("mysql://u@db.example/shop") == "mysql://u@replica/shop");
}

TEST_CASE("a connection string says which engine it is of") {
    CHECK(engine_of_url("postgres://h/db") == Engine::postgresql);
    CHECK(engine_of_url("postgresql://h/db") == Engine::postgresql);
    CHECK(engine_of_url("mysql://h/db") == Engine::mysql);
    CHECK(engine_of_url("mariadb://h/db") == Engine::mariadb);
    CHECK(engine_of_url("mongodb://h/db") == Engine::mongodb);
    CHECK(engine_of_url("redis://h") == Engine::redis);
    CHECK(engine_of_url("rediss://h") == Engine::redis);
    for (const char* none : {"", "host=db", "mongodb+srv://h/db", "MySQL://h/db", "mysql:/h"}) {
        CHECK_FALSE(engine_of_url(none));
    }
    for (const Engine engine :
         {Engine::postgresql, Engine::mysql, Engine::mariadb, Engine::mongodb, Engine::redis}) {
        CHECK(engine_of(name_of(engine)) == engine);
        CHECK(shares_client(engine, engine));
    }
    CHECK(shares_client(Engine::mysql, Engine::mariadb));
    CHECK_FALSE(shares_client(Engine::mysql, Engine::postgresql));
}

TEST_CASE("the environment says where we are and how to get to the replica") {
    const auto url_with = [](const std::map<std::string, std::string>& environment) {
        for (const char* name : {"DATABASE_URL", "DATABASE_REPLICA_URL", "DATABASE_REPLICA_PORT",
                                 "DATABASE_REPLICA_RULE", "PRIMARY_REGION", "FLY_REGION"}) {
            unsetenv(name);
        }
        for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
        return url_from_environment();
    };
    std::map<std::string, std::string> environment{
        {"DATABASE_URL", kPrimaryUrl}, {"PRIMARY_REGION", "scl"}, {"FLY_REGION", "ams"}};
    CHECK(url_with(environment).url == url_in("ams"));
    environment["DATABASE_REPLICA_PORT"] = "6432";
    environment["DATABASE_REPLICA_RULE"] = "nearest";
    CHECK(url_with(environment).url.find("@top1.nearest.of.chaos-postgres.internal:6432/") !=
          std::string::npos);
    environment["DATABASE_REPLICA_PORT"] = "65536";
    CHECK(url_with(environment).error->what.find("DATABASE_REPLICA_PORT") == 0);
    environment["DATABASE_REPLICA_PORT"] = "0";
    environment["DATABASE_REPLICA_RULE"] = "closest";
    CHECK(url_with(environment).error->what.find("DATABASE_REPLICA_RULE") == 0);
    environment["DATABASE_REPLICA_URL"] = "postgres://r/db";
    environment.erase("DATABASE_REPLICA_RULE");
    CHECK(url_with(environment).url == "postgres://r/db");
    environment.erase("PRIMARY_REGION");
    CHECK(url_with(environment).url == kPrimaryUrl);
    url_with({});
}
