// What signed frames cost the drain of a filled stream.
//
// Workload: audit events of six fields, in frames of columns with a signature and without one, in
// turns; once in full frames, once with one event in each frame, as a trickle makes them. Beside it
// the time of one signature check alone.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <vector>

#include <homeward/detail/clock.hpp>

#include "schemas/columns/encoder.hpp"
#include "schemas/nats/subject.hpp"
#include "schemas/wire/envelope.hpp"
#include "schemas/wire/frame.hpp"
#include "schemas/wire/frame_signature.hpp"
#include "tests/bench/compared/raw_nats.hpp"
#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/drain.hpp"
#include "tests/bench/support/report.hpp"
#include "tests/bench/support/streams.hpp"
#include "tests/bench/support/workload.hpp"

namespace {

using namespace homeward;
using namespace homeward::bench;
using SteadyClock = std::chrono::steady_clock;

constexpr double kSecondsDefault = 4;
constexpr double kFullEventsPerSecond = 300'000;
constexpr double kTinyEventsPerSecond = 25'000;
constexpr int kRounds = 3;
/// Signed frames keep at least this share of the rate.
constexpr double kFullShareMin = 0.97;
/// As publishers cut them by default: four times their `frame_bytes`.
constexpr std::size_t kFullFrameBytes = 256u << 10;
constexpr std::size_t kTinyFrameBytes = 1;
constexpr std::size_t kSamples = 16'384;
constexpr std::int64_t kPendingMax = 4'096;
constexpr int kFillMs = 120'000;
constexpr int kChecks = 2'000;
constexpr const char* kTable = "audit_events";

/// Frames of one publisher in columns, each with at least so many bytes of values, but for the
/// last.
class Frames {
  public:
    Frames(const std::vector<AuditSample>& samples, std::size_t values_bytes, const SigningKey* key)
        : samples_(samples),
          type_(OwnedDescriptor::copy_of(events::Audit::kDescriptor)),
          values_bytes_(values_bytes),
          key_(key) {
        header_.version = envelope::kVersion;
        header_.publisher = key == nullptr ? PublisherId::random() : key->publisher();
    }

    /// Of at most so many events; sets how many it has.
    const std::vector<std::byte>& next(std::uint64_t events_max, std::uint64_t& events) {
        const FindDescriptor find = [this](std::uint32_t) { return &type_; };
        events_.clear();
        for (events = 0; events < events_max && events_.values_bytes() < values_bytes_; ++events) {
            const events::Audit event = samples_[(next_seq_ + events) % samples_.size()].event();
            record_.resize(event.record_bytes());
            event.write_record(record_.data(), detail::Clock::system_us());
            events_.add(record_, find, nullptr);
        }
        events_.write(content_);
        header_.seq_first = next_seq_;
        header_.seq_count = header_.line_count = static_cast<std::uint32_t>(events);
        header_.accepted = header_.seq_last();
        next_seq_ += events;
        if (!encoder_.encode(header_, content_, key_, frame_)) {
            throw std::runtime_error("a frame too large");
        }
        return frame_;
    }

  private:
    const std::vector<AuditSample>& samples_;
    OwnedDescriptor type_;
    std::size_t values_bytes_;
    const SigningKey* key_;
    columns::Encoder events_;
    FrameEncoder encoder_;
    FrameHeader header_;
    FrameContent content_;
    std::vector<std::byte> record_;
    std::vector<std::byte> frame_;
    std::uint64_t next_seq_ = 1;
};

class SignaturesBench {
  public:
    SignaturesBench(const BenchOptions& options, Report& report)
        : seconds_(options.seconds), report_(report) {}

    void run() {
        report_.begin("signed frames: rows drained from a filled stream, in turns");
        compare("full frames", kFullFrameBytes, kFullEventsPerSecond,
                ratio_at_least(kFullShareMin));
        compare("one event a frame", kTinyFrameBytes, kTinyEventsPerSecond, {});
        report_.begin("one signature check");
        time_checks("a full frame", kFullFrameBytes);
        time_checks("a frame of one event", kTinyFrameBytes);
    }

  private:
    void compare(const std::string& name, std::size_t frame_bytes, double events_per_second,
                 Budget budget) {
        const auto events = static_cast<std::uint64_t>(seconds_ * events_per_second);
        double unsigned_s = 0, signed_s = 0;
        for (int round = 0; round < kRounds; ++round) {
            // Whoever comes first meets another machine than who comes second.
            for (const bool is_signed : {round % 2 == 0, round % 2 != 0}) {
                (is_signed ? signed_s : unsigned_s) += drain_frames(frame_bytes, events, is_signed);
            }
        }
        const double rows = static_cast<double>(events) * kRounds;
        report_.add({"drain signed frames, " + name, rows / signed_s, "rows/s",
                     "unsigned: " + short_number(rows / unsigned_s) + "/s", unsigned_s / signed_s,
                     budget});
    }

    double drain_frames(std::size_t frame_bytes, std::uint64_t events, bool is_signed) {
        fill(frame_bytes, events, is_signed);
        return drain(line_, kTable, events).seconds;
    }

    void fill(std::size_t frame_bytes, std::uint64_t events, bool is_signed) {
        const SigningKey key = SigningKey::generate();
        Frames frames(samples_, frame_bytes, is_signed ? &key : nullptr);
        RawNats nats(line_.nats().url(), kPendingMax);
        const std::string subject = frame_subject(EventClass::audit, kRegion, "bench");
        std::uint64_t sent = 0, messages = 0;
        for (std::uint64_t count = 0; sent < events; sent += count, ++messages) {
            const auto& frame = frames.next(events - sent, count);
            const std::string_view bytes(reinterpret_cast<const char*>(frame.data()), frame.size());
            if (!nats.publish(subject, bytes)) throw std::runtime_error("a frame was refused");
        }
        nats.complete(kFillMs);
        if (nats.acked() != messages) throw std::runtime_error("the stream lacks frames");
    }

    void time_checks(const std::string& name, std::size_t frame_bytes) {
        const SigningKey key = SigningKey::generate();
        std::uint64_t events = 0;
        const auto frame = Frames(samples_, frame_bytes, &key).next(kSamples, events);
        const auto began = SteadyClock::now();
        for (int i = 0; i < kChecks; ++i) {
            if (check_origin(frame) != FrameOrigin::verified) {
                throw std::runtime_error("a true signature was refused");
            }
        }
        const double us =
            std::chrono::duration<double, std::micro>(SteadyClock::now() - began).count() / kChecks;
        report_.add({"check of " + name + ", " + short_number(static_cast<double>(events)) +
                         (events == 1 ? " event" : " events"),
                     us, "us"});
    }

    double seconds_;
    Report& report_;
    std::vector<AuditSample> samples_ = audit_samples(kSamples);
    Line line_;
};

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        SignaturesBench(options, report).run();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_signatures: %s\n", error.what());
        return 1;
    }
}
