// Read your own write: call() returns when the local replica has what the call has committed, or
// says that it has not.

#include <homeward/forward/replica.hpp>
#include <homeward/replay/libpq.hpp>

#include "tests/publisher/forward/call_regions.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::forward;
using namespace homeward::testing;
using namespace std::chrono_literals;
namespace replay = homeward::replay;

namespace {

const std::vector<replay::TokenKey> kKeys{{"k1", std::string(32, 'k')}};

/// Of a replica that another engine's client reads.
class MariadbSource : public replay::PositionSource {
  public:
    std::optional<replay::ReplicaPosition> ask() override {
        replay::ReplicaPosition position;
        position.at.engine = replay::Engine::mariadb;
        position.at.text = "0-1-7";
        position.role = replay::ServerRole::standby;
        return position;
    }
    replay::Engine engine() const override { return replay::Engine::mariadb; }
};

/// A replica in ams, the poller there, and a client that waits for it.
class ReplicaRegion {
  public:
    explicit ReplicaRegion(CallRegions& regions)
        : replica(PostgresServer::standby_of(regions.leader())),
          poller_(std::make_unique<replay::LibpqPositionSource>(replica->url())) {
        ClientOptions options = regions.client_options();
        options.replica_wait_max = 5s;
        options.replica_wait = replica_wait(std::make_shared<replay::TokenSigner>(kKeys), poller_);
        client = std::make_unique<Client>(options);
    }

    std::unique_ptr<PostgresServer> replica;
    std::unique_ptr<Client> client;

  private:
    replay::ReplicaPoller poller_;
};

ServerOptions with_keys(const CallRegions& regions) {
    ServerOptions options = regions.server_options();
    options.token_keys = kKeys;
    return options;
}

}  // namespace

TEST_CASE("after a call the replica has the write, every time") {
    CallRegions regions;
    const OrderServer server(regions, with_keys(regions));
    ReplicaRegion ams(regions);
    for (int i = 0; i < 100; ++i) {
        const std::string key = "own-" + std::to_string(i);
        const Reply reply = ams.client->call("order.place", "tea", {.key = key});
        REQUIRE(reply);
        INFO(i);
        REQUIRE(reply.replica == ReplicaState::covered);
        REQUIRE(ams.replica->number("SELECT count(*) FROM orders WHERE key = '" + key + "'") == 1);
    }
    // A stored reply's caller may read elsewhere than the first one did.
    const Reply stored = ams.client->call("order.place", "tea", {.key = "own-0"});
    CHECK(stored.was_stored);
    CHECK(stored.replica == ReplicaState::covered);
    CHECK(ams.client->call("order.place", "x", {.wait_for_replica = false}).replica ==
          ReplicaState::not_asked);
}

TEST_CASE("a replica that is behind or away is said, and is no error of the write") {
    CallRegions regions;
    const OrderServer server(regions, with_keys(regions));
    ReplicaRegion ams(regions);
    REQUIRE(ams.client->call("order.place", "tea").replica == ReplicaState::covered);
    ams.replica->query("SELECT pg_wal_replay_pause()");
    const Reply behind = ams.client->call("order.place", "milk", {.key = "milk-1"});
    CHECK(behind);
    CHECK(behind.replica == ReplicaState::behind);
    CHECK(regions.orders("milk-1") == 1);
    ams.replica->kill();
    const Reply away = ams.client->call("order.place", "rice", {.key = "rice-1"});
    CHECK(away);
    CHECK(away.replica == ReplicaState::away);
    CHECK(regions.orders("rice-1") == 1);
    ams.replica->start();
    CHECK(wait_until(20s, [&] {
        return ams.client->call("order.place", "salt").replica == ReplicaState::covered;
    }));
}

TEST_CASE("a token that says nothing about the replica is away, and the log has one line for all") {
    CallRegions regions;
    const OrderServer server(regions, with_keys(regions));
    replay::ReplicaPoller leader(
        std::make_unique<replay::LibpqPositionSource>(regions.leader().url()));
    replay::ReplicaPoller other(std::make_unique<MariadbSource>());
    const struct {
        std::vector<replay::TokenKey> keys;
        replay::ReplicaPoller& poller;
        std::string cause;
    } cases[] = {
        {{{"k2", std::string(32, 'k')}},
         leader,
         "the session token is not valid here (unknown_key)"},
        {{{"k1", std::string(32, 'x')}}, leader, "the session token is not valid here (forged)"},
        {kKeys, other, "the session token is of another engine than the replica"},
    };
    for (const auto& [keys, poller, cause] : cases) {
        INFO(cause);
        ClientOptions options = regions.client_options();
        options.replica_wait_max = 2s;
        options.replica_wait = replica_wait(std::make_shared<replay::TokenSigner>(keys), poller);
        Client primary(options);
        const std::string before = regions.log();
        for (int i = 0; i < 5; ++i) {
            const Reply reply = primary.call("order.place", "tea");
            CHECK(reply);
            CHECK(reply.replica == ReplicaState::away);
        }
        const std::string said = regions.log().substr(before.size());
        const std::size_t at = said.find("calls do not wait for the replica: " + cause);
        REQUIRE(at != std::string::npos);
        CHECK(said.find("calls do not wait", at + 1) == std::string::npos);
    }
}

TEST_CASE("the token is the session token of the replay helper; without keys there is none") {
    CallRegions regions;
    Client primary(regions.client_options());
    {
        const OrderServer server(regions, with_keys(regions));
        const Reply reply = primary.call("order.place", "tea");
        REQUIRE(reply);
        const replay::TokenSigner signer(kKeys);
        const auto now_s = static_cast<std::uint64_t>(std::time(nullptr));
        const replay::Token token = signer.read(reply.session_token, now_s);
        REQUIRE(token.state == replay::TokenState::fresh);
        CHECK(regions.leader().query("SELECT system_identifier, timeline_id FROM"
                                     " pg_control_system(), pg_control_checkpoint()") ==
              Rows{{std::to_string(static_cast<std::int64_t>(token.seen.system_id)),
                    std::to_string(token.seen.timeline)}});
    }
    const OrderServer plain(regions);
    const Reply reply = primary.call("order.place", "tea");
    CHECK(reply);
    CHECK(reply.session_token.empty());
}
