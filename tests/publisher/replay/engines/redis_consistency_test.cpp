// Method: a real Redis primary and replica behind a proxy that stands still, is killed or is
// promoted. Each session writes on the primary, then reads where SessionConsistency and decide()
// send it, and must see what it wrote.

#include <homeward/replay/hiredis.hpp>
#include <homeward/replay/session_consistency.hpp>

#include "tests/publisher/replay/engines/pairs.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/tcp_proxy.hpp"
#include "tests/support/servers/redis_server.hpp"

using namespace homeward::replay;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr int kSessions = 3;
constexpr int kPairsEach = 400;
const TokenKey kKey{"k1", std::string(32, 'a')};
using homeward::replay::detail::RedisConnection;
using homeward::replay::detail::RedisReply;

std::string url_of(const RedisServer& server) {
    return "redis://127.0.0.1:" + std::to_string(server.port());
}

RedisReply run(redisContext* context, const std::string& command) {
    return RedisReply(static_cast<redisReply*>(redisCommand(context, command.c_str())));
}

int number_of(const RedisReply& reply) {
    return reply && reply->str != nullptr ? std::stoi(reply->str) : 0;
}

/// Primary, replica on the other side of a proxy, and an app's reads in front of the replica.
struct Stage {
    explicit Stage(std::uint32_t wait_max_ms)
        : proxy(primary.port()), replica({"repl-timeout 600"}) {
        replica.ask({"REPLICAOF", "127.0.0.1", std::to_string(proxy.port())});
        const bool is_linked = wait_until(60s, [this] {
            return replica.ask({"INFO", "replication"}).find("master_link_status:up") !=
                   std::string::npos;
        });
        if (!is_linked) throw std::runtime_error("no link:\n" + replica.log());
        poller = std::make_unique<ReplicaPoller>(hiredis_position_source(url_of(replica)));
        SessionConsistencyOptions options;
        options.wait_max_ms = wait_max_ms;
        reads = std::make_unique<SessionConsistency>(TokenSigner({kKey}), poller.get(), options);
    }

    PairSession session(int id) const {
        const std::shared_ptr<redisContext> on_primary(redisConnect("127.0.0.1", primary.port()),
                                                       redisFree);
        const std::shared_ptr<redisContext> on_replica(redisConnect("127.0.0.1", replica.port()),
                                                       redisFree);
        const std::string key = "counter" + std::to_string(id);
        const auto read = [key](const std::shared_ptr<redisContext>& context) {
            return [context, key] { return number_of(run(context.get(), "GET " + key)); };
        };
        const auto write = [on_primary, key](int n) {
            run(on_primary.get(), "SET " + key + " " + std::to_string(n));
            const auto seen = committed_position(on_primary.get());
            if (!seen) throw std::runtime_error("no position after a write");
            return *seen;
        };
        return {write, read(on_replica), read(on_primary)};
    }

    RedisServer primary;
    mutable TcpProxy proxy;
    RedisServer replica;
    std::unique_ptr<ReplicaPoller> poller;
    std::unique_ptr<SessionConsistency> reads;
};

}  // namespace

TEST_CASE(
    "of 1,200 writes followed by a read none is read stale while Redis's replication stands still "
    "again and again") {
    const Stage stage(20);
    PairCount count;
    const auto disturb = [&] {
        stage.proxy.stop();
        sleep_ms(40);
        stage.proxy.resume();
        sleep_ms(80);
    };
    run_pairs(
        *stage.reads, [&](int id) { return stage.session(id); }, kSessions, kPairsEach, disturb,
        count);
    WARN(count.pairs << " pairs: " << count.here << " read from the replica, " << count.replayed
                     << " replayed, " << count.stale << " stale");
    CHECK(count.pairs == kSessions * kPairsEach);
    CHECK(count.stale == 0);
    CHECK(count.here > 50);
    CHECK(count.replayed > 5);

    // The same without SessionConsistency, or the test could not fail.
    stage.proxy.stop();
    PairCount eventual;
    write_and_read(*stage.reads, stage.session(50), 20, ReadMode::eventual, eventual);
    CHECK(eventual.stale == 20);
    PairCount session;
    write_and_read(*stage.reads, stage.session(51), 20, ReadMode::session, session);
    CHECK(session.stale == 0);
    CHECK(session.replayed == 20);
}

TEST_CASE("WAIT tells how many Redis replicas have a write") {
    const Stage stage(5'000);
    const RedisConnection context(redisConnect("127.0.0.1", stage.primary.port()));
    run(context.get(), "SET key value");
    CHECK(wait_for_replicas(context.get(), 1, 30s) == 1);
    stage.proxy.stop();
    run(context.get(), "SET key other");
    CHECK(wait_for_replicas(context.get(), 1, 200ms) == 0);
    stage.proxy.resume();
    CHECK(wait_for_replicas(context.get(), 1, 30s) == 1);
    const RedisConnection on_replica(redisConnect("127.0.0.1", stage.replica.port()));
    CHECK_FALSE(wait_for_replicas(on_replica.get(), 1, 200ms));  // an error there
    CHECK_FALSE(committed_position(on_replica.get()));
}

TEST_CASE("a Redis replica that was killed is not believed to be where it was") {
    Stage stage(5'000);
    const PairSession session = stage.session(1);
    const std::string cookie = cookie_of(*stage.reads, session.write(1));
    REQUIRE(stage.reads->ask(cookie).coverage == Coverage::covered);
    CHECK(stage.reads->ask(cookie).server_role == ServerRole::standby);
    stage.replica.kill();
    CHECK(wait_until(
        30s, [&] { return stage.reads->ask(cookie).coverage == Coverage::position_unknown; }));
    stage.replica.start();
    // Empty and a primary of its own: nothing of the session is there.
    CHECK(wait_until(
        60s, [&] { return stage.reads->ask(cookie).coverage == Coverage::different_timeline; }));
    CHECK(decide_read(stage.reads->ask(cookie)).verdict == Verdict::replay);
    stage.replica.ask({"REPLICAOF", "127.0.0.1", std::to_string(stage.proxy.port())});
    CHECK(wait_until(60s, [&] { return stage.reads->ask(cookie).coverage == Coverage::covered; }));
    CHECK(stage.session(1).read_replica() == 1);
}

TEST_CASE("a promoted Redis replica has what it had replicated, and not what was lost") {
    const Stage stage(5'000);
    const PairSession session = stage.session(2);
    const std::string kept = cookie_of(*stage.reads, session.write(1));
    REQUIRE(stage.reads->ask(kept).coverage == Coverage::covered);
    stage.proxy.stop();
    const std::string lost = cookie_of(*stage.reads, session.write(2));
    stage.replica.ask({"REPLICAOF", "NO", "ONE"});
    const RedisConnection promoted(redisConnect("127.0.0.1", stage.replica.port()));
    run(promoted.get(), "SET counter2 3");
    const auto seen = committed_position(promoted.get());
    REQUIRE(seen);
    CHECK(stage.reads->ask(cookie_of(*stage.reads, *seen)).coverage == Coverage::covered);
    CHECK(stage.reads->ask(kept).coverage == Coverage::covered);
    CHECK(stage.reads->ask(lost).coverage == Coverage::different_timeline);
    CHECK(stage.poller->role_now() == ServerRole::primary);
}

TEST_CASE("a source logs into Redis with its URL's user and password, and refuses other URLs") {
    const RedisServer server({"requirepass secret", "user reader on >words ~* +@all"});
    const std::string port = std::to_string(server.port());
    CHECK(hiredis_position_source("redis://:secret@127.0.0.1:" + port)->ask());
    CHECK(hiredis_position_source("redis://reader:words@127.0.0.1:" + port)->ask());
    CHECK_FALSE(hiredis_position_source("redis://:wrong@127.0.0.1:" + port)->ask());
    CHECK_FALSE(hiredis_position_source("redis://127.0.0.1:" + port)->ask());
    CHECK_FALSE(hiredis_position_source("redis://127.0.0.1:" + std::to_string(free_port()))->ask());
    for (const char* url : {"rediss://:secret@h", "mysql://u:secret@h/x", "h:6379"}) {
        CHECK_THROWS_AS(hiredis_position_source(url), std::invalid_argument);
    }
}

TEST_CASE("a write to Redis leaves a token in cookie and header") {
    const RedisServer primary;
    HelperOptions options;
    options.regions = Regions{"scl", "ams"};
    options.keys = {kKey};
    options.database = RegionalUrl{url_of(primary), true, {}};
    options.position_source = hiredis_position_source;
    const Helper helper(std::move(options));
    const RedisConnection context(redisConnect("127.0.0.1", primary.port()));
    run(context.get(), "SET key value");
    HandlerResult result;
    note_commit(helper, context.get(), result);
    CHECK(result.has_committed);
    CHECK(result.seen_token.find("v2.k1.redis.") == 0);
    CHECK(result.set_cookie.find(result.seen_token) != std::string::npos);
}
