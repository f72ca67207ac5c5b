#include "consumer/tune/process_stat.hpp"

#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace homeward::consumer {

std::optional<ProcessStat> read_process_stat(pid_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/stat");
    std::string text;
    if (!std::getline(file, text)) return {};
    // The name in parentheses may contain anything.
    const std::size_t open = text.find('(');
    const std::size_t close = text.rfind(')');
    if (open == std::string::npos || close == std::string::npos) return {};
    std::istringstream fields(text.substr(close + 2));
    std::string skipped;
    const auto skip = [&](int count) {
        for (int i = 0; i < count; ++i) fields >> skipped;
    };
    ProcessStat stat;
    stat.name = text.substr(open + 1, close - open - 1);
    double user = 0, system = 0, children_user = 0, children_system = 0, start = 0;
    skip(1);
    fields >> stat.parent;
    skip(9);
    fields >> user >> system >> children_user >> children_system;
    skip(4);
    fields >> start;
    if (!fields) return {};
    const auto ticks_per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
    stat.own_seconds = (user + system) / ticks_per_second;
    stat.children_seconds = (children_user + children_system) / ticks_per_second;
    stat.start_seconds = start / ticks_per_second;
    return stat;
}

double family_seconds(pid_t process) {
    double seconds = 0;
    std::error_code gone;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
        const std::string name = entry.path().filename();
        if (std::isdigit(static_cast<unsigned char>(name[0])) == 0) continue;
        const auto one = static_cast<pid_t>(std::atol(name.c_str()));
        const auto stat = read_process_stat(one);
        if (!stat) continue;
        if (one == process) seconds += stat->own_seconds + stat->children_seconds;
        if (stat->parent == process) seconds += stat->own_seconds;
    }
    return seconds;
}

}  // namespace homeward::consumer
