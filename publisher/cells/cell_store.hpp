#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "publisher/cells/cell_layout.hpp"

namespace homeward {

/// A mapped cell file.
class CellSegment {
  public:
    /// A new one; throws SetupError if there is no room.
    static CellSegment create(const std::filesystem::path& path, std::size_t bytes);
    /// What a dead process left; throws SetupError if it cannot be read.
    static CellSegment open(const std::filesystem::path& path);
    ~CellSegment();
    CellSegment(CellSegment&& other) noexcept;
    CellSegment& operator=(CellSegment&&) = delete;

    std::byte* base() const { return base_; }
    std::size_t bytes() const { return bytes_; }
    detail::CellFileHeader* header() const {
        return reinterpret_cast<detail::CellFileHeader*>(base_);
    }

  private:
    CellSegment(std::byte* base, std::size_t bytes) : base_(base), bytes_(bytes) {}
    std::byte* base_;
    std::size_t bytes_;
};

/// Where a process's cells are: in files of a run's lane directory, or, without room there, in
/// memory. Any thread. What it hands out lives as long as the store.
class CellStore {
  public:
    /// `directory`: of the run's lanes; empty: everything is in memory.
    explicit CellStore(std::filesystem::path directory) : directory_(std::move(directory)) {}
    ~CellStore();
    CellStore(const CellStore&) = delete;
    CellStore& operator=(const CellStore&) = delete;

    struct Series {
        detail::SeriesRecord* record = nullptr;
        std::uint32_t number = 0;
        bool is_durable = false;
    };
    // These throw std::bad_alloc.
    Series add_series(InstrumentKind kind, std::string_view name, std::string_view unit,
                      std::string_view attributes);
    struct Counters {
        detail::CounterBlock* block = nullptr;
        bool is_durable = false;
    };
    Counters add_counters();
    /// If there is no room, the series is partial from now on.
    detail::HistogramCell& add_histogram(const Series& series);

    /// The process is at work; by the reporting thread, some 50 times a second.
    void touch(std::int64_t now_us) noexcept;
    /// Without a directory, so that nothing outlives the process.
    bool is_in_memory() const { return directory_.empty(); }
    /// Why cells are in memory though there is a directory; "" if none are.
    std::string failure() const;

    static std::filesystem::path file_in(const std::filesystem::path& directory,
                                         std::size_t number);

  private:
    struct Place {
        std::byte* content = nullptr;
        detail::CellEntry* entry = nullptr;  ///< nullptr: in memory
    };
    Place allocate(std::size_t bytes);
    std::byte* in_file(std::size_t bytes);
    void add_segment(std::size_t bytes);
    static void finish(const Place& place, detail::CellKind kind, std::size_t bytes,
                       std::uint32_t series) noexcept;

    const std::filesystem::path directory_;
    mutable std::mutex mutex_;  // guards what follows
    std::vector<CellSegment> segments_;
    std::size_t used_ = 0;  ///< of the last segment
    std::vector<std::byte*> in_memory_;
    std::uint32_t series_last_ = 0;
    std::string failure_;
    std::chrono::steady_clock::time_point retry_at_{};
    std::atomic<detail::CellFileHeader*> first_{nullptr};
};

}  // namespace homeward
