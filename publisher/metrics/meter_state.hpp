#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <homeward/metrics.hpp>

#include "publisher/cells/cell_store.hpp"
#include "publisher/cells/histogram_reader.hpp"
#include "publisher/metrics/series.hpp"
#include "publisher/metrics/thread_table.hpp"
#include "publisher/platform/fork_detection_page.hpp"

namespace homeward {

/// What one series has measured and the leader has not been told.
struct MetricDelta {
    std::int64_t sum = 0;  ///< of counters
    HistogramDelta histogram{};
    bool has_changed = false;
};

/// One series in one process: its cells, and what has been read from them.
struct SeriesState {
    SeriesState(const detail::Series& which, const CellStore::Series& where)
        : series(&which), stored(where) {}
    /// The reporting thread, under the meter state's mutex: adds to `delta` what is new.
    void collect();

    const detail::Series* series;  ///< the reporting thread may read it without the mutex
    const CellStore::Series stored;
    struct CounterReading {
        detail::CounterCell* cell;
        std::uint64_t taken = 0;
    };
    std::vector<CounterReading> counters{};
    std::vector<detail::HistogramReader> histograms{};
    std::size_t folded = 0;  ///< series, if this is an overflow series

    // The reporting thread's own.
    MetricDelta delta{};
    std::int64_t total = 0;  ///< reported and not, of this process
    detail::ReportedTotals reported{};
    ExponentialBuckets buckets_reported{};
    std::chrono::steady_clock::time_point since{};  ///< where the delta begins
};

/// A meter in one process: its series and every thread's cells. A forked child makes one of its
/// own, since a thread of the parent may have held the mutex. Any thread, but for report().
class MeterState {
  public:
    using SteadyClock = std::chrono::steady_clock;

    /// What a meter keeps over a fork.
    struct Kept {
        std::atomic<std::uint32_t> series_id_next{0};  // a child's series get new ones
        ForkDetectionPage page;                        // holds the number
        explicit Kept(std::uint64_t number) : page(number) {}
    };
    /// `publisher` is borrowed.
    MeterState(Publisher& publisher, const MeterOptions& options, std::shared_ptr<Kept> kept,
               std::uint64_t number, std::shared_ptr<CellStore> cells);

    /// Before the last report: instruments leave their fast path and find out.
    void close() { kept_->page.close(); }
    /// The series of that identity; one into which it is folded; nullptr: beyond series_max, and of
    /// a new name. Throws std::invalid_argument if the name has another kind or unit. `wanted` is
    /// kept if it is new.
    detail::Series* find_or_add(std::unique_ptr<detail::Series> wanted);
    /// This thread's cell, or, if `is_shared`, that of all threads without one, which is written
    /// under lock(). nullptr: no memory, or beyond series_max.
    void* cell(const detail::Series& series, bool is_shared) noexcept;
    std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }

    void refuse(detail::MetricRefusal why) noexcept {
        refusals_[static_cast<std::size_t>(why)].fetch_add(1, std::memory_order_relaxed);
    }
    MeterStats stats() const noexcept;

    /// The meter is no more: what is left is reported once.
    void end() { is_ended_ = true; }
    /// Its report is due, or `ticket` asks for one: emits some points. Call again soon; see
    /// ticket_done(). By one thread.
    void report(std::uint64_t ticket);
    /// The newest ticket after which every series has been reported.
    std::uint64_t ticket_done() const { return ticket_done_; }
    /// All is reported of a meter that is no more.
    bool is_over() const { return is_over_; }
    /// What an operator should know and has not been told; else "".
    std::string news();

  private:
    struct Name {
        InstrumentKind kind;
        std::string unit;
    };
    // mutex_ is held.
    SeriesState* resolve(const detail::Series& series);
    SeriesState* fold(const detail::Series& series, const std::string& key);
    SeriesState* add(const detail::Series& series, std::string key);
    detail::Series* own(std::unique_ptr<detail::Series> series);
    bool is_full() const { return series_.size() - overflows_ >= options_.series_max; }
    ThreadTable* table_of_this_thread();
    void* make_cell(SeriesState& state, ThreadTable& table);
    // The reporting thread's own.
    bool report_series(SeriesState& state, std::size_t& bytes);
    bool emit(SeriesState& state, std::size_t& bytes);

    const std::shared_ptr<CellStore> store_;
    Publisher& publisher_;
    const MeterOptions options_;
    const std::shared_ptr<Kept> kept_;
    const std::uint64_t number_;
    std::array<std::atomic<std::uint64_t>, 3> refusals_{};
    std::atomic<bool> is_ended_{false};

    mutable std::mutex mutex_;  // guards what follows
    std::map<std::string, Name> names_;
    std::map<std::string, SeriesState*> by_key_;
    std::vector<SeriesState*> by_id_;
    std::vector<std::unique_ptr<SeriesState>> series_;
    std::vector<std::unique_ptr<detail::Series>> definitions_;
    std::size_t overflows_ = 0;
    std::unordered_set<std::size_t> folded_;  // hashes of their keys
    std::size_t names_refused_ = 0;
    std::string name_refused_;
    std::vector<std::shared_ptr<ThreadTable>> tables_;
    std::unique_ptr<ThreadTable> shared_table_;

    // The reporting thread's own.
    bool is_reporting_ = false;
    std::size_t series_next_ = 0;
    std::uint64_t ticket_reported_ = 0;
    std::uint64_t ticket_done_ = 0;
    bool is_last_ = false;
    bool is_over_ = false;
    SteadyClock::time_point report_due_;
    SteadyClock::time_point retry_at_{};
    std::array<bool, 2> said_{};
    bool has_said_folded_ = false;
    bool has_said_names_ = false;
    bool has_said_volatile_ = false;
};

}  // namespace homeward
