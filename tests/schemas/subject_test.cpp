#include "schemas/nats/subject.hpp"

#include <span>
#include <string>

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

TEST_CASE("a message's id is 128 bits of the digest of its frame's bytes, and of nothing else") {
    // FIPS 180-2, of "abc".
    const std::string frame = "abc";
    const auto bytes = std::as_bytes(std::span(frame));
    CHECK(message_id(bytes) == "ba7816bf8f01cfea414140de5dae2223");
    CHECK(message_id(bytes) == message_id(bytes));
    CHECK(message_id(bytes.first(2)) != message_id(bytes));
}

TEST_CASE("a name that could change a subject's meaning is no name") {
    CHECK(is_valid_name("ams-1_b"));
    for (const char* name :
         {"", "a.b", "a*", ">", "A", "-a", "_a", "a b", "ä", "abcdefghijabcdefghijabcdefghijabc"}) {
        INFO(name);
        CHECK_FALSE(is_valid_name(name));
    }
}
