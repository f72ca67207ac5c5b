#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "publisher/tools/emit/statsd_metrics.hpp"

namespace homeward {

/// Reads datagrams of StatsD lines from one socket. One thread; never waits.
class StatsdReceiver {
  public:
    /// Borrows both. `name`: the socket's address, for the log.
    StatsdReceiver(int descriptor, std::string name, StatsdMetrics& metrics);

    int descriptor() const { return descriptor_; }
    const std::string& name() const { return name_; }
    /// Takes one turn's worth; false: nothing is left.
    bool receive_some();
    /// Takes what has been received up to now. Later datagrams are no longer received.
    void drain();

  private:
    bool receive_one();
    void stop_arrivals();
    void count_lost();

    int descriptor_;
    std::string name_;
    StatsdMetrics& metrics_;
    std::vector<char> datagram_;
    std::uint32_t lost_known_ = 0;
    int empty_left_ = -1;  // after stop_arrivals() at a Unix socket, whose end reads as empty
};

}  // namespace homeward
