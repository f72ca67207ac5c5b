#include "schemas/nats/subject.hpp"

#include "tests/support/catch.hpp"

using namespace homeward;

TEST_CASE("a subject that we make is read back as what it was made from") {
    const std::string subject = frame_subject(EventClass::metric, "ams", "shop");
    CHECK(subject == "homeward.frame.metric.ams.shop");
    const auto parts = parse_subject(subject);
    REQUIRE(parts);
    CHECK(parts->kind == StreamKind::metric);
    CHECK(parts->region == "ams");
    CHECK(parts->app == "shop");
    REQUIRE(parse_subject(plain_subject("ams", "shop")));
    CHECK(parse_subject(plain_subject("ams", "shop"))->kind == StreamKind::plain);
}

TEST_CASE("a subject that we never make is not understood") {
    for (const char* subject :
         {"", "homeward", "homeward.frame.audit.ams", "homeward.frame.audit.ams.shop.more",
          "homeward.frame.other.ams.shop", "homeward.frame.audit.AMS.shop",
          "homeward.frame.audit..shop", "other.frame.audit.ams.shop", "homeward.plain.ams"}) {
        INFO(subject);
        CHECK_FALSE(parse_subject(subject));
    }
}

TEST_CASE("streams of different regions never share a name") {
    CHECK(stream_name(StreamKind::audit, "ams") == "HOMEWARD_AUDIT_ams");
    CHECK(stream_name(StreamKind::audit, "ams") != stream_name(StreamKind::audit, "scl"));
    CHECK(durable_name(StreamKind::plain, "ams") == "homeward_plain_ams");
}

TEST_CASE("a name that could change a subject's meaning is no name") {
    CHECK(is_valid_name("ams-1_b"));
    for (const char* name :
         {"", "a.b", "a*", ">", "A", "-a", "_a", "a b", "ä", "abcdefghijabcdefghijabcdefghijabc"}) {
        INFO(name);
        CHECK_FALSE(is_valid_name(name));
    }
}
