#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "consumer/base/config.hpp"
#include "consumer/decode/message_work.hpp"
#include "consumer/metrics/metrics.hpp"

namespace homeward::consumer {

/// Frames that only a newer consumer can read: of publishers that were upgraded first, or made up,
/// as five bytes are enough for one. Those of a source (a region's app) are held: they go back to
/// their stream until a newer consumer takes them, and everything else is written. Of a source that
/// dead_letters.newer_frames_of names they are bad events. Any thread.
class NewerFrames {
  public:
    using Time = std::chrono::steady_clock::time_point;

    NewerFrames(const Config::DeadLetters& config, Metrics& metrics)
        : refused_(config.newer_frames_of.begin(), config.newer_frames_of.end()),
          metrics_(metrics) {}

    /// Decides on those of a batch that was just opened.
    void judge(Batch& batch, Time now);

  private:
    void hold(const MessageWork& work, std::string source, Time now);
    void end_holds(Time now);

    const std::set<std::string> refused_;  // sources
    Metrics& metrics_;
    std::mutex mutex_;                     // guards what follows
    std::map<std::string, Time> seen_at_;  // by held source
};

}  // namespace homeward::consumer
