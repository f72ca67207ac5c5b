#include <sched.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <homeward/metrics.hpp>

#include "publisher/metrics/meter_state.hpp"
#include "publisher/metrics/metric_reports.hpp"

namespace homeward {
namespace {

using namespace std::chrono_literals;

/// Never given twice in a process, so that what a thread remembers of a meter that has ended
/// matches no other.
std::uint64_t next_meter_number() {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
}

MeterOptions checked(MeterOptions options) {
    if (options.interval < 10ms || options.interval > 24h) {
        throw std::invalid_argument("MeterOptions::interval must be between 10 ms and one day");
    }
    if (options.series_max < 1 || options.series_max > 1'000'000) {
        throw std::invalid_argument("MeterOptions::series_max must be between 1 and 1,000,000");
    }
    return options;
}

}  // namespace

namespace detail {

/// Finds the state of a meter in this process; a forked child gets one of its own.
class MeterCore {
  public:
    MeterCore(Publisher& publisher, const MeterOptions& options)
        : publisher_(publisher),
          options_(checked(options)),
          kept_(std::make_shared<MeterState::Kept>(next_meter_number())) {
        begin(number()->load());
    }
    /// In a child that has not used it, the state is the parent's and left alone.
    ~MeterCore() {
        if (number()->load() == 0) return;
        const std::unique_ptr<std::shared_ptr<MeterState>> state(state_.exchange(nullptr));
        if (state != nullptr) (*state)->end();
    }

    /// nullptr: a child that has no publisher.
    MeterState* state() noexcept {
        if (number()->load(std::memory_order_acquire) == 0 && !begin_in_child()) return nullptr;
        return state_.load(std::memory_order_acquire)->get();
    }
    /// nullptr also after the publisher's close(), which it counts.
    MeterState* open_state() noexcept {
        MeterState* own = state();
        if (own == nullptr || !is_closed()) return own;
        own->refuse(MetricRefusal::closed);
        return nullptr;
    }
    bool is_closed() const { return number()->load(std::memory_order_acquire) == kClosedOwner; }
    const std::atomic<std::uint64_t>* number() const { return kept_->page.number(); }

    Instrument instrument(InstrumentKind kind, std::string_view name, const Attributes& attributes,
                          const InstrumentOptions& options) {
        check_instrument_name(name);
        check_unit(name, options.unit);
        auto series = std::make_unique<Series>();
        series->core = this;
        series->kind = kind;
        series->name = name;
        series->unit = options.unit;
        series->attributes = attributes_json(name, attributes);
        MeterState* own = state();
        if (own == nullptr) return {};
        Series* found = own->find_or_add(std::move(series));
        if (found == nullptr) return {};
        return {number(), found, found->id};
    }

  private:
    void begin(std::uint64_t number_given) {
        MetricReports* reports = publisher_.metric_reports();
        if (reports == nullptr) throw std::runtime_error("the publisher is closed");
        auto state = std::make_shared<MeterState>(publisher_, options_, kept_, number_given,
                                                  reports->cells());
        auto held = std::make_unique<std::shared_ptr<MeterState>>(state);
        reports->add(std::move(state));
        state_.store(held.release(), std::memory_order_release);
    }
    /// Without a lock, for a thread of the parent might hold that for ever.
    bool begin_in_child() noexcept {
        const auto deadline = std::chrono::steady_clock::now() + 1s;
        while (!kept_->page.try_begin()) {
            if (number()->load(std::memory_order_acquire) != 0) return true;
            if (std::chrono::steady_clock::now() > deadline) return false;
            ::sched_yield();
        }
        std::uint64_t own = number()->load(std::memory_order_acquire);
        if (own == 0) {
            try {
                own = next_meter_number();
                begin(own);
            } catch (const std::exception&) {
                own = 0;  // the publisher says why there is none; the next call tries again
            }
        }
        kept_->page.begin_as(own);
        return own != 0;
    }

    Publisher& publisher_;
    const MeterOptions options_;
    const std::shared_ptr<MeterState::Kept> kept_;
    std::atomic<std::shared_ptr<MeterState>*> state_{nullptr};
};

void* Instrument::find_cell() const noexcept {
    if (series == nullptr || thread_tables::has_ended()) return nullptr;
    MeterState* own = series->core->state();
    return own == nullptr || series->core->is_closed() ? nullptr : own->cell(*series, false);
}

void Instrument::add_shared(std::int64_t value) const noexcept {
    MeterState* own = series == nullptr ? nullptr : series->core->open_state();
    if (own == nullptr) return;
    const auto lock = own->lock();
    auto* cell = static_cast<CounterCell*>(own->cell(*series, true));
    if (cell != nullptr) cell->add(value);
}

void Instrument::record_shared(double value) const noexcept {
    MeterState* own = series == nullptr ? nullptr : series->core->open_state();
    if (own == nullptr) return;
    const auto lock = own->lock();
    void* cell = own->cell(*series, true);
    if (cell == nullptr) return;
    if (series->kind == InstrumentKind::gauge) {
        static_cast<GaugeCell*>(cell)->value.store(value, std::memory_order_relaxed);
    } else if (!static_cast<HistogramCell*>(cell)->record(value)) {
        own->refuse(MetricRefusal::not_finite);
    }
}

void Instrument::refuse(MetricRefusal why) const noexcept {
    MeterState* own = series == nullptr ? nullptr : series->core->open_state();
    if (own != nullptr) own->refuse(why);
}

}  // namespace detail

Meter::Meter(Publisher& publisher, MeterOptions options)
    : core_(std::make_unique<detail::MeterCore>(publisher, options)) {}

Meter::~Meter() = default;

Counter Meter::counter(std::string_view name, const Attributes& attributes,
                       InstrumentOptions options) {
    return Counter(core_->instrument(InstrumentKind::counter, name, attributes, options));
}

UpDownCounter Meter::up_down_counter(std::string_view name, const Attributes& attributes,
                                     InstrumentOptions options) {
    return UpDownCounter(
        core_->instrument(InstrumentKind::up_down_counter, name, attributes, options));
}

Gauge Meter::gauge(std::string_view name, const Attributes& attributes, InstrumentOptions options) {
    return Gauge(core_->instrument(InstrumentKind::gauge, name, attributes, options));
}

Histogram Meter::histogram(std::string_view name, const Attributes& attributes,
                           InstrumentOptions options) {
    return Histogram(core_->instrument(InstrumentKind::histogram, name, attributes, options));
}

MeterStats Meter::stats() const noexcept {
    const MeterState* own = core_->state();
    return own == nullptr ? MeterStats{} : own->stats();
}

}  // namespace homeward
