#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/servers/bridge.hpp"

namespace homeward::testing {

/// Two regions, for a bridge that is to have traffic: HOMEWARD_SOURCES of its consumer.
inline constexpr const char* kTwoRegions = "ams@ams,scl@hub";

/// Apps in both regions that emit audit and metric events, more and fewer by turns as people come
/// and go. From its construction to its end; its publishers then close in order.
class Traffic {
  public:
    Traffic(Bridge& bridge, double events_per_second);
    ~Traffic();
    Traffic(const Traffic&) = delete;
    Traffic& operator=(const Traffic&) = delete;

  private:
    void emit(const std::string& nats_url, const std::string& region, const std::string& app,
              double events_per_second);

    std::atomic<bool> stopping_{false};
    std::vector<std::thread> threads_;
};

}  // namespace homeward::testing
