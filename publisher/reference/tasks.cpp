// The code of the reference's pages: each page shows the part between its marks.

#include <homeward/app.hpp>
#include <homeward/publisher.hpp>
#include <homeward/replay/connection_url.hpp>
#include <homeward/replay/libpq.hpp>
#include <homeward/replay/request_handler.hpp>
#include <homeward/request_scope.hpp>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <audit.event.hpp>
#include <metric.event.hpp>
#include <order_viewed.event.hpp>

namespace tasks {

using namespace std::chrono_literals;

//! [open]
std::unique_ptr<homeward::Publisher> open_publisher(const std::string& region) {
    return std::make_unique<homeward::Publisher>(homeward::PublisherOptions{
        .nats_urls = {"nats://leaf:4222"},
        .region = region,
        .app = "shop",
        .spool_dir = "/var/lib/shop",  // without it, events die with the process
    });
}
//! [open]

//! [app]
homeward::EmitResult start_shop() {
    homeward::App app("shop");
    homeward::events::Audit event;
    event.actor = "service:shop";
    event.action = "shop.start";
    event.resource = app.database_url().is_replica ? "replica" : "leader";
    event.outcome = homeward::events::Audit::Outcome::allowed;
    return app.publisher().emit(event);
}
//! [app]

//! [app_measure]
void measure_request(homeward::App& app, homeward::Histogram seconds, double took_s) {
    app.when_answered([seconds, took_s]() mutable { seconds.record(took_s); });
}
//! [app_measure]

//! [app_parts]
std::unique_ptr<homeward::App> open_app() {
    homeward::AppOptions options;
    options.publisher = homeward::publisher_options_from_environment("shop");
    options.publisher->durability = homeward::Durability::disk;
    options.replay.database = homeward::replay::RegionalUrl{"host=replica", true, {}};
    options.replay.request_handler.policy.writes_by_method = true;
    options.replay.reads.wait_max_ms = 200;
    return std::make_unique<homeward::App>("shop", options);
}
//! [app_parts]

//! [emit]
bool view_order(homeward::Publisher& publisher, const std::string& user, const std::string& order) {
    homeward::events::Audit event;
    event.actor = user;  // borrowed until emit() returns
    event.action = "order.view";
    event.resource = order;
    event.outcome = homeward::events::Audit::Outcome::allowed;
    const homeward::EmitResult result = publisher.emit(event);
    return result == homeward::EmitResult::accepted || result == homeward::EmitResult::held;
}

void count_request(homeward::Publisher& publisher, double seconds) {
    homeward::events::Metric metric;
    metric.name = "request_duration_seconds";
    metric.kind = homeward::events::Metric::Kind::histogram;
    metric.value = seconds;
    publisher.emit(metric);  // a drop is reported by itself
}
//! [emit]

//! [wait]
bool import_order(homeward::Publisher& publisher, const homeward::events::Audit& event) {
    return publisher.emit_wait(event, 5s) == homeward::EmitResult::accepted;
}
//! [wait]

//! [close]
void shut_down(homeward::Publisher& publisher) {
    const homeward::FlushResult result = publisher.close(10s);
    if (!result.done) {
        std::fprintf(stderr, "%llu events stay in the spool\n",
                     static_cast<unsigned long long>(result.events_left));
    }
}
//! [close]

//! [event_type]
homeward::EmitResult order_viewed(homeward::Publisher& publisher,
                                  const std::vector<std::string>& tags) {
    homeward::JsonObject detail;  // owns its text
    detail.add("ip", "192.0.2.7").add("tries", 3);
    homeward::events::OrderViewed event;
    event.order_id = 1234;
    event.total = homeward::Decimal::scaled(1230, 2);  // 12.30, exact
    event.tags = tags;
    event.detail = detail;
    return publisher.emit(event);
}
//! [event_type]

//! [request_scope]
homeward::replay::Completion begin_request(homeward::Publisher& publisher) {
    auto scope = std::make_shared<homeward::RequestScope>(publisher);
    return [scope](bool is_answered) {
        if (is_answered) {
            scope->publish();  // this region handled the request
        } else {
            scope->drop();  // the primary region handles it and emits again
        }
    };
}
//! [request_scope]

//! [helper]
std::unique_ptr<homeward::replay::Helper> make_helper() {
    homeward::replay::HelperOptions options;
    options.position_source = homeward::replay::libpq_position_source;
    options.request_handler.passthrough = {"/uploads/*"};
    return std::make_unique<homeward::replay::Helper>(std::move(options));
}
//! [helper]

//! [commit]
void has_committed(const homeward::App& app, PGconn* connection,
                   homeward::replay::HandlerResult& result) {
    homeward::replay::note_commit(app, connection, result);  // after COMMIT, on its connection
}
//! [commit]

//! [replay]
homeward::replay::RequestHandler make_request_handler(homeward::Publisher& publisher) {
    homeward::replay::RequestHandlerOptions options;
    options.on_begin = [&publisher] { return begin_request(publisher); };
    options.on_decision = [](const homeward::replay::Decision&, std::string_view line) {
        std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
    };
    return {homeward::replay::regions_from_environment(), std::move(options)};
}
//! [replay]

//! [consistency]
struct Session {
    explicit Session(const homeward::replay::RegionalUrl& database, const std::string& keys)
        : poller(database.is_replica
                     ? std::make_unique<homeward::replay::ReplicaPoller>(
                           std::make_unique<homeward::replay::LibpqPositionSource>(database.url))
                     : nullptr),
          reads(homeward::replay::TokenSigner(homeward::replay::keys_from_text(keys).keys),
                poller.get()) {}

    /// After COMMIT, on the connection that committed.
    void has_committed(PGconn* connection, homeward::replay::HandlerResult& result) const {
        result.has_committed = true;
        if (const auto seen = homeward::replay::committed_position(connection)) {
            homeward::replay::remember(reads, *seen, result);
        }
    }

    std::unique_ptr<homeward::replay::ReplicaPoller> poller;  // none in the primary region
    homeward::replay::SessionConsistency reads;  // RequestHandlerOptions::look = look_with(reads)
};
//! [consistency]

}  // namespace tasks
