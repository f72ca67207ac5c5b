// What a forwarded call adds to its transaction, and what it saves across a link.
//
// Workload: 500 calls a second from eight threads, through leaf and hub to a server with four
// workers and the leader; each inserts one row. Beside it, in the same run and at the same pace,
// the same statements as a libpqxx transaction on a connection of each thread. Then five INSERTs
// across a link of 150 ms (there and back): as one call by a leaf behind it, and one by one by a
// connection to the leader behind it.

#include <algorithm>
#include <cstdio>
#include <functional>
#include <homeward/replay/token.hpp>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/report.hpp"
#include "tests/publisher/forward/call_regions.hpp"
#include "tests/support/faults/tcp_proxy.hpp"

namespace {

using namespace homeward;
using namespace homeward::bench;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using forward::Call;
using forward::Client;
using forward::ClientOptions;
using forward::Reply;

constexpr double kSecondsDefault = 10;
constexpr int kThreads = 8;
constexpr double kCallsPerSecond = 500;
constexpr double kAddedP50NsMax = 2e6;
constexpr double kAddedP99NsMax = 10e6;
constexpr auto kLinkOneWay = 75ms;
constexpr int kStatements = 5;
constexpr double kFasterMin = 4;

class Durations {
  public:
    void add(Clock::duration time) {
        ns_.push_back(static_cast<double>(std::chrono::nanoseconds(time).count()));
    }
    void merge(const Durations& other) {
        ns_.insert(ns_.end(), other.ns_.begin(), other.ns_.end());
    }
    double quantile(double q) {
        std::sort(ns_.begin(), ns_.end());
        return ns_.at(static_cast<std::size_t>(q * static_cast<double>(ns_.size() - 1)));
    }

  private:
    std::vector<double> ns_;
};

/// What each thread does; made in that thread.
using MakeCall = std::function<std::function<void(int)>()>;

/// At an even pace. A call that is due while the last one runs counts from when it was due.
Durations measure_paced(double seconds, const MakeCall& make_call) {
    std::vector<Durations> times(kThreads);
    std::vector<std::thread> threads;
    const auto interval = std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(kThreads / kCallsPerSecond));
    const int calls = static_cast<int>(seconds * kCallsPerSecond / kThreads) + 10;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            const auto call = make_call();
            call(-1 - i);  // connects
            const auto start = Clock::now() + interval * i / kThreads;
            for (int n = 0; n < calls; ++n) {
                const auto due = start + interval * n;
                std::this_thread::sleep_until(due);
                call(i * calls + n);
                times[static_cast<std::size_t>(i)].add(Clock::now() - due);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (std::size_t i = 1; i < times.size(); ++i) times[0].merge(times[i]);
    return times[0];
}

void require_ok(const Reply& reply) {
    if (reply) return;
    throw std::runtime_error("a call ended " + std::string(name_of(reply.outcome)) + ": " +
                             reply.body);
}

void insert_order(pqxx::work& tx, const std::string& key) {
    tx.exec("INSERT INTO orders VALUES (" + tx.quote(key) + ", 'tea')");
}

std::string place_five(pqxx::work& tx, const Call& call) {
    for (int i = 0; i < kStatements; ++i) insert_order(tx, std::string(call.key));
    return "placed";
}

class ForwardBench {
  public:
    ForwardBench(const BenchOptions& options, Report& report)
        : seconds_(options.seconds),
          report_(report),
          server_(regions_, with_keys(), [](pqxx::work& tx, const Call& call) {
              if (call.body == "five") return place_five(tx, call);
              insert_order(tx, std::string(call.key));
              return std::string("placed");
          }) {}

    void run() {
        measure_added();
        measure_link();
    }

  private:
    forward::ServerOptions with_keys() const {
        forward::ServerOptions options = regions_.server_options();
        options.token_keys = {{"k1", std::string(32, 'k')}};
        return options;
    }

    void measure_added() {
        Durations bare = measure_paced(seconds_ / 2, [this] {
            auto connection = std::make_shared<pqxx::connection>(regions_.leader().url());
            return [connection](int n) {
                pqxx::work tx(*connection);
                insert_order(tx, "bare" + std::to_string(n));
                tx.commit();
            };
        });
        Client primary(regions_.client_options());
        Durations calls = measure_paced(seconds_ / 2, [&] {
            return [&](int n) {
                require_ok(primary.call("order.place", "one", {.key = "c" + std::to_string(n)}));
            };
        });
        report_.begin("500 calls a second, one INSERT each, through leaf and hub");
        for (const auto& [name, q, limit] :
             {std::tuple("p50", 0.5, kAddedP50NsMax), {"p99", 0.99, kAddedP99NsMax}}) {
            const double own = calls.quantile(q);
            const double other = bare.quantile(q);
            report_.add({std::string("call, ") + name, own, "ns",
                         "bare transaction: " + short_duration(other), own / other});
            report_.add({std::string("added by forwarding, ") + name, own - other, "ns", "",
                         std::nan(""), value_at_most(limit)});
        }
        report_.note("a call stores its key and reply, and asks for its position, besides");
    }

    void measure_link() {
        TcpProxy nats_link(regions_.hub().leafnode_port());
        NatsOptions far;
        far.jetstream = false;
        far.hub_leafnode_port = nats_link.port();
        const NatsServer leaf(far);
        TcpProxy leader_link(regions_.leader().port());
        ClientOptions options = regions_.client_options();
        options.connection.nats_urls = {leaf.url()};
        Client primary(options);
        if (!wait_until(20s, [&] { return bool(primary.call("order.place", "five")); })) {
            throw std::runtime_error("no call passes the link");
        }
        pqxx::connection connection(
            "postgresql://postgres@127.0.0.1:" + std::to_string(leader_link.port()) + "/postgres");
        nats_link.delay(kLinkOneWay);
        leader_link.delay(kLinkOneWay);
        Durations calls;
        Durations one_by_one;
        const int rounds = std::max(3, static_cast<int>(seconds_));
        for (int i = 0; i < rounds; ++i) {
            auto began = Clock::now();
            require_ok(primary.call("order.place", "five"));
            calls.add(Clock::now() - began);
            began = Clock::now();
            pqxx::work tx(connection);
            for (int n = 0; n < kStatements; ++n) insert_order(tx, "link" + std::to_string(i));
            tx.commit();
            one_by_one.add(Clock::now() - began);
        }
        const double own = calls.quantile(0.5);
        const double other = one_by_one.quantile(0.5);
        report_.begin("five INSERTs across a link of 150 ms");
        report_.add({"one call, p50", own, "ns", "one by one: " + short_duration(other),
                     other / own, ratio_at_least(kFasterMin)});
    }

    const double seconds_;
    Report& report_;
    CallRegions regions_;
    OrderServer server_;
};

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        ForwardBench(options, report).run();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_forward: %s\n", error.what());
        return 1;
    }
}
