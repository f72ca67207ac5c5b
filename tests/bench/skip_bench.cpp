// How fast settled events are recognised and skipped.
//
// Workload: audit events, all of which a first consumer has committed without being able to say so:
// its NATS user may not publish to $JS.ACK. Measured is a second consumer, which asks the ledger
// first, in two cases:
//   redelivered   the server delivers every message again, and says that it does
//   not marked    the durable is made anew and knows of no delivery, as that of a restored or
//                 mirrored stream; each writer notices by one batch that is rolled back
// No row may be doubled.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>

#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/drain.hpp"
#include "tests/bench/support/report.hpp"
#include "tests/support/servers/nats_client.hpp"

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
constexpr const char* kRedelivered = "homeward_redelivered_total";
constexpr const char* kDurable = "HOMEWARD_AUDIT_ams.homeward_audit_ams";

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
          made_with_{{"HOMEWARD_PULL_ACK_WAIT_MS", std::to_string(ack_wait_ms_)}},
          report_(report),
          line_(kUsers, made_with_) {}

    void run() {
        report_.begin("settled events, all of them in the ledger");
        commit_without_saying_so();
        testing::sleep_ms(ack_wait_ms_ + 1'000);
        measure("skip, redelivered", true);
        commit_without_saying_so();
        make_durable_anew();
        measure("skip, not marked as redelivered", false);
        report_.note(short_number(events_) + " events in each case, none of them doubled");
    }

  private:
    void commit_without_saying_so() {
        fill_audit(line_, static_cast<std::uint64_t>(events_));
        line_.empty_table(kTable);
        const std::string port = std::to_string(line_.nats().port());
        Environment mute = made_with_;
        mute["HOMEWARD_NATS_URLS"] = "nats://mute:mute@127.0.0.1:" + port;
        line_.start_consumer(mute);
        line_.wait_for_metric("homeward_rows_total", events_);
        line_.kill_consumer();
    }

    void make_durable_anew() {
        testing::NatsClient client(line_.nats().port());
        const std::string answer =
            client.request(std::string("$JS.API.CONSUMER.DELETE.") + kDurable, "");
        if (answer.find("\"success\":true") == std::string::npos) {
            throw std::runtime_error("the durable cannot be deleted: " + answer);
        }
        line_.apply_streams(made_with_);
    }

    /// `is_marked`: whether the server is to say that it delivers again.
    void measure(const std::string& name, bool is_marked) {
        line_.start_consumer(made_with_);
        line_.wait_for_metric(kSkipped, 1);
        const auto began = SteadyClock::now();
        const double early = line_.metric(kSkipped);
        line_.wait_for_metric(kSkipped, events_);
        const double took = std::chrono::duration<double>(SteadyClock::now() - began).count();
        if ((line_.metric(kRedelivered) > 0) != is_marked) {
            throw std::runtime_error(name + ": the server said otherwise of its deliveries");
        }
        line_.stop_consumer();
        require_no_double();
        report_.add({name, (events_ - early) / took, "events/s", "", std::nan(""),
                     value_at_least(kRateMin)});
    }

    void require_no_double() {
        const auto rows = line_.leader().number(std::string("SELECT count(*) FROM ") + kTable);
        if (static_cast<double>(rows) == events_) return;
        throw std::runtime_error(std::to_string(rows) + " rows after the second delivery of " +
                                 short_number(events_) + " events");
    }

    double events_;
    int ack_wait_ms_;
    Environment made_with_;
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
