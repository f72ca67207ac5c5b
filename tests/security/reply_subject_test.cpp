// Method: an app's login stores events in its own stream and names, as the subject for the PubAck,
// every subject of JetStream's API and of the system account. JetStream serves whatever arrives
// there as a request. Nothing of the streams, their durables or the servers may change by it.

#include <nlohmann/json.hpp>

#include "tests/deploy/topology.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

constexpr int kEvents = 20;

/// The API of nats-server 2.9 to 2.15; <s> is a stream, <d> its durable.
const std::vector<std::string> kApi{"INFO",
                                    "ACCOUNT.PURGE.HOMEWARD",
                                    "ACCOUNT.STREAM.MOVE.HOMEWARD.<s>",
                                    "ACCOUNT.STREAM.CANCEL_MOVE.HOMEWARD.<s>",
                                    "SERVER.REMOVE",
                                    "META.LEADER.STEPDOWN",
                                    "STREAM.TEMPLATE.CREATE.<s>",
                                    "STREAM.TEMPLATE.DELETE.<s>",
                                    "STREAM.NAMES",
                                    "STREAM.LIST",
                                    "STREAM.CREATE.<s>",
                                    "STREAM.UPDATE.<s>",
                                    "STREAM.INFO.<s>",
                                    "STREAM.DELETE.<s>",
                                    "STREAM.PURGE.<s>",
                                    "STREAM.SNAPSHOT.<s>",
                                    "STREAM.RESTORE.<s>",
                                    "STREAM.MSG.DELETE.<s>",
                                    "STREAM.MSG.GET.<s>",
                                    "STREAM.PEER.REMOVE.<s>",
                                    "STREAM.LEADER.STEPDOWN.<s>",
                                    "DIRECT.GET.<s>",
                                    "DIRECT.GET.<s>.homeward",
                                    "CONSUMER.CREATE.<s>",
                                    "CONSUMER.CREATE.<s>.<d>",
                                    "CONSUMER.CREATE.<s>.<d>.filter",
                                    "CONSUMER.DURABLE.CREATE.<s>.<d>",
                                    "CONSUMER.NAMES.<s>",
                                    "CONSUMER.LIST.<s>",
                                    "CONSUMER.INFO.<s>.<d>",
                                    "CONSUMER.DELETE.<s>.<d>",
                                    "CONSUMER.MSG.NEXT.<s>.<d>",
                                    "CONSUMER.LEADER.STEPDOWN.<s>.<d>",
                                    "CONSUMER.PAUSE.<s>.<d>",
                                    "CONSUMER.UNPIN.<s>.<d>",
                                    "CONSUMER.RESET.<s>.<d>"};
const std::vector<std::string> kOutsideTheApi{"$JS.ACK.<s>.<d>.1.1.1.0.0",
                                              "$JS.ACK._.HOMEWARD.<s>.<d>.1.1.1.0.0",
                                              "$JS.FC.<s>.<d>.x",
                                              "$JS.SNAPSHOT.ACK.<s>.x",
                                              "$SYS.REQ.SERVER.PING",
                                              "$SYS.REQ.SERVER.PING.JSZ",
                                              "$SYS.REQ.ACCOUNT.HOMEWARD.CONNZ",
                                              "$SYS.REQ.ACCOUNT.HOMEWARD.CLAIMS.UPDATE",
                                              "$SYS.REQ.CLAIMS.UPDATE",
                                              "$SYS.REQ.CLAIMS.DELETE",
                                              "$SYS.REQ.SERVER.<id>.RELOAD",
                                              "$SYS.REQ.SERVER.<id>.KICK",
                                              "$SYS.REQ.SERVER.<id>.LDM",
                                              "$SYS.REQ.USER.INFO",
                                              "$SYS.SERVER.<id>.SHUTDOWN",
                                              "$SYS.ACCOUNT.HOMEWARD.SERVER.CONNS"};

std::string filled(std::string subject, const std::string& stream, const std::string& durable,
                   const std::string& server_id) {
    const std::pair<const char*, const std::string*> parts[] = {
        {"<s>", &stream}, {"<d>", &durable}, {"<id>", &server_id}};
    for (const auto& [what, by] : parts) {
        for (std::size_t at = 0; (at = subject.find(what, at)) != std::string::npos;) {
            subject.replace(at, std::string(what).size(), *by);
        }
    }
    return subject;
}

/// Everything of a region that an attack could change, but for the number of events.
class Region {
  public:
    Region(Topology& topology, std::string name)
        : topology_(topology),
          name_(std::move(name)),
          region_(name_ == "hub" ? "scl" : name_),
          api_("$JS." + name_ + ".API.") {}

    std::string stream() const { return "HOMEWARD_PLAIN_" + region_; }
    std::string durable() const { return "homeward_plain_" + region_; }
    std::string subject() const { return "homeward.plain." + region_ + ".shop"; }

    std::int64_t messages() { return ask("STREAM.INFO." + stream()).at("state").at("messages"); }
    /// Its streams' settings and first seqs, its durables' settings and positions.
    json settings() {
        json all = json::object();
        for (const char* kind : {"AUDIT", "METRIC", "PLAIN"}) {
            const std::string name = std::string("HOMEWARD_") + kind + "_" + region_;
            const json info = ask("STREAM.INFO." + name);
            all[name] = {info.at("config"), info.at("state").at("first_seq"), info.at("created"),
                         info.at("state").at("consumer_count")};
        }
        const json durable = ask("CONSUMER.INFO." + stream() + "." + this->durable());
        all["durable"] = {durable.at("config"), durable.at("ack_floor"), durable.at("delivered"),
                          durable.at("created"), durable.value("paused", false)};
        return all;
    }
    std::string server_id() { return topology_.app(name_).server_id(); }

    std::vector<std::string> reply_subjects() {
        std::vector<std::string> subjects;
        for (const std::string& method : kApi) {
            for (const std::string& prefix : {std::string("$JS.API."), api_}) {
                subjects.push_back(filled(prefix + method, stream(), durable(), ""));
            }
        }
        for (const std::string& subject : kOutsideTheApi) {
            subjects.push_back(filled(subject, stream(), durable(), server_id()));
        }
        return subjects;
    }

  private:
    json ask(const std::string& method) {
        const std::string answer =
            topology_.as("hub", "consumer", name_).request(api_ + method, "");
        json parsed = json::parse(answer);
        if (parsed.contains("error")) throw std::runtime_error(answer);
        return parsed;
    }

    Topology& topology_;
    std::string name_, region_, api_;
};

/// False when the server refuses the reply subject: newer ones know some that are its own.
bool publish_with_reply(NatsClient app, const std::string& subject, const std::string& reply) {
    app.send_to(subject, "{}", reply);
    try {
        // In order on one connection: when this one is answered, that one is done.
        app.publish(subject, "{}");
        return true;
    } catch (const std::runtime_error& error) {
        CHECK_THAT(error.what(), Contains("Permissions Violation for Publish with Reply"));
        return false;
    }
}

}  // namespace

TEST_CASE("no reply subject that an app names changes a stream, a durable or a server") {
    Topology topology({"ams"});
    for (const std::string& name : topology.names()) {
        INFO(name);
        Region region(topology, name);
        topology.emit(name, kEvents);
        const json before = region.settings();
        for (const std::string& reply : region.reply_subjects()) {
            INFO(reply);
            const std::int64_t stored = region.messages();
            const bool is_refused =
                !publish_with_reply(topology.app(name), region.subject(), reply);
            const std::int64_t wanted = stored + (is_refused ? 1 : 2);
            REQUIRE(wait_until(5s, [&] { return region.messages() == wanted; }));
        }
        CHECK(region.settings() == before);
    }
    // The consumer still gets every event of them.
    topology.start_consumer();
    CHECK(wait_until(20s, [&] {
        return topology.leader().number("SELECT count(*) FROM audit_events") == 2L * kEvents;
    }));
}

TEST_CASE("on a server of one account a PubAck that reaches the API deletes no message either") {
    // Method: a server without accounts or permissions, where every client is in JetStream's.
    Bridge bridge;
    NatsClient admin(bridge.leaf().port());
    const std::string stream = "HOMEWARD_PLAIN_ams";
    const auto messages = [&] {
        const json info = json::parse(admin.request("$JS.API.STREAM.INFO." + stream, ""));
        return info.at("state").at("messages").get<std::int64_t>();
    };
    for (int i = 0; i < kEvents; ++i) admin.publish("homeward.plain.ams.shop", "{}");
    std::int64_t stored = kEvents;
    for (const char* api : {"$JS.API.", "$JS.ams.API."}) {
        for (const char* method : {"STREAM.PURGE.", "STREAM.MSG.DELETE."}) {
            const std::string reply = api + (method + stream);
            INFO(reply);
            const bool is_refused = !publish_with_reply(NatsClient(bridge.leaf().port()),
                                                        "homeward.plain.ams.shop", reply);
            stored += is_refused ? 1 : 2;
            REQUIRE(wait_until(5s, [&] { return messages() == stored; }));
            sleep_ms(200);
            CHECK(messages() == stored);
        }
    }
}

TEST_CASE("streams apply denies purging and deleting in streams that an earlier version made") {
    Topology topology(std::vector<std::string>{});
    topology.as("hub", "consumer")
        .request("$JS.API.STREAM.CREATE.HOMEWARD_AUDIT_old",
                 R"({"name":"HOMEWARD_AUDIT_old","subjects":["homeward.frame.audit.old.>"],)"
                 R"("retention":"workqueue","storage":"file","discard":"new","num_replicas":1,)"
                 R"("duplicate_window":120000000000})");
    topology.environment()["HOMEWARD_SOURCES"] = "old@hub";
    const std::string change =
        "change stream HOMEWARD_AUDIT_old: deny_delete false -> true, deny_purge false -> true";
    CHECK_THAT(topology.consumer_command({"streams", "plan"}).output, Contains(change));
    CHECK_THAT(topology.consumer_command({"streams", "apply"}).output, Contains(change));
    CHECK_THAT(topology.consumer_command({"streams", "plan"}).output,
               Contains("all streams and durables are there"));
}
