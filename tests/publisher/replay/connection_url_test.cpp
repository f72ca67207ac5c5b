#include <homeward/replay/connection_url.hpp>

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

TEST_CASE("a URL that the rule does not fit is refused with a reason that hides the password") {
    for (const char* url : {"mysql://u:secret@h/db", "postgres://u:secret@a,b/db",
                            "postgres://u:secret@[::1]:5432/db", "postgres:///db"}) {
        const RegionalUrl result = regional_url(url, {"scl", "ams"});
        INFO(url);
        REQUIRE(result.error);
        CHECK(result.error->what.find("secret") == std::string::npos);
    }
}
