#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include <homeward/metrics.hpp>

#include "publisher/cells/cell_store.hpp"

namespace homeward {

/// The cells of one thread in one meter. When the thread has ended, another one continues with
/// them: cells are cumulative. Made and extended under the meter state's mutex.
struct ThreadTable {
    ThreadTable(std::uint64_t meter_number, CellStore& cell_store)
        : store(cell_store), number(meter_number) {}

    /// The cell of that series, or where it will be.
    void*& cell(std::uint32_t id);

    CellStore& store;  ///< the meter state's, which alone calls what uses it
    const std::uint64_t number;
    std::atomic<bool> is_in_use{true};
    /// By series id. Its thread reads it without the mutex, so what it has outgrown is kept.
    void** cells = nullptr;
    std::uint32_t count = 0;
    std::vector<std::unique_ptr<void* []>> arrays {};
    CellStore::Counters counters{};  // the block that has room; no line of it is another thread's
    std::size_t counters_used = 0;

    /// A cell of that series, and in the same place as its other ones, or the series is partial.
    detail::CounterCell& new_counter(const CellStore::Series& series);
};

/// The tables of the calling thread; gives them back when the thread ends.
namespace thread_tables {

/// nullptr: it has none in that meter.
ThreadTable* find(std::uint64_t number) noexcept;
void keep(std::shared_ptr<ThreadTable> table);
/// Makes the table what add() and record() of this thread use.
void remember(const ThreadTable& table) noexcept;
/// Whether the thread's own things are being destroyed: it gets no table any more.
bool has_ended() noexcept;

}  // namespace thread_tables
}  // namespace homeward
