// What plain messages, one JSON event each from any NATS client, cost on their way to the leader.
//
// Workload: audit events of six fields as single messages of a filled stream, through
// homeward-consumer with its defaults, fold included. Beside it, in the same run: a sink as anybody
// would write one (pull, decode, binary COPY, COMMIT, acknowledge; one connection), and our puller
// that acknowledges and writes nothing. Counted is also the processor time of all processes of the
// leader.

#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <utility>

#include "consumer/frame_decoder.hpp"
#include "consumer/row_copier.hpp"
#include "consumer/schema.hpp"
#include "consumer/stream.hpp"
#include "schemas/subject.hpp"
#include "tests/bench/command_line.hpp"
#include "tests/bench/drain.hpp"
#include "tests/bench/leader_cpu.hpp"
#include "tests/bench/raw_nats.hpp"
#include "tests/bench/report.hpp"
#include "tests/bench/streams.hpp"
#include "tests/bench/workload.hpp"

namespace {

using namespace homeward;
using namespace homeward::bench;
using SteadyClock = std::chrono::steady_clock;

constexpr double kSecondsDefault = 5;
constexpr double kMessagesPerSecond = 40'000;
constexpr std::size_t kSamples = 16'384;
constexpr double kSinkRatioMin = 3;
constexpr double kPullRatioMin = 0.9;
constexpr double kSinkCpuRatioMax = 1.25;
constexpr const char* kTable = "audit_events";

void fill_plain(Line& line, std::uint64_t messages) {
    constexpr std::int64_t kPendingMax = 4'096;
    const auto samples = audit_samples(kSamples);
    RawNats nats(line.nats().url(), kPendingMax);
    const std::string subject = plain_subject(kRegion, "bench");
    for (std::uint64_t sent = 0; sent < messages;) {
        // Refused while too many wait for their acknowledgement.
        if (nats.publish(subject, samples[sent % samples.size()].json)) ++sent;
    }
    nats.complete(60'000);
    if (nats.acked() != messages) throw std::runtime_error("the stream was not filled");
}

/// No ledger, no dead letters, no proof, no partitions ahead, no retry: what it costs at the least.
/// A message that comes again is a second row.
class Sink {
  public:
    explicit Sink(Line& line) : line_(line) {
        config_.nats.urls = {line.nats().url()};
        config_.postgres.url = line.leader().url();
        config_.sources = {consumer::Source{kRegion, "", 1, {StreamKind::plain}}};
        stream_ = streams_of(config_).at(0);
    }
    /// Until so many messages have come; `writes` false: acknowledges them and writes nothing.
    Ingest drain(std::uint64_t messages, bool writes) {
        line_.empty_table(kTable);
        const LeaderCpu cpu(line_.leader());
        consumer::NatsConnection nats(config_.nats, std::chrono::seconds(10), [](auto) {});
        consumer::Puller puller(nats, {stream_}, config_.pull,
                                std::chrono::milliseconds(config_.pull.ack_wait_ms));
        consumer::Leader leader(config_.postgres.url, config_.postgres);
        const auto began = SteadyClock::now();
        for (std::uint64_t taken = 0; taken < messages;) {
            auto batch = puller.take([this] {
                return consumer::BatchWant{config_.batch.rows_max, config_.batch.bytes_max,
                                           std::chrono::milliseconds(config_.batch.delay_ms)};
            });
            const std::size_t count = batch.size();
            const std::size_t bytes = write(leader, nats, std::move(batch), writes);
            puller.finish(count, bytes);
            taken += count;
        }
        Ingest ingest;
        ingest.rows = static_cast<double>(messages);
        ingest.seconds = std::chrono::duration<double>(SteadyClock::now() - began).count();
        puller.stop();
        line_.leader().query("CHECKPOINT");
        ingest.leader_cpu_seconds = cpu.seconds();
        return ingest;
    }

  private:
    std::size_t write(consumer::Leader& leader, consumer::NatsConnection& nats,
                      std::vector<consumer::Pulled> batch, bool writes) {
        consumer::Units units;
        std::vector<std::string> replies;
        std::size_t bytes = 0;
        for (consumer::Pulled& one : batch) {
            bytes += one.message.data.size();
            replies.emplace_back(one.message.reply);
            if (!writes) continue;
            units.push_back(decoder_.open(std::move(one)));
            units.back().seq_first = ++seq_;
            decoder_.decode(units.back(), units.back().pulled.message.delivery.time_us);
        }
        if (writes) {
            copier_.make_room(leader, units);
            leader.execute("BEGIN");
            copier_.copy(leader, units);
            leader.execute("COMMIT");
        }
        for (const std::string& reply : replies) nats.publish(reply, "+ACK");
        return bytes;
    }

    Line& line_;
    consumer::Config config_;
    consumer::Stream stream_;
    std::uint64_t seq_ = 0;
    std::shared_ptr<const consumer::Catalog> catalog_ =
        std::make_shared<const consumer::Catalog>(consumer::known_event_types(config_));
    consumer::Partitions partitions_{config_.postgres};
    consumer::RowCopier copier_{config_, *catalog_, partitions_};
    consumer::UnitDecoder decoder_{catalog_, consumer::time_limits(config_)};
};

void run(const BenchOptions& options, Report& report) {
    const auto messages = static_cast<std::uint64_t>(options.seconds * kMessagesPerSecond);
    Line line;
    Sink sink(line);
    fill_plain(line, messages);
    const Ingest ours = drain(line, kTable, messages);
    fill_plain(line, messages);
    const Ingest theirs = sink.drain(messages, true);
    fill_plain(line, messages);
    const Ingest pulled = sink.drain(messages, false);

    report.begin("plain messages of one event each into the leader");
    report.add({"plain drain, beside a sink", ours.rows_per_second(), "rows/s",
                "sink: " + short_number(theirs.rows_per_second()) + " rows/s",
                ours.rows_per_second() / theirs.rows_per_second(), ratio_at_least(kSinkRatioMin)});
    report.add({"plain drain, of pull and acknowledge alone", ours.rows_per_second(), "rows/s",
                "no leader: " + short_number(pulled.rows_per_second()) + " messages/s",
                ours.rows_per_second() / pulled.rows_per_second(), ratio_at_least(kPullRatioMin)});
    report.add({"plain, leader CPU beside a sink", ours.cpu_per_million(), "s/M rows",
                "sink: " + short_number(theirs.cpu_per_million()) + " s/M rows",
                ours.cpu_per_million() / theirs.cpu_per_million(),
                ratio_at_most(kSinkCpuRatioMax)});
    report.note(
        "the sink has our puller and decoder and one connection, but no ledger, no dead "
        "letters, no proof, no retry: a message that comes again is a second row");
}

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        run(options, report);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_plain: %s\n", error.what());
        return 1;
    }
}
