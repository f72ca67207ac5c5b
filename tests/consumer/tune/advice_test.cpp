// What tune says of measurements that are made up here, so that the right answer is known.

#include "consumer/tune/advice.hpp"

#include "consumer/tune/tune_report.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::consumer;
using Catch::Matchers::Contains;

namespace {

TrialResult trial(std::size_t rows, std::size_t delay, std::size_t writers) {
    TrialResult result;
    result.plan.batch.rows_max = rows;
    result.plan.batch.delay_ms = delay;
    result.plan.batch.writers = writers;
    result.rows = 10'000;
    result.batches = 10;
    return result;
}

/// A leader on which everything is equally good but for what a test changes.
TuneResults flat_leader() {
    TuneResults results;
    results.current.rows_max = 5'000;
    results.current.delay_ms = 20;
    results.current.writers = 2;
    results.load = 10'000;
    results.fresh_max_ms = 250;
    results.type = "audit";
    for (const std::size_t writers : {1, 2, 4}) {
        for (const std::size_t rows : {1'000, 5'000, 20'000}) {
            results.full.push_back(trial(rows, 20, writers));
            results.full.back().rows_per_second = 100'000;
            results.full.back().leader_cpu_s_per_million = 2;
            for (const std::size_t delay : {0, 20, 100}) {
                results.paced.push_back(trial(rows, delay, writers));
                results.paced.back().fresh_p99_ms = 10 + static_cast<double>(delay);
                results.paced.back().leader_cpu_s_per_million = 2;
            }
        }
    }
    return results;
}

}  // namespace

TEST_CASE("where nothing matters, all settings are left alone") {
    const TuneResults results = flat_leader();
    const Advice advice = advise(results);
    CHECK(advice.leave_alone);
    CHECK(advice.batch.writers == 2);
    CHECK(advice.batch.rows_max == 5'000);
    CHECK_THAT(advice.sentences[0], Contains("Leave all settings as they are"));
    CHECK_THAT(advice.sentences[1], Contains("neither writers nor rows_max matters"));
}

TEST_CASE("where four writers carry twice as much, the advice is four, with the smallest batches") {
    TuneResults results = flat_leader();
    for (TrialResult& one : results.full) {
        if (one.plan.batch.writers == 4) one.rows_per_second = 200'000;
    }
    const Advice advice = advise(results);
    CHECK_FALSE(advice.leave_alone);
    CHECK(advice.batch.writers == 4);
    CHECK(advice.batch.rows_max == 1'000);
    CHECK_THAT(advice.sentences[0], Contains("Worth a change") && Contains("carry 50 %"));
    CHECK_THAT(advice.sentences[1], Contains("writers matters most; 4 instead of"));
    CHECK_THAT(text_report(results, advice), Contains("writers = 4\n") && Contains("200 k"));
}

TEST_CASE("a delay that halves the leader's CPU is advised only while p99 stays within bounds") {
    TuneResults results = flat_leader();
    for (TrialResult& one : results.paced) {
        if (one.plan.batch.delay_ms == 100) one.leader_cpu_s_per_million = 1;
    }
    CHECK(advise(results).batch.delay_ms == 100);
    results.fresh_max_ms = 50;
    const Advice within = advise(results);
    CHECK(within.leave_alone);
    CHECK(within.batch.delay_ms == 20);
}

TEST_CASE("a setting in force that misses the wanted freshness is not left alone") {
    TuneResults results = flat_leader();
    results.fresh_max_ms = 20;
    const Advice advice = advise(results);
    CHECK_FALSE(advice.leave_alone);
    CHECK(advice.batch.delay_ms == 0);
}

TEST_CASE("settings whose trial has failed leave a gap, and are not advised") {
    TuneResults results = flat_leader();
    results.full.erase(results.full.begin());    // 1000 rows, 1 writer
    results.paced.erase(results.paced.begin());  // and no delay
    for (TrialResult& one : results.full) {
        if (one.plan.batch.writers == 1) one.rows_per_second = 200'000;
    }
    const Advice advice = advise(results);
    CHECK(advice.batch.writers == 1);
    CHECK(advice.batch.rows_max == 5'000);
    CHECK_THAT(html_report(results, advice), !Contains("nan"));
}

TEST_CASE("the page has every plot in it, loads nothing, and takes text for text") {
    TuneResults results = flat_leader();
    results.type = "<script>alert(1)</script>";
    const std::string page = html_report(results, advise(results));
    std::size_t plots = 0;
    for (std::size_t at = 0; (at = page.find("<svg ", at)) != std::string::npos; ++at) ++plots;
    CHECK(plots == tune_plots(results).size());
    CHECK_THAT(page, !Contains("<script") && !Contains(" src=") && !Contains("href") &&
                         !Contains("url(") && !Contains("@import"));
    CHECK_THAT(page, Contains("prefers-color-scheme: dark") && Contains("name=\"viewport\""));
}
