// How fast redelivered events are recognised and skipped.
//
// Workload: audit events, all of which a first consumer has committed without being able to say so:
// its NATS user may not publish to $JS.ACK, so the server delivers every message again, and says
// that it does. Measured is a second consumer, which asks the ledger first. No row may be doubled.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>

#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/drain.hpp"
#include "tests/bench/support/report.hpp"

namespace {

using namespace homeward;
using namespace homeward::bench;
using SteadyClock = std::chrono::steady_clock;

constexpr double kSecondsDefault = 3;
constexpr double kEventsPerSecond = 1'000'000;
/// Its frames stay below what a durable may have unacknowledged (16,384).
constexpr double kEventsMax = 3'000'000;
constexpr double kRateMin = 1'000'000;
constexpr const char* kTable = "audit_events";
constexpr const char* kSkipped = "homeward_skipped_events_total";

/// Everybody may do everything but the user "mute", who may not acknowledge.
constexpr const char* kUsers =
    "authorization { users: [ { user: any, password: any },"
    " { user: mute, password: mute, permissions: { publish: { deny: [\"$JS.ACK.>\"] } } } ] }\n"
    "no_auth_user: any\n";

class SkipBench {
  public:
    SkipBench(const BenchOptions& options, Report& report)
        : events_(std::min(options.seconds * kEventsPerSecond, kEventsMax)),
          // Long enough for the first consumer to commit all, however slow the machine.
          ack_wait_ms_(static_cast<int>(events_ / 100'000 * 1'000) + 5'000),
          report_(report),
          line_(kUsers, {{"HOMEWARD_PULL_ACK_WAIT_MS", std::to_string(ack_wait_ms_)}}) {}

    void run() {
        commit_without_saying_so();
        line_.start_consumer();
        line_.wait_for_metric(kSkipped, 1);
        const auto began = SteadyClock::now();
        const double early = line_.metric(kSkipped);
        line_.wait_for_metric(kSkipped, events_);
        const double took = std::chrono::duration<double>(SteadyClock::now() - began).count();
        line_.stop_consumer();
        require_no_double();
        report_.begin("redelivered events, all of them in the ledger");
        report_.add({"skip", (events_ - early) / took, "events/s", "", std::nan(""),
                     value_at_least(kRateMin)});
        report_.note(short_number(events_) + " events, none of them doubled");
    }

  private:
    void commit_without_saying_so() {
        fill_audit(line_, static_cast<std::uint64_t>(events_));
        line_.empty_table(kTable);
        const std::string port = std::to_string(line_.nats().port());
        line_.start_consumer({{"HOMEWARD_NATS_URLS", "nats://mute:mute@127.0.0.1:" + port},
                              {"HOMEWARD_PULL_ACK_WAIT_MS", std::to_string(ack_wait_ms_)}});
        line_.wait_for_metric("homeward_rows_total", events_);
        line_.kill_consumer();
        testing::sleep_ms(ack_wait_ms_ + 1'000);
    }

    void require_no_double() {
        const auto rows = line_.leader().number(std::string("SELECT count(*) FROM ") + kTable);
        if (static_cast<double>(rows) == events_) return;
        throw std::runtime_error(std::to_string(rows) + " rows after the redelivery of " +
                                 short_number(events_) + " events");
    }

    double events_;
    int ack_wait_ms_;
    Report& report_;
    Line line_;
};

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        SkipBench(options, report).run();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_skip: %s\n", error.what());
        return 1;
    }
}
