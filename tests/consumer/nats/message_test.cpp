#include "consumer/nats/message.hpp"

#include "tests/support/catch.hpp"

using homeward::consumer::Delivery;
using homeward::consumer::parse_ack_subject;

TEST_CASE("both forms of an ack subject tell the same") {
    for (const char* subject :
         {"$JS.ACK.HOMEWARD_AUDIT_ams.homeward_audit_ams.3.17.20.1790000000123456789.42",
          "$JS.ACK._.ACCOUNT.HOMEWARD_AUDIT_ams.homeward_audit_ams.3.17.20.1790000000123456789.42",
          "$JS.ACK.ams.ACCOUNT.HOMEWARD_AUDIT_ams.homeward_audit_ams.3.17.20.1790000000123456789."
          "42.tOkEn"}) {
        INFO(subject);
        Delivery delivery;
        REQUIRE(parse_ack_subject(subject, delivery));
        CHECK(delivery.stream == "HOMEWARD_AUDIT_ams");
        CHECK(delivery.deliveries == 3);
        CHECK(delivery.stream_seq == 17);
        CHECK(delivery.time_us == 1'790'000'000'123'456);
        CHECK(delivery.pending == 42);
    }
}

TEST_CASE("any other subject is no ack subject") {
    Delivery delivery;
    for (const char* subject :
         {"", "$JS.ACK", "$JS.ACK.s.c.1.2.3.4", "$JS.ACK.s.c.1.2.3.4.x", "$JS.NAK.s.c.1.2.3.4.5",
          "$JS.ACK.d.a.s.c.1.2.3.4", "$JS.ACK.s.c.-1.2.3.4.5", "_INBOX.a.b.c.d.e.f.g.h",
          "$JS.ACK.s.c.99999999999999999999.2.3.4.5"}) {
        INFO(subject);
        CHECK_FALSE(parse_ack_subject(subject, delivery));
    }
}
