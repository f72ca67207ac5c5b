// homeward_forward.h and homeward_forward_server.h within one process: what callers may get wrong,
// and what an app's own threads do with calls that they take.

#include <homeward_forward_server.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <thread>

#include "tests/publisher/forward/call_regions.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::forward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

struct Free {
    void operator()(homeward_client* client) const { homeward_client_free(client); }
    void operator()(homeward_reply* reply) const { homeward_reply_free(reply); }
    void operator()(homeward_forward_server* server) const { homeward_forward_server_free(server); }
};
using ClientPtr = std::unique_ptr<homeward_client, Free>;
using ReplyPtr = std::unique_ptr<homeward_reply, Free>;
using ServerPtr = std::unique_ptr<homeward_forward_server, Free>;

/// Options of one side, with the texts that they point to.
struct Side {
    Side(const NatsServer& nats, const char* region) : url(nats.url()) {
        connection.size = sizeof connection;
        connection.region = region;
        connection.app = "shop";
        connection.nats_urls = url.c_str();
    }
    std::string url;
    homeward_options connection{};
};

struct Why {
    std::string text() const { return buffer.data(); }
    std::array<char, 256> buffer{};
};

ClientPtr open_client(const Side& side) {
    homeward_client_options options{};
    options.size = sizeof options;
    options.connection = &side.connection;
    options.deadline_ms = 10'000;
    return ClientPtr(homeward_client_open(&options, nullptr, 0));
}

ServerPtr make_server(const Side& side, const std::string& database_url, Why& why) {
    homeward_forward_server_options options{};
    options.size = sizeof options;
    options.connection = &side.connection;
    options.database_url = database_url.c_str();
    return ServerPtr(homeward_forward_server_new(&options, why.buffer.data(), why.buffer.size()));
}

ReplyPtr call(homeward_client* client, const char* key, const std::string& body,
              std::uint32_t deadline_ms = 10'000) {
    homeward_call_options options{};
    options.size = sizeof options;
    options.key = key;
    options.deadline_ms = deadline_ms;
    return ReplyPtr(
        homeward_client_call(client, "order.place", body.data(), body.size(), &options));
}

/// A server of "order.place" whose calls this process takes; the leaf knows of it.
struct PullServer {
    PullServer() : hub(regions.hub(), "scl"), leaf(regions.leaf(), "ams") {
        Why why;
        server = make_server(hub, regions.leader().url(), why);
        INFO(why.text());
        REQUIRE(server != nullptr);
        REQUIRE(homeward_forward_server_on(server.get(), "order.place", nullptr, nullptr) == 1);
        REQUIRE(homeward_forward_server_start(server.get(), nullptr, 0) == 1);
        client = open_client(leaf);
        REQUIRE(wait_until(30s, [&] {
            const ReplyPtr reply(homeward_client_outcome(client.get(), "served", 1'000));
            return reply->outcome == HOMEWARD_OUTCOME_NOT_FOUND;
        }));
    }

    homeward_tx* take() {
        homeward_tx* tx = nullptr;
        CHECK(homeward_forward_server_next(server.get(), 20'000, &tx) == HOMEWARD_NEXT_CALL);
        return tx;
    }

    CallRegions regions;
    Side hub;
    Side leaf;
    ServerPtr server;
    ClientPtr client;
};

/// A thread that takes calls until its end; a call may have to run several times.
class Taker {
  public:
    using Handler = std::function<void(homeward_tx* tx)>;

    Taker(PullServer& shop, Handler handler)
        : thread_([this, &shop, handler = std::move(handler)] {
              homeward_tx* tx = nullptr;
              while (!is_stopping_) {
                  const homeward_next next =
                      homeward_forward_server_next(shop.server.get(), 50, &tx);
                  if (next == HOMEWARD_NEXT_CALL) handler(tx);
              }
          }) {}
    ~Taker() {
        is_stopping_ = true;
        thread_.join();
    }
    Taker(const Taker&) = delete;
    Taker& operator=(const Taker&) = delete;

  private:
    std::atomic<bool> is_stopping_{false};
    std::thread thread_;
};

void reply_done(homeward_tx* tx) {
    homeward_tx_reply(tx, "done", 4);
}

}  // namespace

TEST_CASE("options that can never work are refused with a reason, and no pointer crashes") {
    CallRegions regions;
    Side side(regions.hub(), "scl");
    Why why;
    homeward_client_options client{};
    CHECK(homeward_client_open(nullptr, why.buffer.data(), why.buffer.size()) == nullptr);
    CHECK(homeward_client_open(&client, why.buffer.data(), why.buffer.size()) == nullptr);
    CHECK(why.text() == "options.size is not sizeof(homeward_client_options)");
    client.size = sizeof client;
    CHECK(homeward_client_open(&client, why.buffer.data(), why.buffer.size()) == nullptr);
    CHECK_THAT(why.text(), Contains("options.connection is NULL"));
    side.connection.region = "Bad Region";
    client.connection = &side.connection;
    CHECK(homeward_client_open(&client, why.buffer.data(), why.buffer.size()) == nullptr);
    CHECK_THAT(why.text(), Contains("region is \"Bad Region\""));
    side.connection.region = "scl";

    CHECK(make_server(side, "", why) == nullptr);
    CHECK_THAT(why.text(), Contains("no database_url"));
    homeward_forward_server_options bad{};
    CHECK(homeward_forward_server_new(&bad, why.buffer.data(), why.buffer.size()) == nullptr);
    bad.size = sizeof bad;
    bad.connection = &side.connection;
    bad.database_url = "host=x";
    bad.token_keys = "k1:short";
    CHECK(homeward_forward_server_new(&bad, why.buffer.data(), why.buffer.size()) == nullptr);
    CHECK_THAT(why.text(), Contains("token_keys: "));

    const ServerPtr server = make_server(side, regions.leader().url(), why);
    CHECK(homeward_forward_server_on(server.get(), "Order", nullptr, nullptr) == 0);
    CHECK(homeward_forward_server_on(server.get(), nullptr, nullptr, nullptr) == 0);
    CHECK(homeward_forward_server_start(server.get(), why.buffer.data(), why.buffer.size()) == 0);
    CHECK_THAT(why.text(), Contains("the operation \"Order\" is not valid"));

    homeward_tx* tx = nullptr;
    CHECK(homeward_client_call(nullptr, "a", "", 0, nullptr) == nullptr);
    CHECK(homeward_client_outcome(nullptr, "a", 0) == nullptr);
    CHECK(homeward_client_is_connected(nullptr) == 0);
    CHECK(homeward_forward_server_next(nullptr, 0, &tx) == HOMEWARD_NEXT_CLOSED);
    CHECK(homeward_forward_server_on(nullptr, "a", nullptr, nullptr) == 0);
    CHECK(homeward_forward_server_start(nullptr, nullptr, 0) == 0);
    CHECK(homeward_forward_server_close(nullptr, 0) == 0);
    CHECK(homeward_tx_query(nullptr, "", nullptr, 0) == nullptr);
    homeward_tx_reply(nullptr, "", 0);
    homeward_tx_fail(nullptr, "a", "b");
    CHECK(homeward_rows_count(nullptr) + homeward_rows_columns(nullptr) == 0);
    CHECK(homeward_rows_value(nullptr, 0, 0) == nullptr);
    CHECK(homeward_outcome_name(static_cast<homeward_outcome>(10)) == std::string("unknown"));
    CHECK(homeward_outcome_name(HOMEWARD_OUTCOME_IN_DOUBT) == std::string("in_doubt"));
}

TEST_CASE("a call that no thread takes expires, and the next one is served") {
    PullServer shop;
    // Its answer may come too late; then the caller does not know.
    const ReplyPtr late = call(shop.client.get(), "late", "tea", 3'000);
    INFO(late->body);
    CHECK(late->outcome == HOMEWARD_OUTCOME_EXPIRED);
    homeward_tx* tx = nullptr;
    CHECK(homeward_forward_server_next(shop.server.get(), 10, &tx) == HOMEWARD_NEXT_NONE);
    CHECK(tx == nullptr);
    const Taker taker(shop, &reply_done);
    CHECK(call(shop.client.get(), "next", "tea")->outcome == HOMEWARD_OUTCOME_OK);
}

TEST_CASE("bytes of any value go both ways, and a reply that is too large is undone") {
    PullServer shop;
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    const std::string large_reply(600u << 10, 'x');
    const Taker taker(shop, [&](homeward_tx* tx) {
        const homeward_call* got = homeward_tx_call(tx);
        if (got->key == std::string("bytes")) {
            homeward_tx_reply(tx, got->body, got->body_bytes);
        } else {
            homeward_tx_reply(tx, large_reply.data(), large_reply.size());
        }
    });
    const ReplyPtr reply = call(shop.client.get(), "bytes", bytes);
    CHECK(std::string(reply->body, reply->body_bytes) == bytes);
    const ReplyPtr large = call(shop.client.get(), "large", "tea");
    CHECK(large->outcome == HOMEWARD_OUTCOME_FAILED);
    CHECK(large->code == std::string("reply_too_large"));
}

TEST_CASE("close() waits for a call that was taken, and then no thread waits any more") {
    PullServer shop;
    bool is_called = false;
    bool is_over = false;
    bool is_closed = false;
    std::thread caller([&] {
        is_called = call(shop.client.get(), "slow", "tea")->outcome == HOMEWARD_OUTCOME_OK;
    });
    homeward_tx* tx = shop.take();
    std::thread waiter([&] {
        homeward_tx* none = nullptr;
        is_over =
            homeward_forward_server_next(shop.server.get(), 60'000, &none) == HOMEWARD_NEXT_CLOSED;
    });
    std::thread closer(
        [&] { is_closed = homeward_forward_server_close(shop.server.get(), 20'000) == 1; });
    sleep_ms(300);
    homeward_rows* rows =
        homeward_tx_query(tx, "INSERT INTO orders VALUES ('slow', 'tea')", nullptr, 0);
    CHECK(homeward_rows_affected(rows) == 1);
    homeward_rows_free(rows);
    homeward_tx_reply(tx, "", 0);
    for (std::thread* thread : {&caller, &waiter, &closer}) thread->join();
    CHECK(is_called);
    CHECK(is_over);
    CHECK(is_closed);
    CHECK(shop.regions.orders("slow") == 1);
    homeward_forward_server_stats stats{};
    stats.size = offsetof(homeward_forward_server_stats, queued);
    stats.queued = 77;  // beyond what this caller knows
    CHECK(homeward_forward_server_get_stats(shop.server.get(), &stats) == 1);
    CHECK(stats.queued == 77);
    Why why;
    CHECK(homeward_forward_server_start(shop.server.get(), why.buffer.data(), why.buffer.size()) ==
          0);
    CHECK_THAT(why.text(), Contains("was started before"));
    CHECK(homeward_forward_server_on(shop.server.get(), "late", nullptr, nullptr) == 0);
}

TEST_CASE("a forked child of a server takes no calls and stops none") {
    PullServer shop;
    const pid_t child = fork();
    if (child == 0) {
        homeward_tx* tx = nullptr;
        const bool is_closed =
            homeward_forward_server_next(shop.server.get(), 0, &tx) == HOMEWARD_NEXT_CLOSED &&
            homeward_forward_server_close(shop.server.get(), 1'000) == 0;
        homeward_forward_server_free(shop.server.get());
        _exit(is_closed ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    const Taker taker(shop, &reply_done);
    CHECK(call(shop.client.get(), "after", "tea")->outcome == HOMEWARD_OUTCOME_OK);
}
