// What tune says of measurements that are made up here, so that the right answer is known.

#include "consumer/tune/advice.hpp"

#include <cmath>
#include <functional>
#include <random>

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
                results.paced.back().plan.events_per_second = 10'000;
                results.paced.back().rows_per_second = 10'000;
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

TEST_CASE("where four writers carry twice as much, the advice is four, and nothing else changes") {
    TuneResults results = flat_leader();
    for (TrialResult& one : results.full) {
        if (one.plan.batch.writers == 4) one.rows_per_second = 200'000;
    }
    const Advice advice = advise(results);
    CHECK_FALSE(advice.leave_alone);
    CHECK(advice.batch.writers == 4);
    CHECK(advice.batch.rows_max == 5'000);  // what makes no difference is not changed
    CHECK(advice.batch.delay_ms == 20);
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

namespace {

/// Invented trials of a leader on which `rate_of` settings carry that much, with this noise in each
/// trial and in each round.
class NoisyLeader {
  public:
    NoisyLeader(unsigned seed, double noise) : random_(seed), noise_(0, noise) {}

    TuneResults measure(const std::function<double(const Config::Batch&)>& rate_of) {
        const TuneResults flat = flat_leader();
        TuneResults results = flat;
        results.full.clear();
        results.paced.clear();
        results.fresh_max_ms = 0;
        add_full(results, rounds_of(flat.full, rate_of));
        add_paced(results, rounds_of(flat.paced, [](const Config::Batch&) { return 10'000; }));
        return results;
    }

  private:
    std::vector<std::vector<TrialResult>> rounds_of(
        const std::vector<TrialResult>& settings,
        const std::function<double(const Config::Batch&)>& rate_of) {
        std::vector<std::vector<TrialResult>> trials(settings.size());
        for (int round = 0; round < 4; ++round) {
            const double slow = std::exp(5 * noise_(random_));  // the whole machine, for a while
            for (std::size_t i = 0; i < settings.size(); ++i) {
                TrialResult one = settings[i];
                one.rows_per_second = rate_of(one.plan.batch) / (slow * std::exp(noise_(random_)));
                one.plan.events_per_second = 0;
                one.fresh_p99_ms *= slow * std::exp(noise_(random_));
                one.leader_cpu_s_per_million *= slow * std::exp(noise_(random_));
                trials[i].push_back(one);
            }
        }
        return trials;
    }

    std::mt19937 random_;
    std::normal_distribution<double> noise_;
};

}  // namespace

TEST_CASE("Student's quantiles are those of the tables") {
    CHECK(std::fabs(student_quantile(0.95, 1) - 12.706) < 0.01);
    CHECK(std::fabs(student_quantile(0.95, 3) - 3.182) < 0.001);
    CHECK(std::fabs(student_quantile(0.99, 24) - 2.797) < 0.001);
    CHECK(std::fabs(student_quantile(0.95, 10'000) - 1.960) < 0.001);
}

TEST_CASE("the noise of one trial is found beneath what settings and rounds differ by") {
    std::mt19937 random(5);
    std::normal_distribution<double> noise(0, 0.1);
    double sum = 0;
    constexpr int kRepeats = 200;
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
        std::vector<std::vector<double>> values(9, std::vector<double>(4));
        for (std::size_t round = 0; round < 4; ++round) {
            const double slow = std::exp(10 * noise(random));
            for (std::size_t s = 0; s < 9; ++s) {
                values[s][round] = static_cast<double>(s + 1) * slow * std::exp(noise(random));
            }
        }
        const Spread spread = spread_of(values);
        CHECK(spread.degrees == 24);
        sum += spread.log_sd * spread.log_sd;
    }
    CHECK(std::fabs(std::sqrt(sum / kRepeats) - 0.1) < 0.005);
    CHECK(spread_of({{1, 1, 1, 1}, {2, 2, 2, 2}}).least_ratio < 1.0001);
    CHECK(spread_of({{1.0}}).degrees == 0);
}

TEST_CASE("noise alone makes no advice, and ten runs on one leader give the same") {
    int advised = 0, unsure = 0;
    constexpr unsigned kRuns = 300;
    for (unsigned seed = 0; seed < kRuns; ++seed) {
        NoisyLeader leader(seed, seed % 2 == 0 ? 0.03 : 0.15);
        const Advice advice = advise(leader.measure([](const Config::Batch&) { return 100'000; }));
        if (!advice.leave_alone) ++advised;
        if (advice.is_unsure) {
            ++unsure;
            CHECK_THAT(advice.sentences[0], Contains("Cannot tell on this machine now"));
            CHECK(advice.batch.writers == 2);
        }
    }
    INFO(advised << " of " << kRuns << " runs advised a change for nothing, " << unsure
                 << " could not tell");
    CHECK(advised <= static_cast<int>(kRuns / 50));
    CHECK(unsure > static_cast<int>(kRuns / 4));

    // Four writers carry 1.6 times as much: found each time, and nothing else with it.
    for (unsigned seed = 0; seed < 50; ++seed) {
        NoisyLeader leader(seed, 0.04);
        const Advice advice = advise(leader.measure([](const Config::Batch& batch) {
            return batch.writers == 4 ? 160'000.0 : batch.writers == 2 ? 100'000.0 : 60'000.0;
        }));
        INFO("seed " << seed << ": " << advice.sentences[0]);
        CHECK_FALSE(advice.leave_alone);
        CHECK(advice.batch.writers == 4);
        CHECK(advice.batch.rows_max == 5'000);
        CHECK(advice.batch.delay_ms == 20);
    }
}

TEST_CASE("a setting that missed the load is marked, and never recommended") {
    TuneResults results = flat_leader();
    for (TrialResult& one : results.full) {
        if (one.plan.batch.writers == 4) one.rows_per_second = 200'000;
    }
    for (TrialResult& one : results.paced) {
        if (one.plan.batch.writers == 4) one.rows_per_second = 8'000;
    }
    const Advice advice = advise(results);
    CHECK(advice.leave_alone);
    CHECK(advice.batch.writers == 2);
    CHECK_THAT(text_report(results, advice), Contains("missed: 8000/s") && Contains("kept up"));
    // Where the one in force misses it, one that keeps up is worth a change.
    for (TrialResult& one : results.paced) {
        one.rows_per_second = one.plan.batch.writers == 2 ? 8'000 : 10'000;
    }
    CHECK(advise(results).batch.writers == 4);
}

TEST_CASE("a gain that costs more than 5% of throughput or freshness is not advised") {
    TuneResults results = flat_leader();
    results.fresh_max_ms = 0;  // no worse than now
    for (TrialResult& one : results.paced) {
        if (one.plan.batch.delay_ms == 100) one.leader_cpu_s_per_million = 1;
    }
    CHECK(advise(results).leave_alone);  // delay_ms 100 has a p99 of 110 ms instead of 30
    for (TrialResult& one : results.paced) {
        if (one.plan.batch.rows_max == 20'000) one.leader_cpu_s_per_million = 1;
    }
    CHECK(advise(results).batch.rows_max == 20'000);
    for (TrialResult& one : results.full) {
        if (one.plan.batch.rows_max == 20'000) one.rows_per_second = 90'000;
    }
    CHECK(advise(results).leave_alone);
}

TEST_CASE("tables and plots have the intervals") {
    NoisyLeader leader(1, 0.05);
    const TuneResults results = leader.measure([](const Config::Batch&) { return 100'000; });
    const Advice advice = advise(results);
    CHECK_THAT(text_report(results, advice), Contains(" k ±") && Contains(" %"));
    const std::string page = html_report(results, advice);
    CHECK_THAT(page,
               Contains("class=\"error c0\"") && Contains("95% interval") && !Contains("nan"));
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
