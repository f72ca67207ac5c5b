#include "consumer/tune/leader_cpu.hpp"

#include <unistd.h>

#include <cctype>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr auto kBaselineTime = 1s;
constexpr auto kSampleInterval = 10ms;

double seconds_between(SteadyClock::time_point from, SteadyClock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
}

double ticks_per_second() {
    return static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// The fields of /proc/PID/stat that matter here; see proc(5).
struct ProcessStat {
    std::string name;
    pid_t parent = 0;
    double own_ticks = 0;       // utime and stime
    double children_ticks = 0;  // the same of children that have ended and were waited for
    double start_ticks = 0;     // since the machine started
};

std::optional<ProcessStat> read_stat(const std::string& pid) {
    std::ifstream file("/proc/" + pid + "/stat");
    std::string text;
    if (!std::getline(file, text)) return {};
    // The name in parentheses may contain anything.
    const std::size_t open = text.find('(');
    const std::size_t close = text.rfind(')');
    if (open == std::string::npos || close == std::string::npos) return {};
    ProcessStat stat;
    stat.name = text.substr(open + 1, close - open - 1);
    std::istringstream fields(text.substr(close + 2));
    std::string skipped;
    const auto skip = [&](int count) {
        for (int i = 0; i < count; ++i) fields >> skipped;
    };
    double user = 0, system = 0, children_user = 0, children_system = 0;
    skip(1);
    fields >> stat.parent;
    skip(9);
    fields >> user >> system >> children_user >> children_system;
    skip(4);
    fields >> stat.start_ticks;
    if (!fields) return {};
    stat.own_ticks = user + system;
    stat.children_ticks = children_user + children_system;
    return stat;
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
std::optional<pid_t> local_postmaster(Leader& leader) {
    constexpr double kTolerance = 2.5;  // btime is in whole seconds, and clocks are set
    const QueryResult backend = leader.query(
        "SELECT pid, extract(epoch FROM backend_start) FROM pg_stat_activity"
        " WHERE pid = pg_backend_pid()");
    const auto stat = read_stat(std::string(backend.at(0, 0)));
    if (!stat || stat->name.rfind("postgres", 0) != 0) return {};
    const double started = boot_time() + stat->start_ticks / ticks_per_second();
    const double said = std::strtod(std::string(backend.at(0, 1)).c_str(), nullptr);
    if (std::fabs(started - said) > kTolerance) return {};
    return stat->parent;
}

double postmaster_seconds(pid_t postmaster) {
    double ticks = 0;
    std::error_code gone;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
        const std::string pid = entry.path().filename();
        if (std::isdigit(static_cast<unsigned char>(pid[0])) == 0) continue;
        const auto stat = read_stat(pid);
        if (!stat) continue;
        if (pid == std::to_string(postmaster)) ticks += stat->own_ticks + stat->children_ticks;
        if (stat->parent == postmaster) ticks += stat->own_ticks;
    }
    return ticks / ticks_per_second();
}

class OsCpu : public LeaderCpu {
  public:
    explicit OsCpu(pid_t postmaster) : postmaster_(postmaster), began_(SteadyClock::now()) {
        at_start_ = postmaster_seconds(postmaster_);
        std::this_thread::sleep_for(kBaselineTime);
        const auto now = SteadyClock::now();
        idle_share_ = (postmaster_seconds(postmaster_) - at_start_) / seconds_between(began_, now);
    }
    double seconds() override {
        const double idle = idle_share_ * seconds_between(began_, SteadyClock::now());
        return postmaster_seconds(postmaster_) - at_start_ - idle;
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
          thread_([this] { run(); }) {}
    ~SampledCpu() override {
        stopping_ = true;
        thread_.join();
    }
    double seconds() override { return seconds_; }
    std::string source() const override {
        return "estimated: the leader is on another machine, so pg_stat_activity is asked how "
               "often "
               "tune's sessions are at work and not waiting";
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

    Leader leader_;
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
    Leader leader(config.url, config);
    if (const auto postmaster = local_postmaster(leader))
        return std::make_unique<OsCpu>(*postmaster);
    return sampled(config, application);
}

}  // namespace homeward::consumer
