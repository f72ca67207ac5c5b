#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "consumer/metrics/metrics.hpp"
#include "schemas/nats/outage_log.hpp"

namespace homeward::consumer {

/// What all writers together tell the log, at a bounded rate: an outage by its start, now and then
/// while it lasts, and by its end; dead letters by their source. Any thread.
class WriterLog {
  public:
    using Clock = std::chrono::steady_clock;
    /// Between two lines about one source.
    static constexpr std::chrono::seconds kSourceInterval{60};
    /// Sources beyond these share one line.
    static constexpr std::size_t kSourcesMax = 50;

    explicit WriterLog(Metrics& metrics) : metrics_(metrics) {}

    /// The leader is away, or refuses for a reason that passes by itself.
    void leader_failed(const std::string& error);
    /// Writing pauses because of an error that an operator must fix.
    void paused(const std::string& why);
    /// A batch is committed: no outage lasts.
    void committed();

    /// `source`: "region/app". The first is told at once, what follows is summed up.
    void dead_letters(const std::string& source, std::uint64_t count, const std::string& type,
                      const std::string& reason, Clock::time_point now = Clock::now());
    /// Tells what was summed up and is due. To be called now and then.
    void flush(Clock::time_point now = Clock::now());

  private:
    struct Source {
        std::uint64_t count = 0;  // since the last line
        std::string type, reason;
        Clock::time_point told{};
    };
    void tell(const std::string& name, Source& source, Clock::time_point now);

    Metrics& metrics_;
    std::atomic<bool> has_outage_{false};
    std::mutex mutex_;  // guards what follows
    OutageLog leader_;
    OutageLog pause_;
    std::map<std::string, Source> sources_;
};

}  // namespace homeward::consumer
