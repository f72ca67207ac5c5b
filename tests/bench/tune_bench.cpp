// Whether homeward-consumer tune advises the same again and again, and whether its advice costs
// anybody anything.
//
// Workload: ten runs of tune with its defaults, of --seconds each, on a leader with nothing else to
// do; then, for each change that was advised, ten runs of a quarter of that for audit and ten for
// metric events, which measure that setting and the default in turns. An advice to leave all as it
// is loses nothing against the default. Below 30 s it is two runs each, to see that it works.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/report.hpp"
#include "tests/support/process.hpp"
#include "tests/support/servers/postgres_server.hpp"
#include "tests/support/temp_dir.hpp"

namespace {

using namespace homeward::bench;
using namespace homeward::testing;

constexpr double kSecondsDefault = 120;
constexpr int kRuns = 10;
constexpr double kSecondsWhole = 30;
constexpr int kRunsShort = 2;
constexpr double kCompareShare = 0.25;
/// tune takes no less.
constexpr double kTuneSecondsMin = 2;
constexpr double kLossRatioMax = 1.05;

struct Settings {
    std::string rows, delay, writers;
    bool operator==(const Settings& other) const {
        return rows == other.rows && delay == other.delay && writers == other.writers;
    }
    std::string text() const {
        return "rows_max " + rows + ", delay_ms " + delay + ", writers " + writers;
    }
};
const Settings kDefault{"20000", "20", "2"};

class Tuning {
  public:
    std::string run(std::vector<std::string> words) const {
        words.insert(words.begin(),
                     {HOMEWARD_CONSUMER_PROGRAM, "tune", "--report", dir_ / "report.html"});
        ProcessOptions options;
        options.environment = {{"HOMEWARD_POSTGRES_URL", leader_.url()},
                               {"HOMEWARD_SOURCES", "ams"},
                               {"HOMEWARD_BATCH_ROWS_MAX", kDefault.rows},
                               {"HOMEWARD_BATCH_DELAY_MS", kDefault.delay},
                               {"HOMEWARD_BATCH_WRITERS", kDefault.writers}};
        const CommandResult result = run_command(words, options, std::chrono::hours(1));
        if (result.exit_code != 0) throw std::runtime_error("tune failed: " + result.output);
        return result.output;
    }

  private:
    PostgresServer leader_;
    TempDir dir_;
};

/// What stands behind "key = " in the block to paste.
std::string value_of(const std::string& output, const std::string& key) {
    const std::size_t begin = output.find("\n" + key + " = ", output.rfind("[batch]"));
    if (begin == std::string::npos) throw std::runtime_error("tune did not say " + key);
    const std::size_t value = begin + key.size() + 4;
    return output.substr(value, output.find('\n', value) - value);
}

std::string sentence_of(const std::string& output) {
    // In this order: who cannot tell also says to leave all.
    for (const char* begin : {"Cannot tell", "Worth a change", "Leave all"}) {
        const std::size_t at = output.find(begin);
        if (at != std::string::npos) return output.substr(at, output.find('\n', at) - at);
    }
    return "?";
}

/// The word of the table's row of these settings, in the table below `head`; "250 ms" is two words.
double number_in(const std::string& output, const std::string& head, const std::string& row,
                 std::size_t column) {
    std::istringstream lines(output.substr(output.find(head)));
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::vector<std::string> all;
        for (std::string word; words >> word;) all.push_back(word);
        std::string begin;
        const std::size_t keys =
            static_cast<std::size_t>(std::count(row.begin(), row.end(), ' ')) + 1;
        for (std::size_t i = 0; i < keys && i < all.size(); ++i) begin += (i ? " " : "") + all[i];
        if (begin != row || all.size() <= column + 1) continue;
        const std::string& unit = all[column + 1];
        const double factor = unit == "M" ? 1e6 : unit == "k" || unit == "s" ? 1e3 : 1;
        return std::stod(all[column]) * factor;
    }
    throw std::runtime_error("tune's table lacks " + row);
}

/// One number of each run that is a ratio: their geometric mean, and between what they lie.
class Ratios {
  public:
    void add(double ratio) { logs_.push_back(std::log(ratio)); }
    double mean() const {
        return std::exp(std::accumulate(logs_.begin(), logs_.end(), 0.0) /
                        static_cast<double>(logs_.size()));
    }
    std::string range() const {
        const auto [least, most] = std::minmax_element(logs_.begin(), logs_.end());
        return short_number(std::exp(*least)) + " to " + short_number(std::exp(*most));
    }

  private:
    std::vector<double> logs_;
};

std::string seconds_text(double seconds) {
    return std::to_string(static_cast<int>(std::max(seconds, kTuneSecondsMin)));
}

/// Both settings of one run of tune, measured in turns.
struct Pair {
    double of_default, of_advised;
};

void compare(const Tuning& tuning, const Settings& advised, int runs, double seconds,
             Report& report) {
    for (const std::string type : {"audit", "metric"}) {
        Ratios slower, staler;
        Pair rate{}, fresh{};
        for (int i = 0; i < runs; ++i) {
            const std::string output = tuning.run(
                {"--type", type, "--seconds", seconds_text(seconds * kCompareShare), "--rows",
                 advised.rows, "--delays", advised.delay, "--writers", advised.writers});
            const auto rate_of = [&](const Settings& of) {
                return number_in(output, "As fast as it goes", of.rows + " " + of.writers, 2);
            };
            const auto fresh_of = [&](const Settings& of) {
                const std::string row = of.rows + " " + of.delay + " " + of.writers;
                return number_in(output, "events/s\n", row, 5);
            };
            rate = {rate_of(kDefault), rate_of(advised)};
            fresh = {fresh_of(kDefault), fresh_of(advised)};
            slower.add(rate.of_default / rate.of_advised);
            staler.add(fresh.of_advised / fresh.of_default);
        }
        report.add({"throughput of the default over the advised, " + type, rate.of_advised,
                    "rows/s", "default: " + short_number(rate.of_default) + " rows/s",
                    slower.mean(), ratio_at_most(kLossRatioMax)});
        report.add({"freshness p99 of the advised over the default, " + type, fresh.of_advised,
                    "ms", "default: " + short_number(fresh.of_default) + " ms", staler.mean(),
                    ratio_at_most(kLossRatioMax)});
        report.note("ratios are means of " + std::to_string(runs) +
                    " runs, numbers those of the "
                    "last; throughput " +
                    slower.range() + ", freshness " + staler.range());
    }
}

void run(const BenchOptions& options, Report& report) {
    const Tuning tuning;
    const int runs = options.seconds < kSecondsWhole ? kRunsShort : kRuns;
    std::vector<std::pair<Settings, int>> advices;
    report.begin("tune, " + std::to_string(runs) + " times");
    for (int i = 0; i < runs; ++i) {
        const std::string output = tuning.run({"--seconds", seconds_text(options.seconds)});
        const Settings advice{value_of(output, "rows_max"), value_of(output, "delay_ms"),
                              value_of(output, "writers")};
        report.note(sentence_of(output));
        const auto known = std::find_if(advices.begin(), advices.end(),
                                        [&](const auto& one) { return one.first == advice; });
        if (known == advices.end()) {
            advices.emplace_back(advice, 1);
        } else {
            ++known->second;
        }
    }
    const auto commonest =
        *std::max_element(advices.begin(), advices.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; });
    report.add({"runs with the same advice", static_cast<double>(commonest.second),
                "of " + std::to_string(runs), commonest.first.text(), std::nan(""),
                value_at_least(runs)});
    for (const auto& [advice, count] : advices) {
        if (advice == kDefault) {
            report.note(std::to_string(count) + " runs leave the default, which loses nothing");
            continue;
        }
        report.begin("advised by " + std::to_string(count) + ": " + advice.text());
        compare(tuning, advice, runs, options.seconds, report);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        run(options, report);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_tune: %s\n", error.what());
        return 1;
    }
}
