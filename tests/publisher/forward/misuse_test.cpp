// What new users get wrong, or take to its limits: names, deadlines, options, handlers that commit
// by themselves, fork(). One pair of regions for all tests here.

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <functional>
#include <memory>
#include <thread>

#include "tests/publisher/forward/call_regions.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::forward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kYear = std::chrono::hours(24 * 365);

CallRegions& regions() {
    static CallRegions regions;
    return regions;
}

void raise(pqxx::work& tx, const std::string& sqlstate) {
    tx.exec("DO $$ BEGIN RAISE EXCEPTION 'raised' USING ERRCODE = '" + sqlstate + "'; END $$");
}

/// Commits by itself, and then goes on as the body says.
std::string commit_by_itself(pqxx::work& tx, const Call& call) {
    place_order(tx, call);
    const std::string body(call.body);
    tx.exec(body.size() == 5 ? "COMMIT; BEGIN" : "COMMIT");
    if (body == "refuses") throw CallFailed("out_of_stock", "no tea");
    if (body == "throws") throw std::runtime_error("the shop burns");
    if (body == "fails in SQL") tx.exec("SELECT 1/0");
    if (body == "is cut off") tx.exec("SELECT pg_terminate_backend(pg_backend_pid())");
    if (body.size() == 5) raise(tx, body);
    if (body == "is late") sleep_ms(1'200);
    return "done";
}

/// In the child of a process that forked; false if it takes longer than 20 s.
bool child_ends(const std::function<bool()>& body) {
    const pid_t child = fork();
    if (child == 0) _exit(body() ? 0 : 1);
    int status = -1;
    const bool has_ended =
        wait_until(20s, [&] { return waitpid(child, &status, WNOHANG) == child; });
    if (!has_ended) {
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
    }
    return has_ended && status == 0;
}

}  // namespace

TEST_CASE("what a handler commits by itself is done once and said, however the handler goes on") {
    const OrderServer server(regions(), regions().server_options(), &commit_by_itself);
    Client primary(regions().client_options());
    int number = 0;
    // SQLSTATEs that let a call run again: a conflict, and a leader without memory.
    for (const char* body : {"refuses", "throws", "fails in SQL", "40001", "40P01", "53200",
                             "is cut off", "is late"}) {
        const std::string key = "self-" + std::to_string(++number);
        INFO(body);
        Reply reply = primary.call("order.place", body, {.key = key, .deadline = 1s});
        if (body != std::string("is late")) CHECK(reply.code == "transaction_ended");
        reply = primary.call("order.place", body, {.key = key});
        CHECK(reply.outcome == Outcome::failed);
        CHECK(reply.code == "transaction_ended");
        CHECK(regions().orders(key) == 1);
        // Nobody can look at a transaction whose connection is gone; the key's claim is there.
        if (body == std::string("is cut off")) continue;
        CHECK_THAT(regions().log(), Contains("has ended its transaction (key " + key + ")"));
    }
}

TEST_CASE("what a handler commits by itself is done once, though a second server waits for it") {
    // Method: eight calls at once, each sent four times until its handler commits; each message
    // goes to one of two servers.
    std::atomic<int> runs{0};
    const auto commit_late = [&](pqxx::work& tx, const Call& call) {
        ++runs;
        place_order(tx, call);
        sleep_ms(900);
        tx.exec("COMMIT");
        return "done";
    };
    constexpr int kCalls = 8;
    ServerOptions options = regions().server_options();
    options.workers = kCalls;
    OrderServer first(regions(), options, commit_late);
    OrderServer second(regions(), options, commit_late);
    ClientOptions impatient = regions().client_options();
    impatient.retry_after = 100ms;
    Client primary(impatient);
    std::vector<std::thread> threads;
    std::array<Reply, kCalls> replies;
    for (int i = 0; i < kCalls; ++i) {
        threads.emplace_back([&, i] {
            replies[static_cast<std::size_t>(i)] =
                primary.call("order.place", "tea", {.key = "twice-" + std::to_string(i)});
        });
    }
    for (std::thread& thread : threads) thread.join();
    std::uint64_t attempts = 0;
    for (const Reply& reply : replies) {
        INFO(reply.key << ": " << name_of(reply.outcome) << " " << reply.body);
        CHECK(reply.code == "transaction_ended");
        CHECK(regions().orders(reply.key) == 1);
        attempts += reply.attempts;
    }
    CHECK(runs == kCalls);
    // Else no message reached the other server.
    CHECK(attempts > kCalls + first->stats().joined + second->stats().joined);
}

TEST_CASE("a call whose server died after its handler's own COMMIT has failed, and never runs") {
    const OrderServer server(regions());
    regions().leader().query(
        "BEGIN; SELECT homeward.begin_call('shop', 'died-1', 'ams', 'order.place',"
        " sha256(E'order.place\\ntea')); INSERT INTO orders VALUES ('died-1', 'tea'); COMMIT");
    Client primary(regions().client_options());
    for (const Reply& reply :
         {primary.call("order.place", "tea", {.key = "died-1"}), primary.outcome("died-1"),
          primary.abandon("died-1"), primary.call("order.place", "tea", {.key = "died-1"})}) {
        CHECK(reply.outcome == Outcome::failed);
        CHECK(reply.code == "transaction_ended");
        CHECK_THAT(reply.body, Contains("has ended its transaction by itself"));
        CHECK(reply.was_stored);
    }
    CHECK(regions().orders("died-1") == 1);
    const Reply other = primary.call("order.place", "milk", {.key = "died-1"});
    CHECK(other.outcome == Outcome::refused);
    CHECK_THAT(other.body, Contains("was used for another body of \"order.place\""));
}

TEST_CASE("no call leaves its claim, whether it commits, fails, is asked for or is abandoned") {
    const OrderServer server(regions(), regions().server_options(),
                             [](pqxx::work& tx, const Call& call) {
                                 if (call.body == "roll back") tx.exec("ROLLBACK");
                                 if (call.body == "refuse") throw CallFailed("none", "no tea");
                                 return place_order(tx, call);
                             });
    Client primary(regions().client_options());
    for (const char* body : {"tea", "refuse", "roll back"}) {
        const Reply reply =
            primary.call("order.place", body, {.key = std::string("claim-") + body[0] + body[2]});
        INFO(body << ": " << reply.code << " " << reply.body);
        CHECK((reply.outcome == Outcome::ok || reply.outcome == Outcome::failed));
        if (body == std::string("roll back")) CHECK(reply.code == "transaction_aborted");
    }
    CHECK(primary.outcome("claim-none").outcome == Outcome::not_found);
    CHECK(primary.abandon("claim-none").outcome == Outcome::abandoned);
    CHECK(regions().leader().number("SELECT count(*) FROM homeward.call_claim"
                                    " WHERE key LIKE 'claim-%'") == 0);
}

TEST_CASE("a handler's error is its failure, unless the leader itself is out of order") {
    std::atomic<int> runs{0};
    const OrderServer server(regions(), regions().server_options(),
                             [&](pqxx::work& tx, const Call& call) -> std::string {
                                 ++runs;
                                 raise(tx, std::string(call.body));
                                 return "";
                             });
    Client primary(regions().client_options());
    for (const char* state : {"XX000", "58P01", "58000", "57014", "P0001"}) {
        INFO(state);
        const std::string key = std::string("state-") + state;
        for (const bool is_retry : {false, true}) {
            const Reply reply = primary.call("order.place", state, {.key = key});
            CHECK(reply.outcome == Outcome::failed);
            CHECK(reply.code == state);
            CHECK(reply.was_stored == is_retry);
        }
    }
    CHECK(runs == 5);
    for (const char* state : {"53200", "57000", "58030", "XX001", "XX002"}) {
        INFO(state);
        Reply reply;
        // On a busy machine the last of its messages may be without an answer.
        CHECK(wait_until(20s, [&] {
            reply = primary.call("order.place", state, {.deadline = 500ms});
            return reply.outcome == Outcome::unavailable;
        }));
        CHECK(primary.outcome(reply.key).outcome == Outcome::not_found);
    }
}

TEST_CASE("a deadline may be a year, and one that has passed sends nothing") {
    ServerOptions patient = regions().server_options();
    patient.deadline_max = kYear;
    const OrderServer server(regions(), patient);
    Client primary(regions().client_options());
    for (const milliseconds deadline : {kYear, milliseconds::max()}) {
        const Reply reply = primary.call("order.place", "tea", {.deadline = deadline});
        INFO(deadline.count() << ": " << reply.body);
        CHECK(reply);
    }
    for (const milliseconds deadline : {-1ms, milliseconds::min()}) {
        const Reply late =
            primary.call("order.place", "x", {.key = "late-1", .deadline = deadline});
        CHECK(late.outcome == Outcome::expired);
        CHECK(late.attempts == 0);
        CHECK(late.key == "late-1");
        CHECK(primary.outcome("late-1", deadline).outcome == Outcome::expired);
    }
    CHECK(primary.outcome("late-1").outcome == Outcome::not_found);
}

TEST_CASE("a key is any printable text up to its limit, and an operation has no wildcard") {
    const OrderServer server(regions());
    Client primary(regions().client_options());
    for (const std::string& key :
         {std::string("a.b.*.>"), std::string("it's\\\"$1;--"), std::string(kKeyBytesMax, 'k')}) {
        INFO(key);
        CHECK(primary.call("order.place", "tea", {.key = key}));
        CHECK(primary.call("order.place", "tea", {.key = key}).was_stored);
    }
    for (const std::string& key :
         {std::string("two words"), std::string("line\n"), std::string("\xc3\xa9"),
          std::string(kKeyBytesMax + 1, 'k'), std::string(10'000, 'k')}) {
        const Reply refused = primary.call("order.place", "tea", {.key = key});
        CHECK(refused.outcome == Outcome::refused);
        CHECK_THAT(refused.body, Contains("expected 1 to 128 printable ASCII characters"));
        CHECK(primary.abandon(key).outcome == Outcome::refused);
    }
    CHECK(primary.outcome("").outcome == Outcome::refused);
    Server other(regions().server_options());
    for (const std::string& operation :
         {std::string("order.*"), std::string("order.>"), std::string(">"), std::string("*"),
          std::string("order..place"), std::string(".order"), std::string("order."),
          std::string("order place"), std::string(), std::string(10'000, 'o')}) {
        INFO(operation);
        const Reply refused = primary.call(operation, "tea");
        CHECK(refused.outcome == Outcome::refused);
        CHECK(refused.body.size() < 300);
        CHECK_THROWS_WITH(other.on(operation, &place_order), Contains("is not valid"));
    }
}

TEST_CASE("a stored reply that no message can carry any more still tells how its call ended") {
    const OrderServer server(regions());
    REQUIRE(wait_until(20s, [] {
        return regions().leader().number(
                   "SELECT count(*) FROM homeward.day_partitions('homeward.forwarded_call')") == 3;
    }));
    regions().leader().query(
        "INSERT INTO homeward.forwarded_call (app, key, region, operation, digest, outcome, code,"
        " reply) VALUES ('shop', 'large-1', 'ams', 'order.place', sha256(E'order.place\\ntea'),"
        " 'ok', '', convert_to(repeat('r', 2000000), 'UTF8'))");
    Client primary(regions().client_options());
    for (const Reply& reply :
         {primary.outcome("large-1"), primary.call("order.place", "tea", {.key = "large-1"})}) {
        CHECK(reply.outcome == Outcome::ok);
        CHECK(reply.was_stored);
        CHECK(reply.code == "reply_too_large");
        CHECK_THAT(reply.body, Contains("the stored reply has 2000000 bytes"));
    }
    CHECK_THAT(regions().log(), Contains("call \"large-1\": the stored reply has"));
}

TEST_CASE("two servers of one app serve different operations, and share those of both") {
    Server teas(regions().server_options());
    Server milks(regions().server_options());
    const auto says = [](const char* text) {
        return [text](pqxx::work&, const Call&) { return text; };
    };
    teas.on("tea", says("tea"));
    teas.on("both", says("both"));
    milks.on("milk", says("milk"));
    milks.on("both", says("both"));
    teas.start();
    milks.start();
    Client primary(regions().client_options());
    for (const char* operation : {"tea", "milk", "both"}) {
        CHECK(wait_until(20s, [&] { return primary.call(operation, "").body == operation; }));
    }
    const auto answered = [&] {
        return teas.stats().of(Outcome::ok) + milks.stats().of(Outcome::ok);
    };
    // Each message has one server: they are one queue group.
    const auto before = answered();
    unsigned sent = 0;
    for (int i = 0; i < 40; ++i) sent += primary.call("both", "").attempts;
    CHECK(answered() - before == sent);
    CHECK(teas.stats().of(Outcome::ok) > 1);
    CHECK(milks.stats().of(Outcome::ok) > 1);
}

TEST_CASE("a full server says when to try again") {
    ServerOptions options = regions().server_options();
    options.workers = 1;
    options.queue_max = 1;
    std::atomic<bool> is_open{false};
    OrderServer server(regions(), options, [&](pqxx::work& tx, const Call& call) {
        wait_until(30s, [&] { return is_open.load(); });
        return place_order(tx, call);
    });
    Client primary(regions().client_options());
    std::vector<std::thread> threads;
    std::atomic<int> placed{0};
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back(
            [&] { placed += bool(primary.call("order.place", "full", {.deadline = 60s})); });
    }
    CHECK(wait_until(20s,
                     [&] { return server->stats().running == 1 && server->stats().queued == 1; }));
    const Reply busy = primary.call("order.place", "x", {.key = "full-1", .deadline = 2s});
    is_open = true;
    for (std::thread& thread : threads) thread.join();
    CHECK(busy.outcome == Outcome::busy);
    CHECK(busy.retry_after >= 10ms);
    CHECK(busy.attempts > 1);
    CHECK(placed == 2);
    CHECK(regions().orders("full-1") == 0);
}

TEST_CASE("a wait for the replica that throws is no error of the write") {
    ServerOptions options = regions().server_options();
    options.token_keys = {{"k1", std::string(32, 'k')}};
    const OrderServer server(regions(), options);
    ClientOptions waiting = regions().client_options();
    waiting.replica_wait = [](const std::string&, milliseconds) -> ReplicaState {
        throw std::runtime_error("the replica is gone");
    };
    Client primary(waiting);
    Reply reply;
    CHECK_NOTHROW(reply = primary.call("order.place", "tea", {.key = "thrown-1"}));
    CHECK(reply);
    CHECK(reply.replica == ReplicaState::away);
    CHECK(regions().orders("thrown-1") == 1);
    CHECK_THAT(regions().log(), Contains("the replica is gone"));
}

TEST_CASE("limits that let no call through are refused, as is a server that is set up too late") {
    ServerOptions options = regions().server_options();
    options.workers = 0;
    CHECK_THROWS_WITH(Server(options), Contains("workers is 0"));
    options = regions().server_options();
    options.queue_max = 0;
    CHECK_THROWS_WITH(Server(options), Contains("queue_max is 0"));
    options = regions().server_options();
    options.deadline_max = 0ms;
    CHECK_THROWS_WITH(Server(options), Contains("deadline_max is 0 ms"));
    ClientOptions client = regions().client_options();
    client.deadline = 0ms;
    CHECK_THROWS_WITH(Client(client), Contains("deadline is 0 ms"));
    client = regions().client_options();
    client.retry_after = -1ms;
    CHECK_THROWS_WITH(Client(client), Contains("retry_after is -1 ms"));
    Server server(regions().server_options());
    CHECK_THROWS_WITH(server.on("order.none", nullptr), Contains("\"order.none\" has no handler"));
    server.on("order.place", &place_order);
    server.start();
    CHECK_THROWS_WITH(server.on("order.late", &place_order), Contains("after the start"));
    CHECK_THROWS_WITH(server.start(), Contains("was started before"));
}

TEST_CASE("a forked child drops the parent's client and server, and the parent goes on") {
    auto server = std::make_unique<OrderServer>(regions());
    auto primary = std::make_unique<Client>(regions().client_options());
    REQUIRE(primary->call("order.place", "tea"));
    CHECK(child_ends([&] {
        const bool is_none = !primary->is_connected() && !(*server)->close(1s) &&
                             primary->call("order.place", "x").outcome == Outcome::unavailable;
        primary.reset();
        server.reset();
        return is_none;
    }));
    CHECK(primary->call("order.place", "tea"));
}
