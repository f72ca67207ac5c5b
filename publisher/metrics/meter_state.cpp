#include "publisher/metrics/meter_state.hpp"

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <string_view>

#include "publisher/platform/reserve.hpp"

namespace homeward {
namespace {

constexpr std::size_t kFoldedRememberedMax = 65'536;

std::string key_of(const std::string& lower_name, std::string_view attributes) {
    return lower_name + ' ' + std::string(attributes);
}

}  // namespace

MeterState::MeterState(Publisher& publisher, const MeterOptions& options,
                       std::shared_ptr<Kept> kept, std::uint64_t number,
                       std::shared_ptr<CellStore> cells)
    : store_(std::move(cells)),
      publisher_(publisher),
      options_(options),
      kept_(std::move(kept)),
      number_(number),
      report_due_(SteadyClock::now() + options.interval) {}

detail::Series* MeterState::find_or_add(std::unique_ptr<detail::Series> wanted) {
    const std::lock_guard lock(mutex_);
    const auto name = names_.find(lowercase(wanted->name));
    if (name != names_.end() &&
        (name->second.kind != wanted->kind || name->second.unit != wanted->unit)) {
        throw std::invalid_argument("metrics: \"" + wanted->name + "\" is a " +
                                    std::string(to_string(name->second.kind)) + " with unit \"" +
                                    name->second.unit + "\" already; a " +
                                    std::string(to_string(wanted->kind)) + " with unit \"" +
                                    wanted->unit + "\" needs a name of its own");
    }
    const std::string key = key_of(lowercase(wanted->name), wanted->attributes);
    const auto known = by_key_.find(key);
    SeriesState* state = nullptr;
    if (known != by_key_.end()) {
        state = known->second;
    } else if (is_full()) {
        state = fold(*wanted, key);
    } else {
        state = add(*own(std::move(wanted)), key);
    }
    return state == nullptr ? nullptr : const_cast<detail::Series*>(state->series);
}

detail::Series* MeterState::own(std::unique_ptr<detail::Series> series) {
    series->id = kept_->series_id_next.fetch_add(1, std::memory_order_relaxed);
    definitions_.push_back(std::move(series));
    return definitions_.back().get();
}

SeriesState* MeterState::add(const detail::Series& series, std::string key) {
    auto state = std::make_unique<SeriesState>(
        series, store_->add_series(series.kind, series.name, series.unit, series.attributes));
    state->since = SteadyClock::now();
    if (series.id >= by_id_.size()) by_id_.resize(series.id + 1, nullptr);
    reserve_one_more(series_);  // nothing throws once it is entered
    names_.try_emplace(lowercase(series.name), Name{series.kind, series.unit});
    by_key_.insert_or_assign(std::move(key), state.get());
    by_id_[series.id] = state.get();
    overflows_ += series.is_overflow ? 1 : 0;
    series_.push_back(std::move(state));
    return series_.back().get();
}

/// Into the overflow series of its name; nullptr: it is the first of that name.
SeriesState* MeterState::fold(const detail::Series& series, const std::string& key) {
    const std::string lower_name = lowercase(series.name);
    if (names_.find(lower_name) == names_.end()) {
        ++names_refused_;
        name_refused_ = series.name;
        return nullptr;
    }
    const std::string overflow_key = key_of(lower_name, kOverflowAttributes);
    const auto known = by_key_.find(overflow_key);
    SeriesState* state = known == by_key_.end() ? nullptr : known->second;
    if (state == nullptr) {
        auto overflow = std::make_unique<detail::Series>(series);
        overflow->attributes = kOverflowAttributes;
        overflow->is_overflow = true;
        state = add(*own(std::move(overflow)), overflow_key);
    }
    const std::size_t hash = std::hash<std::string>()(key);
    if (folded_.size() < kFoldedRememberedMax && folded_.insert(hash).second) ++state->folded;
    return state;
}

/// Of an instrument that is there, maybe since before a fork.
SeriesState* MeterState::resolve(const detail::Series& series) {
    if (series.id < by_id_.size() && by_id_[series.id] != nullptr) return by_id_[series.id];
    const std::string key = key_of(lowercase(series.name), series.attributes);
    const auto known = by_key_.find(key);
    SeriesState* state = known != by_key_.end()             ? known->second
                         : !series.is_overflow && is_full() ? fold(series, key)
                                                            : add(series, key);
    if (state != nullptr) {
        if (series.id >= by_id_.size()) by_id_.resize(series.id + 1, nullptr);
        by_id_[series.id] = state;
    }
    return state;
}

void* MeterState::cell(const detail::Series& series, bool is_shared) noexcept {
    try {
        std::unique_lock<std::mutex> lock(mutex_, std::defer_lock);
        if (!is_shared) lock.lock();  // whoever writes to a shared cell holds it
        SeriesState* state = resolve(series);
        if (state == nullptr) return nullptr;
        if (is_shared && shared_table_ == nullptr) {
            shared_table_ = std::make_unique<ThreadTable>(number_, *store_);
        }
        ThreadTable& table = is_shared ? *shared_table_ : *table_of_this_thread();
        void*& cell = table.cell(series.id);
        if (cell == nullptr) cell = make_cell(*state, table);
        if (!is_shared) thread_tables::remember(table);
        return cell;
    } catch (const std::exception&) {
        return nullptr;  // no memory
    }
}

ThreadTable* MeterState::table_of_this_thread() {
    if (ThreadTable* own = thread_tables::find(number_)) return own;
    for (const auto& table : tables_) {
        // Acquired, so that this thread goes on from what the other has written.
        bool is_in_use = table->is_in_use.load(std::memory_order_acquire);
        if (is_in_use) continue;
        table->is_in_use = true;
        thread_tables::keep(table);
        return table.get();
    }
    auto table = std::make_shared<ThreadTable>(number_, *store_);
    tables_.push_back(table);
    thread_tables::keep(table);
    return table.get();
}

/// Two instruments of one series, one from before a fork, have a cell each.
void* MeterState::make_cell(SeriesState& state, ThreadTable& table) {
    switch (state.series->kind) {
        case InstrumentKind::counter:
        case InstrumentKind::up_down_counter: {
            reserve_one_more(state.counters);
            detail::CounterCell& cell = table.new_counter(state.stored);
            state.counters.push_back({&cell});
            return &cell;
        }
        case InstrumentKind::gauge:
            return &state.stored.record->gauge;
        case InstrumentKind::histogram:
            break;
    }
    reserve_one_more(state.histograms);
    detail::HistogramCell& cell = store_->add_histogram(state.stored);
    state.histograms.emplace_back(cell);
    return &cell;
}

MeterStats MeterState::stats() const noexcept {
    const auto refused = [this](detail::MetricRefusal why) {
        return refusals_[static_cast<std::size_t>(why)].load(std::memory_order_relaxed);
    };
    const std::lock_guard lock(mutex_);
    const auto is_volatile = [](const auto& state) {
        return !state->stored.is_durable || state->stored.record->is_partial.load() != 0;
    };
    const auto in_memory =
        store_->is_in_memory() ? 0 : std::count_if(series_.begin(), series_.end(), is_volatile);
    return {series_.size() - overflows_,
            folded_.size(),
            refused(detail::MetricRefusal::negative),
            refused(detail::MetricRefusal::not_finite),
            refused(detail::MetricRefusal::closed),
            static_cast<std::size_t>(in_memory)};
}

}  // namespace homeward
