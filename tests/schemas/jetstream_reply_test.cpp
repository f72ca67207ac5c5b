#include "schemas/nats/jetstream_reply.hpp"

#include "tests/support/catch.hpp"

using namespace homeward;

namespace {

template <typename T>
bool is_malformed(const JetStreamReply<T>& reply) {
    CHECK_FALSE(reply.value);
    CHECK_FALSE(reply.error);
    return !reply.malformed.empty();
}

}  // namespace

TEST_CASE("a PubAck names its stream and sequence, or is none") {
    const auto ack = parse_pub_ack(R"({"stream":"HOMEWARD_AUDIT_ams","seq":7,"domain":"ams"})");
    REQUIRE(ack.value);
    CHECK(ack.value->stream == "HOMEWARD_AUDIT_ams");
    CHECK(ack.value->seq == 7);
    CHECK_FALSE(ack.value->is_duplicate);
    const auto again =
        parse_pub_ack(R"({"stream":"S","seq":18446744073709551615,"duplicate":true})");
    REQUIRE(again.value);
    CHECK(again.value->seq == UINT64_MAX);
    CHECK(again.value->is_duplicate);
    for (const char* text :
         {"", "7", "null", "[]", "{}", "{\"stream\":\"S\"", R"({"stream":"S"})",
          R"({"stream":"","seq":1})", R"({"stream":7,"seq":1})", R"({"stream":"S","seq":0})",
          R"({"stream":"S","seq":-1})", R"({"stream":"S","seq":1.5})",
          R"({"stream":"S","seq":"1"})", R"({"stream":"S","seq":18446744073709551616})",
          R"({"stream":"S","seq":1,"duplicate":1})", "{\"stream\":\"\xff\",\"seq\":1}"}) {
        INFO(text);
        CHECK(is_malformed(parse_pub_ack(text)));
    }
}

TEST_CASE("an error is an error whatever its shape, and fit for a log") {
    const auto full = parse_pub_ack(
        R"({"error":{"code":503,"err_code":10077,"description":"maximum\nmessages"},"stream":"S"})");
    REQUIRE(full.error);
    CHECK_FALSE(full.value);
    CHECK(full.error->code == 503);
    CHECK(full.error->err_code == 10077);
    CHECK(full.error->description == "maximum?messages");
    for (const char* text :
         {R"({"error":{"code":503,"description":7}})", R"({"error":7})", R"({"error":"no"})",
          R"({"error":[]})", R"({"error":{"code":"503","err_code":1e300}})", R"({"error":{}})"}) {
        INFO(text);
        const auto reply = parse_pub_ack(text);
        REQUIRE(reply.error);
        CHECK_FALSE(reply.value);
        CHECK_FALSE(reply.error->description.empty());
    }
    const std::string euros(200, '\0');
    std::string text;
    for (std::size_t i = 0; i < euros.size(); ++i) text += "\xe2\x82\xac";
    const std::string cut = printable(text);
    CHECK(cut.size() <= kReplyTextMax);
    CHECK(cut.size() % 3 == 0);
}

TEST_CASE("a field of another type than JetStream's makes its reply malformed") {
    const auto durable = parse_consumer_info(
        R"({"config":{"ack_wait":5000000000,"description":"d","any":[1]},"num_pending":3})");
    REQUIRE(durable.value);
    CHECK(durable.value->description == "d");
    CHECK(durable.value->ack_wait_ns == 5'000'000'000);
    CHECK(durable.value->pending == 3);
    CHECK(durable.value->config.find("\"any\":[1]") != std::string::npos);
    for (const char* text :
         {R"({"config":{"description":7}})", R"({"config":{"ack_wait":1e30}})", R"({"config":7})",
          R"({"num_pending":3})", R"({"config":{},"num_pending":-1})",
          R"({"config":{},"num_ack_pending":"1"})"}) {
        INFO(text);
        CHECK(is_malformed(parse_consumer_info(text)));
    }
    CHECK(parse_stream_info(R"({"config":{},"state":{}})").value);
    for (const char* text :
         {R"({"config":{}})", R"({"config":{},"state":7})", R"({"config":{},"state":{"bytes":-1}})",
          R"({"config":{"retention":1},"state":{}})", R"({"config":{},"state":{"first_ts":1}})"}) {
        INFO(text);
        CHECK(is_malformed(parse_stream_info(text)));
    }
    CHECK(parse_stream_names(R"({"streams":null})").value);
    CHECK(parse_stream_names(R"({"streams":["A","B"]})").value->names.size() == 2);
    CHECK(is_malformed(parse_stream_names(R"({"streams":["A",7]})")));
    CHECK(is_malformed(parse_stream_names(R"({"streams":{}})")));
    CHECK(is_malformed(parse_account(R"({"domain":7})")));
}

TEST_CASE("a reply that is too long or too deep is malformed before it is built") {
    const std::string deep(100'000, '[');
    CHECK(is_malformed(parse_stream_info("{\"config\":" + deep)));
    CHECK(is_malformed(parse_pub_ack("{\"stream\":\"" + std::string(kReplyBytesMax, 's'))));
}

TEST_CASE("a status line that is none has code 0") {
    CHECK(parse_pull_status("409", "Exceeded MaxWaiting").code == 409);
    for (const char* code : {"", "4", "-409", "99999999999999", "600", "x"}) {
        INFO(code);
        CHECK(parse_pull_status(code, "").code == 0);
    }
}
