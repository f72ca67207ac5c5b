#include "schemas/nats/nats_probe.hpp"

#include "tests/support/catch.hpp"

using namespace homeward;

TEST_CASE("a NATS URL is taken apart as nats.c does it") {
    struct Case {
        std::string url, host, port;
        bool wants_tls = false;
    };
    for (const Case& one : std::vector<Case>{{"nats://hub:4333", "hub", "4333"},
                                             {"hub", "hub", "4222"},
                                             {"nats://hub", "hub", "4222"},
                                             {"nats://hub:", "hub", "4222"},
                                             {"tls://app:secret@hub:1/path", "hub", "1", true},
                                             {"nats://app:a/b@c@hub:1", "hub", "1"},
                                             {"nats://token@[::1]:2", "::1", "2"},
                                             {"nats://[fe80::1]", "fe80::1", "4222"}}) {
        INFO(one.url);
        const NatsAddress address = parse_nats_url(one.url);
        CHECK(address.host == one.host);
        CHECK(address.port == one.port);
        CHECK(address.wants_tls == one.wants_tls);
    }
}

TEST_CASE("an address for a log has nothing of the login") {
    CHECK(printable_address("nats://app:secret@hub:1") == "hub:1");
    CHECK(printable_address("nats://app:se/cr@et@hub:1/path") == "hub:1");
    CHECK(printable_address("tls://token@[::1]:2") == "[::1]:2");
}

TEST_CASE("another server of the cluster gets the login of the first") {
    CHECK(with_address("nats://app:secret@hub:1", "other:2") == "nats://app:secret@other:2");
    CHECK(with_address("tls://app:a/b@hub:1", "nats://other:2") == "tls://app:a/b@other:2");
    CHECK(with_address("nats://hub", "other:2") == "nats://other:2");
}

TEST_CASE("a server's greeting is judged by what the client wants") {
    CHECK(judge_greeting("INFO {\"tls_available\":true}\r\n", true).empty());
    CHECK(judge_greeting("INFO {}\r\n", false).empty());
    CHECK(judge_greeting("INFO {}\r\n", true).find("offers no TLS") != std::string::npos);
    CHECK(judge_greeting("INFO {\"tls_required\":true}\r\n", false).find("requires TLS") !=
          std::string::npos);
    CHECK(judge_greeting("HTTP/1.1 400\x1b[31m\r\nx", false) ==
          "it is no NATS server; it says \"HTTP/1.1 400?[31m\"");
}
