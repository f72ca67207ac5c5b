// Cells in files: what a process that is killed at any instruction leaves there, and what is made
// of it.

#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <homeward/metrics.hpp>

#include "publisher/buffer/lane.hpp"
#include "publisher/cells/cell_recovery.hpp"
#include "publisher/cells/cell_store.hpp"
#include "publisher/cells/histogram_reader.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/small_disk.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using detail::HistogramCell;
using detail::HistogramReader;

namespace {

/// Runs `body` in a child, instruction by instruction, and calls `check` after every so many:
/// memory that both share is then what a kill at this moment would leave. How many there were.
template <typename Body, typename Check>
int step_through(int stride, Body&& body, Check&& check) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::raise(SIGSTOP);
        body();
        ::_exit(0);
    }
    int status = 0;
    int count = 0;
    bool is_stopped = ::waitpid(child, &status, 0) == child && WIFSTOPPED(status);
    while (is_stopped) {
        if (++count % stride == 0) check();
        is_stopped = ::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) == 0 &&
                     ::waitpid(child, &status, 0) == child && WIFSTOPPED(status);
    }
    check();
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return count;
}

struct Mapped {
    Mapped()
        : memory(::mmap(nullptr, sizeof(HistogramCell), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
        REQUIRE(memory != MAP_FAILED);
    }
    ~Mapped() { ::munmap(memory, sizeof(HistogramCell)); }
    Mapped(const Mapped&) = delete;
    Mapped& operator=(const Mapped&) = delete;
    /// With what was there before.
    HistogramCell& fresh(const std::vector<double>& values) const {
        auto* cell = new (memory) HistogramCell;
        for (const double value : values) cell->record(value);
        return *cell;
    }
    void* memory;
};

/// The cell has what some of `values`, from the first on, make of it; how many of these.
int check_is_whole(HistogramCell& cell, const std::vector<double>& before,
                   const std::vector<double>& values) {
    const HistogramDelta left = HistogramReader(cell).left();
    const auto counted = static_cast<std::size_t>(left.buckets.count()) - before.size();
    REQUIRE(counted <= values.size());
    auto expected = std::make_unique<HistogramCell>();
    double sum = 0;
    std::vector<double> all = before;
    all.insert(all.end(), values.begin(), values.begin() + static_cast<std::ptrdiff_t>(counted));
    for (const double value : all) {
        expected->record(value);
        sum += value;
    }
    CHECK(left.sum == sum);
    ExponentialBuckets wanted = HistogramReader(*expected).left().buckets;
    // A kill after a rescale leaves what the next value needed.
    CHECK(left.buckets.scale <= wanted.scale);
    wanted.downscale(wanted.scale - left.buckets.scale);
    CHECK(left.buckets.positive.counts.size() >= wanted.positive.counts.size());
    ExponentialBuckets rest = left.buckets;
    rest.subtract(wanted);
    CHECK(rest.count() == 0);
    return static_cast<int>(counted);
}

/// A process's cells, and the lanes of its run, as they are found after its death.
class DeadProcess {
  public:
    DeadProcess() : store(std::make_unique<CellStore>(dir.path())) {}

    detail::CounterCell& add_counter(const CellStore::Series& series) {
        const CellStore::Counters counters = store->add_counters();
        counters.block->series[0] = series.number;
        return counters.block->cells[0];
    }
    /// Events that were recovered, as JSON after the type.
    std::vector<std::string> recover(std::optional<std::uint64_t> head_of_lane_7 = std::nullopt) {
        CellRecovery recovery(dir.path(), [&](std::uint64_t lane) {
            if (lane == 7) return head_of_lane_7;
            return lane < lanes_.size() ? std::optional(lanes_[lane]->header()->head.load())
                                        : std::optional<std::uint64_t>();
        });
        recovery.recover([&]() -> CellRecovery::NewLane {
            lanes_.push_back(std::make_unique<LaneMapping>(
                LaneMapping::create(File::anonymous("lane"), EventClass::metric, 64u << 10)));
            writers_.push_back(std::make_unique<detail::LaneWriter>(lanes_.back()->header(),
                                                                    lanes_.back()->ring(), false));
            readers_.push_back(std::make_unique<LaneReader>(*lanes_.back()));
            return {writers_.back().get(), lanes_.size() - 1};
        });
        problem = recovery.problem();
        std::vector<std::string> events;
        for (const auto& reader : readers_) {
            std::span<const std::byte> payload;
            while (reader->read(payload) == LaneReader::Outcome::record) {
                const auto text = payload.subspan(kRecordHeaderBytes + 2);
                events.emplace_back(reinterpret_cast<const char*>(text.data()), text.size());
            }
        }
        return events;
    }

    TempDir dir;
    std::unique_ptr<CellStore> store;
    std::string problem;

  private:
    std::vector<std::unique_ptr<LaneMapping>> lanes_;
    std::vector<std::unique_ptr<detail::LaneWriter>> writers_;
    std::vector<std::unique_ptr<LaneReader>> readers_;
};

std::vector<std::string> with(const std::vector<std::string>& events, const std::string& part) {
    std::vector<std::string> found;
    std::copy_if(events.begin(), events.end(), std::back_inserter(found),
                 [&](const auto& event) { return event.find(part) != std::string::npos; });
    return found;
}

}  // namespace

TEST_CASE("a kill at any instruction of record() leaves all of a value or nothing of it") {
    if (!kCanForkThreads) return;
    const Mapped mapped;
    const std::vector<double> before{1, 2, 3};
    const std::vector<double> values{2.5, 0, -2, 1.5};
    HistogramCell& cell = mapped.fresh(before);
    int seen = 0;
    const auto check = [&] {
        const int counted = check_is_whole(cell, before, values);
        CHECK((counted == seen || counted == seen + 1));
        seen = counted;
    };
    const auto record_all = [&] {
        for (const double value : values) cell.record(value);
    };
    CHECK(step_through(1, record_all, check) > 100);
    CHECK(seen == static_cast<int>(values.size()));
}

TEST_CASE("a kill within a rescale loses nothing that was counted") {
    if (!kCanForkThreads) return;
    const Mapped mapped;
    const std::vector<double> before{1, 1.1, 1.2, 1.2, 1.3};
    HistogramCell& cell = mapped.fresh(before);
    const auto check = [&] { check_is_whole(cell, before, {1000}); };
    CHECK(step_through(
              17, [&] { cell.record(1000); }, check) > 2'000);
    CHECK(check_is_whole(cell, before, {1000}) == 1);
}

TEST_CASE("what no report has brought is recovered once") {
    DeadProcess dead;
    const auto counter = dead.store->add_series(InstrumentKind::counter, "c", "s", R"({"a":"b"})");
    const auto level = dead.store->add_series(InstrumentKind::up_down_counter, "l", "", "{}");
    const auto gauge = dead.store->add_series(InstrumentKind::gauge, "g", "", "{}");
    const auto sizes = dead.store->add_series(InstrumentKind::histogram, "h", "", "{}");
    dead.store->add_series(InstrumentKind::counter, "untouched", "", "{}");
    dead.add_counter(counter).add(40);
    dead.add_counter(counter).add(2);  // another thread
    dead.add_counter(level).add(-3);
    gauge.record->gauge.value = 1.5;
    HistogramCell& first = dead.store->add_histogram(sizes);
    HistogramCell& second = dead.store->add_histogram(sizes);
    first.record(1);
    second.record(1000);
    second.record(0);
    const auto events = dead.recover();
    CHECK(dead.problem.empty());
    REQUIRE(events.size() == 4);
    CHECK_THAT(events[0],
               Contains(R"("name":"c","kind":"counter","unit":"s","attributes":{"a":"b"})"));
    CHECK(with(events, R"("sum":42})").size() == 1);
    CHECK(with(events, R"("sum":-3,"value":-3})").size() == 1);
    CHECK(with(events, R"("kind":"gauge","attributes":{},"start_time":)").size() == 1);
    CHECK(with(events, R"("value":1.5})").size() == 1);
    CHECK(with(events, R"("sum":1001,"count":3,"min":0,"max":1000,)").size() == 1);
    // Whoever goes on after a kill of the one that recovered finds nothing more.
    CHECK(dead.recover().empty());
}

// Method: the states that a kill can leave between the stores of a report.
TEST_CASE("a report that a kill has interrupted counts as made if its record is in the lane") {
    for (const bool is_in_lane : {false, true}) {
        DeadProcess dead;
        const auto series = dead.store->add_series(InstrumentKind::counter, "c", "", "{}");
        detail::CounterCell& cell = dead.add_counter(series);
        cell.add(10);
        detail::ReportedTotals totals;
        totals.sum = 10;
        totals.place = {7, 640};
        series.record->begin_report(totals, {});
        cell.add(5);
        const auto events = dead.recover(is_in_lane ? 704 : 640);
        REQUIRE(events.size() == 1);
        CHECK_THAT(events[0], Contains(is_in_lane ? R"("sum":5})" : R"("sum":15})"));
    }
    // In a shared lane nobody knows the place, and in one that is gone it does not matter.
    for (const std::uint64_t lane : {detail::LanePlace::kUnknown, std::uint64_t{99}}) {
        DeadProcess dead;
        const auto series = dead.store->add_series(InstrumentKind::counter, "c", "", "{}");
        dead.add_counter(series).add(10);
        detail::ReportedTotals totals;
        totals.sum = 10;
        totals.place = {lane, 640};
        series.record->begin_report(totals, {});
        CHECK(dead.recover().empty());
    }
    // One that found no room is not made, whatever comes into the lane later.
    DeadProcess dead;
    const auto series = dead.store->add_series(InstrumentKind::counter, "c", "", "{}");
    dead.add_counter(series).add(10);
    detail::ReportedTotals totals;
    totals.sum = 10;
    totals.place = {7, 640};
    series.record->begin_report(totals, {});
    series.record->end_report(false);
    CHECK(dead.recover(704).size() == 1);
}

TEST_CASE("a report of a histogram leaves what came after it") {
    DeadProcess dead;
    const auto series = dead.store->add_series(InstrumentKind::histogram, "h", "", "{}");
    HistogramCell& cell = dead.store->add_histogram(series);
    HistogramReader reader(cell);
    for (const double value : {1.0, 1.25, 1.5}) cell.record(value);
    const HistogramDelta delta = reader.take();
    detail::ReportedTotals totals;
    totals.histogram_sum = delta.sum;
    series.record->begin_report(totals, delta.buckets);
    series.record->end_report(true);
    cell.record(1e6);  // at a coarser scale
    cell.record(-2);
    const auto events = dead.recover();
    REQUIRE(events.size() == 1);
    CHECK_THAT(events[0], Contains(R"("sum":999998,"count":2,"min":-2,"max":1e+06,)"));
}

TEST_CASE("more points than a lane holds go into several") {
    DeadProcess dead;
    for (int i = 0; i < 500; ++i) {
        const auto series = dead.store->add_series(InstrumentKind::gauge, "g", "",
                                                   R"({"i":")" + std::string(300, 'x') + "\"}");
        series.record->gauge.value = i;
    }
    CHECK(dead.recover().size() == 500);
    CHECK(dead.recover().empty());
}

TEST_CASE("cells that are damaged, or of another version, are told and bring nothing") {
    DeadProcess dead;
    const auto series = dead.store->add_series(InstrumentKind::histogram, "h", "", "{}");
    dead.store->add_histogram(series).record(1);
    ExponentialBuckets more;
    more.positive.at(3) = 99;
    series.record->begin_report({}, more);
    series.record->end_report(true);
    CHECK(dead.recover().empty());
    CHECK_THAT(dead.problem, Contains("damaged"));
    CellSegment::open(CellStore::file_in(dead.dir.path(), 0)).header()->histogram_bytes += 64;
    CHECK(dead.recover().empty());
    CHECK_THAT(dead.problem, Contains("another version"));
}

TEST_CASE("files of cells are their owner's alone; no link, FIFO or directory is taken for one") {
    for (const char* kind : {"link", "fifo", "directory", "large"}) {
        INFO(kind);
        const mode_t before = ::umask(0);
        DeadProcess dead;
        dead.add_counter(dead.store->add_series(InstrumentKind::counter, "c", "", "{}")).add(1);
        ::umask(before);
        const auto path = CellStore::file_in(dead.dir.path(), 0);
        CHECK((std::filesystem::status(path).permissions() & std::filesystem::perms::all) ==
              (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
        const auto target = dead.dir.path() / "target";
        std::filesystem::rename(path, target);
        const std::string_view what = kind;
        if (what == "link") std::filesystem::create_symlink(target, path);
        if (what == "fifo") REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
        if (what == "directory") std::filesystem::create_directory(path);
        if (what == "large") {
            std::filesystem::rename(target, path);
            std::filesystem::resize_file(path, (16u << 20) + 1);
        }
        CHECK(dead.recover().empty());
        CHECK_THAT(dead.problem, Contains(path.string()));
    }
}

TEST_CASE("a store without room has its cells in memory, and its series are partial") {
    DeadProcess dead;
    const auto durable = dead.store->add_series(InstrumentKind::counter, "c", "", "{}");
    CHECK(durable.is_durable);
    CellStore nowhere(dead.dir / "missing");
    const auto series = nowhere.add_series(InstrumentKind::histogram, "h", "", "{}");
    CHECK_FALSE(series.is_durable);
    nowhere.add_histogram(series).record(1);
    CHECK(series.record->is_partial == 1);
    CHECK_FALSE(nowhere.failure().empty());
    CellStore without_spool({});
    CHECK_FALSE(without_spool.add_counters().is_durable);
    CHECK(without_spool.failure().empty());
}

TEST_CASE("a meter without room beside the lanes says so once, and its stats do") {
    const SmallDisk disk(4u << 20);  // as much as lanes keep to themselves
    if (!disk.is_mounted()) {
        WARN("not run: it takes root to mount a file system");
        return;
    }
    std::mutex mutex;
    int said = 0;
    const TempDir spool;
    PublisherOptions options;
    options.region = "ams";
    options.app = "shop";
    options.nats_urls = {"nats://127.0.0.1:1"};
    options.spool_dir = spool / "spool";
    options.lane_dir = disk.path();
    options.on_log = [&](std::string_view line) {
        const std::lock_guard lock(mutex);
        said += line.find("no room for cells") != std::string_view::npos ? 1 : 0;
    };
    Publisher publisher(options);
    Meter meter(publisher, {.interval = 20ms});
    Counter counter = meter.counter("c");
    for (int i = 0; i < 5; ++i) {
        counter.add(1);
        REQUIRE(publisher.flush(10s, FlushUntil::logged).done);
    }
    CHECK(meter.stats().volatile_series == 1);
    CHECK(publisher.stats().metric.accepted >= 5);  // which are reported all the same
    const std::lock_guard lock(mutex);
    CHECK(said == 1);
}
