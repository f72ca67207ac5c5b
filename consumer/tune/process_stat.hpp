#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace homeward::consumer {

/// What the operating system says of a process; see proc(5), /proc/PID/stat.
struct ProcessStat {
    std::string name;
    pid_t parent = 0;
    double own_seconds = 0;       ///< of processors, in user mode and in the kernel
    double children_seconds = 0;  ///< the same of children that have ended and were waited for
    double start_seconds = 0;     ///< since the machine was started
};

/// nullopt when there is no such process, or no /proc.
std::optional<ProcessStat> read_process_stat(pid_t process);

/// Processor time of a process and its children, also of those that have ended: for a postmaster,
/// all of its PostgreSQL.
double family_seconds(pid_t process);

}  // namespace homeward::consumer
