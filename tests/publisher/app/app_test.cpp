// An App from the environment alone, and with each of its parts replaced.

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <homeward/app.hpp>

#include <audit.event.hpp>

#include "tests/publisher/app/environment.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using replay::Cause;

namespace {

void ignore(std::string_view) {}

events::Audit order_view() {
    events::Audit event;
    event.actor = "user:42";
    event.action = "order.view";
    event.resource = "order:1234";
    event.outcome = events::Audit::Outcome::allowed;
    return event;
}

replay::RequestView post(const std::string& token = "") {
    return {"POST", "/orders", 0, [token](std::string_view name) {
                return name == replay::kSeenHeader ? token : std::string();
            }};
}

/// The status of the helper's own answer; 0 if the handler's goes out.
int status(const App& app, const replay::RequestView& request,
           const std::function<void(replay::HandlerResult&)>& handler) {
    const replay::Outcome outcome = app.replay().request_handler().run(request, handler);
    return outcome.instead ? outcome.instead->status : 0;
}

void meet_read_only(replay::HandlerResult& result) {
    result.cause = Cause::read_only;
}

/// A replica that stands still.
class StillReplica : public replay::PositionSource {
  public:
    std::optional<replay::ReplicaPosition> ask() override {
        return replay::ReplicaPosition{{7, 1, 1000}, replay::ServerRole::standby};
    }
};

}  // namespace

TEST_CASE("an App is made from the environment alone") {
    const Environment environment(kReplicaRegion);
    const App app("shop");
    CHECK(app.database_url().url == "postgres://app:secret@ams.db.internal:5433/shop");
    CHECK(app.database_url().is_replica);
    CHECK(app.replay().regions().primary == "scl");
    CHECK(app.replay().regions().current == "ams");
    CHECK(app.replay().poller() != nullptr);
    REQUIRE(app.replay().reads() != nullptr);
    CHECK(app.prometheus().find("homeward_publisher_connected 0") != std::string::npos);
    CHECK(app.prometheus().find("homeward_replay_replayed_total") != std::string::npos);

    Environment::set("FLY_REGION", "scl");
    const App primary("shop");
    CHECK(primary.database_url().url == kReplicaRegion.at("DATABASE_URL"));
    CHECK_FALSE(primary.database_url().is_replica);
    CHECK(primary.replay().poller() == nullptr);
    CHECK(primary.replay().reads() != nullptr);
}

TEST_CASE("the events of a request that is replayed are dropped, those of others accepted once") {
    const Environment environment(kReplicaRegion);
    std::vector<std::string> lines;
    std::vector<replay::Reason> reasons;
    std::mutex mutex;
    AppOptions options;
    options.on_log = [&](std::string_view line) {
        const std::lock_guard lock(mutex);  // the publisher's threads have something to say too
        lines.emplace_back(line);
    };
    options.on_replay = [&](App& of, const replay::Decision& decision) {
        CHECK(of.database_url().is_replica);
        reasons.push_back(decision.reason);
    };
    App app("shop", options);
    const auto emit = [&](replay::HandlerResult&) {
        CHECK(app.publisher().emit(order_view()) == EmitResult::held);
    };
    CHECK(status(app, post(), [&](replay::HandlerResult& result) {
              emit(result);
              meet_read_only(result);
          }) == 409);
    CHECK(app.publisher().stats().audit.accepted == 0);
    CHECK(status(app, post(), emit) == 0);
    CHECK(app.publisher().stats().audit.accepted == 1);
    CHECK(reasons == std::vector<replay::Reason>{replay::Reason::read_only_error});
    const std::lock_guard lock(mutex);
    CHECK(std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
        return line.find("homeward: POST /orders: it wrote to a read replica") == 0;
    }));
}

TEST_CASE("a request is measured where it is answered, and not where it is replayed") {
    const Environment environment(kReplicaRegion);
    AppOptions options;
    options.on_log = ignore;
    App app("shop", options);
    int measured = 0;
    const auto measure = [&](replay::HandlerResult&) {
        const int before = measured;
        app.when_answered([&] { ++measured; });
        CHECK(measured == before);  // not yet
    };
    CHECK(status(app, post(), [&](replay::HandlerResult& result) {
              measure(result);
              meet_read_only(result);
          }) == 409);
    CHECK(measured == 0);
    CHECK(status(app, post(), measure) == 0);
    CHECK(measured == 1);
    CHECK_THROWS(status(app, post(), [&](replay::HandlerResult& result) {
        measure(result);
        throw std::runtime_error("the app's own");
    }));
    CHECK(measured == 2);
    app.when_answered([&] { ++measured; });  // outside of a request
    CHECK(measured == 3);

    Counter requests = app.meter().counter("requests");
    CHECK(requests.is_measuring());
    CHECK(app.meter().stats().series == 1);
}

TEST_CASE("a meter's option that is out of range is a SetupError") {
    const Environment environment(kReplicaRegion);
    AppOptions options;
    options.on_log = ignore;
    options.meter.series_max = 0;
    CHECK_THROWS_WITH(App("shop", options), Catch::Matchers::Contains("series_max"));
}

TEST_CASE("a session's token goes from one App to another, and its reads to the primary") {
    const Environment environment(kReplicaRegion);
    AppOptions options;
    options.on_log = ignore;
    options.replay.position_source = [](const std::string&) {
        return std::make_unique<StillReplica>();
    };
    options.replay.reads.wait_max_ms = 1;
    const App replica("shop", options);
    Environment::set("FLY_REGION", "scl");
    const App primary("shop", options);
    const auto token = [&](replay::Lsn lsn) {
        replay::HandlerResult result;
        primary.replay().remember({7, 1, lsn}, result);
        CHECK_FALSE(result.set_cookie.empty());
        return result.seen_token;
    };
    const auto done = [](replay::HandlerResult&) {};
    CHECK(wait_until(60s, [&] { return status(replica, post(token(1000)), done) == 0; }));
    CHECK(status(replica, post(token(1001)), done) == 409);
    CHECK(status(primary, post(token(1001)), done) == 0);
}

TEST_CASE("an App with all parts given reads no environment") {
    const Environment environment({});
    AppOptions options;
    options.publisher = PublisherOptions{.nats_urls = {"nats://127.0.0.1:1"}, .region = "cdg"};
    options.publisher->on_log = ignore;
    options.replay.regions = replay::Regions{"gru", "cdg"};
    options.replay.database = replay::RegionalUrl{"host=replica", true, {}};
    options.replay.keys = {{"own", std::string(32, 'k')}};
    options.replay.request_handler.answer.accel_prefix = "@elsewhere_";
    options.on_log = ignore;
    std::string asked_for;
    options.replay.position_source = [&](const std::string& url) {
        asked_for = url;
        return std::make_unique<StillReplica>();
    };
    options.replay.reads.cookie.name = "seen";
    const App app("shop", options);
    CHECK(asked_for == "host=replica");
    CHECK(app.database_url().url == "host=replica");
    replay::HandlerResult result;
    app.replay().remember({7, 1, 1}, result);
    CHECK(result.set_cookie.find("seen=v2.own.") == 0);
    const replay::Outcome outcome = app.replay().request_handler().run(post(), meet_read_only);
    REQUIRE(outcome.instead);
    const auto& headers = outcome.instead->headers;
    const std::pair<std::string, std::string> fly_replay("fly-replay", "region=gru");
    const std::pair<std::string, std::string> accel("x-accel-redirect", "@elsewhere_gru");
    CHECK(std::find(headers.begin(), headers.end(), fly_replay) != headers.end());
    CHECK(std::find(headers.begin(), headers.end(), accel) != headers.end());
}

TEST_CASE("the app's own functions are called beside App's, and its policy holds") {
    const Environment environment(kReplicaRegion);
    std::vector<std::string> calls;
    AppOptions options;
    options.on_log = ignore;
    options.replay.request_handler.policy.writes_by_method = true;
    options.replay.request_handler.passthrough = {"/uploads/*"};
    options.replay.request_handler.on_decision = [&](const auto&, std::string_view) {
        calls.emplace_back("decision");
    };
    options.replay.request_handler.on_begin = [&]() -> replay::Completion {
        calls.emplace_back("begin");
        return [&](bool is_answered) { calls.emplace_back(is_answered ? "answered" : "dropped"); };
    };
    App app("shop", options);
    const auto emit = [&](replay::HandlerResult&) {
        CHECK(app.publisher().emit(order_view()) == EmitResult::held);
    };
    CHECK(status(app, post(), emit) == 409);  // before the handler
    CHECK(calls == std::vector<std::string>{"decision"});
    calls.clear();
    replay::RequestView upload = post();
    upload.target = "/uploads/1";
    CHECK(status(app, upload, emit) == 0);
    CHECK(calls == std::vector<std::string>{"begin", "answered"});
    CHECK(app.publisher().stats().audit.accepted == 1);

    options.replay.request_handler.look = [](const replay::RequestView&) {
        replay::ReplicaStatus status;
        status.coverage = replay::Coverage::primary_only;
        return status;
    };
    const App strong("shop", options);
    replay::RequestView read = post();
    read.method = "GET";
    CHECK(status(strong, read, emit) == 409);
}

TEST_CASE("a route may ask for the primary where sessions have no tokens") {
    const Environment environment(kReplicaRegion);
    Environment::set("HOMEWARD_REPLAY_KEYS", std::nullopt);
    AppOptions options;
    options.on_log = ignore;
    options.replay.reads.mode = replay::ReadMode::eventual;
    const App app("shop", options);
    CHECK(app.replay().reads() == nullptr);
    replay::RequestView read = post();
    read.method = "GET";
    CHECK(status(app, read, [](replay::HandlerResult&) {}) == 0);
    read.mode = replay::ReadMode::strong;
    CHECK(status(app, read, [](replay::HandlerResult&) {}) == 409);
}
