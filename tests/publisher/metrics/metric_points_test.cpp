// What meters report, end to end: through a real NATS server and consumer, judged by the rows of
// metric_points on a real leader.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <homeward/metrics.hpp>

#include "publisher/cells/exponential_buckets.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr int kThreads = 8;
constexpr int kAddsPerThread = 200'000;

PublisherOptions options_of(Bridge& bridge) {
    PublisherOptions options;
    options.region = "ams";
    options.app = "shop";
    options.nats_urls = {bridge.leaf().url()};
    options.on_log = [](std::string_view) {};
    return options;
}

bool wait_for(const PostgresServer& leader, const std::string& condition) {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (leader.number("SELECT (" + condition + ")::int FROM metric_points") != 1) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(50ms);
    }
    return true;
}

std::string one(const PostgresServer& leader, const std::string& sql) {
    const auto rows = leader.query(sql);
    REQUIRE(rows.size() == 1);
    return rows[0][0];
}

template <typename Body>
void run_threads(Body&& body) {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) threads.emplace_back([&body, t] { body(t); });
    for (std::thread& thread : threads) thread.join();
}

/// The value of thread t's i-th measurement; whole, so that sums are exact.
double measured(int t, int i) {
    return static_cast<double>(
        (static_cast<std::uint64_t>(t) * 7919 + static_cast<std::uint64_t>(i) * 104'729) % 5'000);
}

/// Adds the counts of all rows of that histogram, at the coarsest of their scales.
ExponentialBuckets merged(const PostgresServer& leader, const std::string& name) {
    ExponentialBuckets total;
    for (const auto& row :
         leader.query("SELECT scale, zero_count, coalesce(positive_offset, 0), "
                      "array_to_string(positive_counts, ',') FROM metric_points WHERE name = '" +
                      name + "'")) {
        ExponentialBuckets part;
        part.scale = std::stoi(row[0]);
        part.zero_count = std::stoull(row[1]);
        std::int32_t index = std::stoi(row[2]);
        for (std::size_t at = 0; at < row[3].size(); ++index) {
            const std::size_t end = std::min(row[3].find(',', at), row[3].size());
            part.positive.at(index) += std::stoull(row[3].substr(at, end - at));
            at = end + 1;
        }
        total.merge(part);
    }
    return total;
}

}  // namespace

TEST_CASE("rows add up to what eight threads have counted") {
    Bridge bridge;
    bridge.start_consumer();
    ExponentialBuckets expected;
    {
        Publisher publisher(options_of(bridge));
        Meter meter(publisher, {.interval = 50ms});
        Counter requests =
            meter.counter("http.server.requests", {{"route", "/orders"}}, {.unit = "{request}"});
        UpDownCounter open = meter.up_down_counter("connections");
        Histogram sizes = meter.histogram("size", {}, {.unit = "By"});
        Gauge heat = meter.gauge("heat");
        // Twice, so that threads go on with the cells of others that have ended.
        for (int half = 0; half < 2; ++half) {
            run_threads([&](int t) {
                for (int i = 0; i < kAddsPerThread / 2; ++i) {
                    requests.add(t + 1);
                    open.add(i % 2 == 0 ? 3 : -2);
                    sizes.record(measured(t, i));
                }
            });
            CHECK(publisher.flush(60s).done);
        }
        heat.record(21.5);
        heat.record(22.25);
        CHECK(publisher.close(60s).done);
        for (int t = 0; t < kThreads; ++t) {
            for (int i = 0; i < kAddsPerThread / 2; ++i) {
                const double value = measured(t, i);
                ExponentialBuckets single;
                if (value == 0) {
                    expected.zero_count += 2;
                } else {
                    single.positive.at(bucket_index(value)) = 2;
                    expected.merge(single);
                }
            }
        }
    }
    const PostgresServer& leader = bridge.leader();
    const std::string adds = std::to_string(std::int64_t{kAddsPerThread} * 36);
    REQUIRE(wait_for(leader, "sum(sum) FILTER (WHERE kind = 'counter') = " + adds));
    const std::int64_t values = std::int64_t{kAddsPerThread} * kThreads;
    REQUIRE(wait_for(leader, "sum(count) = " + std::to_string(values)));
    REQUIRE(wait_for(leader, "count(*) FILTER (WHERE kind = 'gauge') > 0"));
    CHECK(leader.number("SELECT sum(sum)::int8 FROM metric_points WHERE name = 'connections'") ==
          values / 2);
    CHECK(leader.number("SELECT value::int8 FROM metric_points WHERE name = 'connections'"
                        " ORDER BY seq DESC LIMIT 1") == values / 2);
    CHECK(one(leader,
              "SELECT value FROM metric_points WHERE name = 'heat' ORDER BY seq DESC"
              " LIMIT 1") == "22.25");
    CHECK(one(leader,
              "SELECT DISTINCT attributes::text || unit FROM metric_points"
              " WHERE name = 'http.server.requests'") == "{\"route\": \"/orders\"}{request}");
    // One report for each flush() at least.
    CHECK(leader.number("SELECT count(*) FROM metric_points WHERE name = 'size'") > 1);
    // The same merge by the leader.
    const ExponentialBuckets by_rows = merged(leader, "size");
    std::string counts;
    for (const std::uint64_t count : by_rows.positive.counts) {
        counts += (counts.empty() ? "{" : ",") + std::to_string(count);
    }
    CHECK(one(leader,
              "SELECT row_to_json(m)::text FROM (SELECT (h).* FROM (SELECT"
              " homeward.merge_histograms((scale, zero_count, positive_offset, positive_counts,"
              " negative_offset, negative_counts)::homeward.histogram) AS h"
              " FROM metric_points WHERE name = 'size') AS t) AS m") ==
          R"({"scale":)" + std::to_string(by_rows.scale) + R"(,"zero_count":)" +
              std::to_string(by_rows.zero_count) + R"(,"positive_offset":)" +
              std::to_string(by_rows.positive.offset) + R"(,"positive_counts":[)" +
              counts.substr(1) + R"(],"negative_offset":null,"negative_counts":null})");
    // Slots of a rate add up to what was counted.
    CHECK(leader.number("SELECT round(sum(value) * 60)::int8"
                        " FROM homeward.rate('http.server.requests', '1 min')") ==
          leader.number("SELECT sum(sum)::int8 FROM metric_points"
                        " WHERE name = 'http.server.requests'"));
    CHECK(leader.number("SELECT count(*) FROM metric_points WHERE start_time > time") == 0);

    double sum = 0;
    for (int t = 0; t < kThreads; ++t) {
        for (int i = 0; i < kAddsPerThread / 2; ++i) sum += 2 * measured(t, i);
    }
    CHECK(leader.number("SELECT sum(sum)::int8 FROM metric_points WHERE name = 'size'") ==
          static_cast<std::int64_t>(sum));
    CHECK(leader.number("SELECT min(min)::int8 FROM metric_points WHERE name = 'size'") == 0);
    CHECK(leader.number("SELECT max(max)::int8 FROM metric_points WHERE name = 'size'") == 4'999);
    const ExponentialBuckets reported = merged(leader, "size");
    CHECK(reported.scale == expected.scale);
    CHECK(reported.zero_count == expected.zero_count);
    CHECK(reported.positive.offset == expected.positive.offset);
    CHECK(reported.positive.counts == expected.positive.counts);
}

TEST_CASE("an overflow series says how many series were folded into it") {
    Bridge bridge;
    bridge.start_consumer();
    {
        Publisher publisher(options_of(bridge));
        Meter meter(publisher, {.series_max = 2});
        for (int i = 0; i < 7; ++i) {
            meter.counter("logins", {{"user", std::to_string(i)}}).add(i);
        }
        CHECK(publisher.close(60s).done);
    }
    const PostgresServer& leader = bridge.leader();
    REQUIRE(wait_for(leader, "sum(sum) = 21"));
    CHECK(leader.number("SELECT sum::int8 FROM metric_points"
                        " WHERE attributes = '{\"otel.metric.overflow\": true}'") == 20);
    CHECK(leader.number("SELECT sum(folded_series)::int8 FROM metric_points") == 5);
    CHECK(leader.number("SELECT count(*) FROM metric_points") == 2);  // user 0 has added nothing
}

// Method: a child counts, flushes now and then into its spool, and notes both totals in shared
// memory; it is killed at a random moment. The parent's publisher recovers the spool.
// Method: with the server gone, noise that hardly compresses fills the metric log; then points with
// large attributes fill the lane of the thread that reports.
TEST_CASE("values that find no room to be reported are reported once there is room") {
    constexpr int kSeries = 400;
    Bridge bridge;
    bridge.start_consumer();
    PublisherOptions options = options_of(bridge);
    options.lane_bytes = 64u << 10;
    options.log_bytes_max = 16u << 20;
    Publisher publisher(options);
    Meter meter(publisher, {.interval = 50ms});
    bridge.leaf().kill();
    std::mt19937 random(20261130);
    const auto noise = [&random](std::size_t bytes) {
        std::string text;
        while (text.size() < bytes) text += static_cast<char>('0' + random() % 75);
        std::replace(text.begin(), text.end(), '\\', '-');
        return text;
    };
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    const auto dropped = [&publisher] { return publisher.stats().metric.dropped; };
    int dropped_in_a_row = 0;  // a burst alone fills a lane, but not for so long
    while (dropped_in_a_row < 25 && std::chrono::steady_clock::now() < deadline) {
        const std::string event =
            R"({"name":"noise","kind":"gauge","value":1,"tags":{"x":")" + noise(20'000) + "\"}}";
        const bool is_taken =
            publisher.emit_json("metric", EventClass::metric, event) == EmitResult::accepted;
        dropped_in_a_row = is_taken ? 0 : dropped_in_a_row + 1;
        if (!is_taken) std::this_thread::sleep_for(20ms);
    }
    REQUIRE(dropped_in_a_row >= 25);
    const std::uint64_t dropped_before = dropped();
    for (int i = 0; i < kSeries; ++i) {
        std::vector<std::string> values(7);
        for (std::string& value : values) value = noise(1000);
        std::vector<Attribute> attributes;
        for (std::size_t k = 0; k < values.size(); ++k) {
            attributes.push_back({std::string_view("abcdefg").substr(k, 1), values[k]});
        }
        meter.counter("squeezed", Attributes(std::span<const Attribute>(attributes))).add(5);
    }
    while (dropped() == dropped_before && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(20ms);
    }
    REQUIRE(dropped() > dropped_before);  // a report has found no room
    bridge.leaf().start();
    CHECK(publisher.close(100s).done);
    CHECK(wait_for(bridge.leader(), "sum(sum) = " + std::to_string(5 * kSeries)));
    CHECK(bridge.leader().number("SELECT count(*) FROM metric_points") == kSeries);
}

TEST_CASE("an ended meter's last values are reported") {
    Bridge bridge;
    bridge.start_consumer();
    Publisher publisher(options_of(bridge));
    {
        Meter meter(publisher, {.interval = 1h});
        std::thread([counter = meter.counter("late")]() mutable { counter.add(5); }).join();
    }
    CHECK(wait_for(bridge.leader(), "sum(sum) = 5"));
}

TEST_CASE("a forked child counts from zero, under its own origin") {
    if (!kCanForkThreads) return;
    Bridge bridge;
    bridge.start_consumer();
    Publisher publisher(options_of(bridge));
    Meter meter(publisher, {.interval = 1h});
    Counter counter = meter.counter("forks");
    UpDownCounter open = meter.up_down_counter("open");
    Histogram histogram = meter.histogram("seconds");
    counter.add(1'000);
    open.add(1'000);
    histogram.record(1'000);
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);
        counter.add(7);
        open.add(-7);
        histogram.record(7);
        meter.counter("forks").add(1);         // the same series, looked up again
        meter.counter("of.the.child").add(2);  // a new one
        const bool is_done = publisher.close(30s).done;
        ::_exit(is_done ? 0 : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    counter.add(1);
    CHECK(publisher.close(60s).done);
    const PostgresServer& leader = bridge.leader();
    REQUIRE(wait_for(leader, "sum(sum) FILTER (WHERE name = 'forks') = 1009"));
    REQUIRE(wait_for(leader, "count(*) FILTER (WHERE name = 'seconds') = 2"));
    const auto sums = leader.query(
        "SELECT s FROM (SELECT sum(sum)::int8 AS s FROM metric_points WHERE name = 'forks'"
        " GROUP BY origin) AS o ORDER BY s");
    REQUIRE(sums.size() == 2);
    CHECK(sums[0][0] == "8");
    CHECK(sums[1][0] == "1001");
    CHECK(leader.number("SELECT min(value)::int8 FROM metric_points WHERE name = 'open'") == -7);
    CHECK(leader.number("SELECT max(value)::int8 FROM metric_points WHERE name = 'open'") == 1'000);
    CHECK(leader.number("SELECT min(max)::int8 FROM metric_points WHERE name = 'seconds'") == 7);
    CHECK(leader.number("SELECT sum(sum)::int8 FROM metric_points WHERE name = 'of.the.child'") ==
          2);
}
