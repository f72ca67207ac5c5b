// The consumer's connection to NATS: what a server, or a stranger in its place, may say and do to
// it. A hostile JetStream is a raw client that serves the API of a region's domain.

#include <atomic>
#include <thread>

#include "schemas/subject.hpp"
#include "tests/support/bridge.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/nats_client.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr const char* kLine =
    R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed"})";

bool has_rows(Bridge& bridge, std::int64_t count) {
    return wait_until(
        30s, [&] { return bridge.leader().number("SELECT count(*) FROM audit_events") == count; });
}

/// Answers every request to the JetStream API of domain ams with the same bytes.
class HostileJetStream {
  public:
    HostileJetStream(int port, std::string reply)
        : port_(port), client_(port), reply_(std::move(reply)) {
        client_.subscribe("$JS.ams.API.>");
        thread_ = std::thread([this] { serve(); });
    }
    ~HostileJetStream() {
        is_over_ = true;
        NatsClient(port_).request("$JS.ams.API.END", "");
        thread_.join();
    }
    int answers() const { return answers_; }

  private:
    void serve() {
        while (!is_over_) {
            try {
                client_.send_to(client_.next_reply(), reply_);
                ++answers_;
            } catch (const std::runtime_error&) {
                // nobody has asked for 10 s
            }
        }
    }

    int port_;
    NatsClient client_;
    std::string reply_;
    std::atomic<bool> is_over_{false};
    std::atomic<int> answers_{0};
    std::thread thread_;
};

}  // namespace

TEST_CASE("one region's nonsense for replies of JetStream stops neither consumer nor the others") {
    BridgeOptions options;
    options.environment["HOMEWARD_SOURCES"] = "scl@hub,ams@ams";
    Bridge bridge(options);
    bridge.leaf().kill();
    std::int64_t events = 0;
    for (const char* reply :
         {R"({"config":{"description":7},"state":{},"streams":7})", R"({"config":7,"state":[]})",
          R"({"error":{"code":503,"description":7}})", "\x01\xff", ""}) {
        INFO(reply);
        HostileJetStream hostile(bridge.hub().port(), reply);
        bridge.start_consumer();
        NatsClient app(bridge.hub().port());
        app.publish(plain_subject("scl", "web"), kLine);
        CHECK(has_rows(bridge, ++events));
        CHECK(hostile.answers() > 0);
        CHECK(bridge.consumer().is_running());
        CHECK(bridge.stop_consumer() == 0);
    }
}
