// Method: every kind of write of Redis, sent by hiredis to a real replica and to its primary, one
// by one, pipelined and in MULTI; and a server that starts, has lost its primary, runs a script too
// long, or may not write.

#include <homeward/replay/hiredis.hpp>
#include <homeward/replay/request_handler.hpp>

#include <sstream>
#include <thread>

#include "tests/support/catch.hpp"
#include "tests/support/faults/tcp_proxy.hpp"
#include "tests/support/servers/redis_server.hpp"

using namespace homeward::replay;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

const Regions kReplicaRegion{"scl", "ams"};

struct CloseRedis {
    void operator()(redisContext* context) const { redisFree(context); }
};
using Context = std::unique_ptr<redisContext, CloseRedis>;
using Reply = homeward::replay::detail::RedisReply;

Context connect(int port) {
    return Context(redisConnect("127.0.0.1", port));
}

/// "a b c" as a command of three words.
std::vector<std::string> words_of(const std::string& command) {
    std::istringstream text(command);
    std::vector<std::string> words;
    for (std::string word; text >> word;) words.push_back(word);
    return words;
}

void append(redisContext* context, const std::string& command) {
    const std::vector<std::string> words = words_of(command);
    std::vector<const char*> texts;
    for (const std::string& word : words) texts.push_back(word.c_str());
    redisAppendCommandArgv(context, static_cast<int>(texts.size()), texts.data(), nullptr);
}

Reply next_reply(redisContext* context) {
    void* reply = nullptr;
    redisGetReply(context, &reply);
    return Reply(static_cast<redisReply*>(reply));
}

Cause cause_of_command(redisContext* context, const std::string& command) {
    append(context, command);
    const Reply reply = next_reply(context);
    return cause_of(context, reply.get());
}

Verdict verdict_of(Cause cause, ServerRole role = ServerRole::standby, const char* method = "POST",
                   const Regions& regions = kReplicaRegion) {
    Situation situation;
    situation.method = method;
    situation.cause = cause;
    situation.has_handler_run = true;
    situation.server_role = role;
    return decide(situation, regions).verdict;
}

const std::vector<std::string> kWrites = {
    "SET key value",
    "SETNX key value",
    "GETSET key value",
    "GETDEL key",
    "GETEX key EX 100",
    "MSET a 1 b 2",
    "APPEND key x",
    "SETRANGE key 0 y",
    "INCR number",
    "INCRBYFLOAT number 0.5",
    "DEL nothing",
    "UNLINK nothing",
    "EXPIRE nothing 9",
    "PERSIST nothing",
    "RENAME key other",
    "COPY other key",
    "LPUSH list a",
    "RPOP list",
    "LMOVE list other_list LEFT RIGHT",
    "BLPOP list 1",
    "BRPOPLPUSH list other_list 1",
    "SADD set a",
    "SREM set b",
    "SPOP set",
    "ZADD sorted 1 a",
    "ZINCRBY sorted 1 a",
    "ZPOPMIN sorted",
    "BZPOPMIN sorted 1",
    "HSET hash f v",
    "HINCRBY hash n 1",
    "HDEL hash f",
    "PFADD seen a",
    "GEOADD place 1 1 a",
    "SETBIT bits 7 1",
    "BITFIELD bits SET u8 0 1",
    "XADD stream * f v",
    "XGROUP CREATE stream group $",
    "XREADGROUP GROUP group me STREAMS stream >",
    "XTRIM stream MAXLEN 5",
    "SORT list STORE sorted_list",
    "EVAL return(redis.call('SET',KEYS[1],'v')) 1 scripted",
    "FLUSHDB",
    "RESTORE key 0 x",
    "MOVE key 1",
    "SWAPDB 0 1",
};
const std::vector<std::string> kReads = {
    "GET key",
    "MGET a b",
    "STRLEN key",
    "EXISTS key",
    "TTL key",
    "TYPE key",
    "SCAN 0",
    "KEYS *",
    "LRANGE list 0 -1",
    "SMEMBERS set",
    "ZRANGE sorted 0 -1",
    "HGETALL hash",
    "PFCOUNT seen",
    "GEOPOS place a",
    "GETBIT bits 7",
    "BITFIELD_RO bits GET u8 0",
    "XRANGE stream - +",
    "EVAL_RO return(redis.call('GET',KEYS[1])) 1 key",
    "PUBLISH news text",
    "PING",
    "DBSIZE",
};

}  // namespace

TEST_CASE("each write to a Redis replica is replayed, and each read is served") {
    const RedisServer primary;
    const auto replica = RedisServer::replica_of(primary);
    const Context context = connect(replica->port());
    CHECK(server_role(context.get()) == ServerRole::standby);
    for (const std::string& command : kWrites) {
        const Cause cause = cause_of_command(context.get(), command);
        INFO(command << ": " << name_of(cause));
        CHECK(cause == Cause::read_only);
        CHECK(verdict_of(cause) == Verdict::replay);
    }
    for (const std::string& command : kReads) {
        INFO(command);
        CHECK(cause_of_command(context.get(), command) == Cause::none);
    }
    // In a pipeline each reply has its own.
    append(context.get(), "GET key");
    append(context.get(), "INCR number");
    append(context.get(), "GET key");
    std::vector<Cause> causes;
    for (int i = 0; i < 3; ++i) {
        causes.push_back(cause_of(context.get(), next_reply(context.get()).get()));
    }
    CHECK(causes == std::vector{Cause::none, Cause::read_only, Cause::none});
    // MULTI says so when the command is queued, and EXEC only that there was something.
    CHECK(cause_of_command(context.get(), "MULTI") == Cause::none);
    CHECK(cause_of_command(context.get(), "SET key value") == Cause::read_only);
    const Cause of_exec = cause_of_command(context.get(), "EXEC");
    CHECK(of_exec == Cause::unsupported);
    CHECK(verdict_of(of_exec) == Verdict::replay);
    CHECK(primary.ask({"DBSIZE"}) == "0");
}

TEST_CASE("the same commands are done on the primary, where errors are the app's own") {
    const RedisServer primary;
    const Context context = connect(primary.port());
    CHECK(server_role(context.get()) == ServerRole::primary);
    std::size_t done = 0;
    for (const std::string& command : kWrites) {
        const Cause cause = cause_of_command(context.get(), command);
        INFO(command);
        CHECK((cause == Cause::none || cause == Cause::other));
        done += cause == Cause::none ? 1 : 0;
    }
    CHECK(done > kWrites.size() - 8);
    CHECK(cause_of_command(context.get(), "SET key value") == Cause::none);
    const Cause wrong_type = cause_of_command(context.get(), "LPUSH key a");
    CHECK(wrong_type == Cause::other);
    CHECK(verdict_of(wrong_type, ServerRole::primary) == Verdict::proceed);
    CHECK(cause_of_command(context.get(), "NOTHING") == Cause::other);
    const std::string unknown_script = "EVALSHA " + std::string(40, '0') + " 0";
    CHECK(cause_of_command(context.get(), unknown_script) == Cause::unknown_name);
    CHECK(cause_of_command(context.get(), "XGROUP CREATE s g $ MKSTREAM") == Cause::none);
    CHECK(cause_of_command(context.get(), "XGROUP CREATE s g $ MKSTREAM") == Cause::other);
}

TEST_CASE("a primary of Redis that refuses writes for now is told as read-only") {
    const RedisServer alone({"min-replicas-to-write 1"});
    const Context context = connect(alone.port());
    const Cause cause = cause_of_command(context.get(), "SET key value");
    CHECK(cause == Cause::read_only);  // NOREPLICAS
    CHECK(verdict_of(cause, ServerRole::unknown, "POST", {"scl", "scl"}) == Verdict::refuse);
    CHECK(cause_of_command(context.get(), "GET key") == Cause::none);
}

TEST_CASE("a Redis replica that has lost its primary, and may not serve stale data, is down") {
    auto primary = std::make_unique<RedisServer>();
    const auto replica = RedisServer::replica_of(*primary, {"replica-serve-stale-data no"});
    primary->kill();
    const Context context = connect(replica->port());
    CHECK(wait_until(30s, [&] {
        return cause_of_command(context.get(), "GET key") == Cause::connection;  // MASTERDOWN
    }));
    CHECK(verdict_of(Cause::connection, ServerRole::standby, "GET") == Verdict::replay);
}

TEST_CASE("a Redis server that loads its data is down") {
    // 20 ms a key, and a look at its clients every 1,024 bytes.
    RedisServer server({"key-load-delay 20000", "loading-process-events-interval-bytes 1024"});
    for (int key = 0; key < 200; ++key) {
        server.ask(
            {"SET", std::to_string(key), std::string(2000, static_cast<char>('a' + key % 26))});
    }
    REQUIRE(server.ask({"SAVE"}) == "OK");
    server.kill();
    server.start();
    const Context context = connect(server.port());
    CHECK(cause_of_command(context.get(), "GET 1") == Cause::connection);  // LOADING
    CHECK(wait_until(60s, [&] { return cause_of_command(context.get(), "GET 1") == Cause::none; }));
}

TEST_CASE("a Redis server that runs a script for too long is down") {
    const RedisServer server({"busy-reply-threshold 50"});
    const Context context = connect(server.port());
    std::thread endless([&] { server.ask({"EVAL", "while true do end", "0"}); });
    CHECK(wait_until(30s, [&] {
        return cause_of_command(context.get(), "GET key") == Cause::connection;  // BUSY
    }));
    CHECK(server.ask({"SCRIPT", "KILL"}) == "OK");
    endless.join();
    CHECK(cause_of_command(context.get(), "GET key") == Cause::none);
}

TEST_CASE("a blocking command ends when its Redis server becomes a replica") {
    const RedisServer primary;
    const RedisServer demoted;
    const Context context = connect(demoted.port());
    append(context.get(), "BLPOP list 60");
    int is_written = 0;
    redisBufferWrite(context.get(), &is_written);
    REQUIRE(wait_until(30s, [&] {
        return demoted.ask({"INFO", "clients"}).find("blocked_clients:1") != std::string::npos;
    }));
    demoted.ask({"REPLICAOF", "127.0.0.1", std::to_string(primary.port())});
    const Reply reply = next_reply(context.get());
    REQUIRE(reply);
    CHECK(homeward::replay::detail::text_of(*reply).substr(0, 9) == "UNBLOCKED");
    CHECK(cause_of(context.get(), reply.get()) == Cause::connection);
}

TEST_CASE("a command of Redis without an answer may be done") {
    const RedisServer primary;
    TcpProxy proxy(primary.port());
    const Context context = connect(proxy.port());
    REQUIRE(cause_of_command(context.get(), "SET number 1") == Cause::none);
    proxy.watch([](std::string_view) { return TcpProxy::Act::cut_at_answer; });
    append(context.get(), "INCR number");
    const Reply lost = next_reply(context.get());
    CHECK_FALSE(lost);
    CHECK(cause_of(context.get(), lost.get()) == Cause::outcome_unknown);
    CHECK(primary.ask({"GET", "number"}) == "2");
    const Context refused = connect(free_port());
    CHECK(cause_of(refused.get(), nullptr) == Cause::connection);
    CHECK(server_role(refused.get()) == ServerRole::unknown);
}
