#include "tests/bench/never_blocks.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>

#include <homeward/publisher.hpp>

#include "tests/bench/compared/raw_nats.hpp"
#include "tests/bench/support/app_home.hpp"
#include "tests/bench/support/streams.hpp"
#include "tests/bench/support/worst_call.hpp"
#include "tests/support/faults/small_disk.hpp"
#include "tests/support/servers/bad_server.hpp"

namespace homeward::bench {
namespace {

using namespace std::chrono_literals;

enum class Fault : std::uint8_t {
    stopped,
    killed,
    black_holed,
    never_there,
    garbage,
    no_stream,
    stream_full,
    disk_full
};
struct Scenario {
    Fault fault;
    const char* name;
};
constexpr Scenario kScenarios[] = {
    {Fault::stopped, "server stopped (SIGSTOP)"},
    {Fault::killed, "server killed"},
    {Fault::black_holed, "server silent (black hole)"},
    {Fault::never_there, "server never there"},
    {Fault::garbage, "server answers garbage"},
    {Fault::no_stream, "stream missing"},
    {Fault::stream_full, "stream full"},
    {Fault::disk_full, "disk of the spool full"},
};

constexpr double kBudgetUs = 1'000;
constexpr double kSecondsMax = 4;
/// A third of the time all is well, so that the fault meets a connection at work.
constexpr double kWellShare = 0.33;
constexpr std::uint64_t kFullStreamMessages = 1'000;
/// Two segments of the frame log and no third.
constexpr std::size_t kSmallDiskBytes = 20u << 20;
/// How long beyond its time a call of nats.c is waited for.
constexpr auto kPatience = 3s;

/// What an app connects to, and how that goes wrong.
class World {
  public:
    explicit World(Fault fault) : fault_(fault) {
        switch (fault) {
            case Fault::black_holed:
                bad_.emplace(testing::BadServer::Manner::black_hole);
                break;
            case Fault::garbage:
                bad_.emplace(testing::BadServer::Manner::garbage);
                break;
            case Fault::never_there:
            case Fault::disk_full:
                break;  // without a server the log fills the disk
            case Fault::no_stream:
                server_.emplace();
                break;
            default:
                server_.emplace();
                make_streams(*server_);
        }
    }
    ~World() {
        if (server_) server_->thaw();
    }

    std::string url() const {
        if (bad_) return bad_->url();
        if (server_) return server_->url();
        return "nats://127.0.0.1:" + std::to_string(nobody_);
    }
    void strike() {
        if (fault_ == Fault::stopped) server_->freeze();
        if (fault_ == Fault::killed) server_->kill();
        if (fault_ == Fault::stream_full) limit_streams(*server_, kFullStreamMessages);
    }

  private:
    Fault fault_;
    std::optional<testing::NatsServer> server_;
    std::optional<testing::BadServer> bad_;
    int nobody_ = testing::free_port();
};

WorstCall worst_emit(Fault fault, double seconds, const TickScale& scale) {
    const auto samples = audit_samples(4096);
    World world(fault);
    const AppHome home;
    PublisherOptions options = home.options(world.url());
    std::optional<testing::SmallDisk> disk;
    if (fault == Fault::disk_full) {
        disk.emplace(kSmallDiskBytes);
        if (!disk->is_mounted()) return {std::nan("")};
        options.spool_dir = disk->path() / "spool";
    }
    Publisher publisher(options);
    WorstCall worst;
    std::jthread app([&] {  // ends before an exception of strike() goes on
        std::atomic<std::uint64_t> unwatched{0};
        worst = find_worst_call(seconds, scale, samples, unwatched,
                                [&](const AuditSample&, const events::Audit& event) {
                                    return publisher.emit(event) == EmitResult::accepted;
                                });
    });
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds * kWellShare));
    world.strike();
    app.join();
    publisher.close(0ms);
    return worst;
}

/// What nats.c did, as run_raw_nats() says it; -1 when it could not even begin.
double worst_raw_us(Fault fault, double seconds) {
    World world(fault);
    const testing::TempDir dir;
    testing::ProcessOptions options;
    options.log = dir / "output";
    testing::Process app({"/proc/self/exe", kRawNatsMode, world.url(), std::to_string(seconds)},
                         options);
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds * kWellShare));
    world.strike();
    app.wait(std::chrono::milliseconds(static_cast<int>(seconds * 1000)) + 2 * kPatience + 10s);
    const std::string output = testing::read_file(options.log);
    return output.empty() ? -1 : std::atof(output.c_str());
}

Row row_of(const Scenario& scenario, const WorstCall& ours, double raw_us) {
    Row row{std::string("worst emit, ") + scenario.name, ours.worst_us, "us"};
    row.budget = value_at_most(kBudgetUs);
    if (scenario.fault == Fault::disk_full) {
        row.compared_with = "nats.c: keeps nothing on a disk";
    } else if (raw_us < 0) {
        row.compared_with = "nats.c: cannot connect, events lost";
    } else {
        row.compared_with =
            "nats.c: " + short_duration(raw_us * 1000) + (raw_us >= 1e6 ? ", blocked" : "");
        row.ratio = raw_us / ours.worst_us;
    }
    return row;
}

}  // namespace

void compare_blocking(double seconds, Report& report) {
    const TickScale scale;
    const double each = std::min(seconds / 2, kSecondsMax);
    report.begin("emit() never blocks: the worst call while things break");
    double preempted_us = 0;
    for (const Scenario& scenario : kScenarios) {
        const WorstCall ours = worst_emit(scenario.fault, each, scale);
        if (std::isnan(ours.worst_us)) {
            report.note(std::string(scenario.name) + ": skipped, only root can mount a small disk");
            continue;
        }
        const double raw_us =
            scenario.fault == Fault::disk_full ? -1 : worst_raw_us(scenario.fault, each);
        report.add(row_of(scenario, ours, raw_us));
        if (scenario.fault == Fault::disk_full) {
            report.note(std::to_string(ours.refused) + " of " + std::to_string(ours.calls) +
                        " audit events were refused with EmitResult::full");
        }
        preempted_us = std::max(preempted_us, ours.preempted_us);
    }
    report.note(
        "calls in whose middle the kernel ran somebody else are left out; the longest of "
        "emit() was " +
        short_duration(preempted_us * 1000));
}

int run_raw_nats(int argc, char** argv) {
    if (argc != 4) return 2;
    const double seconds = std::atof(argv[3]);
    const TickScale scale;
    const auto samples = audit_samples(4096);
    std::unique_ptr<RawNats> raw;
    try {
        raw = std::make_unique<RawNats>(argv[2]);
    } catch (const std::runtime_error&) {
        return 1;  // prints nothing: there was nothing to call
    }
    std::atomic<std::uint64_t> call_began{0};
    std::atomic<bool> is_done{false};
    WorstCall worst;
    std::thread app([&] {
        worst = find_worst_call(seconds, scale, samples, call_began,
                                [&](const AuditSample& sample, const events::Audit&) {
                                    return raw->publish(kRawSubject, sample.json);
                                });
        is_done = true;
    });
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds) + kPatience;
    while (!is_done && std::chrono::steady_clock::now() < deadline) testing::sleep_ms(10);
    if (is_done) {
        std::printf("%.1f\n", worst.worst_us);
    } else {
        const std::uint64_t began = call_began;
        std::printf("%.1f\n", scale.ns(ticks_now() - began) / 1000);
    }
    std::fflush(stdout);
    // Neither the thread nor the library may be able to end.
    ::_exit(0);
}

}  // namespace homeward::bench
