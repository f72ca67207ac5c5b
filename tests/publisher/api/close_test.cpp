// The end of a publisher, and what the next one finds.

#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <thread>

#include "tests/publisher/api/shop.hpp"
#include "tests/publisher/send/streams.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/log_text.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE("close() waits for an emit() that another thread is inside, or says that it did not") {
    // Method: an event that is written by hand, slowly, holds its thread inside emit().
    NatsServer server;
    make_stream(server, StreamKind::audit);
    make_stream(server, StreamKind::metric);
    struct SlowWrite {
        const events::Audit event = sample_audit();
        std::atomic<bool> has_begun{false};
        int ms;
    };
    const auto close_during = [&](int write_ms, std::chrono::milliseconds deadline,
                                  std::size_t lanes_max) {
        PublisherOptions options = options_without_server();
        options.nats_urls = {server.url()};
        options.lanes_max = lanes_max;
        Publisher publisher(options);
        if (lanes_max == 1) REQUIRE(publisher.emit(sample_metric()) == EmitResult::accepted);
        SlowWrite slow;
        slow.ms = write_ms;
        EmitResult result = EmitResult::closed;
        std::thread thread([&] {
            result =
                publisher.emit_record(events::Audit::kDescriptor, slow.event.record_bytes(), &slow,
                                      [](std::byte* at, std::int64_t time_us, void* context) {
                                          auto& self = *static_cast<SlowWrite*>(context);
                                          self.has_begun = true;
                                          sleep_ms(self.ms);
                                          self.event.write_record(at, time_us);
                                      });
        });
        CHECK(wait_until(30s, [&] { return slow.has_begun.load(); }));
        const FlushResult closed = publisher.close(deadline);
        thread.join();
        CHECK(result == EmitResult::accepted);
        CHECK(closed.done == (publisher.stats().audit.acked == 1));
        return closed.done;
    };
    CHECK(close_during(500, 30s, 256));
    CHECK(close_during(500, 30s, 1));  // a lane that threads share
    CHECK_FALSE(close_during(2'000, 100ms, 256));
}

TEST_CASE("what a publisher left is sent by the next one in the same process, and by one only") {
    NatsServer server;
    make_stream(server, StreamKind::audit);
    const TempDir dir;
    PublisherOptions options = options_without_server();
    options.spool_dir = dir / "spool";
    options.lane_dir = dir / "lanes";
    const auto start = [&options] { return std::make_unique<Publisher>(options); };
    {
        const auto first = start();
        for (int i = 0; i < 100; ++i) REQUIRE(first->emit(sample_audit()) == EmitResult::accepted);
        CHECK_FALSE(first->close(0ms).done);
    }
    auto second = start();
    CHECK(second->stats().spools_recovering == 1);
    auto third = start();
    CHECK(third->stats().spools_recovering == 0);  // that is the second's
    second->close(0ms);
    second.reset();
    third.reset();

    std::mutex mutex;
    std::string log;
    options.nats_urls = {server.url()};
    options.on_log = [&](std::string_view line) {
        const std::lock_guard lock(mutex);
        log.append(line).append("\n");
    };
    auto last = start();
    CHECK(wait_until(60s, [&] { return last->stats().spools_recovering == 0; }));
    CHECK(last->close(60s).done);
    last.reset();
    INFO(log);
    CHECK(log.find(": sent 100 events") != std::string::npos);
    CHECK(std::filesystem::is_empty(options.spool_dir));
}

TEST_CASE(
    "close() says why events were refused just before, and a later one why since, once each") {
    LogText log;
    const auto times_said = [&log](const std::string& part) {
        const std::string text = log.text();
        int count = 0;
        for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
        return count;
    };
    const std::string audit_closed = "audit events are refused: the publisher is closed";
    PublisherOptions options = options_without_server();
    options.on_log = log.listener();
    {
        Publisher publisher(options);
        CHECK(publisher.emit_json("audit", EventClass::audit, "{") == EmitResult::invalid);
        CHECK(publisher.emit(events::Metric{}) == EmitResult::incomplete);
        publisher.close(0ms);
        CHECK(times_said("audit events are refused: the leader could not read their JSON") == 1);
        CHECK(times_said("metric events are refused: a required field was not set") == 1);
        for (int i = 0; i < 3; ++i) CHECK(publisher.emit(sample_audit()) == EmitResult::closed);
        publisher.close(0ms);
        CHECK(times_said(audit_closed) == 1);
        CHECK(publisher.emit(sample_audit()) == EmitResult::closed);
        CHECK(publisher.emit(sample_metric()) == EmitResult::closed);
    }
    CHECK(times_said(audit_closed) == 1);
    CHECK(times_said("metric events are refused: the publisher is closed") == 1);
}

TEST_CASE("a flush() that waits for a server costs next to no processor time") {
    // Method: nobody listens; the process' own account of its CPU time and voluntary switches.
    Publisher publisher(options_without_server());
    REQUIRE(publisher.emit(sample_audit()) == EmitResult::accepted);
    REQUIRE(publisher.flush(30s, FlushUntil::logged).done);
    const auto used = [] {
        rusage usage{};
        ::getrusage(RUSAGE_SELF, &usage);
        return usage;
    };
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    const rusage before = used();
    CHECK_FALSE(publisher.flush(3s).done);
    CHECK_FALSE(publisher.close(1s).done);
    const rusage after = used();
    const double cpu_seconds = seconds(after.ru_utime) + seconds(after.ru_stime) -
                               seconds(before.ru_utime) - seconds(before.ru_stime);
    const long switches = after.ru_nvcsw - before.ru_nvcsw;
    std::printf("4 s of waiting: %.3f s of CPU, %ld voluntary switches\n", cpu_seconds, switches);
    // The sender looks at the lanes 500 times a second; a waiting thread adds some 20.
    CHECK(cpu_seconds < 0.4);
    CHECK(switches < 10'000);
}
