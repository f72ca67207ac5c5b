#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "consumer/base/config.hpp"
#include "consumer/postgres/pg_connection.hpp"

namespace homeward::consumer {

/// Processor time of the leader: of all its processes, told by the operating system, when it runs
/// on this machine; else estimated from how often tune's sessions are seen at work and not waiting
/// (pg_stat_activity). What the leader does anyway is measured first and left out. Reads from one
/// thread.
class LeaderCpu {
  public:
    virtual ~LeaderCpu() = default;
    /// Since any fixed moment.
    virtual double seconds() = 0;
    /// In half a sentence, for the reader of a report.
    virtual std::string source() const = 0;

    /// By the better of the two ways. `application`: the application_name of the sessions to be
    /// watched.
    static std::unique_ptr<LeaderCpu> find(const Config::Postgres& config,
                                           const std::string& application);
    static std::unique_ptr<LeaderCpu> sampled(const Config::Postgres& config,
                                              const std::string& application);
};

}  // namespace homeward::consumer
