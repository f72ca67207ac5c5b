// What the status page makes of measurements, each made up so that the right answer is known.

#include "consumer/status/bottleneck.hpp"

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <thread>

#include "consumer/base/lasting_count.hpp"
#include "consumer/status/health.hpp"
#include "consumer/status/health_log.hpp"
#include "consumer/status/history.hpp"
#include "consumer/status/status_page.hpp"
#include "consumer/write/writer_log.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::consumer;
using Catch::Matchers::Contains;
using homeward::StreamKind;

namespace {

LimitFacts facts(double wait, double decode, double copy, double commit) {
    LimitFacts facts;
    facts.stages.of[static_cast<std::size_t>(Stage::wait)] = wait;
    facts.stages.of[static_cast<std::size_t>(Stage::decode)] = decode;
    facts.stages.of[static_cast<std::size_t>(Stage::copy)] = copy;
    facts.stages.of[static_cast<std::size_t>(Stage::commit)] = commit;
    return facts;
}

/// Writers that are nearly always at the leader, whose sessions were seen so.
LimitFacts at_leader(Wait wait) {
    LimitFacts at = facts(1, 1, 6, 2);
    at.waits.seen[static_cast<std::size_t>(wait)] = 40;
    at.waits.seen[static_cast<std::size_t>(Wait::other)] = 10;
    return at;
}

bool is_near(double value, double wanted) {
    return std::fabs(value - wanted) < 1e-9;
}

}  // namespace

TEST_CASE("without a measurement nothing is claimed") {
    CHECK(find_limit({}).limit == Limit::unknown);
}

TEST_CASE("idle writers mean the source, or the network when messages wait in the streams") {
    LimitFacts idle = facts(9, 0.3, 0.3, 0.4);
    CHECK(find_limit(idle).limit == Limit::source);
    CHECK_THAT(find_limit(idle).sentence, Contains("busy 10 %"));
    idle.waiting_messages = 900;
    CHECK(find_limit(idle).limit == Limit::network);
    CHECK_THAT(find_limit(idle).sentence, Contains("900 messages wait"));
}

TEST_CASE("writers that mostly decode mean this machine") {
    const LimitVerdict verdict = find_limit(facts(1, 6, 2, 1));
    CHECK(verdict.limit == Limit::decode);
    CHECK_THAT(verdict.sentence, Contains("67 %"));
}

TEST_CASE("writers at the leader mean what its sessions are seen at") {
    CHECK(find_limit(at_leader(Wait::cpu)).limit == Limit::leader_cpu);
    CHECK(find_limit(at_leader(Wait::disk)).limit == Limit::leader_disk);
    CHECK(find_limit(at_leader(Wait::standby)).limit == Limit::leader_standby);
    CHECK(find_limit(at_leader(Wait::client)).limit == Limit::network);
    LimitFacts locked = at_leader(Wait::lock);
    locked.lock_holder = "session 7 (nightly) for 12 s";
    CHECK(find_limit(locked).limit == Limit::leader_locks);
    CHECK_THAT(find_limit(locked).sentence,
               Contains("80 % of the time") && Contains("session 7 (nightly) for 12 s"));
}

TEST_CASE("a pause and a leader that is away come before everything else") {
    LimitFacts away = facts(9, 0, 0, 0);
    away.leader_error = "connection refused";
    CHECK(find_limit(away).limit == Limit::leader_away);
    away.is_paused = true;
    CHECK(find_limit(away).limit == Limit::pause);
}

TEST_CASE("a stuck writer has spent the time already that it is stuck") {
    StageClock clock;
    clock.enter(Stage::copy);
    const auto before = clock.read();
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    CHECK((clock.read() - before)[Stage::copy] >= 0.03);
    clock.enter(Stage::wait);
    clock.move(Stage::copy, Stage::ledger, 0.01);
    CHECK(is_near(clock.read()[Stage::ledger], 0.01));
    clock.stop();
    const double sum = clock.read().sum();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK(clock.read().sum() == sum);
}

TEST_CASE("a quantile lies between the bounds of its bucket, and counts only what is new") {
    const std::vector<double> bounds{1, 2, 4};
    CHECK(is_near(quantile_between(bounds, {}, {10, 0, 0, 0}, 0.5), 0.5));
    CHECK(is_near(quantile_between(bounds, {1'000, 0, 0, 0}, {1'000, 0, 10, 0}, 0.5), 3));
    CHECK(quantile_between(bounds, {}, {0, 0, 0, 5}, 0.99) == 4);
}

TEST_CASE("quantiles of freshness are within 5% from a millisecond to a day") {
    const auto& bounds = Metrics::freshness_bounds();
    for (double value = 0.0011; value < 86'400; value *= 1.07) {
        std::vector<std::uint64_t> counts(bounds.size() + 1);
        const auto at = std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin();
        counts[static_cast<std::size_t>(at)] = 1'000;
        for (const double q : {0.5, 0.99}) {
            const double shown = quantile_between(bounds, {}, counts, q);
            INFO(value << " s is shown as " << shown);
            CHECK(std::fabs(shown - value) <= 0.05 * value);
        }
    }
}

TEST_CASE("a region that does not answer is named, with since when and what waits there") {
    Metrics metrics;
    metrics.leader_up = true;
    const std::vector<Stream> streams{{StreamKind::audit, "ams", "ams", "HOMEWARD_AUDIT_ams", "d"},
                                      {StreamKind::plain, "ams", "ams", "HOMEWARD_PLAIN_ams", "d"},
                                      {StreamKind::audit, "scl", "", "HOMEWARD_AUDIT_scl", "d"}};
    for (const Stream& stream : streams) metrics.set_backlog(stream.name, {700, 34});
    CHECK(find_reasons(metrics, {}, Limit::source, true, streams).empty());
    metrics.forget_backlog("HOMEWARD_AUDIT_ams");
    metrics.forget_backlog("HOMEWARD_PLAIN_ams");
    // A look that is lost is no outage.
    CHECK(find_reasons(metrics, {}, Limit::source, true, streams).empty());
    std::this_thread::sleep_for(std::chrono::milliseconds(6'100));
    const auto reasons = find_reasons(metrics, {}, Limit::source, true, streams);
    REQUIRE(reasons.size() == 1);
    CHECK(reasons[0].health == Health::act);
    CHECK_THAT(reasons[0].text, Contains("Region ams has not answered since 20") &&
                                    Contains("1468 messages were known to wait there"));
    CHECK(reasons[0].command == "homeward-consumer check");
    CHECK(headline_of(reasons) == "Needs action: region ams does not answer");
    // 300 events in each message of one stream, one in each of the other.
    metrics.count_events("HOMEWARD_AUDIT_ams", 4, 1'200);
    metrics.count_events("HOMEWARD_PLAIN_ams", 5, 5);
    CHECK_THAT(find_reasons(metrics, {}, Limit::source, true, streams)[0].text,
               Contains("1468 messages with about 220934 events were known to wait there"));
    metrics.set_backlog("HOMEWARD_AUDIT_ams", {});
    metrics.set_backlog("HOMEWARD_PLAIN_ams", {70, 7, 800, 1'000});
    const auto filling = find_reasons(metrics, {}, Limit::source, true, streams);
    REQUIRE(filling.size() == 1);
    CHECK_THAT(filling[0].text,
               Contains("HOMEWARD_PLAIN_ams is 80 % full, with 77 messages waiting"));
    CHECK(headline_of(filling) == "Worth a look: HOMEWARD_PLAIN_ams is filling up");
}

TEST_CASE("a count is believed when it has lasted, and then the least of it") {
    LastingCount count(std::chrono::seconds(60));
    const LastingCount::Time begin{};
    const auto at = [&](int s) { return begin + std::chrono::seconds(s); };
    CHECK(count.observe(9, at(0)) == 0);
    CHECK(count.observe(7, at(59)) == 0);
    CHECK(count.observe(8, at(60)) == 7);
    CHECK(count.observe(0, at(61)) == 0);
    CHECK(count.observe(9, at(62)) == 0);
}

TEST_CASE("the worst reason comes first, and decides how well all is") {
    Metrics metrics;
    metrics.leader_up = true;
    CHECK(find_reasons(metrics, {}, Limit::source, true).empty());
    CHECK(worst_of({}) == Health::good);
    CHECK(headline_of({}) == "All is well");
    metrics.letters_open = 3;
    auto reasons = find_reasons(metrics, {}, Limit::source, true);
    REQUIRE(reasons.size() == 1);
    CHECK(worst_of(reasons) == Health::look);
    CHECK_THAT(reasons[0].text, Contains("3 dead letters wait"));
    metrics.holes_missing = 1;
    reasons = find_reasons(metrics, {}, Limit::leader_locks, true);
    REQUIRE(reasons.size() == 3);
    CHECK(worst_of(reasons) == Health::act);
    CHECK_THAT(reasons[0].text, Contains("1 event is missing"));
    CHECK(headline_of(reasons) == "Needs action: events are missing, and 2 more");
    CHECK(worst_of(find_reasons(metrics, {}, Limit::source, false)) == Health::act);
    metrics.leader_up = false;
    CHECK_THAT(headline_of(find_reasons(metrics, {}, Limit::unknown, true)),
               Contains("the leader does not answer"));
    Freshness stale;
    stale[{"ams", "audit"}] = {5, 60};
    CHECK_THAT(find_reasons(metrics, stale, Limit::source, true).back().text,
               Contains("audit of ams reaches the leader after 60 s"));
}

TEST_CASE("a reason is logged at its start and at its end, once each, whatever its counts do") {
    using Clock = HealthChanges::Clock;
    const Clock::time_point begin{};
    HealthChanges changes;
    Metrics metrics;
    metrics.leader_up = true;
    const auto look = [&](const Freshness& fresh, int s) {
        return changes.observe(find_reasons(metrics, fresh, Limit::source, true),
                               begin + std::chrono::seconds(s));
    };
    CHECK(look({}, 0).empty());
    metrics.set_backlog("HOMEWARD_AUDIT_ams", {70, 7, 800, 1'000});
    metrics.begin_hold("source", "ams/shop", "many");  // logged by whoever holds it
    auto lines = look({}, 2);
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].is_start);
    CHECK_THAT(lines[0].text, Contains("HOMEWARD_AUDIT_ams is filling up: ") &&
                                  Contains("80 % full") && Contains("homeward-consumer check"));
    metrics.set_backlog("HOMEWARD_AUDIT_ams", {90, 7, 900, 1'000});
    CHECK(look({}, 4).empty());
    metrics.set_backlog("HOMEWARD_AUDIT_ams", {0, 0, 100, 1'000});
    lines = look({{{"ams", "audit"}, {5, 60}}}, 8);
    REQUIRE(lines.size() == 2);
    CHECK_THAT(lines[0].text, Contains("audit of ams is late"));
    CHECK_FALSE(lines[1].is_start);
    CHECK(lines[1].text == "over after 6 s: HOMEWARD_AUDIT_ams is filling up");
    lines = look({}, 10);
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].text == "over after 2 s: audit of ams is late");
}

TEST_CASE(
    "an outage is logged by its start and its end, and dead letters by source, once a minute") {
    std::ostringstream out;
    const auto before = spdlog::default_logger();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "", std::make_shared<spdlog::sinks::ostream_sink_mt>(out)));
    const auto lines_with = [&](const std::string& part) {
        std::istringstream in(out.str());
        int count = 0;
        for (std::string line; std::getline(in, line);) {
            count += line.find(part) == std::string::npos ? 0 : 1;
        }
        return count;
    };
    Metrics metrics;
    WriterLog log(metrics);
    for (int i = 0; i < 50; ++i) log.leader_failed("connection refused [08006]");
    CHECK_FALSE(metrics.leader_up);
    CHECK(lines_with("leader: connection refused [08006]; trying again") == 1);
    log.committed();
    log.committed();
    CHECK(metrics.leader_up);
    CHECK(lines_with("the leader is back; writing goes on after 0 s") == 1);
    for (int i = 0; i < 50; ++i) log.paused("table is missing [42P01]");
    CHECK(metrics.paused);
    log.committed();
    CHECK_FALSE(metrics.paused);
    CHECK(lines_with("writing pauses: table is missing [42P01]") == 1);
    CHECK(lines_with("writing goes on after 0 s") == 2);

    const auto begin = WriterLog::Clock::now();
    for (int i = 0; i < 1'000; ++i) {
        log.dead_letters("ams/shop", 3, "audit", "no \"actor\"\nat all", begin);
        log.dead_letters("scl/app" + std::to_string(i), 1, "audit", "bad", begin);
    }
    CHECK(lines_with("3 dead letters of ams/shop; the last, of type \"audit\": no \"actor\"") == 1);
    CHECK(lines_with("dead letter") <= static_cast<int>(WriterLog::kSourcesMax) + 1);
    log.flush(begin + std::chrono::seconds(30));
    CHECK(lines_with("of ams/shop") == 1);
    log.flush(begin + std::chrono::seconds(61));
    CHECK(lines_with("2997 dead letters of ams/shop") == 1);
    log.flush(begin + std::chrono::seconds(122));
    CHECK(lines_with("of ams/shop") == 2);
    spdlog::set_default_logger(before);
}

TEST_CASE("the page names no address but its own, and its policy allows exactly its own script") {
    std::string page(status_html());
    for (std::size_t at; (at = page.find("http://www.w3.org/2000/svg")) != std::string::npos;) {
        page.erase(at, 26);  // a name, not an address
    }
    CHECK_THAT(page, !Contains("http:") && !Contains("https:") && !Contains(" src=") &&
                         !Contains("@import") && !Contains("url(") && !Contains("innerHTML"));
    CHECK_THAT(status_policy(), Contains("default-src 'none'") && Contains("script-src 'sha256-") &&
                                    Contains("style-src 'sha256-") && !Contains("unsafe"));
}
