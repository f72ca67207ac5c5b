// How many messages a second one process takes out of a stream, and acknowledges.
//
// Workload: single messages of 300 B, as plain clients send them; pulled by the consumer's own
// puller with its defaults, by one thread that takes, acknowledges and looks at nothing. Beside it,
// in the same run and from the same durable: nats.c's natsSubscription_Fetch in a loop, and a bare
// socket whose client costs next to nothing, which is all that the server has to give here. Counted
// is processor time too, of the client and of the server: what others do on the machine does not
// change that much.

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <stdexcept>

#include "consumer/nats/stream.hpp"
#include "consumer/pull/pull.hpp"
#include "consumer/tune/process_stat.hpp"
#include "tests/bench/compared/lean_puller.hpp"
#include "tests/bench/compared/raw_nats.hpp"
#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/report.hpp"
#include "tests/support/servers/nats_server.hpp"

namespace {

using namespace homeward;
using namespace homeward::bench;
using SteadyClock = std::chrono::steady_clock;

constexpr double kSecondsDefault = 5;
constexpr double kMessagesPerSecond = 150'000;
constexpr std::size_t kMessageBytes = 300;
constexpr double kRateMin = 150'000;
constexpr const char* kRegion = "ams";

/// How fast messages came, and what one of them cost whom.
struct Pace {
    double per_second;
    double client_cpu_us;
    double server_cpu_us;
};

/// Of this process, and of the server, which is the only child that it has.
struct CpuClock {
    double client = consumer::read_process_stat(::getpid()).value().own_seconds;
    double server = consumer::family_seconds(::getpid()) - client;
};

class PullBench {
  public:
    PullBench(const BenchOptions& options, Report& report)
        : messages_(static_cast<std::uint64_t>(options.seconds * kMessagesPerSecond)),
          report_(report),
          config_(config_of(server_.url())),
          stream_(streams_of(config_).at(0)) {
        consumer::NatsConnection nats(config_.nats, std::chrono::seconds(10), [](auto) {});
        apply_streams(nats, config_);
    }

    void run() {
        const Pace ours = pace_of([this] { return pull_all(); });
        const Pace fetch = pace_of(
            [this] { return fetch_all(server_.url(), stream_.name, stream_.durable, messages_); });
        const Pace lean = pace_of([this] {
            return LeanPuller(server_.port(), stream_.name, stream_.durable).pull(messages_);
        });
        report_.begin("messages of 300 B out of a stream, each acknowledged");
        report_.add({"pull, one process", ours.per_second, "messages/s", "", std::nan(""),
                     value_at_least(kRateMin)});
        report_.add({"pull, beside nats.c's Fetch", ours.per_second, "messages/s",
                     "Fetch: " + short_number(fetch.per_second) + "/s",
                     ours.per_second / fetch.per_second});
        report_.add({"pull, of all that the server gives", ours.per_second, "messages/s",
                     "bare socket: " + short_number(lean.per_second) + "/s",
                     ours.per_second / lean.per_second});
        report_.add({"pull, our CPU a message", ours.client_cpu_us, "us",
                     "Fetch: " + short_number(fetch.client_cpu_us) + " us",
                     ours.client_cpu_us / fetch.client_cpu_us});
        report_.add({"pull, the server's CPU a message", ours.server_cpu_us, "us",
                     "bare socket: " + short_number(lean.server_cpu_us) + " us",
                     ours.server_cpu_us / lean.server_cpu_us});
        report_.note("the bare socket's client took " + short_number(lean.client_cpu_us) +
                     " us of CPU a message; a message here is one event, in the product a frame of "
                     "up to thousands");
    }

  private:
    static consumer::Config config_of(const std::string& url) {
        consumer::Config config;
        config.nats.urls = {url};
        config.sources = {consumer::Source{kRegion, "", 1, {StreamKind::plain}}};
        return config;
    }

    void fill() {
        constexpr std::int64_t kPendingMax = 4'096;
        RawNats nats(server_.url(), kPendingMax);
        const std::string payload(kMessageBytes, 'x');
        const std::string subject = plain_subject(kRegion, "bench");
        for (std::uint64_t sent = 0; sent < messages_;) {
            // Refused while too many wait for their acknowledgement.
            if (nats.publish(subject, payload)) ++sent;
        }
        nats.complete(60'000);
        if (nats.acked() != messages_) throw std::runtime_error("the stream was not filled");
    }

    template <typename Reader>
    Pace pace_of(Reader reader) {
        fill();
        const CpuClock cpu_before;
        const auto began = SteadyClock::now();
        const std::uint64_t read = reader();
        const double took = std::chrono::duration<double>(SteadyClock::now() - began).count();
        const CpuClock cpu_after;
        if (read < messages_) throw std::runtime_error("messages stay away");
        const auto count = static_cast<double>(read);
        return {count / took, (cpu_after.client - cpu_before.client) / count * 1e6,
                (cpu_after.server - cpu_before.server) / count * 1e6};
    }

    std::uint64_t pull_all() {
        consumer::NatsConnection nats(config_.nats, std::chrono::seconds(10), [](auto) {});
        consumer::Puller puller(nats, {stream_}, config_.pull,
                                std::chrono::milliseconds(config_.pull.ack_wait_ms));
        const auto want = [this] {
            return consumer::BatchBounds{config_.batch.rows_max, config_.batch.bytes_max,
                                         std::chrono::milliseconds(config_.batch.delay_ms)};
        };
        std::uint64_t taken = 0;
        while (taken < messages_) {
            const auto batch = puller.take(want);
            std::size_t bytes = 0;
            for (const auto& one : batch) {
                bytes += one.message.data.size();
                nats.publish(std::string(one.message.reply), "+ACK");
            }
            puller.finish(batch.size(), bytes, SteadyClock::duration(0));
            taken += batch.size();
        }
        return taken;
    }

    std::uint64_t messages_;
    Report& report_;
    testing::NatsServer server_;
    consumer::Config config_;
    consumer::Stream stream_;
};

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        PullBench(options, report).run();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_pull: %s\n", error.what());
        return 1;
    }
}
