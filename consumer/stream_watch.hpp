#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "consumer/metrics.hpp"
#include "consumer/nats_connection.hpp"
#include "consumer/stream.hpp"

namespace homeward::consumer {

/// Asks every stream now and then what waits in it, also while nothing is taken from it, and tells
/// the metrics. Has a thread of its own; borrows all it is given.
class StreamWatch {
  public:
    StreamWatch(NatsConnection& nats, const std::vector<Stream>& streams, Metrics& metrics);
    ~StreamWatch();

  private:
    void run();
    bool is_stopping();

    NatsConnection& nats_;
    const std::vector<Stream>& streams_;
    Metrics& metrics_;

    std::mutex mutex_;
    std::condition_variable stop_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace homeward::consumer
