// Publishers without a server: what is accepted and what is not shows in stats().

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <homeward/request_scope.hpp>

#include <audit.event.hpp>
#include <metric.event.hpp>

#include "tests/support/catch.hpp"

using namespace homeward;
using namespace std::chrono_literals;

namespace {

PublisherOptions options() {
    PublisherOptions options;
    options.nats_urls = {"nats://127.0.0.1:1"};  // nobody listens there
    options.region = "ams";
    options.app = "shop";
    return options;
}

/// Does not wait in vain for a server when it ends.
struct LonelyPublisher : Publisher {
    using Publisher::Publisher;
    ~LonelyPublisher() { close(0ms); }
};

EmitResult emit_audit(Publisher& publisher, std::string_view resource = "order:1") {
    events::Audit event;
    event.actor = "user:1";
    event.action = "order.view";
    event.resource = resource;
    event.outcome = events::Audit::Outcome::allowed;
    return publisher.emit(event);
}

EmitResult emit_metric(Publisher& publisher) {
    events::Metric event;
    event.name = "request_duration_seconds";
    event.kind = events::Metric::Kind::gauge;
    event.value = 0.25;
    return publisher.emit(event);
}

EmitResult emit_json(Publisher& publisher) {
    return publisher.emit_json("order_viewed", EventClass::audit, R"({"order":1})");
}

std::uint64_t accepted(const Publisher& publisher) {
    const Stats stats = publisher.stats();
    return stats.audit.accepted + stats.metric.accepted;
}

std::string noise(std::size_t bytes) {
    static std::mt19937_64 random(1);
    std::string text(bytes, ' ');
    for (char& c : text) c = static_cast<char>('!' + random() % 94);
    return text;
}

/// Fills lane and log of a publisher that reaches nobody, until audit has no room for good.
void fill(Publisher& publisher) {
    int refusals = 0;
    while (refusals < 100) {
        const bool is_full = emit_audit(publisher, noise(900)) == EmitResult::full;
        refusals = is_full ? refusals + 1 : 0;
        if (is_full) std::this_thread::sleep_for(2ms);  // the sender may yet make room
    }
}

}  // namespace

TEST_CASE("what a scope holds is accepted when it is published, not before") {
    LonelyPublisher publisher(options());
    RequestScope scope(publisher);
    CHECK(emit_audit(publisher) == EmitResult::held);
    CHECK(emit_metric(publisher) == EmitResult::held);
    CHECK(emit_json(publisher) == EmitResult::held);
    CHECK(scope.held() == 3);
    CHECK(accepted(publisher) == 0);
    CHECK(scope.publish() == EmitResult::accepted);
    CHECK(scope.held() == 0);
    CHECK(publisher.stats().audit.accepted == 2);
    CHECK(publisher.stats().metric.accepted == 1);

    CHECK(emit_audit(publisher) == EmitResult::accepted);
    CHECK(scope.publish() == EmitResult::accepted);
    CHECK(accepted(publisher) == 4);
}

TEST_CASE("what a scope drops is never accepted, and it holds nothing more") {
    LonelyPublisher publisher(options());
    RequestScope scope(publisher);
    CHECK(emit_audit(publisher) == EmitResult::held);
    CHECK(emit_metric(publisher) == EmitResult::held);
    scope.drop();
    CHECK(scope.publish() == EmitResult::closed);
    CHECK(accepted(publisher) == 0);
    CHECK(emit_audit(publisher) == EmitResult::accepted);
    CHECK(accepted(publisher) == 1);
}

TEST_CASE("a scope that a handler's exception ends undecided publishes") {
    LonelyPublisher publisher(options());
    try {
        const RequestScope scope(publisher);
        CHECK(emit_audit(publisher) == EmitResult::held);
        throw std::runtime_error("the handler failed");
    } catch (const std::runtime_error&) {
        CHECK(accepted(publisher) == 1);
    }
    CHECK(emit_audit(publisher) == EmitResult::accepted);
}

TEST_CASE("a full scope refuses audit, and reports dropped metrics only if it is published") {
    LonelyPublisher publisher(options());
    for (const bool is_published : {true, false}) {
        RequestScope scope(publisher, {.bytes_max = 1000});
        std::uint64_t audits = 0;
        std::uint64_t metrics = 0;
        while (emit_audit(publisher) == EmitResult::held) ++audits;
        CHECK(emit_audit(publisher) == EmitResult::scope_full);
        // A flood of one class leaves the other's room alone.
        while (emit_metric(publisher) == EmitResult::held) ++metrics;
        CHECK(emit_metric(publisher) == EmitResult::dropped);
        CHECK(audits > 1);
        CHECK(metrics > 1);
        CHECK(scope.held() == audits + metrics);
        const Stats before = publisher.stats();
        if (is_published) {
            CHECK(scope.publish() == EmitResult::accepted);
        } else {
            scope.drop();
        }
        const Stats after = publisher.stats();
        CHECK(after.audit.accepted - before.audit.accepted == (is_published ? audits : 0));
        CHECK(after.metric.accepted - before.metric.accepted == (is_published ? metrics + 2 : 0));
    }
    CHECK(emit_audit(publisher, noise(300'000)) == EmitResult::too_large);
    const RequestScope scope(publisher);
    CHECK(emit_audit(publisher, noise(300'000)) == EmitResult::too_large);
}

TEST_CASE("a scope that finds no room publishes nothing and says so; given up, it is counted") {
    PublisherOptions small = options();
    small.log_bytes_max = 16u << 20;
    small.lane_bytes = 64u << 10;
    std::string log;
    std::mutex mutex;
    small.on_log = [&](std::string_view line) {
        const std::lock_guard lock(mutex);
        log.append(line).append("\n");
    };
    LonelyPublisher publisher(small);
    fill(publisher);
    const Stats before = publisher.stats();
    {
        RequestScope scope(publisher);
        // Less than half a lane, and more than the crumbs that fill() has left.
        for (int i = 0; i < 10; ++i) CHECK(emit_audit(publisher, noise(2000)) == EmitResult::held);
        CHECK(scope.publish() == EmitResult::full);
        CHECK(scope.publish() == EmitResult::full);
        CHECK(scope.held() == 10);
        CHECK(emit_audit(publisher) == EmitResult::held);
        CHECK(publisher.stats().audit.accepted == before.audit.accepted);
        CHECK(publisher.stats().audit.refused == before.audit.refused);
    }
    CHECK(publisher.stats().audit.accepted == before.audit.accepted);
    CHECK(publisher.stats().audit.refused == before.audit.refused + 11);
    const std::lock_guard lock(mutex);
    CHECK(log.find("11 audit events of an undecided request scope") != std::string::npos);
}

TEST_CASE("a request that another thread finishes is one request") {
    LonelyPublisher publisher(options());
    RequestScope scope(publisher);
    CHECK(emit_audit(publisher) == EmitResult::held);
    scope.leave();
    CHECK(emit_audit(publisher) == EmitResult::accepted);
    std::thread([&publisher, scope = std::move(scope)]() mutable {
        CHECK(emit_audit(publisher) == EmitResult::accepted);
        scope.enter();
        CHECK(emit_audit(publisher) == EmitResult::held);
        CHECK(scope.held() == 2);
        scope.drop();
    }).join();
    CHECK(accepted(publisher) == 2);
}

TEST_CASE("a scope that was decided or destroyed elsewhere lets the threads inside it go") {
    LonelyPublisher publisher(options());
    auto scope = std::make_unique<RequestScope>(publisher);
    CHECK(emit_audit(publisher) == EmitResult::held);
    std::thread([&scope] { scope.reset(); }).join();
    CHECK(accepted(publisher) == 1);
    CHECK(emit_audit(publisher) == EmitResult::accepted);
    CHECK(emit_metric(publisher) == EmitResult::accepted);
}

TEST_CASE("threads that emit into one scope while it is decided lose and double nothing") {
    // Method: three threads inside one scope emit while a fourth publishes; every emit() is held
    // or accepted, and all of them are accepted in the end.
    LonelyPublisher publisher(options());
    std::uint64_t emitted = 0;
    for (int round = 0; round < 50; ++round) {
        RequestScope scope(publisher);
        std::atomic<int> inside{0};
        std::vector<std::thread> threads;
        std::atomic<std::uint64_t> refused{0};
        for (int i = 0; i < 3; ++i) {
            threads.emplace_back([&] {
                scope.enter();
                ++inside;
                for (int n = 0; n < 100; ++n) {
                    const EmitResult result = emit_audit(publisher);
                    if (result != EmitResult::held && result != EmitResult::accepted) ++refused;
                }
                scope.leave();
            });
        }
        while (inside < 3) std::this_thread::yield();
        EmitResult result = scope.publish();
        CHECK(result == EmitResult::accepted);
        for (std::thread& thread : threads) thread.join();
        CHECK(refused == 0);
        emitted += 300;
    }
    CHECK(accepted(publisher) == emitted);
}

TEST_CASE("a scope inside a scope publishes to the one around it, which decides") {
    LonelyPublisher publisher(options());
    for (const bool is_published : {true, false}) {
        const std::uint64_t before = accepted(publisher);
        RequestScope outer(publisher);
        CHECK(emit_audit(publisher) == EmitResult::held);
        {
            RequestScope inner(publisher);
            CHECK(emit_metric(publisher) == EmitResult::held);
            CHECK(inner.publish() == EmitResult::held);
        }
        {
            RequestScope inner(publisher);
            CHECK(emit_audit(publisher) == EmitResult::held);
            inner.drop();
        }
        CHECK(emit_json(publisher) == EmitResult::held);
        CHECK(outer.held() == 3);
        CHECK(accepted(publisher) == before);
        if (is_published) {
            CHECK(outer.publish() == EmitResult::accepted);
        } else {
            outer.drop();
        }
        CHECK(accepted(publisher) == before + (is_published ? 3 : 0));
    }
}

TEST_CASE("an outer scope that is decided first leaves the inner one to itself") {
    LonelyPublisher publisher(options());
    RequestScope outer(publisher);
    CHECK(emit_audit(publisher) == EmitResult::held);
    RequestScope inner(publisher);
    CHECK(emit_audit(publisher) == EmitResult::held);
    CHECK(outer.publish() == EmitResult::accepted);
    CHECK(accepted(publisher) == 1);
    CHECK(emit_audit(publisher) == EmitResult::held);
    CHECK(inner.publish() == EmitResult::accepted);
    CHECK(accepted(publisher) == 3);
}

TEST_CASE("an inner scope too large for the one around it stays held, and says so") {
    LonelyPublisher publisher(options());
    RequestScope outer(publisher, {.bytes_max = 1000});
    RequestScope inner(publisher, {.bytes_max = 4000});
    while (emit_audit(publisher) == EmitResult::held) {
    }
    const std::size_t held = inner.held();
    CHECK(inner.publish() == EmitResult::scope_full);
    CHECK(inner.held() == held);
    CHECK(outer.held() == 0);
    CHECK(accepted(publisher) == 0);
    inner.drop();
}

TEST_CASE("a scope of one publisher leaves the others alone") {
    LonelyPublisher first(options());
    LonelyPublisher second(options());
    CHECK(emit_audit(second) == EmitResult::accepted);
    RequestScope scope(first);
    CHECK(emit_audit(second) == EmitResult::accepted);
    CHECK(emit_audit(first) == EmitResult::held);
    {
        RequestScope inner(second);
        CHECK(emit_audit(second) == EmitResult::held);
        CHECK(emit_audit(first) == EmitResult::held);
        CHECK(inner.publish() == EmitResult::accepted);
    }
    CHECK(emit_audit(second) == EmitResult::accepted);
    CHECK(emit_audit(first) == EmitResult::held);
    CHECK(accepted(second) == 4);
    CHECK(accepted(first) == 0);
    CHECK(scope.publish() == EmitResult::accepted);
    CHECK(accepted(first) == 3);
}

TEST_CASE("a closed publisher takes nothing more, from a scope or from a thread that has emitted") {
    LonelyPublisher publisher(options());
    RequestScope scope(publisher);
    CHECK(emit_audit(publisher) == EmitResult::held);
    std::thread([&publisher] {
        CHECK(emit_metric(publisher) == EmitResult::accepted);
        publisher.close(0ms);
        CHECK(emit_metric(publisher) == EmitResult::closed);
    }).join();
    CHECK(emit_audit(publisher) == EmitResult::closed);
    CHECK(scope.publish() == EmitResult::closed);
    CHECK(accepted(publisher) == 1);
}

TEST_CASE("what a parent holds is the parent's to publish; its child has scopes of its own") {
    LonelyPublisher publisher(options());
    RequestScope scope(publisher);
    CHECK(emit_audit(publisher) == EmitResult::held);
    const pid_t child = ::fork();
    if (child == 0) {
        bool is_right = scope.held() == 0 && scope.publish() == EmitResult::closed;
        RequestScope own(publisher);
        is_right = is_right && emit_audit(publisher) == EmitResult::held && own.held() == 1 &&
                   own.publish() == EmitResult::accepted && accepted(publisher) == 1;
        ::_exit(is_right ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
    CHECK(scope.publish() == EmitResult::accepted);
    CHECK(accepted(publisher) == 1);
}
