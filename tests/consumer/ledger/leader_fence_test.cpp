// Which leader the durables of the regions name, asked of all regions at once. The regions are one
// raw client that serves the JetStream API of all their domains.

#include "consumer/ledger/leader_fence.hpp"

#include <map>
#include <thread>

#include "schemas/nats/subject.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/servers/nats_client.hpp"
#include "tests/support/servers/nats_server.hpp"

using namespace homeward;
using namespace homeward::consumer;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

const std::string kUnreachable = R"({"error":{"code":503,"description":"unreachable"}})";

std::string acknowledged_for(int timeline) {
    return R"({"config":{"description":"acknowledged for PostgreSQL 7 timeline )" +
           std::to_string(timeline) + R"("}})";
}

/// JetStream of each domain, which answers every request of it alike. No request is answered before
/// `held` have come.
class JetStreams {
  public:
    JetStreams(int port, std::map<std::string, std::string> answers, std::size_t held = 0)
        : answers_(std::move(answers)), held_(held), client_(port), control_(port) {
        client_.subscribe("$JS.*.API.>");
        client_.send_to("$JS.control.API.READY", "", "ready");
        client_.next_reply();  // the server knows the subscription
        thread_ = std::thread([this] { serve(); });
    }
    ~JetStreams() { end(); }
    JetStreams(const JetStreams&) = delete;
    JetStreams& operator=(const JetStreams&) = delete;

    /// Ends it. How many requests have come.
    std::size_t end() {
        if (!thread_.joinable()) return requests_;
        control_.send_to("$JS.control.API.OVER", "", "over");
        thread_.join();
        return requests_;
    }

  private:
    void serve() {
        std::vector<std::string> waiting;
        for (;;) {
            const std::string reply = next_reply();
            if (reply == "over") return;
            waiting.push_back(reply);
            if (++requests_ < held_) continue;
            for (const std::string& one : waiting) answer(one);
            waiting.clear();
        }
    }
    std::string next_reply() {
        for (;;) {
            try {
                return client_.next_reply();
            } catch (const std::runtime_error&) {
                // nobody has asked for 10 s
            }
        }
    }
    void answer(const std::string& reply) {
        for (const auto& [domain, text] : answers_) {
            if (reply.rfind(consumer_inbox_prefix(domain), 0) == 0) client_.send_to(reply, text);
        }
    }

    std::map<std::string, std::string> answers_;
    std::size_t held_;
    std::size_t requests_ = 0;  // the thread's, until it has ended
    NatsClient client_;
    NatsClient control_;
    std::thread thread_;
};

/// A fence of two streams in each of these domains.
class Fence {
  public:
    Fence(const NatsServer& server, const std::map<std::string, std::string>& domains)
        : nats_(config(server), 10s, [](std::string_view) {}), fence_(nats_, streams(domains)) {}
    LeaderFence* operator->() { return &fence_; }

  private:
    static Config::Nats config(const NatsServer& server) {
        Config::Nats config;
        config.urls = {server.url()};
        return config;
    }
    static std::vector<Stream> streams(const std::map<std::string, std::string>& domains) {
        std::vector<Stream> streams;
        for (const auto& [domain, answer] : domains) {
            for (const StreamKind kind : {StreamKind::audit, StreamKind::metric}) {
                streams.push_back(
                    {kind, domain, domain, stream_name(kind, domain), durable_name(kind, domain)});
            }
        }
        return streams;
    }

    NatsConnection nats_;
    LeaderFence fence_;
};

std::map<std::string, std::string> domains_with(int count, const std::string& answer) {
    std::map<std::string, std::string> domains;
    for (int i = 0; i < count; ++i) domains["r" + std::to_string(i)] = answer;
    return domains;
}

}  // namespace

TEST_CASE("the fence asks all regions at once, so that their links add no time to each other") {
    // Method: nobody gets an answer before all have asked. Who asks one after the other waits for
    // the patience of a request, gives the region up, and does not ask for its second stream.
    const NatsServer server;
    const auto domains = domains_with(6, acknowledged_for(1));
    JetStreams regions(server.port(), domains, domains.size());
    Fence fence(server, domains);
    CHECK(fence->ask({"7", 1}).verdict == LeaderFence::Verdict::admitted);
    CHECK(regions.end() == 2 * domains.size());
}

TEST_CASE("the fence asks each of many regions") {
    const NatsServer server;
    const auto domains = domains_with(40, acknowledged_for(1));
    JetStreams regions(server.port(), domains);
    Fence fence(server, domains);
    CHECK(fence->ask({"7", 1}).verdict == LeaderFence::Verdict::admitted);
    CHECK(regions.end() == 2 * domains.size());
}

TEST_CASE("the newest timeline that a region names counts, and a region that fails is skipped") {
    const NatsServer server;
    const std::map<std::string, std::string> domains{
        {"ams", kUnreachable}, {"fra", acknowledged_for(3)}, {"scl", acknowledged_for(2)}};
    JetStreams regions(server.port(), domains);
    Fence fence(server, domains);
    const LeaderFence::Answer old = fence->ask({"7", 2});
    CHECK(old.verdict == LeaderFence::Verdict::refused);
    CHECK_THAT(old.reason, Contains("timeline 2, below timeline 3"));
    CHECK(fence->ask({"8", 3}).verdict == LeaderFence::Verdict::refused);
    CHECK(fence->ask({"7", 3}).verdict == LeaderFence::Verdict::admitted);
    // 5 of each ask. A region that fails is asked once: for its first stream.
    CHECK(regions.end() == 15);
}

TEST_CASE("a newer leader is written to every region, and to none twice") {
    const NatsServer server;
    const std::map<std::string, std::string> domains{
        {"ams", kUnreachable}, {"fra", acknowledged_for(3)}, {"scl", acknowledged_for(2)}};
    JetStreams regions(server.port(), domains);
    Fence fence(server, domains);
    CHECK(fence->ask({"7", 4}).verdict == LeaderFence::Verdict::admitted);
    // Read by all (5), then read again and written by those that answer (1 + 4 + 4).
    CHECK(regions.end() == 5 + 9);
}

TEST_CASE("when no region answers, the fence does not know the leader, and says why") {
    const NatsServer server;
    const auto domains = domains_with(3, kUnreachable);
    const JetStreams regions(server.port(), domains);
    Fence fence(server, domains);
    const LeaderFence::Answer answer = fence->ask({"7", 1});
    CHECK(answer.verdict == LeaderFence::Verdict::unknown);
    CHECK_THAT(answer.reason, Contains("unreachable"));
}
