// What publisher.hpp promises of emit() and stats(), without a leader, and mostly without a server.
// What it says of threads, of close() and of its cost has tests of its own.

#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/publisher/api/shop.hpp"
#include "tests/publisher/send/streams.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

bool adds_up(const ClassStats& stats) {
    return stats.accepted == stats.acked + stats.in_lanes + stats.in_log + stats.tombstoned;
}

}  // namespace

TEST_CASE("accepted is always what is acknowledged, in lanes, in the log, or a tombstone") {
    // Method: four threads flood both classes while the server stops, dies and comes back; another
    // asks for the numbers all the while. The log is small, so that metrics are dropped.
    NatsServer server;
    make_stream(server, StreamKind::audit);
    make_stream(server, StreamKind::metric);
    const TempDir dir;
    PublisherOptions options;
    options.nats_urls = {server.url()};
    options.region = "ams";
    options.app = "shop";
    options.spool_dir = dir / "spool";
    options.log_bytes_max = 16u << 20;
    Publisher publisher(options);
    std::atomic<bool> is_over{false};
    std::atomic<std::uint64_t> audits{0}, metrics{0}, drops{0}, refusals{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            std::string noise(180, ' ');
            for (std::uint64_t n = 0; !is_over; ++n) {
                for (char& c : noise) c = static_cast<char>('!' + std::rand() % 90);
                events::Audit audit = sample_audit();
                audit.actor = noise;
                events::Metric metric = sample_metric();
                metric.name = noise;
                ++(publisher.emit(audit) == EmitResult::accepted ? audits : refusals);
                for (int k = 0; k < 4; ++k) {
                    ++metrics;
                    if (publisher.emit(metric) == EmitResult::dropped) ++drops;
                }
                if (n % 64 == 0) std::this_thread::sleep_for(1ms);
            }
        });
    }
    std::uint64_t samples = 0, wrong = 0;
    std::thread sampler([&] {
        Stats before;
        for (; !is_over; ++samples) {
            const std::uint64_t least = audits;
            const Stats stats = publisher.stats();
            const bool fits = adds_up(stats.audit) && adds_up(stats.metric) &&
                              stats.audit.accepted >= least &&
                              stats.audit.accepted >= before.audit.accepted &&
                              stats.audit.acked >= before.audit.acked &&
                              stats.metric.acked >= before.metric.acked;
            wrong += fits ? 0 : 1;
            before = stats;
            std::this_thread::sleep_for(200us);
        }
    });
    sleep_ms(500);
    server.freeze();
    sleep_ms(1500);
    server.thaw();
    sleep_ms(500);
    server.kill();
    sleep_ms(500);
    server.start();
    sleep_ms(500);
    is_over = true;
    for (std::thread& thread : threads) thread.join();
    sampler.join();
    CHECK(samples > 50);
    CHECK(wrong == 0);
    CHECK(publisher.close(120s).done);
    const Stats last = publisher.stats();
    CHECK(last.audit.accepted == audits);
    CHECK(last.audit.acked == audits);
    CHECK(last.audit.refused == refusals);
    CHECK(last.metric.accepted == metrics);
    CHECK(last.metric.tombstoned == drops);
    CHECK(last.metric.acked + last.metric.tombstoned == metrics);
    std::printf("%llu audit, %llu metrics of which %llu were dropped, %llu samples\n",
                static_cast<unsigned long long>(audits), static_cast<unsigned long long>(metrics),
                static_cast<unsigned long long>(drops), static_cast<unsigned long long>(samples));
}

TEST_CASE("a flood of metrics refuses no audit event") {
    PublisherOptions options = options_without_server();
    options.log_bytes_max = 16u << 20;
    Publisher publisher(options);
    std::atomic<bool> is_over{false};
    std::atomic<std::uint64_t> drops{0};
    std::vector<std::thread> flood;
    for (int i = 0; i < 3; ++i) {
        flood.emplace_back([&] {
            std::string noise(400, ' ');
            events::Metric metric = sample_metric();
            while (!is_over) {
                for (char& c : noise) c = static_cast<char>('!' + std::rand() % 90);
                metric.name = noise;
                if (publisher.emit(metric) == EmitResult::dropped) ++drops;
            }
        });
    }
    REQUIRE(wait_until(60s, [&] { return drops > 1000; }));
    std::uint64_t refused = 0;
    for (int i = 0; i < 2000; ++i) {
        if (publisher.emit(sample_audit()) != EmitResult::accepted) ++refused;
        std::this_thread::sleep_for(100us);
    }
    is_over = true;
    for (std::thread& thread : flood) thread.join();
    CHECK(refused == 0);
    CHECK(publisher.stats().metric.refused == 0);
    publisher.close(0ms);
}

TEST_CASE("emit_wait() waits for room until its deadline, and emit() does not") {
    PublisherOptions options = options_without_server();
    options.log_bytes_max = 16u << 20;
    Publisher publisher(options);
    std::string noise(60'000, ' ');
    EmitResult result = EmitResult::accepted;
    for (int i = 0; i < 1000 && result != EmitResult::full; ++i) {
        for (char& c : noise) c = static_cast<char>('!' + std::rand() % 90);
        events::Audit event = sample_audit();
        event.resource = noise;
        result = publisher.emit_wait(event, 2s);  // no slow sender takes that long
    }
    REQUIRE(result == EmitResult::full);
    events::Audit event = sample_audit();
    event.resource = noise;
    const auto before = std::chrono::steady_clock::now();
    CHECK(publisher.emit_wait(event, 300ms) == EmitResult::full);
    CHECK(std::chrono::steady_clock::now() - before >= 300ms);
    CHECK(publisher.stats().audit.refused == 2);  // the two that were given up, not each attempt
    publisher.close(0ms);
}

TEST_CASE("an event without a required field is refused, and none is invented") {
    Publisher publisher(options_without_server());
    events::Audit event;
    event.actor = "user:42";
    event.action = "order.view";
    event.resource = "order:1";
    CHECK(publisher.emit(event) == EmitResult::incomplete);  // its outcome was "allowed" once
    event.outcome = events::Audit::Outcome::allowed;
    CHECK(publisher.emit(event) == EmitResult::accepted);
    const std::string long_text(kTextBytesMax + 1, 'x');
    event.resource = long_text;
    CHECK(publisher.emit(event) == EmitResult::too_large);
    events::Metric metric = sample_metric();
    CHECK(publisher.emit(metric) == EmitResult::accepted);
    metric.value = {};
    CHECK(publisher.emit(metric) == EmitResult::incomplete);
    CHECK(publisher.stats().audit.accepted == 1);
    publisher.close(0ms);
}

TEST_CASE("what cannot be carried has a code of its own, and what can be made valid is") {
    Publisher publisher(options_without_server());
    events::Audit large = sample_audit();
    const std::string megabyte(1u << 20, 'x');
    large.resource = megabyte;
    CHECK(publisher.emit(large) == EmitResult::too_large);
    CHECK(publisher.emit_json("audit", EventClass::audit, megabyte) == EmitResult::too_large);
    CHECK(publisher.emit_json(std::string(70'000, 't'), EventClass::audit, "{}") ==
          EmitResult::invalid);
    CHECK(publisher.stats().audit.accepted == 0);
    // Escaped, replaced or quoted by the sender; see record_json_test.
    events::Audit strange = sample_audit();
    strange.actor = std::string_view("\xff\xfe\0\n", 4);
    CHECK(publisher.emit(strange) == EmitResult::accepted);
    events::Metric metric = sample_metric();
    metric.value = std::numeric_limits<double>::quiet_NaN();
    CHECK(publisher.emit(metric) == EmitResult::accepted);
    JsonObject tags;
    tags.add("caf\xe9", "latin-1");
    metric.tags = tags;
    CHECK(publisher.emit(metric) == EmitResult::accepted);
    CHECK(publisher.flush(20s, FlushUntil::logged).done);
    CHECK(publisher.stats().audit.scrubbed == 1);
    CHECK(publisher.stats().metric.scrubbed == 1);
    publisher.close(0ms);
    CHECK(publisher.emit(strange) == EmitResult::closed);
}

TEST_CASE("a disk that takes no more, and that it does again, is said once each") {
    // Method: files may not grow to the size of a segment, which is an error as of a full disk.
    const TempDir dir;
    std::mutex mutex;
    std::string said;
    const auto times = [&](const std::string& part) {
        const std::lock_guard lock(mutex);
        int count = 0;
        for (auto at = said.find(part); at != said.npos; at = said.find(part, at + 1)) ++count;
        return count;
    };
    PublisherOptions options = options_without_server();
    options.spool_dir = dir / "spool";
    options.on_log = [&](std::string_view line) {
        const std::lock_guard lock(mutex);
        said.append(line).append("\n");
    };
    Publisher publisher(options);
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit whole{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &whole) == 0);
    const rlimit small{512u << 10, whole.rlim_max};  // below the smallest segment
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    CHECK(publisher.emit(sample_audit()) == EmitResult::accepted);
    CHECK(wait_until(30s, [&] { return times("File too large") > 0; }));
    CHECK_FALSE(publisher.flush(500ms, FlushUntil::logged).done);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &whole) == 0);
    CHECK(publisher.flush(30s, FlushUntil::logged).done);
    CHECK(wait_until(60s, [&] { return times("are logged again") > 0; }));
    CHECK(times("audit frames cannot be logged") == 1);
    CHECK(times(options.spool_dir.string()) == 1);
    CHECK(times("are logged again") == 1);
    publisher.close(0ms);
}

TEST_CASE("options that can never work are refused with what to change") {
    const auto complaint = [](auto change) {
        PublisherOptions options = options_without_server();
        change(options);
        try {
            Publisher publisher(options);
        } catch (const SetupError& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    CHECK(complaint([](auto& o) { o.region = "Amsterdam"; }).find("region") != std::string::npos);
    CHECK(complaint([](auto& o) { o.nats_urls.clear(); }).find("nats_urls") != std::string::npos);
    CHECK(complaint([](auto& o) { o.lane_bytes = 100'000; }).find("lane_bytes") !=
          std::string::npos);
    CHECK(complaint([](auto& o) { o.tls_ca_file = "/nowhere/ca.pem"; }).find("/nowhere/ca.pem") !=
          std::string::npos);
    CHECK(complaint([](auto& o) { o.spool_dir = "/proc/no/spool"; }).find("/proc/no/spool") !=
          std::string::npos);
}
