#include "consumer/tune/tune.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>

#include "consumer/base/thread_body.hpp"
#include "consumer/postgres/schema.hpp"
#include "consumer/tune/advice.hpp"
#include "consumer/tune/progress.hpp"
#include "consumer/tune/trial.hpp"
#include "consumer/tune/tune_report.hpp"
#include "schemas/cli/options.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;
using Values = std::vector<std::size_t>;

constexpr const char* kReportDefault = "homeward-tune.html";
constexpr std::int64_t kSecondsMin = 2;
constexpr std::int64_t kSecondsMax = 3'600;
/// The rest goes to the many trials at a steady load.
constexpr double kFullShare = 0.4;
/// Without --load: so much of the most that was measured.
constexpr double kLoadShare = 0.25;
constexpr auto kTrialMin = 100ms;
/// Of one setting: as many as its noise needs to be known by.
constexpr std::size_t kRounds = 4;

struct TuneOptions {
    std::size_t seconds = 120;
    Values rows{1'000, 5'000, 20'000};
    Values delays{0, 20, 100};
    Values writers{1, 2, 4};
    std::size_t load = 0;
    std::size_t fresh_ms = 0;
    std::string type = "audit";
    std::filesystem::path report = kReportDefault;
    std::filesystem::path plots;
};

/// What is in force must be among what is tried, or nobody could say whether to change it.
Values with(Values values, std::size_t current) {
    if (std::find(values.begin(), values.end(), current) == values.end()) values.push_back(current);
    std::sort(values.begin(), values.end());
    return values;
}

EventType type_of(const Config& config, const std::string& name) {
    std::string known;
    for (const EventType& type : known_event_types(config)) {
        if (type.name == name) return type;
        known += (known.empty() ? "" : ", ") + type.name;
    }
    throw UsageError("there is no event type \"" + name + "\"; known: " + known);
}

void write_file(const std::filesystem::path& file, const std::string& text) {
    std::ofstream stream(file);
    stream << text;
    stream.close();
    if (!stream) throw std::runtime_error("cannot write " + file.string());
}

/// Better known now than in two minutes. What an earlier run wrote stays until this one has ended.
void check_writable(const std::filesystem::path& file) {
    const bool is_new = !std::filesystem::exists(file);
    if (!std::ofstream(file, std::ios::app)) throw UsageError("cannot write " + file.string());
    if (is_new) std::filesystem::remove(file);
}

/// Ends the run in order, so that the scratch schema is dropped, whoever asks for it.
class StopSignals {
  public:
    StopSignals() {
        std::signal(SIGPIPE, SIG_IGN);
        sigemptyset(&signals_);
        for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals_, signal);
        pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
        thread_ = start_thread("tune signals", [this] { wait(); });
    }
    ~StopSignals() {
        ended_ = true;
        thread_.join();
    }
    const std::atomic<bool>& stopping() const { return stopping_; }
    int signal() const { return signal_; }

  private:
    void wait() {
        const timespec span{0, 50'000'000};
        while (!ended_) {
            const int signal = sigtimedwait(&signals_, nullptr, &span);
            if (signal <= 0) continue;
            signal_ = signal;
            stopping_ = true;
        }
    }

    sigset_t signals_{};
    std::atomic<bool> stopping_{false};
    std::atomic<bool> ended_{false};
    std::atomic<int> signal_{0};
    std::thread thread_;
};

class Tuner {
  public:
    Tuner(const Config& config, const TuneOptions& options, const std::atomic<bool>& stopping)
        : options_(options),
          stopping_(stopping),
          type_(type_of(config, options.type)),
          rows_(with(options.rows, config.batch.rows_max)),
          delays_(with(options.delays, config.batch.delay_ms)),
          writers_(with(options.writers, config.batch.writers)),
          deadline_(SteadyClock::now() + std::chrono::seconds(options.seconds)),
          scratch_(config, type_),
          cpu_(LeaderCpu::find(scratch_.config().postgres, scratch_.name())) {
        results_.current = config.batch;
        results_.fresh_max_ms = static_cast<double>(options.fresh_ms);
        results_.cpu_source = cpu_->source();
        results_.type = type_.name;
        results_.is_packed = type_.is_packed;
        results_.leader = PgConnection(scratch_.config().postgres.url, scratch_.config().postgres)
                              .query("SHOW server_version")
                              .at(0, 0);
    }

    /// What was measured until it was stopped. Every setting is measured once a round, in another
    /// order each time, so that what is slow for a while is slow for all of them.
    TuneResults run() {
        std::vector<Knobs> full, paced;
        for (const std::size_t writers : writers_) {
            for (const std::size_t rows : rows_) {
                full.push_back({rows, results_.current.delay_ms, writers});
                for (const std::size_t delay : delays_) paced.push_back({rows, delay, writers});
            }
        }
        Progress progress(kRounds * (full.size() + paced.size()), deadline_ - SteadyClock::now());
        const auto full_deadline = SteadyClock::now() + share(kFullShare);
        add_full(results_, measure_all(progress, full, 0, full_deadline));
        results_.load = load();
        add_paced(results_, measure_all(progress, paced, results_.load, deadline_));
        return results_;
    }

  private:
    struct Knobs {
        std::size_t rows, delay, writers;
    };

    /// By setting, then by round.
    std::vector<std::vector<TrialResult>> measure_all(Progress& progress,
                                                      const std::vector<Knobs>& settings,
                                                      double load,
                                                      SteadyClock::time_point deadline) {
        std::vector<std::vector<TrialResult>> trials(settings.size());
        std::vector<std::size_t> order(settings.size());
        std::iota(order.begin(), order.end(), 0);
        // The same in every run: whoever repeats one repeats it all.
        std::minstd_rand random(kRounds);
        std::size_t left = kRounds * settings.size();
        for (std::size_t round = 0; round < kRounds && !stopping_; ++round) {
            std::shuffle(order.begin(), order.end(), random);
            for (const std::size_t i : order) {
                trials[i].push_back(measure(progress, settings[i], load, deadline, left--));
            }
        }
        return trials;
    }

    SteadyClock::duration share(double part) const {
        return std::chrono::duration_cast<SteadyClock::duration>((deadline_ - SteadyClock::now()) *
                                                                 part);
    }

    double load() const {
        if (options_.load > 0) return static_cast<double>(options_.load);
        double most = 0;
        for (const TrialResult& trial : results_.full) most = std::max(most, trial.rows_per_second);
        return std::max(kLoadShare * most, 1.0);
    }

    /// Its fair share of the time that is left for it and those behind it.
    TrialResult measure(Progress& progress, const Knobs& knobs, double load,
                        SteadyClock::time_point deadline, std::size_t left) {
        if (stopping_) return {};
        TrialPlan plan;
        plan.batch = results_.current;
        plan.batch.rows_max = knobs.rows;
        plan.batch.delay_ms = knobs.delay;
        plan.batch.writers = knobs.writers;
        plan.events_per_second = load;
        const auto began = SteadyClock::now();
        scratch_.empty();
        const auto emptied = SteadyClock::now() - began;
        const std::chrono::duration<double> time =
            (deadline - began) / static_cast<double>(left) - emptied;
        plan.time = std::max<std::chrono::duration<double>>(time, kTrialMin);
        const std::string what = "rows_max " + std::to_string(knobs.rows) +
                                 (load > 0 ? ", delay_ms " + std::to_string(knobs.delay) : "") +
                                 ", writers " + std::to_string(knobs.writers);
        progress.begin(what);
        TrialResult result = run_trial(plan, scratch_, type_, *cpu_, stopping_);
        progress.end(what + ": " +
                     (result.batches == 0 ? "nothing was committed"
                      : load > 0          ? "p99 " + short_number(result.fresh_p99_ms) + " ms"
                                          : short_number(result.rows_per_second) + " rows/s"));
        return result;
    }

    TuneOptions options_;
    const std::atomic<bool>& stopping_;
    EventType type_;
    Values rows_, delays_, writers_;
    SteadyClock::time_point deadline_;
    ScratchSchema scratch_;
    std::unique_ptr<LeaderCpu> cpu_;
    TuneResults results_;
};

void write_plots(const std::filesystem::path& directory, const TuneResults& results) {
    std::filesystem::create_directories(directory);
    for (const auto& [name, plot] : tune_plots(results)) {
        write_file(directory / (name + ".svg"), to_svg(plot) + "\n");
    }
}

int tune(const Config& config, const TuneOptions& options) {
    check_writable(options.report);
    const StopSignals signals;
    const TuneResults results = Tuner(config, options, signals.stopping()).run();
    if (signals.stopping()) {
        std::fprintf(stderr, "stopped; the scratch schema is dropped\n");
        return 128 + signals.signal();
    }
    if (results.full.empty() || results.paced.empty()) {
        throw std::runtime_error(
            "the leader hardly committed anything in this time; give it more with --seconds, or "
            "look at what holds it up");
    }
    Advice advice = advise(results);
    if (!results.is_packed) {
        advice.sentences.push_back(
            "Events of type " + results.type +
            " are stored as rows. If the leader's processor, WAL or disk is short and most of "
            "these "
            "events are never read one by one, set \"storage\": \"packed\" in the event type, and "
            "run tune again. Keep rows if they are joined, updated or searched all the time.");
    }
    write_file(options.report, html_report(results, advice));
    if (!options.plots.empty()) write_plots(options.plots, results);
    std::printf("%s\nThe same with plots: %s\n", text_report(results, advice).c_str(),
                options.report.c_str());
    return 0;
}

void add_list(CLI::App& command, const std::string& name, cli::Range range, Values& target,
              const std::string& description) {
    const auto take = [name, range, &target](const std::string& text) {
        std::set<std::size_t> values;
        for (const std::string& part : cli::split(text)) {
            values.insert(static_cast<std::size_t>(cli::whole_number(part, name, range)));
        }
        if (values.empty()) throw UsageError(name + " needs numbers, separated by commas");
        target.assign(values.begin(), values.end());
    };
    std::string shown;
    for (const std::size_t value : target) {
        shown += (shown.empty() ? "" : ",") + std::to_string(value);
    }
    command.add_option_function<std::string>(name, take, description)
        ->type_name("N,...")
        ->default_str(shown);
}

}  // namespace

void add_tune_command(const Commands& commands) {
    const auto options = std::make_shared<TuneOptions>();
    CLI::App& command = add_command(
        commands, "tune",
        "measure batch settings on your leader\n\n"
        "It writes invented events, with the same code as run, into a scratch schema that it drops "
        "in any case. It connects as postgres.owner_url, needs CREATE on the database, and touches "
        "none of your tables. It loads the leader, and its WAL goes to standbys and archive: a few "
        "GB in 2 minutes.",
        [options](const Config& config) { return tune(config, *options); });
    cli::add_number(command, "--seconds", {kSecondsMin, kSecondsMax}, options->seconds,
                    "how long to measure");
    cli::add_text(command, "--report", "FILE", options->report, "write a page with plots")
        ->default_str(kReportDefault);
    cli::add_text(command, "--plots", "DIR", options->plots, "write each plot as SVG, too");
    cli::add_text(command, "-t,--type", "TYPE", options->type, "write events of this type")
        ->default_str(options->type);
    cli::add_number(command, "--fresh-ms", {1, 600'000}, options->fresh_ms,
                    "the p99 of freshness that you accept")
        ->default_str("no worse than now");
    cli::add_number(command, "--load", {1, 10'000'000}, options->load,
                    "events per second of the measurements below full speed")
        ->default_str("a quarter of full speed");
    add_list(command, "--rows", {1, 1'000'000}, options->rows, "values of batch.rows_max");
    add_list(command, "--delays", {0, 10'000}, options->delays, "values of batch.delay_ms");
    add_list(command, "--writers", {1, 64}, options->writers, "values of batch.writers");
}

}  // namespace homeward::consumer
