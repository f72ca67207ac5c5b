// Pulling from real servers, whatever they say or fail to say; through the whole line where that
// shows it best.

#include <nlohmann/json.hpp>

#include <atomic>
#include <fstream>
#include <future>
#include <set>
#include <utility>

#include "consumer/nats/stream.hpp"
#include "consumer/pull/pull.hpp"
#include "schemas/nats/subject.hpp"

#include "tests/support/catch.hpp"
#include "tests/support/faults/tcp_proxy.hpp"
#include "tests/support/servers/bridge.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using consumer::BatchBounds;
using consumer::Puller;
using nlohmann::json;

namespace {

constexpr const char* kLine =
    R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed"})";
constexpr const char* kStream = "HOMEWARD_PLAIN_ams";
const std::string kDurable = durable_name(StreamKind::plain, "ams");

/// JetStream's API in a domain; empty: of the server itself.
class Api {
  public:
    Api(int port, const std::string& domain)
        : client_(port), prefix_(domain.empty() ? "$JS.API." : "$JS." + domain + ".API.") {}

    json call(const std::string& method, const json& body = json::object()) {
        return json::parse(client_.request(prefix_ + method, body.empty() ? "" : body.dump()));
    }
    json durable() { return call(std::string("CONSUMER.INFO.") + kStream + "." + kDurable); }
    /// Makes the durable anew, with this besides its settings.
    void remake_durable(const json& more) {
        json settings = durable().at("config");
        settings.update(more);
        call(std::string("CONSUMER.DELETE.") + kStream + "." + kDurable);
        const json made = call(std::string("CONSUMER.DURABLE.CREATE.") + kStream + "." + kDurable,
                               {{"stream_name", kStream}, {"config", settings}});
        INFO(made);
        REQUIRE_FALSE(made.contains("error"));
    }

  private:
    NatsClient client_;
    std::string prefix_;
};

std::int64_t rows(Bridge& bridge) {
    return bridge.leader().number("SELECT count(*) FROM audit_events");
}

bool has_rows(Bridge& bridge, std::int64_t count) {
    return wait_until(60s, [&] { return rows(bridge) == count; });
}

bool says(Bridge& bridge, const std::string& text) {
    return wait_until(30s, [&] { return bridge.consumer_log().find(text) != std::string::npos; });
}

void expect_clean(Bridge& bridge) {
    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60", "--final"}, 90s);
    INFO(proof.output << bridge.consumer_log());
    CHECK(proof.exit_code == 0);
}

consumer::Config config_of(const std::string& url) {
    consumer::Config config;
    config.nats.urls = {url};
    config.sources = {consumer::Source{"ams", "", 1, {StreamKind::plain}}};
    return config;
}

/// A puller alone, with what it pulls from; everything taken is acknowledged.
class Pulling {
  public:
    explicit Pulling(const consumer::Config& config, std::chrono::milliseconds ack_wait = 30s)
        : nats_(config.nats, 10s, [](std::string_view) {}) {
        apply_streams(nats_, config);
        puller_.emplace(nats_, streams_of(config), config.pull, ack_wait);
    }
    /// Takes until so many messages have come, or the time is over; how many did.
    std::size_t take(std::size_t count) {
        std::size_t taken = 0;
        const bool all = wait_until(30s, [&] {
            if (puller_->waiting() == 0) return false;
            const auto messages = puller_->take([] {
                return BatchBounds{1'000'000, 256u << 20, 0ms};
            });
            std::size_t bytes = 0;
            for (const auto& one : messages) {
                bytes += one.message.data.size();
                nats_.publish(std::string(one.message.reply), "+ACK");
                seqs.insert(one.message.delivery.stream_seq);
            }
            puller_->finish(messages.size(), bytes, 0ms);
            taken += messages.size();
            return taken >= count;
        });
        CHECK(all);
        return taken;
    }
    std::set<std::uint64_t> seqs;

  private:
    consumer::NatsConnection nats_;
    std::optional<Puller> puller_;
};

}  // namespace

TEST_CASE("a stream that trickles over a long link is caught up with as fast as any other") {
    // Method: 300 ms of round trip, and the same backlog for a new puller and for one that has only
    // seen a trickle. Pulls that fill slowly, since little is published, must not be taken for a
    // slow link: 64 messages a round trip take 19 s and more.
    static constexpr std::size_t kTrickle = 1'000;
    static constexpr std::size_t kBacklog = 4'000;
    const auto catch_up = [](std::size_t trickle) {
        NatsServer server;
        TcpProxy link(server.port());
        link.delay(150ms);
        Pulling pulling(config_of("nats://127.0.0.1:" + std::to_string(link.port())), 4s);
        auto sent = std::async(std::launch::async, [&] {
            NatsClient slowly(server.port());
            for (std::size_t i = 0; i < trickle; ++i) {
                slowly.publish(plain_subject("ams", "shop"), kLine);
                sleep_ms(5);
            }
        });
        if (trickle > 0) CHECK(pulling.take(trickle) == trickle);
        sent.get();
        NatsClient client(server.port());
        for (std::size_t i = 0; i < kBacklog; ++i)
            client.publish(plain_subject("ams", "shop"), kLine);
        const auto begun = std::chrono::steady_clock::now();
        CHECK(pulling.take(kBacklog) == kBacklog);
        return std::chrono::steady_clock::now() - begun;
    };
    CHECK(catch_up(kTrickle) < 3 * catch_up(0));
}

TEST_CASE("messages of an idle stream wait for company as long as a batch may, and come together") {
    NatsServer server;
    const consumer::Config config = config_of(server.url());
    consumer::NatsConnection nats(config.nats, 10s, [](std::string_view) {});
    apply_streams(nats, config);
    Puller puller(nats, streams_of(config), config.pull, 30s);
    auto batch = std::async(std::launch::async, [&] {
        return puller.take([] { return BatchBounds{10, 1u << 20, 60s}; }).size();
    });
    NatsClient app(server.port());
    for (int i = 0; i < 10; ++i) {
        app.publish(plain_subject("ams", "web"), kLine);
        sleep_ms(5);
    }
    CHECK(batch.get() == 10);
}

TEST_CASE("what nobody acknowledged comes again at once, not one message of it an ack_wait later") {
    // Method: messages of 20 kB, of which a pull of all that may be ahead would have to end by its
    // bytes; taken, not acknowledged, and taken by another when ack_wait is over.
    constexpr std::size_t kMessages = 400;
    constexpr auto kAckWait = 10s;
    NatsServer server;
    consumer::Config config = config_of(server.url());
    config.pull.ack_wait_ms = 10'000;
    config.pull.bytes_max = 4u << 20;
    consumer::NatsConnection nats(config.nats, 10s, [](std::string_view) {});
    apply_streams(nats, config);
    NatsClient app(server.port());
    for (std::size_t i = 0; i < kMessages; ++i) {
        app.publish(plain_subject("ams", "web"), std::string(20'000, 'x'));
    }
    const auto take_all = [&] {
        Puller puller(nats, streams_of(config), config.pull, 60s);
        std::set<std::uint64_t> seqs;
        const auto until = std::chrono::steady_clock::now() + kAckWait - 2s;
        while (seqs.size() < kMessages && std::chrono::steady_clock::now() < until) {
            if (puller.waiting() == 0) {
                sleep_ms(5);
                continue;
            }
            std::size_t bytes = 0;
            const auto taken = puller.take([] { return BatchBounds{1'000, 1u << 20, 0ms}; });
            for (const auto& one : taken) {
                bytes += one.message.data.size();
                seqs.insert(one.message.delivery.stream_seq);
            }
            puller.finish(taken.size(), bytes, 0ms);
        }
        return seqs.size();
    };
    CHECK(take_all() == kMessages);
    std::this_thread::sleep_for(kAckWait + 1s);
    CHECK(take_all() == kMessages);
}

TEST_CASE("no word about a pull stops the flow, whoever says it") {
    // Method: a spy sees every pull, as anybody in the account may, and answers it in the server's
    // place with each word there is. Messages must come all the same, each once.
    NatsServer server;
    Pulling pulling(config_of(server.url()));
    NatsClient spy(server.port());
    spy.subscribe("$JS.API.CONSUMER.MSG.NEXT.>");
    NatsClient app(server.port());
    std::size_t sent = 0;
    for (const std::string status :
         {"100 Idle Heartbeat", "404 No Messages", "408 Request Timeout", "409 Consumer Deleted",
          "409 Message Size Exceeds MaxBytes", "409 Exceeded MaxWaiting", "409 Server Shutdown",
          "503", "400 Bad Request", "999 Whatever", "soon"}) {
        INFO(status);
        for (int i = 0; i < 3; ++i) spy.publish_status(spy.next_reply(), status);
        for (int i = 0; i < 3; ++i) app.publish(plain_subject("ams", "web"), kLine);
        sent += 3;
        CHECK(pulling.take(3) == 3);
    }
    CHECK(pulling.seqs.size() == sent);
}

TEST_CASE("an answer of another shape than JetStream's is an error like any other") {
    // Method: whoever owns a leaf answers in its domain; here a client does.
    NatsOptions options;
    options.jetstream = false;
    NatsServer server(options);
    const auto config = config_of(server.url());
    consumer::NatsConnection nats(config.nats, 10s, [](std::string_view) {});
    consumer::Stream stream = streams_of(config).front();
    stream.domain = "leaf";
    NatsClient owner(server.port());
    owner.subscribe("$JS.leaf.API.>");
    owner.send_to(owner.inbox(), "");
    owner.receive();  // so that the server has the subscription
    // The stream is asked for first, and its durable if that is no error.
    const std::string whole =
        R"({"config":{},"state":{"messages":0,"bytes":0,"first_seq":0,"last_seq":0}})";
    const std::vector<std::vector<std::string>> conversations{
        {R"({"state":7,"config":{}})"},
        {R"({"config":[]})"},
        {R"({"error":7})"},
        {R"({"error":{"err_code":"many"}})"},
        {whole, R"({"num_pending":"many"})"},
        {whole, R"({"error":{"description":7}})"}};
    for (const auto& answers : conversations) {
        INFO(answers.back());
        auto is_error = std::async(std::launch::async, [&] {
            try {
                read_state(nats, stream);
                return false;
            } catch (const consumer::NatsError&) {
                return true;
            }
        });
        for (const std::string& answer : answers) owner.send_to(owner.next_reply(), answer);
        CHECK(is_error.get());
    }
}

TEST_CASE("an idle stream is never without a pull") {
    // Method: pulls run out after a second; the server is asked for 4 s how many it holds, and
    // again, should this process not have been given the processor.
    NatsServer server;
    Pulling pulling(config_of(server.url()));
    Api api(server.port(), "");
    CHECK(wait_until(30s, [&] { return api.durable().at("num_waiting") > 0; }));
    constexpr int kRoundsMax = 4;
    int without = 80;
    for (int round = 0; round < kRoundsMax && without > 0; ++round) {
        without = 0;
        for (int look = 0; look < 80; ++look) {
            without += api.durable().at("num_waiting") == 0 ? 1 : 0;
            sleep_ms(50);
        }
    }
    CHECK(without == 0);
}

TEST_CASE("what is larger than a pull may bring comes by itself, and the bytes stay bounded") {
    // Method: 1 MiB is nearly the most that the server takes, and as much as a pull asks for here.
    NatsServer server;
    auto config = config_of(server.url());
    config.pull.bytes_max = 2u << 20;
    Pulling pulling(config);
    NatsClient app(server.port());
    const std::string large((1u << 20) - 100, 'x');
    for (int i = 0; i < 5; ++i) app.publish(plain_subject("ams", "web"), large);
    for (int i = 0; i < 50; ++i) app.publish(plain_subject("ams", "web"), kLine);
    app.publish(plain_subject("ams", "web"), large);
    sleep_ms(2000);
    // Nobody has taken any: no more may be on the way than fits, and one besides.
    Api api(server.port(), "");
    CHECK(api.durable().at("num_ack_pending") <= 3);
    CHECK(pulling.take(56) == 56);
    CHECK(pulling.seqs.size() == 56);
}

TEST_CASE("a right to inboxes that was taken and given back is noticed") {
    // Method: the server's configuration is changed and reloaded twice. The first time, it closes
    // our subscription; after the second nothing tells us that it is still closed.
    const auto user = [](const std::string& deny) {
        return "authorization { users: [ { user: app, password: app, permissions: {\n"
               "    publish: { allow: \">\" }\n"
               "    subscribe: { allow: \">\"" +
               deny + " } } } ] }\n";
    };
    NatsOptions options;
    options.more = user("");
    NatsServer server(options);
    const auto config = config_of("nats://app:app@127.0.0.1:" + std::to_string(server.port()));
    Pulling pulling(config);
    NatsClient app(server.port(), "app", "app");
    app.publish(plain_subject("ams", "web"), kLine);
    CHECK(pulling.take(1) == 1);
    server.reload(user(", deny: \"_INBOX.>\""));
    sleep_ms(500);
    server.reload(user(""));
    NatsClient later(server.port(), "app", "app");
    later.publish(plain_subject("ams", "web"), kLine);
    CHECK(pulling.take(1) >= 1);
}

TEST_CASE("a durable that is deleted and made again by hand is found again") {
    Bridge bridge;
    bridge.start_consumer();
    NatsClient app(bridge.leaf().port());
    app.publish(plain_subject("ams", "web"), kLine);
    CHECK(has_rows(bridge, 1));
    Api api(bridge.leaf().port(), "ams");
    const json settings = api.durable().at("config");
    api.call(std::string("CONSUMER.DELETE.") + kStream + "." + kDurable);
    CHECK(says(bridge, std::string("pulling from ") + kStream + ": "));
    app.publish(plain_subject("ams", "web"), kLine);
    CHECK(bridge.consumer_command({"streams", "apply"}).exit_code == 0);
    CHECK(has_rows(bridge, 2));
    expect_clean(bridge);
    CHECK(bridge.stop_consumer() == 0);
}

TEST_CASE("two consumers share a durable that takes one pull at a time") {
    // Method: max_waiting 1 refuses every pull but one with 409.
    Bridge bridge;
    Api api(bridge.leaf().port(), "ams");
    api.remake_durable({{"max_waiting", 1}});
    bridge.start_consumer();
    ProcessOptions options;
    options.environment = bridge.environment();
    options.environment["HOMEWARD_ADMIN_LISTEN"] = "";
    options.log = bridge.dir() / "second.log";
    Process second({HOMEWARD_CONSUMER_PROGRAM, "run"}, options);
    NatsClient app(bridge.leaf().port());
    for (int i = 0; i < 500; ++i) app.publish(plain_subject("ams", "web"), kLine);
    CHECK(has_rows(bridge, 500));
    expect_clean(bridge);
    CHECK(second.stop() == 0);
    CHECK(bridge.stop_consumer() == 0);
}

TEST_CASE("leaf and hub that shut down in order and come back are pulled from again") {
    Bridge bridge;
    bridge.start_consumer();
    std::int64_t sent = 0;
    for (NatsServer* server : {&bridge.leaf(), &bridge.hub()}) {
        server->stop();
        sleep_ms(1500);
        server->start();
        NatsClient app(bridge.leaf().port());
        for (int i = 0; i < 20; ++i, ++sent) app.publish(plain_subject("ams", "web"), kLine);
        CHECK(has_rows(bridge, sent));
    }
    expect_clean(bridge);
    CHECK(bridge.stop_consumer() == 0);
}
