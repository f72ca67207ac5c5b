// What the replay helper costs a request.
//
// Workload: decide() over a mix of reads, writes and errors; a browser's cookie read, verified and
// held against the replica's position, with a real leader and streaming replica; and sessions that
// write on the leader and then read on the replica, as many at once as threads. Beside it, in the
// same run, what helpers do that ask the replica once for every request, and ask again until it has
// caught up. Queries are counted by the replica itself (pg_stat_statements).

#include <atomic>
#include <cstdio>
#include <functional>
#include <homeward/replay/libpq.hpp>
#include <homeward/replay/session_consistency.hpp>
#include <memory>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/latency.hpp"
#include "tests/bench/support/report.hpp"
#include "tests/publisher/replay/session.hpp"

namespace {

using namespace homeward;
using namespace homeward::replay;
using homeward::bench::BenchOptions;
using homeward::bench::LatencyHistogram;
using homeward::bench::Report;
using homeward::bench::TickScale;
using homeward::testing::PostgresServer;
using homeward::testing::Session;

constexpr double kSecondsDefault = 5;
constexpr double kDecideNsMax = 200;
constexpr double kTokenNsMax = 2'000;
/// So many calls between two reads of the clock, where one takes less than the clock does.
constexpr int kCallsPerBatch = 32;
constexpr double kCallsPerSecond = 200'000;
constexpr double kAsksPerSecond = 2'000;
constexpr int kSessions = 16;
constexpr double kReadsPerSession = 20;  // per second of --seconds
constexpr int kPauseMs = 2;              // as the poller's shortest
constexpr const char* kReplayPosition = "SELECT pg_last_wal_replay_lsn()";

/// A result that the compiler must not take for unused.
template <typename Value>
void keep(const Value& value) {
    asm volatile("" : : "g"(&value) : "memory");
}

struct Quantiles {
    double p50_ns;
    double p99_ns;
};

Quantiles measure(const TickScale& scale, int calls, int batch, const std::function<void()>& run) {
    LatencyHistogram histogram;
    for (int i = 0; i < calls / batch + 1; ++i) {
        const std::uint64_t before = bench::ticks_before();
        run();
        histogram.add(bench::ticks_after() - before);
    }
    return {scale.quantile_ns(histogram, 0.5) / batch, scale.quantile_ns(histogram, 0.99) / batch};
}

std::vector<Situation> mixed_requests() {
    std::vector<Situation> requests(kCallsPerBatch);
    for (int i = 0; i < kCallsPerBatch; ++i) {
        Situation& request = requests[static_cast<std::size_t>(i)];
        request.method = i % 4 == 0 ? "POST" : "GET";
        request.server_role = ServerRole::standby;
        request.coverage = i % 8 == 1 ? Coverage::behind : Coverage::covered;
        request.was_replayed = i % 16 == 3;
        request.has_handler_run = i % 2 == 0;
        if (request.has_handler_run)
            request.cause = i % 8 == 0 ? Cause::read_only : i % 8 == 2 ? Cause::other : Cause::none;
    }
    return requests;
}

class ReplayBench {
  public:
    ReplayBench(const BenchOptions& options, Report& report)
        : seconds_(options.seconds),
          report_(report),
          leader_({"shared_preload_libraries = 'pg_stat_statements'"}) {
        leader_.query(
            "CREATE EXTENSION pg_stat_statements; CREATE TABLE counter (id int, n int);"
            "INSERT INTO counter SELECT i, 0 FROM generate_series(1, 100) i");
        replica_ = PostgresServer::standby_of(leader_);
        poller_ =
            std::make_unique<ReplicaPoller>(std::make_unique<LibpqPositionSource>(replica_->url()));
        SessionConsistencyOptions consistency;
        consistency.wait_max_ms = 10'000;
        reads_ = std::make_unique<SessionConsistency>(TokenSigner({{"k1", std::string(32, 'k')}}),
                                                      poller_.get(), consistency);
    }

    void run() {
        measure_pure();
        measure_covered_reads();
        measure_waiting_reads();
        count_text_mistakes();
    }

  private:
    int calls() const { return static_cast<int>(seconds_ * kCallsPerSecond); }

    void measure_pure() {
        const std::vector<Situation> requests = mixed_requests();
        const Regions regions{"scl", "ams"};
        const Quantiles decided = measure(scale_, calls() * 10, kCallsPerBatch, [&] {
            for (const Situation& request : requests) keep(decide(request, regions));
        });
        const TokenSigner signer({{"k1", std::string(32, 'k')}, {"k0", std::string(32, 'j')}});
        constexpr std::uint64_t kNow = 1'764'091'234;
        const Position seen{7301234567890123456, 3, 0x16'B374'D848};
        const std::string token = signer.sign(seen, kNow);
        const Quantiles read = measure(scale_, calls(), 1, [&] { keep(signer.read(token, kNow)); });
        const Quantiles sign = measure(scale_, calls(), 1, [&] { keep(signer.sign(seen, kNow)); });

        report_.begin("without a database");
        report_.add({"decide(), p50", decided.p50_ns, "ns"});
        report_.add({"decide(), p99", decided.p99_ns, "ns", "", std::nan(""),
                     bench::value_at_most(kDecideNsMax)});
        report_.add({"token check, p50", read.p50_ns, "ns"});
        report_.add({"token check, p99", read.p99_ns, "ns", "", std::nan(""),
                     bench::value_at_most(kTokenNsMax)});
        report_.add({"token signed, p50", sign.p50_ns, "ns"});
    }

    std::string write(const Session& leader, int id) const {
        leader.ask("UPDATE counter SET n = n + 1 WHERE id = " + std::to_string(id));
        const auto seen = committed_position(leader.get());
        if (!seen) throw std::runtime_error("the leader did not say where it is");
        const std::string cookie = reads_->set_cookie(*seen);
        return "theme=dark; " + cookie.substr(0, cookie.find(';'));
    }

    /// How many statements the replica has run since the last call, but for this one's own.
    double replica_queries() const {
        const Session replica(*replica_);
        const std::string calls = replica.ask(
            "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements"
            " WHERE query NOT LIKE '%pg_stat_statements%'");
        replica.ask("SELECT pg_stat_statements_reset()");
        return std::strtod(calls.c_str(), nullptr);
    }

    void measure_covered_reads() {
        const std::string cookie = write(Session(leader_), 1);
        if (reads_->ask(cookie).coverage != Coverage::covered) {
            throw std::runtime_error("the replica does not follow");
        }
        replica_queries();
        int uncovered = 0;
        const Quantiles ours = measure(scale_, calls(), 1, [&] {
            uncovered += reads_->ask(cookie).coverage != Coverage::covered;
        });
        const double our_queries = replica_queries();

        const Session replica(*replica_);
        const int asks = static_cast<int>(seconds_ * kAsksPerSecond);
        const Quantiles naive =
            measure(scale_, asks, 1, [&] { keep(replica.ask(kReplayPosition)); });
        const double naive_queries = replica_queries();

        report_.begin("a read whose token is covered: cookie, token, position");
        report_.add({"covered read, p50", ours.p50_ns, "ns",
                     "a query each: " + bench::short_duration(naive.p50_ns),
                     naive.p50_ns / ours.p50_ns});
        report_.add({"covered read, p99", ours.p99_ns, "ns",
                     "a query each: " + bench::short_duration(naive.p99_ns),
                     naive.p99_ns / ours.p99_ns, bench::value_at_most(kTokenNsMax)});
        report_.add({"queries at the replica, for all of them", our_queries, "queries",
                     "a query each: " + bench::short_number(naive_queries), std::nan(""),
                     bench::value_at_most(0)});
        report_.note(bench::short_number(calls()) + " reads, " + std::to_string(uncovered) +
                     " not covered; the queries are counted by the replica");
    }

    /// Runs `read` after a write, in all sessions at once; returns SessionConsistency.
    double run_sessions(
        const std::function<void(const Session& replica, const std::string& cookie)>& read) const {
        const int reads = static_cast<int>(seconds_ * kReadsPerSession) + 1;
        std::vector<std::thread> sessions;
        for (int id = 1; id <= kSessions; ++id) {
            sessions.emplace_back([&, id] {
                const Session leader(leader_);
                const Session replica(*replica_);
                for (int i = 0; i < reads; ++i) read(replica, write(leader, id));
            });
        }
        for (std::thread& session : sessions) session.join();
        return kSessions * reads;
    }

    void measure_waiting_reads() {
        replica_queries();
        std::atomic<int> behind{0};
        const double reads = run_sessions([&](const Session&, const std::string& cookie) {
            behind += reads_->ask(cookie).coverage != Coverage::covered;
        });
        const double ours = replica_queries() / reads;
        const TokenSigner signer({{"k1", std::string(32, 'k')}});
        run_sessions([&](const Session& replica, const std::string& cookie) {
            const std::string token = cookie.substr(cookie.find("v2."));
            const Lsn wanted =
                signer.read(token, static_cast<std::uint64_t>(time(nullptr))).seen.lsn;
            while (parse_lsn(replica.ask(kReplayPosition)).value_or(0) < wanted) {
                std::this_thread::sleep_for(std::chrono::milliseconds(kPauseMs));
            }
        });
        const double naive = replica_queries() / reads;
        report_.begin("reads right after a write, " + std::to_string(kSessions) + " at once");
        report_.add({"queries at the replica per read", ours, "queries",
                     "each its own: " + bench::short_number(naive), naive / ours});
        report_.note(bench::short_number(reads) + " reads, " + std::to_string(behind.load()) +
                     " not covered in time");
    }

    /// What a comparison as text would have decided wrongly.
    void count_text_mistakes() {
        constexpr int kPairs = 1'000'000;
        constexpr Lsn kLogBytes = Lsn{1} << 40;
        constexpr Lsn kLagBytesMax = 64 * 1024 * 1024;
        std::mt19937_64 random(7);
        int mistakes = 0;
        for (int i = 0; i < kPairs; ++i) {
            const Lsn replica = random() % kLogBytes;
            const Lsn token = replica + 1 + random() % kLagBytesMax;
            mistakes += lsn_text(replica) >= lsn_text(token);
        }
        report_.note("positions compared as text: " + bench::short_number(mistakes) + " of " +
                     bench::short_number(kPairs) +
                     " tokens ahead of a replica by up to 64 MB would have been read stale");
    }

    const double seconds_;
    Report& report_;
    TickScale scale_;
    PostgresServer leader_;
    std::unique_ptr<PostgresServer> replica_;
    std::unique_ptr<ReplicaPoller> poller_;
    std::unique_ptr<SessionConsistency> reads_;
};

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = bench::parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        ReplayBench(options, report).run();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_replay: %s\n", error.what());
        return 1;
    }
}
