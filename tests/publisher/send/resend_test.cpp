// A nats-server that loses what it has acknowledged. Method: streams in memory, which a restarted
// server does not have, and streams that are deleted under the publisher.

#include <mutex>
#include <set>

#include <homeward/publisher.hpp>

#include "schemas/nats/subject.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/servers/nats_client.hpp"
#include "tests/support/servers/nats_server.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

const std::string kStream = stream_name(StreamKind::audit, "ams");

void make_memory_stream(const NatsServer& server) {
    NatsClient(server.port())
        .request("$JS.API.STREAM.CREATE." + kStream,
                 R"({"name":")" + kStream + R"(","subjects":[")" +
                     stream_subjects(StreamKind::audit, "ams") +
                     R"("],"storage":"memory","retention":"limits","num_replicas":1})");
}

bool has_messages(const NatsServer& server, int count) {
    return wait_until(20s, [&] {
        const std::string info =
            NatsClient(server.port()).request("$JS.API.STREAM.INFO." + kStream, "");
        return info.find("\"messages\":" + std::to_string(count) + ",") != std::string::npos;
    });
}

struct Log {
    std::mutex mutex;
    std::string text;

    auto listener() {
        return [this](std::string_view line) {
            const std::lock_guard lock(mutex);
            text.append(line).append("\n");
        };
    }
    std::string read() {
        const std::lock_guard lock(mutex);
        return text;
    }
};

PublisherOptions options_for(const NatsServer& server, Log& log) {
    PublisherOptions options;
    options.nats_urls = {server.url()};
    options.region = "ams";
    options.app = "shop";
    options.on_log = log.listener();
    return options;
}

/// Each a frame of its own.
void emit_frames(Publisher& publisher, int count) {
    for (int i = 0; i < count; ++i) {
        REQUIRE(publisher.emit_json(
                    "audit", EventClass::audit,
                    R"({"actor":"a","action":"b","resource":"r","outcome":"allowed"})") ==
                EmitResult::accepted);
        REQUIRE(publisher.flush(30s).done);
    }
}

}  // namespace

TEST_CASE("what a restarted server has lost of the acknowledged is sent again, and acked once") {
    NatsServer server;
    make_memory_stream(server);
    Log log;
    Publisher publisher(options_for(server, log));
    emit_frames(publisher, 5);
    CHECK(publisher.stats().audit.acked == 5);
    server.kill();
    server.start();
    make_memory_stream(server);
    INFO(log.read());
    // The heartbeat of the idle origin may be among them.
    CHECK((has_messages(server, 5) || has_messages(server, 6)));
    CHECK_THAT(log.read(), Contains("acknowledged frames are sent again"));
    CHECK(publisher.stats().audit.acked == 5);
    CHECK(publisher.stats().audit.in_log == 0);
    CHECK(publisher.close(30s).done);
}

TEST_CASE("what was acknowledged longer than resend_age_max ago is not sent again") {
    NatsServer server;
    make_memory_stream(server);
    Log log;
    PublisherOptions options = options_for(server, log);
    options.resend_age_max = 500ms;
    Publisher publisher(options);
    emit_frames(publisher, 5);
    sleep_ms(2'000);  // the heartbeat of the idle origin is acknowledged meanwhile, too
    server.kill();
    server.start();
    make_memory_stream(server);
    emit_frames(publisher, 1);
    CHECK_THAT(log.read(), !Contains("acknowledged frames are sent again"));
    CHECK(publisher.close(30s).done);
}

TEST_CASE("a stream that gives a sequence twice gets again what it had at and behind that") {
    NatsServer server;
    make_memory_stream(server);
    Log log;
    Publisher publisher(options_for(server, log));
    emit_frames(publisher, 5);
    NatsClient(server.port()).request("$JS.API.STREAM.DELETE." + kStream, "");
    make_memory_stream(server);
    emit_frames(publisher, 1);
    INFO(log.read());
    CHECK((has_messages(server, 6) || has_messages(server, 7)));
    CHECK_THAT(log.read(), Contains("a second time"));
    CHECK(publisher.stats().audit.acked == 6);
    CHECK(publisher.close(30s).done);
}

TEST_CASE("frames that are kept for a resend never cost room for new ones") {
    // Method: the smallest log, two segments; more than both is sent and acknowledged.
    NatsServer server;
    make_memory_stream(server);
    Log log;
    PublisherOptions options = options_for(server, log);
    options.log_bytes_max = 16u << 20;
    options.resend_age_max = 10min;
    options.resend_bytes_max = 1u << 30;
    Publisher publisher(options);
    std::string big(100'000, 'x');
    std::uint32_t state = 1;
    for (char& c : big) c = static_cast<char>('a' + (state = state * 1664525 + 1013904223) % 26);
    const std::string object =
        R"({"actor":"a","action":"b","outcome":"allowed","resource":")" + big + "\"}";
    for (int i = 0; i < 400; ++i) {
        REQUIRE(wait_until(20s, [&] {
            return publisher.emit_json("audit", EventClass::audit, object) == EmitResult::accepted;
        }));
    }
    CHECK(publisher.close(30s).done);
    CHECK(publisher.stats().audit.acked == 400);
}

TEST_CASE(
    "a frame counts as stored by its own stream's PubAck only, and not by an early duplicate") {
    // Method: a raw client plays the stream, and others who would forge for it.
    NatsOptions server_options;
    server_options.jetstream = false;
    NatsServer server(server_options);
    NatsClient stream(server.port());
    stream.subscribe(frame_subject(EventClass::audit, "ams", "shop"));
    Log log;
    Publisher publisher(options_for(server, log));
    REQUIRE(
        publisher.emit_json("audit", EventClass::audit,
                            R"({"actor":"a","action":"b","resource":"r","outcome":"allowed"})") ==
        EmitResult::accepted);
    const std::string reply = stream.next_reply();
    CHECK(reply.rfind("_INBOX.homeward.ams.shop.", 0) == 0);
    const auto forge = [&](const std::string& subject, const std::string& ack) {
        stream.send_to(subject, ack);
        sleep_ms(200);
        return publisher.stats().audit.acked;
    };
    const std::string inbox = reply.substr(0, reply.rfind('.') + 1);
    const std::string good = R"({"stream":")" + kStream + R"(","seq":1})";
    CHECK(forge(inbox + "1", good) == 0);
    CHECK(forge(inbox + "1-1", good) == 0);
    CHECK(forge(reply, R"({"stream":"HOMEWARD_METRIC_ams","seq":1})") == 0);
    // Nobody but its sender could have published it: it is sent under another id.
    const std::string again = stream.next_reply();
    CHECK(forge(again, R"({"stream":")" + kStream + R"(","seq":1,"duplicate":true})") == 1);
    CHECK_THAT(log.read(), Contains("HOMEWARD_METRIC_ams took a frame"));
    publisher.close(0ms);

    Log other_log;
    Publisher other(options_for(server, other_log));
    REQUIRE(other.emit_json("audit", EventClass::audit,
                            R"({"actor":"a","action":"b","resource":"r","outcome":"allowed"})") ==
            EmitResult::accepted);
    stream.send_to(stream.next_reply(),
                   R"({"stream":")" + kStream + R"(","seq":9,"duplicate":true})");
    sleep_ms(200);
    CHECK(other.stats().audit.acked == 0);
    CHECK_THAT(other_log.read(), Contains("under a frame's id"));
    other.close(0ms);
}
