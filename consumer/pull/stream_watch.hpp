#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "consumer/base/lasting_count.hpp"
#include "consumer/metrics/metrics.hpp"
#include "consumer/nats/nats_connection.hpp"
#include "consumer/nats/stream.hpp"

namespace homeward::consumer {

/// Asks every stream now and then what waits in it, also while nothing is taken from it, and tells
/// the metrics, and whoever waits for a stream that was away. Has a thread of its own; borrows all
/// it is given.
class StreamWatch {
  public:
    using OnSeen = std::function<void(const Stream&, const std::optional<StreamState>&)>;
    /// `on_seen` is called, by its thread, for every stream whose server has answered; without a
    /// state when that has no such stream, or no such durable.
    StreamWatch(NatsConnection& nats, const std::vector<Stream>& streams, Metrics& metrics,
                OnSeen on_seen);
    ~StreamWatch();

  private:
    void run();
    void look(const Stream& stream);
    void log_regions();
    bool is_stopping();

    NatsConnection& nats_;
    const std::vector<Stream>& streams_;
    Metrics& metrics_;
    OnSeen on_seen_;
    // Of its thread alone.
    std::map<std::string, LastingCount> undeliverable_;
    std::set<std::string> away_;  // regions of which a stream does not answer

    std::mutex mutex_;
    std::condition_variable stop_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace homeward::consumer
