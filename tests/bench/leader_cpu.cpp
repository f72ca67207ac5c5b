#include "tests/bench/leader_cpu.hpp"

#include <unistd.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace homeward::bench {
namespace {

/// The fields of /proc/PID/stat that matter here; see proc(5).
struct ProcessStat {
    pid_t parent = 0;
    double own_ticks = 0;       // utime and stime
    double children_ticks = 0;  // the same of children that have ended and were waited for
};

bool read_stat(const std::string& pid, ProcessStat& stat) {
    std::ifstream file("/proc/" + pid + "/stat");
    std::string text;
    if (!std::getline(file, text)) return false;
    // The name in parentheses may contain anything.
    std::istringstream fields(text.substr(text.rfind(')') + 2));
    std::string skipped;
    double user = 0, system = 0, children_user = 0, children_system = 0;
    fields >> skipped >> stat.parent;
    for (int i = 0; i < 9; ++i) fields >> skipped;
    fields >> user >> system >> children_user >> children_system;
    stat.own_ticks = user + system;
    stat.children_ticks = children_user + children_system;
    return static_cast<bool>(fields);
}

}  // namespace

LeaderCpu::LeaderCpu(const testing::PostgresServer& leader) {
    ProcessStat stat;
    const std::string checkpointer =
        leader.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
            .at(0)
            .at(0);
    if (!read_stat(checkpointer, stat)) throw std::runtime_error("cannot read /proc");
    postmaster_ = stat.parent;
    at_start_ = total();
}

double LeaderCpu::total() const {
    double ticks = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const std::string pid = entry.path().filename();
        ProcessStat stat;
        if (std::isdigit(static_cast<unsigned char>(pid[0])) == 0 || !read_stat(pid, stat))
            continue;
        if (pid == std::to_string(postmaster_)) ticks += stat.own_ticks + stat.children_ticks;
        if (stat.parent == postmaster_) ticks += stat.own_ticks;
    }
    return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace homeward::bench
