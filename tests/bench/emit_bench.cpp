// What one emit() costs the thread that calls it.
//
// Workload: the typed audit event of six fields, about 200 bytes in the lane, at 100,000 a second
// in all, from 1, 2, 4 and 8 threads that spin between calls; a running sender and frame sender, a
// real nats-server, spool on the disk and lanes on tmpfs; the kernel writes back dirty pages
// throughout. Beside it at the same pace, in turns: the bare copy of as many bytes
// (copied_ring.hpp), which says what of the high quantiles is the machine's; spdlog's asynchronous
// logger, js_PublishMsgAsync of nats.c, one write(2) per event. Likewise emit() into the shared
// lane, which threads without a lane of their own have, beside a bare copy into one ring; and with
// the lanes inside the spool, as in containers that must lose nothing when they start anew: their
// records have checksums, as those on tmpfs need not. Then the first call of a thread and of a
// forked child (first_emits.cpp), and how long a call may last when things break
// (never_blocks.cpp).

#include <unistd.h>

#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

#include <homeward/publisher.hpp>

#include "tests/bench/compared/copied_ring.hpp"
#include "tests/bench/compared/log_file.hpp"
#include "tests/bench/compared/raw_nats.hpp"
#include "tests/bench/first_emits.hpp"
#include "tests/bench/never_blocks.hpp"
#include "tests/bench/support/app_home.hpp"
#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/paced_calls.hpp"
#include "tests/bench/support/report.hpp"
#include "tests/bench/support/streams.hpp"
#include "tests/bench/support/writeback.hpp"

namespace {

using namespace homeward;
using namespace homeward::bench;

constexpr double kSecondsDefault = 60;
constexpr double kEventsPerSecond = 100'000;
/// The contenders take turns, so that what else the machine does meets all of them.
constexpr int kRounds = 3;
constexpr int kThreadCounts[] = {2, 4, 8};
constexpr const char* kControl = "a bare copy";
constexpr const char* kSharedControl = "a bare copy into one ring";
constexpr const char* kShared = "emit, shared lane";
constexpr const char* kSpooled = "emit, lanes in the spool";
constexpr double kSharedP50Ns = 150;
constexpr double kSpooledP50Ns = 60;

struct Quantile {
    const char* name;
    double share;
    double budget_ns;                   ///< 0: not promised, as everywhere here
    double spdlog_ratio;                ///< at least so many times faster
    std::map<int, double> copy_ratios;  ///< by threads: of the bare copy's at most so many times
};
const Quantile kQuantiles[] = {{"p50", 0.5, 28, 5, {}},
                               {"p99", 0.99, 0, 0, {{1, 7.5}, {4, 3.5}}},
                               {"p99.9", 0.999, 0, 10, {{1, 1.4}, {4, 1.8}}}};

class EmitBench {
  public:
    EmitBench(const BenchOptions& options, Report& report)
        : seconds_(options.seconds), report_(report), samples_(audit_samples(4096)) {
        make_streams(server_);
    }

    void run() {
        const std::uint64_t written = written_back_bytes();
        {
            const Writeback writeback(home_.dir().path());
            measure();
        }
        report_.begin("emit(): time of one call, at " + short_number(kEventsPerSecond) +
                      " events/s in all; the timer's own cost is subtracted");
        report_.add({"timer cost, subtracted", scale_.cost_ns, "ns"});
        report_.note("the processor's counter advances in steps of " +
                     short_duration(scale_.ns(scale_.step_ticks)));
        show(1, {"spdlog async", "js_PublishMsgAsync", "write(2)"});
        for (int threads : kThreadCounts) show(threads, {"spdlog async"});
        show_other_lanes();
        report_.note(short_number(static_cast<double>(written_back_bytes() - written)) +
                     "B written back by the kernel meanwhile");
    }

  private:
    void measure() {
        Publisher publisher(home_.options(server_.url()));
        SpdlogFile spdlog(home_.dir() / "spdlog.log");
        RawNats raw(server_.url());
        WrittenFile written(home_.dir() / "written.log");
        const auto emit = [&](const AuditSample&, const events::Audit& event) {
            return publisher.emit(event) == EmitResult::accepted;
        };
        // Threads are new in each turn, and so is their ring; not in the measured call.
        const auto copy = [&](const AuditSample&, const events::Audit& event) {
            thread_local CopiedRing ring;
            return ring.copy(event);
        };
        SharedCopiedRing shared_ring;
        const auto copy_shared = [&](const AuditSample&, const events::Audit& event) {
            return shared_ring.copy(event);
        };
        const auto log = [&](const AuditSample&, const events::Audit& event) {
            spdlog.log(event);
            return true;
        };
        const auto publish = [&](const AuditSample& sample, const events::Audit&) {
            return raw.publish(kRawSubject, sample.json);
        };
        const auto write = [&](const AuditSample& sample, const events::Audit&) {
            return written.write(sample.json);
        };
        paced_threads({1, 0.2, kEventsPerSecond}, scale_, samples_, emit);  // first calls, caches
        Crowded crowded(home_.options(server_.url()));
        PublisherOptions spooled_options = home_.options(server_.url());
        spooled_options.lane_dir = spooled_options.spool_dir / "lanes";
        Publisher spooled(spooled_options);
        const auto emit_shared = [&](const AuditSample&, const events::Audit& event) {
            return crowded.publisher.emit(event) == EmitResult::accepted;
        };
        const auto emit_spooled = [&](const AuditSample&, const events::Audit& event) {
            return spooled.emit(event) == EmitResult::accepted;
        };
        const double turn = seconds_ / kRounds;
        for (int round = 0; round < kRounds; ++round) {
            take_turn("emit", 1, turn, emit);
            take_turn(kControl, 1, turn / 3, copy);
            take_turn(kSpooled, 1, turn / 3, emit_spooled);
            for (const int threads : {1, 4}) {
                take_turn(kShared, threads, turn / 6, emit_shared);
                take_turn(kSharedControl, threads, turn / 6, copy_shared);
            }
            publisher.flush(std::chrono::seconds(5));
            take_turn("spdlog async", 1, turn / 3, log);
            take_turn("js_PublishMsgAsync", 1, turn / 3, publish);
            raw.complete(5000);
            take_turn("write(2)", 1, turn / 3, write);
            for (int threads : kThreadCounts) {
                take_turn("emit", threads, turn / 3, emit);
                take_turn(kControl, threads, turn / 3, copy);
                publisher.flush(std::chrono::seconds(5));
                take_turn("spdlog async", threads, turn / 3, log);
            }
        }
        publisher.close(std::chrono::seconds(5));
        spooled.close(std::chrono::seconds(5));
    }

    /// A publisher whose one lane is another thread's, so that all others share one.
    struct Crowded {
        explicit Crowded(PublisherOptions options) : publisher(one_lane(std::move(options))) {
            std::atomic<bool> has_lane{false};
            holder = std::thread([&] {
                events::Audit event;
                event.actor = "holder";
                event.action = "emit";
                event.resource = "lane";
                event.outcome = events::Audit::Outcome::allowed;
                // It shares until there is one, which the sender looks to 50 times a second.
                for (int i = 0; i < 40; ++i) {
                    static_cast<void>(publisher.emit(event));
                    std::this_thread::sleep_for(std::chrono::milliseconds(5));
                }
                has_lane = true;
                std::unique_lock lock(mutex);
                over.wait(lock, [this] { return is_over; });
            });
            while (!has_lane) std::this_thread::yield();
        }
        ~Crowded() {
            {
                const std::lock_guard lock(mutex);
                is_over = true;
                over.notify_all();
            }
            holder.join();
            publisher.close(std::chrono::seconds(5));
        }
        static PublisherOptions one_lane(PublisherOptions options) {
            options.lanes_max = 1;
            return options;
        }
        Publisher publisher;
        std::mutex mutex;
        std::condition_variable over;
        bool is_over = false;
        std::thread holder;
    };

    void show_other_lanes() {
        for (const int threads : {1, 4}) {
            const std::string label =
                std::to_string(threads) + (threads == 1 ? " thread" : " threads");
            for (const Quantile& quantile : kQuantiles) {
                const bool is_promised = quantile.share == 0.5;
                report_.add({std::string(kShared) + " " + quantile.name + ", " + label,
                             ns(kShared, threads, quantile.share), "ns", "", std::nan(""),
                             is_promised ? value_at_most(kSharedP50Ns) : Budget{}});
                const double copy = ns(kSharedControl, threads, quantile.share);
                report_.add({std::string(kShared) + " " + quantile.name + ", " + label +
                                 ", by the bare copy's",
                             ns(kShared, threads, quantile.share), "ns",
                             std::string(kSharedControl) + ": " + short_duration(copy),
                             ns(kShared, threads, quantile.share) / copy, Budget{}});
            }
        }
        for (const Quantile& quantile : kQuantiles) {
            const double own = ns(kSpooled, 1, quantile.share);
            const bool is_promised = quantile.share == 0.5;
            report_.add({std::string(kSpooled) + " " + quantile.name, own, "ns", "", std::nan(""),
                         is_promised ? value_at_most(kSpooledP50Ns) : Budget{}});
            report_.add(by_the_copy(kSpooled, quantile, 1));
        }
        report_.note("worst call with lanes in the spool " + short_duration(ns(kSpooled, 1, 1)) +
                     ", and in the shared lane " + short_duration(ns(kShared, 4, 1)));
    }

    template <typename Call>
    void take_turn(const std::string& who, int threads, double seconds, Call call) {
        times_[{who, threads}].merge(
            paced_threads({threads, seconds, kEventsPerSecond}, scale_, samples_, call));
    }

    double ns(const std::string& who, int threads, double share) const {
        return scale_.quantile_ns(times_.at({who, threads}).ticks, share);
    }

    double undisturbed_p99_ns(const std::string& who, int threads) const {
        return scale_.quantile_ns(times_.at({who, threads}).undisturbed, 0.99);
    }

    /// What of it is not the machine's.
    Row by_the_copy(const std::string& who, const Quantile& quantile, int threads) const {
        const double own = ns(who, threads, quantile.share);
        const double copy = ns(kControl, threads, quantile.share);
        const auto limit = quantile.copy_ratios.find(threads);
        const bool is_promised = who == "emit" && limit != quantile.copy_ratios.end();
        return {who + " " + quantile.name + ", " + std::to_string(threads) +
                    (threads == 1 ? " thread" : " threads") + ", by the bare copy's",
                own,
                "ns",
                std::string(kControl) + ": " + short_duration(copy),
                own / copy,
                is_promised ? ratio_at_most(limit->second) : Budget{}};
    }

    void show(int threads, const std::vector<std::string>& others) {
        const std::string label = std::to_string(threads) + (threads == 1 ? " thread" : " threads");
        for (const Quantile& quantile : kQuantiles) {
            const double own = ns("emit", threads, quantile.share);
            const std::string name = std::string("emit ") + quantile.name + ", " + label;
            const bool is_bounded = quantile.budget_ns > 0;
            report_.add({name, own, "ns", "", std::nan(""),
                         is_bounded ? value_at_most(quantile.budget_ns) : Budget{}});
            report_.add(by_the_copy("emit", quantile, threads));
            for (const std::string& other : others) {
                const double theirs = ns(other, threads, quantile.share);
                const bool is_promised = other == "spdlog async" && quantile.spdlog_ratio > 0;
                report_.add({name + ", is faster", own, "ns", other + ": " + short_duration(theirs),
                             theirs / own,
                             is_promised ? ratio_at_least(quantile.spdlog_ratio) : Budget{}});
            }
        }
        report_.note("p99 from the ninth call on after the thread last lost its processor: emit " +
                     short_duration(undisturbed_p99_ns("emit", threads)) + ", " + kControl + " " +
                     short_duration(undisturbed_p99_ns(kControl, threads)));
        show_worst(threads, others);
        const CallTimes& ours = times_.at({"emit", threads});
        if (ours.refused == 0) return;
        report_.note(std::to_string(ours.refused) + " of " + std::to_string(ours.ticks.count()) +
                     " calls (" + label + ") found the lane full");
    }

    void show_worst(int threads, const std::vector<std::string>& others) {
        std::string text = "worst call, whoever else the kernel ran meanwhile: emit " +
                           short_duration(ns("emit", threads, 1)) + ", " + kControl + " " +
                           short_duration(ns(kControl, threads, 1));
        for (const std::string& other : others) {
            text += ", " + other + " " + short_duration(ns(other, threads, 1));
        }
        report_.note(text);
    }

    double seconds_;
    Report& report_;
    TickScale scale_;
    std::vector<AuditSample> samples_;
    testing::NatsServer server_;
    AppHome home_;
    std::map<std::pair<std::string, int>, CallTimes> times_;
};

}  // namespace

int main(int argc, char** argv) {
    // The part of never_blocks.cpp that may not return runs in a process of its own: this one.
    if (argc > 1 && std::strcmp(argv[1], kRawNatsMode) == 0) return run_raw_nats(argc, argv);
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        EmitBench(options, report).run();
        measure_first_emits(report);
        compare_blocking(options.seconds, report);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_emit: %s\n", error.what());
        return 1;
    }
}
