#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include <homeward/metrics.hpp>

#include "publisher/tools/emit/statsd_line.hpp"

namespace homeward {

struct StatsdOptions {
    std::chrono::seconds interval{10};  ///< how often series are reported
    std::size_t series_max = 2'000;     ///< beyond it, a name's series are folded into one
    /// A gauge's value with a sign is added to the last one (StatsD), else it is the value
    /// (DogStatsD).
    bool has_relative_gauges = true;
    bool is_remote_allowed = false;  ///< UDP on an address that is no loopback address
};

struct StatsdTally {
    std::uint64_t lines = 0;  ///< blank ones not included
    std::uint64_t values = 0;
    std::array<std::uint64_t, kStatsdFaults> refused{};  ///< lines, by fault
    std::uint64_t renamed = 0;                           ///< lines whose name was changed
    std::uint64_t datagrams_lost = 0;                    ///< the socket's buffer was full
};

/// Lines of StatsD, added up in the cells of a Meter. One thread.
///
/// A counter divided by its sample rate may be a fraction, as 1/0.3 is; so is how often a sampled
/// timer is recorded. What is below one is carried over to the series' next line, so that sums are
/// right within one.
class StatsdMetrics {
  public:
    using Log = std::function<void(std::string_view line)>;

    /// `publisher` must outlive it. `log` is told of each fault once.
    StatsdMetrics(Publisher& publisher, const StatsdOptions& options, Log log);

    /// One or more lines.
    void take(std::string_view datagram);
    /// A datagram that was longer than the buffer; nothing of it is taken.
    void refuse_datagram();
    /// `socket`: its address. `count`: datagrams since the last call.
    void add_lost(std::string_view socket, std::uint64_t count);
    /// Rounds what is carried over. Before the publisher is closed.
    void finish();

    const StatsdTally& tally() const { return tally_; }
    MeterStats stats() const { return meter_.stats(); }

  private:
    struct Series {
        std::variant<Counter, Gauge, Histogram> instrument;
        double carried = 0;  ///< of counters; of histograms: of how often to record
        double value = 0;    ///< of gauges: the last one
    };
    void take_line(std::string_view text);
    void refuse(StatsdFault fault, std::string_view why, std::string_view text);
    /// Into name_ and tags_; false, and a fault of `line`: more than an attribute may be.
    bool read_identity(StatsdLine& line, std::string_view text);
    void read_name(std::string_view sent, std::string_view text);
    void make_key(StatsdType type);
    Series make_series(StatsdType type);
    /// False, and a fault of `line`: a value that would be infinite, or has nothing to refer to.
    bool apply(StatsdLine& line, Series& series, bool is_kept);
    static void add_count(double count, Series& series);

    Meter meter_;
    const StatsdOptions options_;
    const Log log_;
    StatsdTally tally_;
    std::array<Counter, kStatsdFaults> refused_;
    Counter datagrams_lost_;
    std::unordered_map<std::string, Series> series_;  // by type, name and tags
    // Of the line at hand; kept for their memory.
    std::string name_;
    std::vector<StatsdTag> tags_;
    std::string key_;
    std::size_t records_left_ = 0;  // of the datagram at hand
    std::uint64_t lost_said_ = 0;
};

}  // namespace homeward
