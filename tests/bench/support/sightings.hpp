#pragma once

#include <atomic>
#include <cstdint>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/servers/postgres_server.hpp"

namespace homeward::bench {

struct Freshness {
    double p50_ms = 0;
    double p99_ms = 0;
    double interval_ms = 0;  ///< between two sightings: how exact the others are
    std::uint64_t rows = 0;
};

/// Looks at a leader every few milliseconds from a connection of its own and notes which
/// transactions it can see, until it is asked. Has a thread of its own.
class Sightings {
  public:
    explicit Sightings(const testing::PostgresServer& leader);
    ~Sightings();
    Sightings(const Sightings&) = delete;
    Sightings& operator=(const Sightings&) = delete;

    /// Of the rows in the table, by their column `time`. Stops looking.
    Freshness judge(const std::string& table);

  private:
    struct Snapshot {
        std::int64_t time_us;    // when its answer was there
        std::uint64_t xmin = 0;  // every transaction below is over
        std::uint64_t xmax = 0;  // none from here on has begun
        std::set<std::uint64_t> running;
        bool contains(std::uint64_t transaction) const {
            return transaction < xmin || (transaction < xmax && !running.contains(transaction));
        }
    };
    static Snapshot parse(const std::string& text, std::int64_t time_us);
    void run();
    void stop();

    const testing::PostgresServer& leader_;
    std::vector<Snapshot> snapshots_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace homeward::bench
