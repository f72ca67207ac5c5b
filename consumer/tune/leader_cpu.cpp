#include "consumer/tune/leader_cpu.hpp"

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <optional>

#include "consumer/base/thread_body.hpp"
#include "consumer/tune/process_stat.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr auto kBaselineTime = 1s;
constexpr auto kSampleInterval = 10ms;

double seconds_between(SteadyClock::time_point from, SteadyClock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
}

/// When this machine was started, seconds since 1970; 0 when it does not say.
double boot_time() {
    std::ifstream file("/proc/stat");
    for (std::string word; file >> word;) {
        double value = 0;
        if (word == "btime" && file >> value) return value;
    }
    return 0;
}

/// The leader's first process, when the leader runs here: then there is a process of the number
/// that the leader gives, called postgres, and as old as it says.
std::optional<pid_t> local_postmaster(PgConnection& leader) {
    constexpr double kTolerance = 2.5;  // btime is in whole seconds, and clocks are set
    const QueryResult backend = leader.query(
        "SELECT pid, extract(epoch FROM backend_start) FROM pg_stat_activity"
        " WHERE pid = pg_backend_pid()");
    const auto stat = read_process_stat(static_cast<pid_t>(backend.number(0, 0)));
    if (!stat || stat->name.rfind("postgres", 0) != 0) return {};
    const double started = boot_time() + stat->start_seconds;
    const double said = std::strtod(std::string(backend.at(0, 1)).c_str(), nullptr);
    if (std::fabs(started - said) > kTolerance) return {};
    return stat->parent;
}

class OsCpu : public LeaderCpu {
  public:
    explicit OsCpu(pid_t postmaster) : postmaster_(postmaster), began_(SteadyClock::now()) {
        at_start_ = family_seconds(postmaster_);
        std::this_thread::sleep_for(kBaselineTime);
        const auto now = SteadyClock::now();
        idle_share_ = (family_seconds(postmaster_) - at_start_) / seconds_between(began_, now);
    }
    double seconds() override {
        const double idle = idle_share_ * seconds_between(began_, SteadyClock::now());
        return family_seconds(postmaster_) - at_start_ - idle;
    }
    std::string source() const override {
        return "of all of PostgreSQL's processes on this machine, as the operating system counts "
               "it";
    }

  private:
    pid_t postmaster_;
    SteadyClock::time_point began_;
    double at_start_ = 0;
    double idle_share_ = 0;
};

class SampledCpu : public LeaderCpu {
  public:
    SampledCpu(const Config::Postgres& config, std::string application)
        : leader_(config.url, config),
          application_(std::move(application)),
          thread_(start_thread("leader cpu", [this] { run(); })) {}
    ~SampledCpu() override {
        stopping_ = true;
        thread_.join();
    }
    double seconds() override { return seconds_; }
    std::string source() const override {
        return "estimated: the leader is on another machine, so pg_stat_activity is asked how "
               "often tune's sessions are at work and not waiting";
    }

  private:
    void run() {
        auto before = SteadyClock::now();
        while (!stopping_) {
            std::this_thread::sleep_for(kSampleInterval);
            try {
                const double busy = static_cast<double>(
                    leader_
                        .query("SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"
                               " AND state = 'active' AND wait_event IS NULL",
                               {application_})
                        .number(0, 0));
                const auto now = SteadyClock::now();
                seconds_ = seconds_ + busy * seconds_between(before, now);
                before = now;
            } catch (const LeaderError&) {
                return;  // the writers meet the same error, and say so
            }
        }
    }

    PgConnection leader_;
    std::string application_;
    std::atomic<double> seconds_{0};
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace

std::unique_ptr<LeaderCpu> LeaderCpu::sampled(const Config::Postgres& config,
                                              const std::string& application) {
    return std::make_unique<SampledCpu>(config, application);
}

std::unique_ptr<LeaderCpu> LeaderCpu::find(const Config::Postgres& config,
                                           const std::string& application) {
    PgConnection leader(config.url, config);
    if (const auto postmaster = local_postmaster(leader))
        return std::make_unique<OsCpu>(*postmaster);
    return sampled(config, application);
}

}  // namespace homeward::consumer
