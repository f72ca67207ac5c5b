#include "publisher/metrics/thread_table.hpp"

#include <algorithm>
#include <utility>

namespace homeward {
namespace {

constexpr std::uint32_t kCellsMin = 64;

// Trivial, so that it can be asked while the thread's other things are destroyed.
constinit thread_local bool is_thread_ended = false;

struct Holding {
    std::vector<std::shared_ptr<ThreadTable>> tables;

    ~Holding() {
        is_thread_ended = true;
        for (detail::ThreadCells& known : detail::thread_cells) known = {};
        for (const auto& table : tables) table->is_in_use.store(false, std::memory_order_release);
    }
    static Holding& of_this_thread() {
        thread_local Holding holding;
        return holding;
    }
};

}  // namespace

void*& ThreadTable::cell(std::uint32_t id) {
    if (id >= count) {
        const std::uint32_t larger = std::max({kCellsMin, 2 * count, id + 1});
        auto array = std::make_unique<void*[]>(larger);
        std::copy_n(cells, count, array.get());
        arrays.push_back(std::move(array));
        cells = arrays.back().get();
        count = larger;
    }
    return cells[id];
}

detail::CounterCell& ThreadTable::new_counter(const CellStore::Series& series) {
    if (counters.block == nullptr || counters_used == counters.block->cells.size()) {
        counters = store.add_counters();
        counters_used = 0;
    }
    if (!counters.is_durable) series.record->is_partial = 1;
    const std::size_t place = counters_used++;
    counters.block->series[place] = series.number;
    return counters.block->cells[place];
}

ThreadTable* thread_tables::find(std::uint64_t number) noexcept {
    for (const auto& table : Holding::of_this_thread().tables) {
        if (table->number == number) return table.get();
    }
    return nullptr;
}

void thread_tables::keep(std::shared_ptr<ThreadTable> table) {
    auto& tables = Holding::of_this_thread().tables;
    // Of meters that have ended: nobody else has them any more.
    std::erase_if(tables, [](const auto& held) { return held.use_count() == 1; });
    tables.push_back(std::move(table));
}

void thread_tables::remember(const ThreadTable& table) noexcept {
    detail::thread_cells[table.number % detail::kMetersRemembered] = {table.number, table.cells,
                                                                      table.count};
}

bool thread_tables::has_ended() noexcept {
    return is_thread_ended;
}

}  // namespace homeward
